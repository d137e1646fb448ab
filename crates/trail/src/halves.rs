//! Halves of calls that were taken and wait for the other, in a file that survives the process (`docs/formats/halves.md`). Edge: keeps what it is
//! given; which halves belong together, and which are recorded, others say. Blocks on files.

use crate::error::Result;
use crate::keyfolder::KeyFolder;
use crate::limits::HALVES_BYTES_KEPT;
use crate::place::Place;
use crate::sealed_log::{LogKind, SealedLog};
use crate::wrap::Purpose;
use minutebook_capture::Random;
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{DecodeError, Fault};
use minutebook_verify::Id;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The file.
pub(crate) const HALVES: LogKind = LogKind {
    name: "halves",
    magic: b"mbhalf1\n",
    purpose: Purpose::Halves,
    label: b"minutebook/halves/1",
    growth: HALVES_BYTES_KEPT,
    unread: "halves of calls that waited are not recorded",
};

/// A half that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfWaits<'a> {
    /// When it was taken, ns since 1970.
    pub taken_ns: i64,
    /// Who sent it: the API key; empty over the socket.
    pub of: Cow<'a, str>,
    /// Attributes of the event, and their values.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What it carries.
    pub data: Cow<'a, [u8]>,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HalfNoted<'a> {
    /// A half was taken, and waits.
    Waits(HalfWaits<'a>),
    /// The halves of these entries, by their numbers from 0, are recorded.
    Gone(Vec<u64>),
    /// A call was whole; what comes of it again is known by this.
    Whole {
        /// When that was, ns since 1970.
        at_ns: i64,
        /// Under which its halves found each other.
        key: Cow<'a, [String]>,
        /// Tell its request and its answer from others.
        prints: (u64, u64),
    },
}

/// The file, to be written to. One at a time: who has the trail's lock.
pub struct HalfLog(SealedLog);

impl HalfLog {
    /// Reads what there is, and gives what waits and is whole, by the number of its entry. A file that these keys do not open, or that ends in the
    /// middle, is read as far as it goes.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open(
        place: &Place,
        trail: Id,
        keys: Arc<KeyFolder>,
        random: Arc<dyn Random>,
    ) -> Result<(Self, BTreeMap<u64, HalfNoted<'static>>)> {
        let mut noted = BTreeMap::new();
        let read = |number, clear: &[u8]| match decode(clear) {
            Ok(HalfNoted::Gone(numbers)) => {
                numbers.iter().for_each(|number| drop(noted.remove(number)));
                true
            }
            Ok(entry) => {
                noted.insert(number, entry);
                true
            }
            Err(_) => false,
        };
        let log = SealedLog::open(&HALVES, place, trail, keys, random, read)?;
        Ok((Self(log), noted))
    }

    /// Whether what still holds had better be written anew: nothing was since the start, or most of the file is out of date.
    pub fn wants_rewrite(&self) -> bool {
        self.0.wants_rewrite()
    }

    /// Whether there was a file at the start that these keys open.
    pub fn was_there(&self) -> bool {
        self.0.was_there()
    }

    /// Whether it can be added to.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Replaces the file by these entries, which have the numbers from 0. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written: the file of before is there still, and is not added to.
    pub fn rewrite<'a>(&mut self, entries: impl Iterator<Item = HalfNoted<'a>>) -> Result<()> {
        self.0.rewrite(entries.map(|entry| encode(&entry)))
    }

    /// Appends entries, and gives the number of the first. They survive the death of the process on return; with `flush` a power cut too.
    ///
    /// # Errors
    /// When they cannot be written, or nothing was written anew before: see [`HalfLog::wants_rewrite`].
    pub fn append<'a>(&mut self, entries: impl Iterator<Item = HalfNoted<'a>>, flush: bool) -> Result<u64> {
        self.0.append(entries.map(|entry| encode(&entry)), flush)
    }

    /// Removes the file: nothing in it holds any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self) -> Result<()> {
        self.0.remove()
    }
}

const WAITS: u64 = 0;
const GONE: u64 = 1;
const WHOLE: u64 = 2;

fn encode(entry: &HalfNoted<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match entry {
        HalfNoted::Waits(half) => {
            out.reserve(half.data.len() + 1_024);
            cbor::write_array(&mut out, 5);
            cbor::write_unsigned(&mut out, WAITS);
            cbor::write_signed(&mut out, half.taken_ns);
            cbor::write_text(&mut out, &half.of);
            cbor::write_array(&mut out, 2 * half.attributes.len() as u64);
            for (name, value) in &half.attributes {
                cbor::write_text(&mut out, name);
                cbor::write_text(&mut out, value);
            }
            cbor::write_bytes(&mut out, &half.data);
        }
        HalfNoted::Gone(numbers) => {
            cbor::write_array(&mut out, 1 + numbers.len() as u64);
            cbor::write_unsigned(&mut out, GONE);
            numbers.iter().for_each(|number| cbor::write_unsigned(&mut out, *number));
        }
        HalfNoted::Whole { at_ns, key, prints } => {
            cbor::write_array(&mut out, 5);
            cbor::write_unsigned(&mut out, WHOLE);
            cbor::write_signed(&mut out, *at_ns);
            cbor::write_array(&mut out, key.len() as u64);
            key.iter().for_each(|part| cbor::write_text(&mut out, part));
            cbor::write_unsigned(&mut out, prints.0);
            cbor::write_unsigned(&mut out, prints.1);
        }
    }
    out
}

fn decode(bytes: &[u8]) -> std::result::Result<HalfNoted<'static>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let length = reader.array()?;
    let kind = reader.unsigned_up_to(WHOLE, "a kind of entry")?;
    let text = |reader: &mut Reader<'_>| reader.text().map(|text| Cow::Owned(text.to_owned()));
    let noted = match (kind, length) {
        (WAITS, 5) => {
            let (taken_ns, of) = (reader.signed()?, text(&mut reader)?);
            let mut attributes = Vec::new();
            for _ in 0..reader.array()? / 2 {
                attributes.push((text(&mut reader)?, text(&mut reader)?));
            }
            let data = Cow::Owned(reader.bytes()?.to_vec());
            HalfNoted::Waits(HalfWaits { taken_ns, of, attributes, data })
        }
        (WHOLE, 5) => {
            let at_ns = reader.signed()?;
            let parts = (0..reader.array()?).map(|_| reader.text().map(str::to_owned));
            let key = parts.collect::<std::result::Result<Vec<_>, _>>()?;
            HalfNoted::Whole { at_ns, key: key.into(), prints: (reader.unsigned()?, reader.unsigned()?) }
        }
        (GONE, _) => {
            let numbers = (1..length).map(|_| reader.unsigned());
            HalfNoted::Gone(numbers.collect::<std::result::Result<_, _>>()?)
        }
        _ => return Err(reader.fault(Fault::Expected("an entry of a known kind"))),
    };
    reader.finish()?;
    Ok(noted)
}

#[cfg(test)]
mod tests;
