//! This process as a part of a run: its settings, the flag against recursion, and the course of one counted operation.

use std::cell::Cell;
use std::env;
use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use minutebook_faultfs::shadow::{Locked, Shadow};
use minutebook_faultfs::{Error, Operation, OperationKind, Plan, Verdict, environment};

use crate::place::Place;
use crate::real;

/// What the environment says, read once.
pub(crate) struct Settings {
    /// Canonical paths.
    pub(crate) roots: Vec<PathBuf>,
    shadow: Shadow,
    plan: Plan,
    log: Option<PathBuf>,
}

thread_local! {
    /// Whether this thread is inside the library. Without a destructor, so that it can be read at any time.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static SETTINGS: OnceLock<Option<Settings>> = OnceLock::new();

// SAFETY: the loader calls each address in this section once, before `main`, with arguments that we ignore.
#[unsafe(link_section = ".init_array")]
#[used]
static AT_LOAD: extern "C" fn() = at_load;

/// Reads the settings before the program runs: what lies under the roots then is durable, and a signal handler must not
/// be the first to come here.
extern "C" fn at_load() {
    if let Some(inside) = Inside::enter() {
        real::find_early();
        drop(inside);
    }
}

/// Prints the message and ends the process.
pub(crate) fn die(message: &str) -> ! {
    // Whatever the way here, what follows must not be counted.
    INSIDE.set(true);
    let line = format!("faultfs: {message}\n");
    // SAFETY: the pointer and the length are those of `line`. A raw call, as `write` itself may be what is missing.
    unsafe { libc::syscall(libc::SYS_write, 2, line.as_ptr(), line.len()) };
    std::process::abort()
}

/// A failed call's error number.
pub(crate) type Errno = c_int;

/// The calling thread's `errno`.
pub(crate) fn errno() -> Errno {
    // SAFETY: the address is that of the thread's own variable, valid as long as the thread runs.
    unsafe { *libc::__errno_location() }
}

pub(crate) fn set_errno(errno: Errno) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Held while a thread is inside the library: calls that it makes are passed on. Restores `errno` when dropped.
pub(crate) struct Inside {
    pub(crate) settings: &'static Settings,
    errno_at_entry: Errno,
}

impl Inside {
    /// `None` when the call is to be passed on: it comes from the library itself, or no session is set up.
    pub(crate) fn enter() -> Option<Inside> {
        let errno_at_entry = errno();
        if INSIDE.replace(true) {
            return None;
        }
        match SETTINGS.get_or_init(Settings::from_environment) {
            Some(settings) => Some(Inside { settings, errno_at_entry }),
            None => {
                INSIDE.set(false);
                set_errno(errno_at_entry);
                None
            }
        }
    }

    /// Waits until this thread, of all threads and processes of the run, may operate.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn { settings: self.settings, shadow: or_die(self.settings.shadow.lock()) }
    }

    /// Ends the stay with the outcome of the call, in C's manner.
    pub(crate) fn leave(self, outcome: Result<isize, Errno>) -> isize {
        drop(self);
        outcome.unwrap_or_else(|errno| {
            set_errno(errno);
            -1
        })
    }

    /// Ends the stay and passes the call on.
    pub(crate) fn pass(self, call: impl FnOnce() -> isize) -> isize {
        drop(self);
        call()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
        set_errno(self.errno_at_entry);
    }
}

/// The right to do one operation, exclusive over all processes of the run.
pub(crate) struct Turn<'a> {
    settings: &'a Settings,
    pub(crate) shadow: Locked<'a>,
}

/// What the plan made of an operation, for the model to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It was done, and succeeded.
    Done(isize),
    /// The plan kept it from being done.
    Prevented,
}

impl Turn<'_> {
    /// Counts and logs an operation and carries out the plan for it. `act` is the call. `settle` then updates the
    /// model; it isn't called if the real call failed.
    pub(crate) fn perform(
        mut self,
        kind: OperationKind,
        (place, to): (&Place, Option<&Place>),
        size_bytes: u64,
        act: impl FnOnce() -> isize,
        settle: impl FnOnce(&mut Locked<'_>, Course) -> Result<(), Error>,
    ) -> Result<isize, Errno> {
        let number = or_die(self.shadow.next_operation());
        let (path, to) = (place.relative.clone(), to.map(|to| to.relative.clone()));
        or_die(self.log(&Operation { number, kind, size_bytes, path, to }));
        let verdict = self.settings.plan.verdict(number, kind);
        match verdict {
            Verdict::KillBefore => kill(),
            Verdict::Fail(errno) => {
                or_die(settle(&mut self.shadow, Course::Prevented));
                return Err(errno.0);
            }
            Verdict::Proceed | Verdict::KillAfter | Verdict::FailDone(_) => {}
        }
        let result = act();
        let outcome = if result < 0 { Err(errno()) } else { Ok(result) };
        if outcome.is_ok() {
            or_die(settle(&mut self.shadow, Course::Done(result)));
        }
        match verdict {
            Verdict::KillAfter => kill(),
            Verdict::FailDone(errno) => Err(errno.0),
            _ => outcome,
        }
    }

    fn log(&self, operation: &Operation) -> Result<(), io::Error> {
        let Some(path) = &self.settings.log else { return Ok(()) };
        let mut log = OpenOptions::new().append(true).create(true).open(path)?;
        log.write_all(format!("{operation}\n").as_bytes())
    }
}

impl Settings {
    /// `None` if no roots are set: the library then does nothing.
    fn from_environment() -> Option<Self> {
        let roots = env::var_os(environment::ROOTS).filter(|roots| !roots.is_empty())?;
        Some(or_die(Settings::read(roots.as_bytes())))
    }

    fn read(roots: &[u8]) -> Result<Self, String> {
        if !Path::new("/proc/self/fd").is_dir() {
            return Err("needs /proc to be mounted".to_owned());
        }
        let roots = roots.split(|byte| *byte == b':').filter(|root| !root.is_empty());
        let roots = roots.map(|root| {
            let root = Path::new(std::ffi::OsStr::from_bytes(root));
            root.canonicalize().map_err(|error| format!("cannot use the root `{}`: {error}", root.display()))
        });
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        let shadow = env::var_os(environment::SHADOW).ok_or(format!("{} is not set", environment::SHADOW))?;
        let shadow = Shadow::open(Path::new(&shadow), &roots).map_err(|error| error.to_string())?;
        let plan = env::var_os(environment::PLAN).unwrap_or_default();
        let plan = plan.to_string_lossy().parse().map_err(|error: Error| error.to_string())?;
        // Absolute, as the program may change its directory.
        let log = env::var_os(environment::LOG).map(std::path::absolute).transpose();
        let log = log.map_err(|error| format!("cannot use the log: {error}"))?;
        Ok(Settings { roots, shadow, plan, log })
    }
}

/// The value, or the end of the process: a model that is not kept is worse than none.
pub(crate) fn or_die<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| die(&error.to_string()))
}

/// Dies as a killed process does. The shadow stays locked until all threads are gone.
fn kill() -> ! {
    loop {
        // SAFETY: neither call touches memory of ours; the signal cannot be caught.
        unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
            libc::pause();
        }
    }
}
