//! The system fields as types (`docs/formats/record.md`, "Fields"). Each writes its encoding unchecked ([`crate::Schema::check_value`] tells
//! whether it is within the limits) and decodes strictly.

mod explanation;

pub use explanation::{Attributions, ExplanationMeta, Feature, Floats, Space, When};

use crate::cbor::{self, Item, Reader};
use crate::check::check;
use crate::error::{DecodeError, Fault};
use crate::field_type::FieldType;
use crate::header::RecordId;

/// Why a decision was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The rule that kept it.
    pub rule: String,
    /// The rate that applied, in (0, 1]; `None` when none is known, as of a rule that keeps so many per second.
    pub rate: Option<f64>,
}

/// Where a decision stands in a call that made several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The call.
    pub call: [u8; 16],
    /// The row within the call, from 0.
    pub row: u64,
    /// Rows of the call.
    pub rows: u64,
}

/// The field `event`: when it happened and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Start of the call in ns since 1970-01-01T00:00Z.
    pub time_ns: i64,
    /// Bound of the wall clock's error in ns, if known.
    pub clock_error_ns: Option<u64>,
    /// How long it took in ns, on the monotonic clock.
    pub duration_ns: Option<u64>,
    /// `ok`, or the type of the error.
    pub status: String,
    /// Trace id of W3C Trace Context.
    pub trace: Option<[u8; 16]>,
    /// Span id of W3C Trace Context.
    pub span: Option<[u8; 8]>,
    /// Place in a call that made several decisions.
    pub batch: Option<Batch>,
    /// Why it was kept; `None` when all are.
    pub kept: Option<Kept>,
    /// Records that it is about, at most 1,024.
    pub links: Vec<RecordId>,
}

fn write_or_null<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => cbor::write_null(out),
    }
}

fn read_or_null<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if reader.take_null() { Ok(None) } else { read(reader).map(Some) }
}

/// A reader over a checked value that fills `bytes`; `None` for null.
fn checked<'a>(field_type: &FieldType, bytes: &'a [u8]) -> Result<Option<Reader<'a>>, DecodeError> {
    let at = check(field_type, bytes)?;
    if at != bytes.len() {
        return Err(DecodeError { at, fault: Fault::Trailing });
    }
    let mut reader = Reader::new(bytes);
    Ok(if reader.take_null() { None } else { Some(reader) })
}

impl Event {
    /// At this moment (ns since 1970), in order, and nothing else is known.
    #[must_use]
    pub fn at(time_ns: i64) -> Self {
        Self {
            time_ns,
            clock_error_ns: None,
            duration_ns: None,
            status: "ok".into(),
            trace: None,
            span: None,
            batch: None,
            kept: None,
            links: Vec::new(),
        }
    }

    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 9);
        cbor::write_signed(out, self.time_ns);
        write_or_null(out, self.clock_error_ns, cbor::write_unsigned);
        write_or_null(out, self.duration_ns, cbor::write_unsigned);
        cbor::write_text(out, &self.status);
        write_or_null(out, self.trace, |out, id| cbor::write_bytes(out, &id));
        write_or_null(out, self.span, |out, id| cbor::write_bytes(out, &id));
        write_or_null(out, self.batch, |out, batch| {
            cbor::write_array(out, 3);
            cbor::write_bytes(out, &batch.call);
            cbor::write_unsigned(out, batch.row);
            cbor::write_unsigned(out, batch.rows);
        });
        write_or_null(out, self.kept.as_ref(), |out, kept| {
            cbor::write_array(out, 2);
            cbor::write_text(out, &kept.rule);
            write_or_null(out, kept.rate, cbor::write_float);
        });
        cbor::write_array(out, self.links.len() as u64);
        self.links.iter().for_each(|link| cbor::write_bytes(out, link.as_bytes()));
    }

    /// Decodes a field of type `event` that fills `bytes`; `None` for null.
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(mut reader) = checked(&FieldType::Event, bytes)? else { return Ok(None) };
        let reader = &mut reader;
        reader.array()?;
        Ok(Some(Self {
            time_ns: reader.signed()?,
            clock_error_ns: read_or_null(reader, Reader::unsigned)?,
            duration_ns: read_or_null(reader, Reader::unsigned)?,
            status: reader.text()?.to_owned(),
            trace: read_or_null(reader, Reader::bytes_of)?,
            span: read_or_null(reader, Reader::bytes_of)?,
            batch: read_or_null(reader, |reader| {
                reader.array()?;
                Ok(Batch { call: reader.bytes_of()?, row: reader.unsigned()?, rows: reader.unsigned()? })
            })?,
            kept: read_or_null(reader, |reader| {
                reader.array()?;
                Ok(Kept { rule: reader.text()?.to_owned(), rate: read_or_null(reader, Reader::float64)? })
            })?,
            links: (0..reader.array()?).map(|_| RecordId::read(reader)).collect::<Result<_, _>>()?,
        }))
    }

    /// Appends an encoded event with another `kept`, without decoding the rest; null stays null.
    ///
    /// # Errors
    ///
    /// When the bytes are no event.
    pub fn write_kept(
        bytes: &[u8],
        rule: &str,
        rate: Option<f64>,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take_null() {
            cbor::write_null(out);
            return Ok(());
        }
        reader.array_of(9, "an event of nine parts")?;
        for _ in 0..7 {
            skip(&mut reader)?;
        }
        out.extend_from_slice(&bytes[..reader.position()]);
        cbor::write_array(out, 2);
        cbor::write_text(out, rule);
        write_or_null(out, rate, cbor::write_float);
        skip(&mut reader)?;
        out.extend_from_slice(reader.rest());
        Ok(())
    }

    /// Only the time of an encoded event in ns since 1970, without decoding the rest; `None` for null.
    ///
    /// # Errors
    ///
    /// When the bytes do not begin as an event.
    pub fn time_of(bytes: &[u8]) -> Result<Option<i64>, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take_null() {
            return Ok(None);
        }
        reader.array_of(9, "an event of nine parts")?;
        reader.signed().map(Some)
    }
}

/// Passes over one value.
fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut left = 1;
    while left > 0 {
        left -= 1;
        left += match reader.item()? {
            Item::Array(count) => count,
            Item::Map(count) => count * 2,
            Item::Tag(_) => 1,
            _ => 0,
        };
    }
    Ok(())
}

/// The field `model`: who was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the bytes that were loaded, if known.
    pub artifact: Option<[u8; 32]>,
}

impl ModelRef {
    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 3);
        cbor::write_text(out, &self.name);
        cbor::write_text(out, &self.version);
        write_or_null(out, self.artifact, |out, digest| cbor::write_bytes(out, &digest));
    }

    /// Decodes a field of type `model` that fills `bytes`; `None` for null.
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(mut reader) = checked(&FieldType::Model, bytes)? else { return Ok(None) };
        reader.array()?;
        Ok(Some(Self {
            name: reader.text()?.to_owned(),
            version: reader.text()?.to_owned(),
            artifact: read_or_null(&mut reader, Reader::bytes_of)?,
        }))
    }
}

/// The field `subject`: the persons or things decided about.
#[derive(Clone, PartialEq, Eq)]
pub struct Subjects(pub Vec<String>);

/// Tells how many, not who.
impl std::fmt::Debug for Subjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subjects({})", self.0.len())
    }
}

impl Subjects {
    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, self.0.len() as u64);
        self.0.iter().for_each(|subject| cbor::write_text(out, subject));
    }

    /// Decodes a field of type `subject` that fills `bytes`; `None` for null.
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(mut reader) = checked(&FieldType::Subject, bytes)? else { return Ok(None) };
        let subjects = (0..reader.array()?).map(|_| reader.text().map(str::to_owned));
        subjects.collect::<Result<_, _>>().map(|subjects| Some(Self(subjects)))
    }
}
