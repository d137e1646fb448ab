//! Files that are there whole or not at all, after a power loss too: temporary file, fsync, rename, fsync of the folder. The one place of
//! this crate that makes system calls. Edge: blocking; async callers go through `store`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes `folder` and its missing parents for the owner alone, each made durable in its parent. One that is there is made durable too: who
/// made it may have died before. Says whether it was made.
pub fn make_folder(folder: &Path) -> io::Result<bool> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir())
    {
        make_folder(parent)?;
    }
    let made = match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => false,
        other => other.map(|()| true)?,
    };
    match sync_parent(folder) {
        // Somebody else made the folder for us, in one that we may not read: its name is their business.
        Err(error) if !made && error.kind() == io::ErrorKind::PermissionDenied => {}
        other => other?,
    }
    Ok(made)
}

/// Puts `bytes` at `target`, replacing what is there; `staging` is a folder of the same file system. Durable on return. The caller holds a lock
/// or gives a name that nobody else uses: a temporary file of that name was left by a crash.
pub fn replace(staging: &Path, unique: &str, target: &Path, bytes: &[&[u8]]) -> io::Result<()> {
    replace_with(staging, unique, target, |file| bytes.iter().try_for_each(|part| file.write_all(part)))
}

/// The same with what `write` writes.
pub fn replace_with(
    staging: &Path,
    unique: &str,
    target: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = staging.join(unique);
    if temporary.exists() {
        fs::remove_file(&temporary)?;
    }
    let written = write_new(&temporary, write).and_then(|()| fs::rename(&temporary, target));
    if written.is_err() {
        // The temporary file may hold half of the content; the error that counts is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_parent(target)
}

fn write_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    write(&mut file)?;
    file.sync_all()
}

/// Removes a file, durably. That it is gone already is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(path),
    }
}

/// Makes the names in the folder of `path` durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes the names in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether others than the owner may read or write `path`.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone leaves it with a child that another thread is just starting, until that child runs its program.
        let _ = self.0.unlock();
    }
}

/// An exclusive lock on a file that lasts as long as the value (`flock`).
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock; `None` when another process or handle has it. Does not block.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock, and waits for whoever has it.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(Self(file))
    }

    /// Whether somebody has the lock. Has it itself, shared with others who look, for as long as it takes to ask.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        let file = File::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes who holds the lock, for a person's eyes.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write_all(text.as_bytes())
    }
}

/// Bytes that an ordinary user may still write where `path` lies.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all zeros are a valid `statvfs`, which holds integers only.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in a zero byte, and the pointer is to a live `statvfs`.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut room) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}
