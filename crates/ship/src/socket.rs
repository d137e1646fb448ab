//! The shipper's socket: whoever has handed something over waits here until it is on the server's disk. Edge: one line in, one line out
//! (`docs/formats/shipping.md`).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use minutebook_capture::{Position, Shipment, list_epochs};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::epoch::{Failure, Shared};
use crate::error::Error;
use crate::folder::Folder;
use crate::limits::{LINE_BYTES_MAX, LINE_WAIT, LOOK_PERIOD, SOCKET_PATH_BYTES};
use crate::shipper::Known;

/// Listens, for the owner alone. Only for who has the folder's lock.
pub(crate) fn listen(folder: &Folder) -> Result<UnixListener, Error> {
    let path = folder.socket();
    let bind = || {
        // Under another name first, so that nobody finds it before it is closed to others.
        let temporary = path.with_extension("tmp");
        remove(&temporary)?;
        let listener = within_reach(&temporary, |path| std::os::unix::net::UnixListener::bind(path))?;
        fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
        fs::rename(&temporary, &path)?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    };
    bind().map_err(|error| Error::file(&path, &error))
}

/// Removes the socket. Only for who has the folder's lock.
pub(crate) fn leave(folder: &Folder) -> Result<(), Error> {
    remove(&folder.socket()).map_err(|error| Error::file(&folder.socket(), &error))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A path that is too long for a socket's address is reached through a descriptor of its folder.
fn within_reach<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES {
        return act(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return act(path) };
    let folder = File::open(folder)?;
    act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// Answers until the process ends.
pub(crate) async fn answer(listener: UnixListener, known: Arc<Known>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(one(stream, Arc::clone(&known)));
            }
            // No descriptor is left, for a moment.
            Err(_) => sleep(LOOK_PERIOD).await,
        }
    }
}

async fn one(stream: UnixStream, known: Arc<Known>) {
    let (reads, mut writes) = stream.into_split();
    let mut line = String::new();
    let mut reads = BufReader::new(reads.take(LINE_BYTES_MAX));
    let Ok(Ok(_)) = timeout(LINE_WAIT, reads.read_line(&mut line)).await else { return };
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let said = match words[..] {
        ["flush", producer, epoch] => match flush(&known, producer, epoch).await {
            Ok(()) => "done".to_owned(),
            Err(why) => format!("failed {}", why.replace('\n', " ")),
        },
        ["status"] => status(&known),
        _ => "failed no such request".to_owned(),
    };
    // Who has gone does not wait.
    let _ = writes.write_all(format!("{said}\n").as_bytes()).await;
}

/// Waits until what was handed over in an epoch before the call is on the server's disk, or why it is not.
async fn flush(known: &Known, producer: &str, epoch: &str) -> Result<(), String> {
    let wanted: u64 = epoch.parse().map_err(|_| "no number of an epoch")?;
    let Some(shipment) = find(known, producer, wanted).map_err(|error| error.to_string())? else {
        // All of it is there, and its files are gone.
        return Ok(());
    };
    let target = shipment.written_to().map_err(|error| error.to_string())?;
    let path = shipment.path().to_owned();
    loop {
        if let Some(shared) = known.find(&path) {
            return reach(&shared, target).await;
        }
        if !path.exists() {
            return Ok(());
        }
        let failure = known.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(why) = failure.and_then(|failure| failure.told()) {
            return Err(why);
        }
        known.look.notify_one();
        sleep(LOOK_PERIOD / 10).await;
    }
}

async fn reach(shared: &Shared, target: Position) -> Result<(), String> {
    let mut progress = shared.progress.subscribe();
    loop {
        {
            let now = progress.borrow_and_update();
            if now.is_done || now.position >= target {
                return Ok(());
            }
            if let Some(why) = now.failure.as_ref().and_then(Failure::told) {
                return Err(why);
            }
        }
        shared.wake.notify_one();
        if let Ok(Err(_)) = timeout(LOOK_PERIOD, progress.changed()).await {
            return Err("the epoch is announced anew: ask again".into());
        }
    }
}

fn find(known: &Known, producer: &str, epoch: u64) -> Result<Option<Shipment>, Error> {
    let listing = list_epochs(&known.spool)?;
    for found in listing.epochs.into_iter().filter(|found| found.epoch.get() == epoch) {
        match Shipment::open(&found.path, &found.name) {
            Ok(shipment) if shipment.producer().to_string() == producer => return Ok(Some(shipment)),
            _ => {}
        }
    }
    Ok(None)
}

fn status(known: &Known) -> String {
    let epochs = known.epochs.lock().unwrap_or_else(PoisonError::into_inner);
    let mut of_all: Vec<_> = epochs.iter().collect();
    of_all.sort_by(|one, other| one.0.cmp(other.0));
    let epochs: Vec<_> = of_all.into_iter().map(|(path, shared)| about(path, shared)).collect();
    let failure = known.failure.lock().unwrap_or_else(PoisonError::into_inner);
    let error = failure.as_ref().map(|failure| failure.why.clone());
    json!({ "pid": std::process::id(), "epochs": epochs, "error": error }).to_string()
}

fn about(path: &PathBuf, shared: &Shared) -> serde_json::Value {
    let now = shared.progress.borrow();
    let error = now.failure.as_ref().map(|failure| failure.why.clone());
    json!({ "file": path, "part": now.position.part, "offset": now.position.offset, "error": error })
}
