//! Values that were redacted at the source: each is what its redaction leaves, and no more.

use super::{TAG_DATE, TAG_TIME, read_i32, read_seconds};
use crate::cbor::Reader;
use crate::error::{DecodeError, Fault};
use crate::field_type::FieldType;
use crate::redaction::{HASH_BYTES, Kept, Truncation};
use crate::value::Seconds;

/// Reads the value of a field of a redacted type, which is not null.
#[cold]
pub(super) fn read(field_type: &FieldType, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    match field_type {
        FieldType::Hashed(_) => reader.bytes_of::<HASH_BYTES>().map(drop),
        FieldType::Truncated(truncation) => truncated(truncation, reader),
        FieldType::Bucketed(buckets) => {
            let (number, _) = reader.float()?;
            need(buckets.has_lower(number), at, "a number that is no lower end of a bucket")
        }
        _ => reader.null(),
    }
}

fn truncated(truncation: &Truncation, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    match (truncation.kept(), truncation.of()) {
        (Kept::First(length), FieldType::Bytes) => {
            need(reader.bytes()?.len() <= length as usize, at, "more bytes than the truncation keeps")
        }
        (Kept::First(length), _) => {
            let text = reader.text()?;
            need(text.chars().nth(length as usize).is_none(), at, "more characters than the truncation keeps")
        }
        (Kept::Unit(unit), FieldType::Date) => {
            reader.tag_of(TAG_DATE, "a date")?;
            let days = read_i32(reader, "a date")?;
            need(
                unit.beginning_of_date(days) == Some(days),
                at,
                "a date that begins no unit of the truncation",
            )
        }
        (Kept::Unit(unit), _) => {
            reader.tag_of(TAG_TIME, "a timestamp")?;
            let (seconds, nanoseconds) = read_seconds(reader)?;
            let given = Seconds::new(seconds, nanoseconds).ok();
            let begins = given.is_some_and(|given| unit.beginning(given) == Some(given));
            need(begins, at, "a time that begins no unit of the truncation")
        }
    }
}

fn need(holds: bool, at: usize, what: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError { at, fault: Fault::Content(what) }) }
}
