//! The one place of this crate that makes system calls: flushed files, a lock, the priority of a thread. Linux first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder for its owner alone when it is not there.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.and_then(|()| sync_folder(folder.parent().unwrap_or(folder))),
    }
}

/// A new file for its owner alone, in place of one that is there.
pub fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts `bytes` at `path` in one step. Durable on return.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("new");
    let mut file = create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    sync_folder(path.parent().unwrap_or(path))
}

/// Removes a file; that it is gone is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A lock on a file (flock(2)), held until it is dropped.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "the lock goes with the file")] File);

impl FileLock {
    /// Takes the lock; `None` when another process has it.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // SAFETY: the descriptor is open as long as `file` lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(Some(Self(file)));
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
    }
}

/// Lets others go first on this thread: nice 10 (setpriority(2); on Linux it is a thread's own).
pub fn yield_to_others() {
    // SAFETY: changes nothing but this thread's priority. That it may fail does not matter.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}
