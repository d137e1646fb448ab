//! A file of the trail's folder that is added to at its end: sealed entries, under a key of the file's own (`docs/formats/repeats.md`, `halves.md`).
//! Edge: what entries say, and which still hold, is for whoever writes them. Blocks on files.

use crate::durable;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::place::Place;
use crate::store::STAGING;
use crate::wrap::{self, Purpose, WRAPPED_BYTES};
use minutebook_capture::Random;
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// What tells one such file from another.
#[derive(Debug)]
pub(crate) struct LogKind {
    /// Its name in the trail's folder.
    pub(crate) name: &'static str,
    /// With which it begins.
    pub(crate) magic: &'static [u8; 8],
    /// What its key is for.
    pub(crate) purpose: Purpose<'static>,
    /// With the trail's id the associated data of each entry.
    pub(crate) label: &'static [u8],
    /// Bytes by which it grows before what still holds is written anew.
    pub(crate) growth: u64,
    /// What it means that its content is not known.
    pub(crate) unread: &'static str,
}

const MAGIC_BYTES: usize = 8;
const HEAD_BYTES: usize = MAGIC_BYTES + WRAPPED_BYTES;

/// The file, to be written to. One at a time: who has the trail's lock.
pub(crate) struct SealedLog {
    kind: &'static LogKind,
    place: Place,
    trail: Id,
    keys: Arc<KeyFolder>,
    random: Arc<dyn Random>,
    /// Whether there was a file at the start that these keys open.
    was_there: bool,
    open: Option<Open>,
}

struct Open {
    file: File,
    cipher: Cipher,
    /// Number of the next entry.
    next: u64,
    bytes: u64,
    /// How long it was when it was written as a whole.
    whole: u64,
}

impl SealedLog {
    /// Gives each entry that there is to `read`, with its number, until that takes no more. A file that these keys do not open, or that ends in
    /// the middle, is read as far as it goes.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn open(
        kind: &'static LogKind,
        place: &Place,
        trail: Id,
        keys: Arc<KeyFolder>,
        random: Arc<dyn Random>,
        read: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<Self> {
        let mut log = Self { kind, place: place.clone(), trail, keys, random, was_there: false, open: None };
        let path = log.path();
        match File::open(&path).and_then(|file| log.read(file, read)) {
            Ok(was_there) => log.was_there = was_there,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", &path, error)),
        }
        Ok(log)
    }

    /// Whether there was a file at the start that these keys open.
    pub(crate) fn was_there(&self) -> bool {
        self.was_there
    }

    fn path(&self) -> PathBuf {
        self.place.folder.join(self.kind.name)
    }

    fn associated(&self) -> Vec<u8> {
        [self.kind.label, &self.trail].concat()
    }

    fn read(&self, file: File, mut read: impl FnMut(u64, &[u8]) -> bool) -> io::Result<bool> {
        let LogKind { name, unread, .. } = self.kind;
        let length = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut head = [0; HEAD_BYTES];
        let mut left = length.saturating_sub(HEAD_BYTES as u64);
        let key = match file.read_exact(&mut head) {
            Ok(()) => key_in(self.kind, &head, &self.keys),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        let Some(key) = key else {
            if length > 0 {
                tracing::warn!("`{name}` is not opened by these keys: {unread}");
            }
            return Ok(false);
        };
        let (cipher, associated) = (Cipher::new(&key), self.associated());
        let (mut number, mut sealed) = (0, Vec::new());
        while left > 0 {
            let mut entry = [0; 4];
            // What is behind a length that the file has not is never asked for.
            let whole = left.checked_sub(4).is_some() && {
                file.read_exact(&mut entry)?;
                u64::from(u32::from_le_bytes(entry)) <= left - 4
            };
            let entry = u32::from_le_bytes(entry);
            let is_read = whole && {
                sealed.resize(entry as usize, 0);
                file.read_exact(&mut sealed)?;
                let clear = cipher.open(number, &associated, &mut sealed);
                clear.is_some_and(|clear| read(number, clear))
            };
            if !is_read {
                tracing::warn!("`{name}` is read up to entry {number}, where it was cut off or changed");
                break;
            }
            left -= 4 + u64::from(entry);
            number += 1;
        }
        Ok(true)
    }

    /// Whether what still holds had better be written anew: nothing was since the start, or most of the file is out of date.
    pub(crate) fn wants_rewrite(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.bytes > 2 * open.whole + self.kind.growth)
    }

    /// Whether it can be added to.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Replaces the file by these entries, under a new key, and destroys the key of the file before. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written: the file of before is there still, and is not added to.
    pub(crate) fn rewrite(&mut self, entries: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        self.open = None;
        let secret = Secret::new(draw(&*self.random)?);
        let head = head_of(self.kind, &self.trail, &self.keys, &secret, &*self.random)?;
        let (cipher, associated) = (Cipher::new(&secret), self.associated());
        let target = self.path();
        let failed = |error| Error::io("write", &target, error);
        let old = OpenOptions::new().write(true).open(&target).ok();
        let (mut next, mut bytes) = (0, 0);
        let write = |file: &mut File| {
            let mut file = BufWriter::with_capacity(1 << 16, file);
            file.write_all(&head)?;
            bytes += head.len() as u64;
            for clear in entries {
                let sealed = seal(&cipher, &associated, next, clear);
                file.write_all(&sealed)?;
                bytes += sealed.len() as u64;
                next += 1;
            }
            file.flush()
        };
        let staging = self.place.folder.join(STAGING);
        durable::replace_with(&staging, self.kind.name, &target, write).map_err(failed)?;
        self.wipe(old);
        let file = OpenOptions::new().append(true).open(&target).map_err(failed)?;
        self.open = Some(Open { file, cipher, next, bytes, whole: bytes });
        Ok(())
    }

    /// Appends entries, and gives the number of the first. They survive the death of the process on return; with `flush` a power cut too.
    ///
    /// # Errors
    /// When they cannot be written, or nothing was written anew before: see [`SealedLog::wants_rewrite`].
    pub(crate) fn append(&mut self, entries: impl Iterator<Item = Vec<u8>>, flush: bool) -> Result<u64> {
        let (path, associated) = (self.path(), self.associated());
        let Some(open) = &mut self.open else {
            return Err(Error::io("write", &path, ErrorKind::NotConnected.into()));
        };
        let (first, mut next, mut bytes) = (open.next, open.next, Vec::new());
        for clear in entries {
            bytes.extend(seal(&open.cipher, &associated, next, clear));
            next += 1;
        }
        let written = open.file.write_all(&bytes).and_then(|()| match flush {
            true => open.file.sync_data(),
            false => Ok(()),
        });
        if let Err(error) = written {
            // Half of an entry may be there, behind which nothing is read: what comes next is written anew.
            self.open = None;
            return Err(Error::io("write", &path, error));
        }
        open.next = next;
        open.bytes += bytes.len() as u64;
        Ok(first)
    }

    /// Removes the file, and destroys its key: nothing in it holds any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.open = None;
        let path = self.path();
        let old = OpenOptions::new().write(true).open(&path).ok();
        durable::remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        self.wipe(old);
        Ok(())
    }

    /// Overwrites the key of a file that has no name any more: what is in its blocks is read by nobody, whoever has the key folder.
    fn wipe(&self, old: Option<File>) {
        let wiped = old.map(|old| old.write_all_at(&[0; HEAD_BYTES], 0).and_then(|()| old.sync_data()));
        if let Some(Err(error)) = wiped {
            tracing::warn!("the key of what `{}` was before is not overwritten: {error}", self.kind.name);
        }
    }
}

/// Wraps the key of such a file under the current key-encryption key, when it is there and opens: as a step of a rotation, while nobody has it open
/// to add to it. Durable on return.
///
/// # Errors
/// When it cannot be read or written.
pub(crate) fn rewrap(
    kind: &LogKind,
    place: &Place,
    trail: &Id,
    keys: &KeyFolder,
    random: &dyn Random,
) -> Result<()> {
    let path = place.folder.join(kind.name);
    let mut head = [0; HEAD_BYTES];
    match File::open(&path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => return Ok(()),
        Err(error) => return Err(Error::io("read", &path, error)),
    }
    let Some(key) = key_in(kind, &head, keys) else { return Ok(()) };
    let head = head_of(kind, trail, keys, &key, random)?;
    // In place: within the first sector of the file, so that it is there before or after.
    let written = OpenOptions::new().write(true).open(&path).and_then(|file| {
        file.write_all_at(&head, 0)?;
        file.sync_data()
    });
    written.map_err(|error| Error::io("write", &path, error))
}

/// With which such a file begins.
fn head_of(
    kind: &LogKind,
    trail: &Id,
    keys: &KeyFolder,
    secret: &Secret,
    random: &dyn Random,
) -> Result<Vec<u8>> {
    let under = Cipher::new(&keys.current().key);
    let wrapped = wrap::wrap(&under, trail, kind.purpose, secret, random)?;
    Ok([&kind.magic[..], &wrapped].concat())
}

/// The key in the head of a file.
fn key_in(kind: &LogKind, head: &[u8; HEAD_BYTES], keys: &KeyFolder) -> Option<Secret> {
    keys.unwrap(kind.purpose, head.strip_prefix(kind.magic)?)
}

/// An entry as it stands in the file.
fn seal(cipher: &Cipher, associated: &[u8], number: u64, mut clear: Vec<u8>) -> Vec<u8> {
    cipher.seal(number, associated, &mut clear);
    [&(clear.len() as u32).to_le_bytes()[..], &clear].concat()
}
