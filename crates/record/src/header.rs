//! The header of a record (`docs/formats/record.md`, "Header"): the part that is never erased, and so names no person.

use std::fmt;
use std::str::FromStr;

use crate::cbor::{self, Reader};
use crate::error::{DecodeError, Fault, PartError};
use crate::limits::{CLASS_BYTES_MAX, NUMBER_MAX};

/// The version of the record format that this crate writes and reads.
pub const VERSION: u64 = 1;

/// The id of a record: a UUIDv7 (RFC 9562 §5.7). Ordered by time, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// The id for a time in milliseconds since 1970 (its low 48 bits count) and the 10 bytes that follow it. The 6 bits of version
    /// and variant among these are set here; the other 74 are the caller's randomness. The last 10 bytes of an id give that id again.
    pub fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = bytes[6] & 0x0f | 0x70;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id of these bytes.
    ///
    /// # Errors
    ///
    /// [`PartError::RecordId`] when version or variant are not those of a UUIDv7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, PartError> {
        if bytes[6] >> 4 == 7 && bytes[8] >> 6 == 0b10 { Ok(Self(bytes)) } else { Err(PartError::RecordId) }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        Self::from_bytes(reader.bytes_of()?)
            .map_err(|_| DecodeError { at, fault: Fault::Content("not a UUID of version 7") })
    }
}

/// The text form of RFC 9562 §4, in lower case.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes the text form only, in either case.
impl FromStr for RecordId {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        let text = text.as_bytes();
        if text.len() != 36 || [8, 13, 18, 23].iter().any(|&place| text[place] != b'-') {
            return Err(PartError::RecordId);
        }
        let mut digits = [0; 32];
        let mut rest = text.iter().enumerate().filter(|(place, _)| !matches!(place, 8 | 13 | 18 | 23));
        for digit in &mut digits {
            *digit = *rest.next().ok_or(PartError::RecordId)?.1;
        }
        Self::from_bytes(unhex(&digits).ok_or(PartError::RecordId)?)
    }
}

fn unhex(digits: &[u8; 32]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}

macro_rules! kinds {
    ($($number:literal $name:ident $text:literal $doc:literal;)*) => {
        /// What a record says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = $doc] $name = $number,)*
        }

        impl Kind {
            /// All kinds, in the order of their numbers.
            pub const ALL: [Self; 18] = [$(Self::$name),*];

            /// Its text.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind of a number, if there is one.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    1 Decision "decision" "A model was asked and answered, or failed.";
    2 Explanation "explanation" "Why a decision came out as it did.";
    3 Outcome "outcome" "What turned out to be true.";
    4 Review "review" "A person confirmed, overrode or escalated a decision.";
    5 Replay "replay" "A decision was run again.";
    6 Model "model" "A version of a model exists.";
    7 Deployment "deployment" "A version of a model went to, or left, an endpoint or a stage.";
    8 Window "window" "Counts and sketches over the decisions of a span of time.";
    9 Alert "alert" "A rule fired or cleared.";
    10 Producer "producer" "An epoch of a producer was opened, is alive, was closed or abandoned.";
    11 Loss "loss" "Numbers that have no record, and why.";
    12 Access "access" "Somebody read something.";
    13 Policy "policy" "Rules or keys changed.";
    14 Erasure "erasure" "Persons were erased.";
    15 Hold "hold" "Something must not be erased or disposed of.";
    16 Disposal "disposal" "Something was disposed of at the end of its retention.";
    17 Anchor "anchor" "Outside evidence of the time of a checkpoint.";
    18 Note "note" "Text or an attachment by a person.";
}

impl Kind {
    /// Its number, 1 to 18.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether programs and people hand such records over; the others are the engine's own and are taken from nobody.
    pub const fn is_from_outside(self) -> bool {
        !matches!(
            self,
            Self::Producer
                | Self::Loss
                | Self::Access
                | Self::Policy
                | Self::Erasure
                | Self::Hold
                | Self::Disposal
                | Self::Anchor
        )
    }
}

impl FromStr for Kind {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(PartError::Kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who draws numbers: 16 bytes, any. Shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub [u8; 16]);

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ProducerId {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        text.as_bytes().try_into().ok().and_then(unhex).map(Self).ok_or(PartError::Producer)
    }
}

macro_rules! numbers {
    ($($name:ident $doc:literal)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The first one, 1.
            pub const FIRST: Self = Self(1);

            /// This number.
            ///
            /// # Errors
            ///
            /// [`PartError::Number`] outside of 1 … 2^63−1.
            pub const fn new(number: u64) -> Result<Self, PartError> {
                if number >= 1 && number <= NUMBER_MAX { Ok(Self(number)) } else { Err(PartError::Number) }
            }

            /// The number.
            #[inline]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

numbers! {
    Epoch "One run of a producer: 1 … 2^63−1."
    Seq "The number of a record within its producer, epoch and class: 1 … 2^63−1."
}

/// The name of a retention class: `[a-z][a-z0-9-]{0,31}`. Held in place, so that a header is copied without allocating.
#[derive(Clone, Copy)]
pub struct ClassName {
    bytes: [u8; CLASS_BYTES_MAX],
    length: u8,
}

impl ClassName {
    /// The class of this name.
    ///
    /// # Errors
    ///
    /// [`PartError::Class`] when it has another form.
    pub fn new(name: &str) -> Result<Self, PartError> {
        let begins = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let goes_on = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !begins || !goes_on || name.len() > CLASS_BYTES_MAX {
            return Err(PartError::Class);
        }
        let mut bytes = [0; CLASS_BYTES_MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self { bytes, length: name.len() as u8 })
    }

    /// The name.
    #[inline]
    pub fn as_str(&self) -> &str {
        // INVARIANT: checked to be ASCII when it was made.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl PartialEq for ClassName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ClassName {}

impl PartialOrd for ClassName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClassName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for ClassName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromStr for ClassName {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        Self::new(text)
    }
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The record's id.
    pub id: RecordId,
    /// What it says.
    pub kind: Kind,
    /// Who drew its number.
    pub producer: ProducerId,
    /// In which run.
    pub epoch: Epoch,
    /// Its number within producer, epoch and class.
    pub seq: Seq,
    /// Its retention class.
    pub class: ClassName,
}

impl Header {
    /// Appends the encoding, at most [`crate::limits::HEADER_BYTES_MAX`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_map(out, 7);
        cbor::write_unsigned(out, 0);
        cbor::write_unsigned(out, VERSION);
        cbor::write_unsigned(out, 1);
        cbor::write_bytes(out, &self.id.0);
        cbor::write_unsigned(out, 2);
        cbor::write_unsigned(out, u64::from(self.kind.number()));
        cbor::write_unsigned(out, 3);
        cbor::write_bytes(out, &self.producer.0);
        cbor::write_unsigned(out, 4);
        cbor::write_unsigned(out, self.epoch.0);
        cbor::write_unsigned(out, 5);
        cbor::write_unsigned(out, self.seq.0);
        cbor::write_unsigned(out, 6);
        cbor::write_text(out, self.class.as_str());
    }

    /// Decodes a header that fills `bytes`.
    ///
    /// # Errors
    ///
    /// An unknown or missing entry, one out of range, another version, bytes that are not deterministic or follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(header)
    }

    /// Reads a header as the next item.
    ///
    /// # Errors
    ///
    /// As [`Header::decode`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let entries = reader.map()?;
        let mut next = 0;
        let mut entry = |reader: &mut Reader<'_>| {
            let at = reader.position();
            let fault = match next < entries {
                true if reader.unsigned()? == next as u64 => {
                    next += 1;
                    return Ok(());
                }
                true => Fault::Content("unknown, missing or misplaced header entry"),
                false => Fault::Content("missing header entry"),
            };
            Err(DecodeError { at, fault })
        };
        entry(reader)?;
        let at = reader.position();
        if reader.unsigned()? != VERSION {
            return Err(DecodeError { at, fault: Fault::Content("unknown version of a record") });
        }
        entry(reader)?;
        let id = RecordId::read(reader)?;
        entry(reader)?;
        let at = reader.position();
        let kind = Kind::from_number(reader.unsigned()?)
            .ok_or(DecodeError { at, fault: Fault::Range("the kind of a record") })?;
        entry(reader)?;
        let producer = ProducerId(reader.bytes_of()?);
        entry(reader)?;
        let epoch = Epoch(read_number(reader, "the epoch")?);
        entry(reader)?;
        let seq = Seq(read_number(reader, "the number of a record")?);
        entry(reader)?;
        let at = reader.position();
        let class = ClassName::new(reader.text()?)
            .map_err(|_| DecodeError { at, fault: Fault::Content("malformed name of a class") })?;
        if entries != 7 {
            return Err(DecodeError { at: start, fault: Fault::Content("unknown header entry") });
        }
        Ok(Self { id, kind, producer, epoch, seq, class })
    }
}

fn read_number(reader: &mut Reader<'_>, what: &'static str) -> Result<u64, DecodeError> {
    let at = reader.position();
    match reader.unsigned()? {
        number @ 1..=NUMBER_MAX => Ok(number),
        _ => Err(DecodeError { at, fault: Fault::Range(what) }),
    }
}
