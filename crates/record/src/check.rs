//! Whether an encoded value is well-formed and fits the type of its field. Runs for each field of each record, more than once, so it
//! allocates nothing.

mod redacted;
mod system;

use crate::cbor::{MAJOR_ARRAY, MAJOR_BYTES, MAJOR_MAP, MAJOR_SIMPLE, MAJOR_TAG, MAJOR_TEXT, Reader, Width};
use crate::error::{DecodeError, Fault};
use crate::field_type::{Element, FieldType};
use crate::limits::{DIMENSIONS_MAX, NESTING_MAX, VALUE_BYTES_MAX};

pub(crate) const TAG_DECIMAL: u64 = 4;
pub(crate) const TAG_OBJECT: u64 = 27;
pub(crate) const TAG_ARRAY: u64 = 40;
pub(crate) const TAG_DATE: u64 = 100;
pub(crate) const TAG_TIME: u64 = 1001;
pub(crate) const TAG_DURATION: u64 = 1002;
pub(crate) const BLOB_NAME: &str = "minutebook/blob";

/// Nanoseconds of a second.
pub(crate) const NANOSECONDS: u64 = 1_000_000_000;

/// Checks the value at the start of `bytes` against a type and gives its encoded length; what follows is not looked at.
///
/// # Errors
///
/// What is wrong with it, and where.
#[inline]
pub fn check(field_type: &FieldType, bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    read(field_type, &mut reader)?;
    let length = reader.position();
    if length > VALUE_BYTES_MAX {
        return Err(DecodeError {
            at: VALUE_BYTES_MAX,
            fault: Fault::TooLarge { what: "a value", max: VALUE_BYTES_MAX },
        });
    }
    Ok(length)
}

/// Checks any value of the format, whatever its type: one inside of a list or map.
///
/// # Errors
///
/// As [`check`].
pub fn check_any(bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    any(&mut reader, 0)?;
    Ok(reader.position())
}

#[inline]
fn read(field_type: &FieldType, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    if reader.take_null() {
        return Ok(());
    }
    match field_type {
        FieldType::Null => reader.null(),
        FieldType::Bool => reader.bool().map(drop),
        FieldType::Integer(width) => {
            let at = reader.position();
            let (least, most) = width.range();
            let value = reader.integer()?.get();
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(DecodeError { at, fault: Fault::Range("an integer of this type") })
            }
        }
        FieldType::F64 => reader.float().map(drop),
        FieldType::F32 => float(reader, Width::Single),
        FieldType::F16 => float(reader, Width::Half),
        FieldType::Text | FieldType::Category => reader.text().map(drop),
        FieldType::Bytes => reader.bytes().map(drop),
        FieldType::Decimal => {
            reader.tag_of(TAG_DECIMAL, "a decimal")?;
            decimal(reader)
        }
        FieldType::Timestamp(_) | FieldType::DateTime => {
            reader.tag_of(TAG_TIME, "a timestamp")?;
            seconds(reader)
        }
        FieldType::Duration => {
            reader.tag_of(TAG_DURATION, "a duration")?;
            seconds(reader)
        }
        FieldType::Date => {
            reader.tag_of(TAG_DATE, "a date")?;
            days(reader)
        }
        FieldType::List => list(reader, 0),
        FieldType::Map => map(reader, 0),
        FieldType::Tensor(element) => {
            reader.tag_of(TAG_ARRAY, "a tensor")?;
            let at = reader.position();
            let tensor = tensor(reader)?;
            if tensor.element.tag() != element.tag() {
                return Err(DecodeError { at, fault: Fault::Expected("a tensor of the field's elements") });
            }
            if *element == Element::Bool && tensor.data.iter().any(|byte| *byte > 1) {
                return Err(DecodeError { at, fault: Fault::Content("a truth value other than 0 and 1") });
            }
            Ok(())
        }
        FieldType::Blob => {
            reader.tag_of(TAG_OBJECT, "a blob")?;
            blob(reader).map(drop)
        }
        FieldType::Event => system::event(reader),
        FieldType::Model => system::model(reader),
        FieldType::Attributions => system::attributions(reader),
        FieldType::Explanation => system::explanation(reader),
        FieldType::Subject => system::subject(reader),
        redacted => redacted::read(redacted, reader),
    }
}

fn float(reader: &mut Reader<'_>, widest: Width) -> Result<(), DecodeError> {
    let at = reader.position();
    if reader.float()?.1 <= widest {
        Ok(())
    } else {
        Err(DecodeError { at, fault: Fault::Range("a float of this type") })
    }
}

/// Any value; `open` lists, maps and tags are around it.
pub(crate) fn any(reader: &mut Reader<'_>, open: usize) -> Result<(), DecodeError> {
    match reader.major() {
        None => Err(reader.fault(Fault::Truncated)),
        Some(MAJOR_TEXT) => reader.text().map(drop),
        Some(MAJOR_BYTES) => reader.bytes().map(drop),
        Some(MAJOR_ARRAY) => list(reader, open),
        Some(MAJOR_MAP) => map(reader, open),
        Some(MAJOR_TAG) => tagged(reader, open),
        Some(MAJOR_SIMPLE) => reader.item().map(drop),
        Some(_) => reader.integer().map(drop),
    }
}

#[inline]
fn enter(reader: &Reader<'_>, open: usize) -> Result<usize, DecodeError> {
    if open < NESTING_MAX { Ok(open + 1) } else { Err(reader.fault(Fault::TooDeep)) }
}

pub(crate) fn list(reader: &mut Reader<'_>, open: usize) -> Result<(), DecodeError> {
    let open = enter(reader, open)?;
    for _ in 0..reader.array()? {
        any(reader, open)?;
    }
    Ok(())
}

pub(crate) fn map(reader: &mut Reader<'_>, open: usize) -> Result<(), DecodeError> {
    let open = enter(reader, open)?;
    // Before the first key nothing; every encoded text is greater than the empty slice.
    let mut before: &[u8] = &[];
    for _ in 0..reader.map()? {
        let at = reader.position();
        let rest = reader.rest();
        reader.text()?;
        let key = &rest[..reader.position() - at];
        if key <= before {
            let fault = if key == before { Fault::KeyTwice } else { Fault::KeyOrder };
            return Err(DecodeError { at, fault });
        }
        before = key;
        any(reader, open)?;
    }
    Ok(())
}

fn tagged(reader: &mut Reader<'_>, open: usize) -> Result<(), DecodeError> {
    let at = reader.position();
    let tag = reader.tag()?;
    // How many levels the tag, and what always stands in it, open.
    let levels = match tag {
        TAG_DATE => 1,
        TAG_DECIMAL | TAG_TIME | TAG_DURATION | TAG_OBJECT => 2,
        TAG_ARRAY => 3,
        _ => return Err(DecodeError { at, fault: Fault::Tag(tag) }),
    };
    if open + levels > NESTING_MAX {
        return Err(DecodeError { at, fault: Fault::TooDeep });
    }
    match tag {
        TAG_DATE => days(reader),
        TAG_DECIMAL => decimal(reader),
        TAG_ARRAY => tensor(reader).map(drop),
        TAG_OBJECT => blob(reader).map(drop),
        _ => seconds(reader),
    }
}

fn decimal(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.array_of(2, "an exponent and a mantissa")?;
    read_i32(reader, "the exponent of a decimal")?;
    reader.integer().map(drop)
}

fn days(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    read_i32(reader, "a date").map(drop)
}

/// An integer of 32 bits, signed.
pub(crate) fn read_i32(reader: &mut Reader<'_>, what: &'static str) -> Result<i32, DecodeError> {
    let at = reader.position();
    i32::try_from(reader.integer()?.get()).map_err(|_| DecodeError { at, fault: Fault::Range(what) })
}

fn seconds(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    read_seconds(reader).map(drop)
}

/// The content of a timestamp or a duration: seconds and nanoseconds.
pub(crate) fn read_seconds(reader: &mut Reader<'_>) -> Result<(i64, u32), DecodeError> {
    // The heads of the map and of its two keys, each of which is one byte.
    let expect = |reader: &mut Reader<'_>, head| match reader.next_byte() {
        Some(found) if found == head => reader.advance(1).map(drop),
        Some(_) => Err(reader.fault(Fault::Expected("a map of seconds (1) and nanoseconds (-9)"))),
        None => Err(reader.fault(Fault::Truncated)),
    };
    expect(reader, 0xa2)?;
    expect(reader, 0x01)?;
    let seconds = reader.signed()?;
    expect(reader, 0x28)?;
    let nanoseconds = reader.unsigned_up_to(NANOSECONDS - 1, "nanoseconds")?;
    Ok((seconds, nanoseconds as u32))
}

/// A tensor as it stands in the bytes.
pub(crate) struct TensorRef<'a> {
    /// `u8` where it may as well be `bool`.
    pub(crate) element: Element,
    pub(crate) dimensions: usize,
    pub(crate) shape: [u64; DIMENSIONS_MAX],
    pub(crate) data: &'a [u8],
}

/// The content of tag 40.
pub(crate) fn tensor<'a>(reader: &mut Reader<'a>) -> Result<TensorRef<'a>, DecodeError> {
    let start = reader.position();
    reader.array_of(2, "dimensions and a typed array")?;
    let at = reader.position();
    let dimensions = reader.array()?;
    if dimensions > DIMENSIONS_MAX {
        return Err(DecodeError { at, fault: Fault::TooLarge { what: "dimensions", max: DIMENSIONS_MAX } });
    }
    let mut shape = [0; DIMENSIONS_MAX];
    for dimension in &mut shape[..dimensions] {
        *dimension = reader.unsigned()?;
    }
    let at = reader.position();
    let tag = reader.tag()?;
    let element = Element::from_tag(tag).ok_or(DecodeError { at, fault: Fault::Tag(tag) })?;
    let data = reader.bytes()?;
    if elements(&shape[..dimensions]).and_then(|n| n.checked_mul(element.size() as u64))
        != Some(data.len() as u64)
    {
        let fault = Fault::Content("the dimensions do not give the length of the tensor");
        return Err(DecodeError { at: start, fault });
    }
    Ok(TensorRef { element, dimensions, shape, data })
}

/// The product of dimensions: 0 as soon as one is 0, `None` when it exceeds 64 bits.
pub(crate) fn elements(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1, |product: u64, dimension| product.checked_mul(*dimension))
}

/// A reference to a blob as it stands in the bytes.
pub(crate) struct BlobRef<'a> {
    pub(crate) media_type: &'a str,
    pub(crate) length: u64,
    pub(crate) id: [u8; 16],
    pub(crate) digest: [u8; 32],
}

/// The content of tag 27.
pub(crate) fn blob<'a>(reader: &mut Reader<'a>) -> Result<BlobRef<'a>, DecodeError> {
    reader.array_of(5, "a blob of five parts")?;
    let at = reader.position();
    if reader.text()? != BLOB_NAME {
        return Err(DecodeError { at, fault: Fault::Content("an object other than a blob") });
    }
    Ok(BlobRef {
        media_type: reader.text()?,
        length: reader.unsigned()?,
        id: reader.bytes_of()?,
        digest: reader.bytes_of()?,
    })
}
