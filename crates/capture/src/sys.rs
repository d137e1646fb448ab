//! What is asked of the operating system beyond the standard library: the one module to port. Linux is complete; elsewhere what
//! cannot be had says so, and callers have an answer to that.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(target_endian = "big")]
compile_error!("the mapped counters of the spool are little-endian");

/// The unit of mapping and of what a hole gives back. Files are laid out for it, whatever the processor's pages are.
pub(crate) const PAGE: u64 = 4096;

/// The largest page that processors have in common use: 64 KiB on some arm64 kernels.
const LARGEST_PAGE: u64 = 64 << 10;

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer. The two clocks used always exist, so there is no failure to report.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Nanoseconds since 1970.
#[inline]
pub(crate) fn wall_ns() -> i64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// Nanoseconds on a clock that is not set.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC) as u64
}

/// What the kernel knows of the wall clock's error; `None` when it is not synchronised.
#[cfg(target_os = "linux")]
pub(crate) fn clock_error_ns() -> Option<u64> {
    // SAFETY: all-zero is a valid `timex`: no bit of `modes` asks for a change.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is valid for reading and writing; with `modes` 0 nothing is set.
    let state = unsafe { libc::adjtimex(&mut timex) };
    if state < 0 || state == libc::TIME_ERROR || timex.status & libc::STA_UNSYNC != 0 {
        return None;
    }
    u64::try_from(timex.maxerror).ok().map(|us| us * 1_000)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn clock_error_ns() -> Option<u64> {
    None
}

/// Reserves `len` bytes on the disk and makes the file that long, so that no later write finds the disk full.
///
/// # Errors
/// What [`is_full`] recognises when there is no room.
pub(crate) fn allocate(file: &File, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    loop {
        // SAFETY: a plain system call on an open descriptor.
        match check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len as libc::off_t) }) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => break,
            Err(e) => return Err(e),
        }
    }
    write_zeros(file, 0, len)
}

fn write_zeros(file: &File, mut from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 64 << 10];
    while from < to {
        let n = (to - from).min(zeros.len() as u64) as usize;
        file.write_all_at(&zeros[..n], from)?;
        from += n as u64;
    }
    Ok(())
}

/// Whether an error says that there is no room: disk, quota or the process' limit for files.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
}

/// Zeroes `from..to` and gives the space back where the file system can.
pub(crate) fn punch(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        loop {
            // SAFETY: a plain system call on an open descriptor.
            let done = check(unsafe {
                libc::fallocate(file.as_raw_fd(), mode, from as libc::off_t, (to - from) as libc::off_t)
            });
            match done {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => break,
                Err(e) => return Err(e),
            }
        }
    }
    write_zeros(file, from, to)
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is asked for ahead: a decision of some fifty values.
const PREFETCH_BYTES: u64 = 768;
const CACHE_LINE_BYTES: u64 = 64;

/// A file mapped shared, for as long as this lives. A child made by `fork` does not have it.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is reached through atomics, or written where the caller of `write` owns the range.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that has been allocated to that length.
    pub(crate) fn new(file: &File, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        };
        #[cfg(target_os = "linux")]
        for advice in [libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
            // SAFETY: the range is the mapping just made. Advice that the kernel does not know changes nothing.
            unsafe { libc::madvise(start.as_ptr().cast(), len, advice) };
        }
        Ok(Self { start, len })
    }

    /// The 8 bytes at `at`, a multiple of 8.
    #[inline]
    pub(crate) fn atomic(&self, at: u64) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len as u64, "within the mapping and aligned");
        // SAFETY: in bounds and aligned as just checked; the mapping lives as long as `self`, and these bytes are reached
        // through atomics only, in this process and others.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at as usize).cast()) }
    }

    /// Copies bytes to `at`.
    ///
    /// # Safety
    /// No other thread of this process reads or writes `at .. at + bytes.len()` meanwhile.
    #[inline]
    pub(crate) unsafe fn write(&self, at: u64, bytes: &[u8]) {
        assert!(at + bytes.len() as u64 <= self.len as u64, "within the mapping");
        // SAFETY: in bounds as just checked; `bytes` is not part of the mapping, which hands out no slices.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at as usize), bytes.len());
        }
    }

    /// Asks the processor for what a record of usual size will be written to, so that it is there when it is written.
    #[inline]
    pub(crate) fn prefetch(&self, at: u64) {
        let end = (at + PREFETCH_BYTES).min(self.len as u64);
        let mut at = at;
        while at < end {
            // SAFETY: within the mapping; a prefetch has no effect but on the cache.
            let line = unsafe { self.start.as_ptr().add(at as usize) };
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_ET0>(line.cast());
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = line;
            at += CACHE_LINE_BYTES;
        }
    }

    /// Faults pages in for writing, so that a caller's thread need not. Best effort.
    pub(crate) fn prefault(&self, from: u64, to: u64) {
        // Advice wants the address at a page of the processor, which may be larger than ours.
        let from = (from / LARGEST_PAGE * LARGEST_PAGE).min(self.len as u64);
        let to = to.min(self.len as u64);
        #[cfg(target_os = "linux")]
        if from < to {
            // SAFETY: within the mapping; populating changes no content.
            unsafe {
                libc::madvise(
                    self.start.as_ptr().add(from as usize).cast(),
                    (to - from) as usize,
                    libc::MADV_POPULATE_WRITE,
                )
            };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (from, to);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and nothing borrowed from it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A page that a child made by `fork` finds zeroed, kept out of core dumps and, where allowed, of swap.
pub(crate) struct PrivatePage {
    start: NonNull<u8>,
    wiped_on_fork: bool,
}

// SAFETY: a page of plain memory; who uses it says how it is shared.
unsafe impl Send for PrivatePage {}
// SAFETY: as above.
unsafe impl Sync for PrivatePage {}

impl PrivatePage {
    pub(crate) const LEN: usize = PAGE as usize;

    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a new anonymous mapping touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::LEN,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        };
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping just made.
        let wiped_on_fork = unsafe {
            libc::madvise(start.as_ptr().cast(), Self::LEN, libc::MADV_DONTDUMP);
            libc::mlock(start.as_ptr().cast(), Self::LEN);
            libc::madvise(start.as_ptr().cast(), Self::LEN, libc::MADV_WIPEONFORK) == 0
        };
        #[cfg(not(target_os = "linux"))]
        let wiped_on_fork = false;
        Ok(Self { start, wiped_on_fork })
    }

    /// A page as it is where the system cannot wipe it.
    #[cfg(test)]
    pub(crate) fn kept_on_fork() -> io::Result<Self> {
        let mut page = Self::new()?;
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping just made.
        unsafe {
            libc::madvise(page.start.as_ptr().cast(), Self::LEN, libc::MADV_KEEPONFORK);
        }
        page.wiped_on_fork = false;
        Ok(page)
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// False where the system cannot do it: then the process id has to tell a child.
    #[inline]
    pub(crate) fn is_wiped_on_fork(&self) -> bool {
        self.wiped_on_fork
    }
}

impl Drop for PrivatePage {
    fn drop(&mut self) {
        // SAFETY: the page is ours, writable, and nobody can reach it any more.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.as_ptr(), Self::LEN).fill(0);
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
            libc::munmap(self.start.as_ptr().cast(), Self::LEN);
        }
    }
}

/// Closes a descriptor whose `File` is never used or dropped again.
///
/// # Safety
/// The `File` is leaked.
pub(crate) unsafe fn close_leaked(file: &File) {
    // SAFETY: the caller gives the descriptor up.
    unsafe { libc::close(file.as_raw_fd()) };
}

/// Runs `start` with all signals blocked for this thread, so that a thread that it starts gets none.
pub(crate) fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: all-zero is a valid signal set to be filled; both sets are ours; blocking signals touches no memory.
    let before = unsafe {
        let (mut all, mut before) =
            (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>());
        libc::sigfillset(&mut all);
        (libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) == 0).then_some(before)
    };
    let result = start();
    if let Some(before) = before {
        // SAFETY: the set that the system gave.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
    result
}

/// Which process on which boot of which machine, as far as the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: u32,
    /// Clock ticks after boot, 0 unknown.
    pub(crate) start_ticks: u64,
    /// Zeros: unknown.
    pub(crate) boot_id: [u8; 16],
    /// Inode of the pid namespace, 0 unknown.
    pub(crate) pid_namespace: u64,
}

impl ProcessIdentity {
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_ticks: process(pid).and_then(|p| p.start_ticks).unwrap_or(0),
            boot_id: boot_id().unwrap_or([0; 16]),
            pid_namespace: pid_namespace().unwrap_or(0),
        }
    }
}

struct Process {
    start_ticks: Option<u64>,
    /// Ended, and its parent has not noticed yet: it writes no more.
    is_zombie: bool,
}

/// What `/proc` says of a process; `None` when there is none or `/proc` is not there.
fn process(pid: u32) -> Option<Process> {
    // proc_pid_stat(5): the command, in parentheses, may hold anything; state is field 3, threads 20, start 22.
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|&b| b == b')')? + 1;
    let mut fields = std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u64 = fields.nth(16)?.parse().ok()?;
    Some(Process {
        // A main thread that ended before the others looks the same but for their number.
        is_zombie: matches!(state, "Z" | "X" | "x") && threads <= 1,
        start_ticks: fields.nth(1).and_then(|ticks| ticks.parse().ok()),
    })
}

fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.trim().chars().filter(|&c| c != '-').collect();
    (digits.len() == 32).then_some(())?;
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

fn pid_namespace() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").ok().map(|m| m.ino())
}

/// Whether a process can be said to be gone: it ran in our pid namespace since our boot, and nothing with its id and start is there.
pub(crate) fn is_gone(other: &ProcessIdentity) -> bool {
    let own = ProcessIdentity::own();
    let comparable = own.boot_id != [0; 16]
        && own.boot_id == other.boot_id
        && own.pid_namespace != 0
        && own.pid_namespace == other.pid_namespace
        && own.start_ticks != 0
        && other.start_ticks != 0;
    comparable && process(other.pid).is_none_or(|p| p.is_zombie || p.start_ticks != Some(other.start_ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_gone_once_it_ended_or_its_id_was_taken_by_another() {
        let own = ProcessIdentity::own();
        assert!(!is_gone(&own));
        assert!(is_gone(&ProcessIdentity { start_ticks: own.start_ticks + 1, ..own }));
        assert!(
            !is_gone(&ProcessIdentity { boot_id: [1; 16], start_ticks: 1, ..own }),
            "nothing is known of another boot"
        );

        let mut child = std::process::Command::new("true").spawn().unwrap();
        let start_ticks = process(child.id()).unwrap().start_ticks.unwrap();
        child.wait().unwrap();
        assert!(is_gone(&ProcessIdentity { pid: child.id(), start_ticks, ..own }));
    }

    #[test]
    fn a_punched_range_reads_as_zeros_and_keeps_the_length() {
        let file = tempfile::tempfile().unwrap();
        allocate(&file, 3 * PAGE).unwrap();
        file.write_all_at(&[7; 3 * PAGE as usize], 0).unwrap();
        punch(&file, PAGE, 2 * PAGE).unwrap();
        let mut bytes = vec![1; 3 * PAGE as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3 * PAGE);
        for (page, byte) in [(0, 7), (1, 0), (2, 7)] {
            assert!(bytes[page * PAGE as usize..][..PAGE as usize].iter().all(|&b| b == byte));
        }
    }
}
