//! Requests that may come again, and the ids of their records, in a file that survives the process (`docs/formats/repeats.md`). Edge: keeps
//! what it is given; what a request is, and whether its records are there, others say. Blocks on files.

use crate::durable;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::limits::{REPEATS_BYTES_KEPT, REPEATS_ENTRY_BYTES_MAX};
use crate::place::Place;
use crate::store::STAGING;
use crate::wrap::{self, Purpose, WRAPPED_BYTES};
use minutebook_capture::Random;
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{DecodeError, RecordId};
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Its name in the trail's folder.
pub(crate) const REPEATS_FILE: &str = "repeats";

const MAGIC: &[u8; 8] = b"mbreps1\n";

/// Records of which an entry has the ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// When the request came first, ns since 1970.
    pub at_ns: i64,
    /// The API key that it came with; none over the socket.
    pub of: Option<String>,
    /// Under which it is known again.
    pub key: String,
    /// Tells it from others under the same key.
    pub print: [u8; 32],
    /// How many records it has.
    pub count: u32,
    /// Places of records from 0, and their ids.
    pub ids: Vec<(u32, RecordId)>,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// Ids were drawn; nothing is in the spool yet.
    Drawn(Drawn),
    /// The records of the entries from this number to here are handed over.
    Done {
        /// Number of the first entry, from 0.
        first: u64,
        /// And flushed.
        on_disk: bool,
    },
}

/// The file, to be written to. One at a time: who has the trail's lock.
pub struct RepeatLog {
    place: Place,
    trail: Id,
    keys: Arc<KeyFolder>,
    random: Arc<dyn Random>,
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

impl RepeatLog {
    /// Reads what there is. A file that these keys do not open, or that ends in the middle, is read as far as it goes.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open(
        place: &Place,
        trail: Id,
        keys: Arc<KeyFolder>,
        random: Arc<dyn Random>,
    ) -> Result<(Self, Vec<Noted>)> {
        let log = Self { place: place.clone(), trail, keys, random, open: None };
        let path = log.path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let noted = log.read(bytes);
        Ok((log, noted))
    }

    fn path(&self) -> PathBuf {
        self.place.folder.join(REPEATS_FILE)
    }

    fn associated(&self) -> Vec<u8> {
        [&b"minutebook/repeats/1"[..], &self.trail].concat()
    }

    fn read(&self, mut bytes: Vec<u8>) -> Vec<Noted> {
        let mut noted = Vec::new();
        let head = MAGIC.len() + WRAPPED_BYTES;
        if bytes.is_empty() {
            return noted;
        }
        let key = bytes.strip_prefix(MAGIC).and_then(|rest| rest.get(..WRAPPED_BYTES));
        let Some(key) = key.and_then(|wrapped| self.keys.unwrap(Purpose::Repeats, wrapped)) else {
            tracing::warn!(
                "`{REPEATS_FILE}` is not opened by these keys: requests of before are not known again"
            );
            return noted;
        };
        let (cipher, associated) = (Cipher::new(&key), self.associated());
        let mut rest = bytes.get_mut(head..).unwrap_or_default();
        while let Some((length, behind)) = rest.split_first_chunk_mut::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((sealed, behind)) = behind.split_at_mut_checked(length) else { break };
            let clear = cipher.open(noted.len() as u64, &associated, sealed);
            let Some(entry) = clear.and_then(|clear| decode(clear).ok()) else { break };
            noted.push(entry);
            rest = behind;
        }
        noted
    }

    /// Whether what still holds had better be written anew: nothing was since the start, or most of the file is out of date.
    pub fn wants_rewrite(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.bytes > 2 * open.whole + REPEATS_BYTES_KEPT)
    }

    /// Replaces the file by these entries. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written: the file of before is there still, and is not added to.
    pub fn rewrite(&mut self, entries: &[Noted]) -> Result<()> {
        self.open = None;
        let secret = Secret::new(draw(&*self.random)?);
        let under = Cipher::new(&self.keys.current().key);
        let wrapped = wrap::wrap(&under, &self.trail, Purpose::Repeats, &secret, &*self.random)?;
        let mut bytes = [&MAGIC[..], &wrapped].concat();
        let (cipher, associated) = (Cipher::new(&secret), self.associated());
        for (number, entry) in (0..).zip(entries) {
            seal(&cipher, &associated, number, entry, &mut bytes);
        }
        let target = self.path();
        let staging = self.place.folder.join(STAGING);
        let failed = |error| Error::io("write", &target, error);
        durable::replace(&staging, REPEATS_FILE, &target, &[&bytes]).map_err(failed)?;
        let file = std::fs::OpenOptions::new().append(true).open(&target).map_err(failed)?;
        let (next, bytes) = (entries.len() as u64, bytes.len() as u64);
        self.open = Some(Open { file, cipher, next, bytes, whole: bytes });
        Ok(())
    }

    /// Appends entries, and gives the number of the first. They survive the death of the process on return; with `flush` a power cut too.
    ///
    /// # Errors
    /// When they cannot be written, or nothing was written anew before: see [`RepeatLog::wants_rewrite`].
    pub fn append(&mut self, entries: &[Noted], flush: bool) -> Result<u64> {
        let (path, associated) = (self.path(), self.associated());
        let Some(open) = &mut self.open else {
            return Err(Error::io("write", &path, ErrorKind::NotConnected.into()));
        };
        let (first, mut bytes) = (open.next, Vec::new());
        for (number, entry) in (first..).zip(entries) {
            seal(&open.cipher, &associated, number, entry, &mut bytes);
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
        open.next += entries.len() as u64;
        open.bytes += bytes.len() as u64;
        Ok(first)
    }

    /// Removes the file: nothing in it holds any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self) -> Result<()> {
        self.open = None;
        let path = self.path();
        durable::remove(&path).map_err(|error| Error::io("remove", &path, error))
    }
}

fn seal(cipher: &Cipher, associated: &[u8], number: u64, entry: &Noted, out: &mut Vec<u8>) {
    let mut sealed = encode(entry);
    debug_assert!(sealed.len() <= REPEATS_ENTRY_BYTES_MAX, "an entry is bounded by its caller");
    cipher.seal(number, associated, &mut sealed);
    out.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
    out.extend_from_slice(&sealed);
}

fn encode(entry: &Noted) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    match entry {
        Noted::Drawn(drawn) => {
            cbor::write_array(&mut out, 6);
            cbor::write_signed(&mut out, drawn.at_ns);
            match &drawn.of {
                Some(of) => cbor::write_text(&mut out, of),
                None => cbor::write_null(&mut out),
            }
            cbor::write_text(&mut out, &drawn.key);
            cbor::write_bytes(&mut out, &drawn.print);
            cbor::write_unsigned(&mut out, drawn.count.into());
            let ids = drawn.ids.iter();
            let ids: Vec<u8> =
                ids.flat_map(|(place, id)| place.to_le_bytes().into_iter().chain(*id.as_bytes())).collect();
            cbor::write_bytes(&mut out, &ids);
        }
        Noted::Done { first, on_disk } => {
            cbor::write_array(&mut out, 2);
            cbor::write_unsigned(&mut out, *first);
            cbor::write_bool(&mut out, *on_disk);
        }
    }
    out
}

fn decode(bytes: &[u8]) -> std::result::Result<Noted, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.array()? == 2 {
        let (first, on_disk) = (reader.unsigned()?, reader.bool()?);
        reader.finish()?;
        return Ok(Noted::Done { first, on_disk });
    }
    let at_ns = reader.signed()?;
    let of = if reader.take_null() { None } else { Some(reader.text()?.to_owned()) };
    let (key, print) = (reader.text()?.to_owned(), reader.bytes_of()?);
    let count = reader.unsigned_up_to(u32::MAX.into(), "a count")? as u32;
    let mut ids = Vec::new();
    for pair in reader.bytes()?.chunks_exact(20) {
        let (place, id) = pair.split_at(4);
        let (Ok(place), Ok(id)) = (place.try_into(), id.try_into()) else { break };
        // What is no id was never drawn.
        let Ok(id) = RecordId::from_bytes(id) else { break };
        ids.push((u32::from_le_bytes(place), id));
    }
    reader.finish()?;
    Ok(Noted::Drawn(Drawn { at_ns, of, key, print, count, ids }))
}

#[cfg(test)]
mod tests;
