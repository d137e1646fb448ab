//! Why a command ended otherwise than well: what a person reads, and the exit code that a script reads. Edge:
//! the one place where errors of the crates below become exit codes. Never a secret, never the content of a
//! record.

use std::fmt;
use std::io;
use std::path::Path;

use minutebook_capture::{Advice, CaptureError};
use minutebook_net::{DoorError, TrustError};
use minutebook_proxy::ProxyError;
use minutebook_server::known::Unknown;
use minutebook_server::{HOLDER, Refused};
use minutebook_trail::{Error as TrailError, Remedy};

/// What the program ends with (`docs/cli.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing is wrong.
    Fine = 0,
    /// `verify` or `doctor` found problems.
    Problems = 1,
    /// The command line or the input is wrong.
    Input = 2,
    /// The trail cannot be used as it is: wrong or missing key, newer format, contradictions.
    Trail = 3,
    /// Disk, store or catalog failed.
    Io = 4,
    /// Another process has what the command needs for itself, and is there now: wait, or stop it.
    InUse = 5,
}

/// A command that did not end well.
#[derive(Debug)]
pub enum Failure {
    /// To be told.
    Told {
        /// What the program ends with.
        exit: Exit,
        /// What is wrong, and where.
        what: String,
        /// What to do about it.
        to_do: Option<String>,
    },
    /// All was said already.
    Said(Exit),
    /// Whoever read the output is gone: nothing to tell.
    NobodyReads,
}

impl Exit {
    /// What another process of this program ended with.
    pub(crate) fn of_code(code: i32) -> Self {
        let all = [Self::Fine, Self::Problems, Self::Input, Self::Trail, Self::InUse];
        all.into_iter().find(|exit| *exit as i32 == code).unwrap_or(Self::Io)
    }
}

impl Failure {
    /// The command line or the input is wrong.
    pub fn input(what: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::Told { exit: Exit::Input, what: what.into(), to_do: Some(to_do.into()) }
    }

    /// A file failed.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let what = format!("cannot {doing} `{}`: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory if doing == "read" => {
                Self::input(what, "name a file that is there")
            }
            io::ErrorKind::AlreadyExists => Self::input(what, "name another file"),
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                Self::input(what, "name a file in a folder that is there")
            }
            _ => Self::Told { exit: Exit::Io, what, to_do: None },
        }
    }

    /// What the program ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } | Self::Said(exit) => *exit,
            Self::NobodyReads => Exit::Fine,
        }
    }
}

/// `error: what` and, below it, what to do; empty when there is nothing to tell.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Told { what, to_do, .. } = self else { return Ok(()) };
        write!(f, "error: {what}")?;
        match to_do {
            Some(to_do) => write!(f, "\n  {to_do}"),
            None => Ok(()),
        }
    }
}

/// Of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::NobodyReads;
        }
        Self::Told { exit: Exit::Io, what: format!("cannot write to standard output: {error}"), to_do: None }
    }
}

impl From<TrailError> for Failure {
    fn from(error: TrailError) -> Self {
        Self::from(&error)
    }
}

impl From<&TrailError> for Failure {
    fn from(error: &TrailError) -> Self {
        let exit = match error.remedy() {
            _ if matches!(error, TrailError::Locked { .. }) => Exit::InUse,
            Remedy::FixRequest => Exit::Input,
            Remedy::FixSetup | Remedy::Inspect => Exit::Trail,
            Remedy::Retry => Exit::Io,
        };
        let (what, to_do) = explain(error);
        Self::Told { exit, what, to_do }
    }
}

/// What is wrong and what to do, on two lines where the error says both in one.
fn explain(error: &TrailError) -> (String, Option<String>) {
    use TrailError as E;
    let both = |what: String, to_do: &str| (what, Some(to_do.to_owned()));
    match error {
        E::NoTrail { folder } => both(
            format!("no trail in `{}`: there is no `trail.toml`", folder.display()),
            "make one with `minutebook init`, or name its folder with --trail or MINUTEBOOK_TRAIL",
        ),
        E::TrailExists { folder } => {
            both(format!("`{}` holds a trail already", folder.display()), "name another folder for a new one")
        }
        E::FolderInUse { folder } => both(
            format!("`{}` is not empty and holds no trail", folder.display()),
            "name a new or an empty folder",
        ),
        E::Locked { folder, holder } if holder.starts_with(HOLDER) => both(
            format!("the trail `{}` is in use by its {holder}", folder.display()),
            &format!("stop it with `minutebook engine --stop --trail '{}'`", folder.display()),
        ),
        E::Locked { folder, holder } => both(
            format!("the trail `{}` is in use by another engine ({holder})", folder.display()),
            "wait until it is done, or stop it",
        ),
        E::KeysMissing { folder } => both(
            format!("no keys in `{}`", folder.display()),
            "name the key folder with --keys or MINUTEBOOK_KEYS, or restore it from its backup",
        ),
        E::KeysNowhere { folder, source } => both(
            format!("the key folder `{}` cannot be made: {source}", folder.display()),
            "name one that can be written, and that stays, with --keys or MINUTEBOOK_KEYS",
        ),
        E::KeysExist { folder } => both(
            format!("`{}` holds keys already, and keys are not overwritten", folder.display()),
            "name another key folder with --keys",
        ),
        E::KeysOfAnotherTrail { folder, theirs } => both(
            format!("the keys in `{}` are those of another trail, {theirs}", folder.display()),
            "name the key folder of this trail with --keys or MINUTEBOOK_KEYS",
        ),
        E::KeysOpenToOthers { file } => both(
            format!("`{}` can be read by others", file.display()),
            "`chmod 600` it, and think about who may have read it: `minutebook key rotate`",
        ),
        E::KeysMalformed { file, what } => {
            both(format!("`{}` is damaged: {what}", file.display()), "restore it from its backup")
        }
        E::Newer { what, found, path } => both(
            format!("{what} `{}` is of format `{found}`, which is newer than this program", path.display()),
            "use a newer minutebook",
        ),
        E::CatalogMissing { path } => {
            both(format!("the catalog `{}` is missing", path.display()), "restore it from a backup")
        }
        E::CatalogBehindLog { published, known } => both(
            format!(
                "the log has {published} entries and the catalog knows {known}: the catalog is an older copy"
            ),
            "nothing was written; restore the newest catalog. `minutebook doctor` says what differs",
        ),
        E::NoRecord { id } => both(
            format!("no record {id} is sealed in this trail"),
            "one that was just handed over may still wait in the spool: `minutebook seal`",
        ),
        other => (
            other.to_string(),
            match other.remedy() {
                Remedy::FixRequest | Remedy::FixSetup => None,
                Remedy::Retry => {
                    Some("see to the cause and run the command again; what was acknowledged is safe".into())
                }
                Remedy::Inspect => Some(
                    "before you write more, find out why: `minutebook verify`, `minutebook doctor --deep`"
                        .into(),
                ),
            },
        ),
    }
}

impl From<minutebook_index::Error> for Failure {
    fn from(error: minutebook_index::Error) -> Self {
        use minutebook_index::Error as E;
        let what = error.to_string();
        let (exit, to_do) = match error {
            E::Trail(error) => return Self::from(error),
            E::Question(_) => (Exit::Input, None),
            E::NoTable { .. } => (Exit::Input, Some("`minutebook sql --tables` shows which there are")),
            E::Time { .. } | E::Memory | E::Answer { .. } => (Exit::Input, None),
            E::Locked { .. } => (Exit::InUse, Some("wait until it is done")),
            E::Damaged { .. } | E::Tampered { .. } => {
                (Exit::Trail, Some("make it anew: `minutebook reindex`"))
            }
            _ => (Exit::Io, None),
        };
        Self::Told { exit, what, to_do: to_do.map(str::to_owned) }
    }
}

/// Of what is known of models.
impl From<Unknown> for Failure {
    fn from(error: Unknown) -> Self {
        match error {
            Unknown::Index(error) => error.into(),
            Unknown::TooMany => Self::Told { exit: Exit::Input, what: error.to_string(), to_do: None },
        }
    }
}

/// Of an address to listen at.
impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        let exit = match &error {
            DoorError::Plain { .. } | DoorError::Tls(_) => Exit::Input,
            DoorError::Taken { .. } | DoorError::System { .. } => Exit::Io,
        };
        let text = error.to_string();
        // The first sentence says what is wrong, the rest what to do.
        let (what, to_do) = match text.split_once(": ") {
            Some((what, to_do)) if !matches!(error, DoorError::System { .. } | DoorError::Tls(_)) => {
                (what, Some(to_do))
            }
            _ => (text.as_str(), None),
        };
        Self::Told { exit, what: what.to_owned(), to_do: to_do.map(str::to_owned) }
    }
}

/// Of the proxy.
impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::Capture(error) => error.into(),
            ProxyError::Trust(TrustError::File { .. }) => Self::Told {
                exit: Exit::Input,
                what: error.to_string(),
                to_do: Some("name a PEM file with the certificates of authorities: --upstream-ca".into()),
            },
            other => Self::Told { exit: Exit::Io, what: other.to_string(), to_do: None },
        }
    }
}

/// Of the engine process.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        if let Refused::Wrong(what) = refused {
            return Self::Told { exit: Exit::Input, what, to_do: None };
        }
        let to_do = "what was handed over is in the spool; `minutebook doctor` says how it goes";
        Self::Told { exit: Exit::Io, what: refused.to_string(), to_do: Some(to_do.into()) }
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let (exit, to_do) = match error.advice() {
            Advice::Fix => (Exit::Input, None),
            Advice::Retry => {
                (Exit::Io, Some("make room, or let an engine seal what waits: `minutebook seal`"))
            }
            Advice::Reopen | Advice::Inspect => {
                (Exit::Io, Some("see to the disk, then run the command again"))
            }
        };
        Self::Told { exit, what: error.to_string(), to_do: to_do.map(str::to_owned) }
    }
}

/// The result of a command.
pub type Result<T = ()> = std::result::Result<T, Failure>;
