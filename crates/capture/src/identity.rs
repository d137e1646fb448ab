//! The producer file: who a producer is, and its last epoch. Both sides change it, each under the folder's lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use minutebook_record::{Epoch, ProducerId};

use crate::limits::PRODUCER_FILE_BYTES_MAX;
use crate::part_file::{FileName, LOCK, PRODUCER, PRODUCER_TEMPORARY};
use crate::random::Random;
use crate::sys;

const FORMAT: &str = "minutebook/producer/1";

/// Why a producer's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The producer file is not one. Put it back from a copy: a new id would begin a new history.
    #[error("the producer file is malformed")]
    Malformed,
    /// All epochs are used up.
    #[error("no epoch is left")]
    Exhausted,
    /// The folder cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No randomness for an id.
    #[error(transparent)]
    Random(#[from] crate::random::RandomError),
}

/// What the producer file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: ProducerId,
    /// Last epoch, 0 none yet.
    pub(crate) epoch: u64,
}

/// The lock of a producer's folder, held until dropped. Blocks while another process allocates an epoch: some milliseconds.
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join(LOCK))?;
        file.lock()?;
        Ok(Self { _file: file })
    }
}

/// Makes a folder that only its owner reads, with those above it. Its name is durable on return, also when a process made it that died
/// before it could flush: without the name, a power loss takes the flushed files in it along.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent
        && !parent.is_dir()
    {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        other => other?,
    }
    sys::sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Creates a file that only its owner reads; it must not be there.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)
}

impl Identity {
    /// Reads the producer file; `None` when there is none yet.
    pub(crate) fn read(folder: &Path, _lock: &FolderLock) -> Result<Option<Self>, IdentityError> {
        let file = match File::open(folder.join(PRODUCER)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let mut text = Vec::new();
        file.take(PRODUCER_FILE_BYTES_MAX).read_to_end(&mut text)?;
        Self::parse(&text).map(Some).ok_or(IdentityError::Malformed)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
        let mut lines = text.split('\n');
        (lines.next()? == FORMAT).then_some(())?;
        let id = lines.next()?.strip_prefix("id ")?;
        let epoch = lines.next()?.strip_prefix("epoch ")?;
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = id.len() == 32 && id.bytes().all(lower) && epoch.bytes().all(|b| b.is_ascii_digit());
        (valid && lines.next().is_none()).then_some(())?;
        let id = u128::from_str_radix(id, 16).ok()?;
        Some(Self { id: ProducerId(id.to_be_bytes()), epoch: epoch.parse().ok()? })
    }

    fn text(&self) -> String {
        format!("{FORMAT}\nid {:032x}\nepoch {}\n", u128::from_be_bytes(self.id.0), self.epoch)
    }

    /// Replaces the producer file. Durable on return.
    pub(crate) fn replace(&self, folder: &Path, _lock: &FolderLock) -> io::Result<()> {
        let temporary = folder.join(PRODUCER_TEMPORARY);
        remove_if_there(&temporary)?;
        let mut file = create_file(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(PRODUCER))?;
        sys::sync_folder(folder)
    }

    /// The identity for the next epoch: that of the file or a new one, with the epoch to use. Removes what a crash left half-made.
    pub(crate) fn next(
        folder: &Path,
        lock: &FolderLock,
        random: &dyn Random,
    ) -> Result<(ProducerId, Epoch), IdentityError> {
        let identity = match Self::read(folder, lock)? {
            Some(identity) => identity,
            None => {
                let mut id = [0; 16];
                random.fill(&mut id)?;
                // Durable before the first epoch file bears this id, or a crash in between would leave an epoch of nobody.
                let fresh = Self { id: ProducerId(id), epoch: 0 };
                fresh.replace(folder, lock)?;
                fresh
            }
        };
        let mut last = identity.epoch;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_name().to_str().and_then(FileName::parse) {
                Some(FileName::Epoch(epoch)) => last = last.max(epoch.get()),
                // A part's temporary file belongs to an epoch that may live; an epoch's is made under this lock.
                Some(FileName::Temporary(_)) if is_epoch_temporary(&entry.file_name()) => {
                    remove_if_there(&entry.path())?;
                }
                _ => {}
            }
        }
        let next = last.checked_add(1).ok_or(IdentityError::Exhausted)?;
        Ok((identity.id, Epoch::new(next).map_err(|_| IdentityError::Exhausted)?))
    }
}

fn is_epoch_temporary(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(".epoch.tmp"))
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Whether a producer's name is one: `[a-z0-9][a-z0-9._-]{0,63}`.
#[must_use]
pub fn is_producer_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = name.bytes();
    name.len() <= 64
        && bytes.next().is_some_and(plain)
        && bytes.all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
}
