//! Where the engine's socket lies, and reaching it however long that path is. Edge: names and addresses; what is said over it is elsewhere.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use minutebook_trail::{ENGINE_SOCKET, STAGING};

use crate::limits::SOCKET_PATH_BYTES;

/// The socket of the trail in `folder`.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(ENGINE_SOCKET)
}

/// Listens in `folder`, for the owner alone. Replaces a socket that a dead engine left: only for who holds the trail's lock. Gives the
/// listener and the user it belongs to.
pub(crate) fn listen(folder: &Path) -> io::Result<(UnixListener, u32)> {
    // Under another name first, so that nobody finds it before it is closed to others.
    let temporary = folder.join(STAGING).join(ENGINE_SOCKET);
    remove(&temporary)?;
    let listener = within_reach(&temporary, |path| UnixListener::bind(path))?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    let owner = fs::symlink_metadata(&temporary)?.uid();
    fs::rename(&temporary, path(folder))?;
    listener.set_nonblocking(true)?;
    Ok((listener, owner))
}

/// Removes the socket of the trail in `folder`. Only for who holds the trail's lock.
pub(crate) fn leave(folder: &Path) -> io::Result<()> {
    remove(&path(folder))
}

/// Connects to the engine of the trail in `folder`.
pub(crate) fn connect(folder: &Path) -> io::Result<UnixStream> {
    let stream = within_reach(&path(folder), |path| UnixStream::connect(path))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Does something with a socket's path. One that is too long for an address is reached through a descriptor of its folder.
fn within_reach<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES {
        return act(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return act(path) };
    let folder = File::open(folder)?;
    act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}
