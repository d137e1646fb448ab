//! Requests that may come again, and the ids of their records, in a file that survives the process (`docs/formats/repeats.md`). Edge: keeps
//! what it is given; what a request is, and whether its records are there, others say. Blocks on files.

use crate::error::Result;
use crate::keyfolder::KeyFolder;
use crate::limits::{REPEATS_BYTES_KEPT, REPEATS_ENTRY_BYTES_MAX};
use crate::place::Place;
use crate::sealed_log::{LogKind, SealedLog};
use crate::wrap::Purpose;
use minutebook_capture::Random;
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{DecodeError, RecordId};
use minutebook_verify::Id;
use std::sync::Arc;

/// The file.
pub(crate) const REPEATS: LogKind = LogKind {
    name: "repeats",
    magic: b"mbreps1\n",
    purpose: Purpose::Repeats,
    label: b"minutebook/repeats/1",
    growth: REPEATS_BYTES_KEPT,
    unread: "requests of before are not known again",
};

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
pub struct RepeatLog(SealedLog);

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
        let mut noted = Vec::new();
        let read = |_, clear: &[u8]| decode(clear).map(|entry| noted.push(entry)).is_ok();
        let log = SealedLog::open(&REPEATS, place, trail, keys, random, read)?;
        Ok((Self(log), noted))
    }

    /// Whether what still holds had better be written anew: nothing was since the start, or most of the file is out of date.
    pub fn wants_rewrite(&self) -> bool {
        self.0.wants_rewrite()
    }

    /// Replaces the file by these entries. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written: the file of before is there still, and is not added to.
    pub fn rewrite(&mut self, entries: &[Noted]) -> Result<()> {
        self.0.rewrite(entries.iter().map(encode))
    }

    /// Appends entries, and gives the number of the first. They survive the death of the process on return; with `flush` a power cut too.
    ///
    /// # Errors
    /// When they cannot be written, or nothing was written anew before: see [`RepeatLog::wants_rewrite`].
    pub fn append(&mut self, entries: &[Noted], flush: bool) -> Result<u64> {
        self.0.append(entries.iter().map(encode), flush)
    }

    /// Removes the file: nothing in it holds any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self) -> Result<()> {
        self.0.remove()
    }
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
    debug_assert!(out.len() <= REPEATS_ENTRY_BYTES_MAX, "an entry is bounded by its caller");
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
