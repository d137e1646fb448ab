//! The system fields (`docs/formats/record.md`, "Fields"): shapes and ranges, without building anything.

use super::{TAG_ARRAY, any, map, tensor};
use crate::cbor::{MAJOR_ARRAY, Reader};
use crate::error::{DecodeError, Fault};
use crate::header::RecordId;
use crate::limits::{LINKS_MAX, SUBJECT_BYTES_MAX, SUBJECTS_MAX};
use crate::path;

/// Null, or what `read` reads.
fn or_null<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<(), DecodeError> {
    if reader.take_null() { Ok(()) } else { read(reader).map(drop) }
}

pub(super) fn event(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(9, "an event of nine parts")?;
    reader.signed()?;
    or_null(reader, Reader::unsigned)?;
    or_null(reader, Reader::unsigned)?;
    reader.text()?;
    or_null(reader, Reader::bytes_of::<16>)?;
    or_null(reader, Reader::bytes_of::<8>)?;
    or_null(reader, batch)?;
    or_null(reader, kept)?;
    links(reader)
}

fn batch(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(3, "a call, a row and the number of rows")?;
    reader.bytes_of::<16>()?;
    let at = reader.position();
    let row = reader.unsigned()?;
    if row >= reader.unsigned()? {
        return Err(DecodeError { at, fault: Fault::Range("the row") });
    }
    Ok(())
}

fn kept(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(2, "a rule and a rate")?;
    reader.text()?;
    let at = reader.position();
    or_null(reader, |reader| match reader.float64()? {
        rate if rate > 0.0 && rate <= 1.0 => Ok(()),
        _ => Err(DecodeError { at, fault: Fault::Range("the rate") }),
    })
}

fn links(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    let links = reader.array()?;
    if links > LINKS_MAX {
        return Err(DecodeError { at, fault: Fault::TooLarge { what: "links", max: LINKS_MAX } });
    }
    (0..links).try_for_each(|_| RecordId::read(reader).map(drop))
}

pub(super) fn model(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(3, "a model of three parts")?;
    reader.text()?;
    reader.text()?;
    or_null(reader, Reader::bytes_of::<32>)
}

pub(super) fn attributions(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(2, "features and a tensor")?;
    let at = reader.position();
    let mut features = None;
    if !reader.take_null() {
        let count = reader.array()?;
        for _ in 0..count {
            if reader.major() == Some(MAJOR_ARRAY) {
                path::check(reader)?
            } else {
                reader.text().map(drop)?
            }
        }
        features = Some(count as u64);
    }
    reader.tag_of(TAG_ARRAY, "a tensor")?;
    let tensor = tensor(reader)?;
    let shape = &tensor.shape[..tensor.dimensions];
    if !(1..=2).contains(&shape.len()) {
        return Err(DecodeError { at, fault: Fault::Range("the number of dimensions of attributions") });
    }
    if features.is_some_and(|count| count != shape[0]) {
        let fault = Fault::Content("the first dimension is not the number of features");
        return Err(DecodeError { at, fault });
    }
    Ok(())
}

pub(super) fn explanation(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(11, "an explanation of eleven parts")?;
    reader.text()?;
    reader.text()?;
    map(reader, 1)?;
    or_null(reader, Reader::integer)?;
    or_null(reader, Reader::bytes_of::<32>)?;
    let at = reader.position();
    or_null(reader, |reader| match reader.text()? {
        "raw" | "log-odds" | "probability" => Ok(()),
        _ => Err(DecodeError { at, fault: Fault::Content("unknown space of an explanation") }),
    })?;
    any(reader, 1)?;
    or_null(reader, floats)?;
    or_null(reader, floats)?;
    let at = reader.position();
    if !matches!(reader.text()?, "inline" | "later") {
        return Err(DecodeError { at, fault: Fault::Expected("`inline` or `later`") });
    }
    or_null(reader, Reader::unsigned)
}

fn floats(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    if reader.major() != Some(MAJOR_ARRAY) {
        return reader.float64().map(drop);
    }
    (0..reader.array()?).try_for_each(|_| reader.float64().map(drop))
}

pub(super) fn subject(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    let count = reader.array()?;
    if !(1..=SUBJECTS_MAX).contains(&count) {
        return Err(DecodeError { at, fault: Fault::Range("the number of subjects") });
    }
    (0..count).try_for_each(|_| reader.text_up_to(SUBJECT_BYTES_MAX, "a subject").map(drop))
}
