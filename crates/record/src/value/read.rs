//! The decoding of a value.

use super::{Blob, Map, Seconds, Tensor, Value};
use crate::cbor::{Item, Reader};
use crate::check::{
    self, TAG_ARRAY, TAG_DATE, TAG_DECIMAL, TAG_DURATION, TAG_OBJECT, TAG_TIME, read_i32, read_seconds,
};
use crate::error::{DecodeError, Fault};
use crate::limits::NESTING_MAX;

/// Items for which room is made at once: a head may promise more than the bytes hold.
const ROOM_MAX: usize = 1_024;

/// Reads any value; `open` lists, maps and tags are around it. The order of map keys is taken as checked.
pub(crate) fn any(reader: &mut Reader<'_>, open: usize) -> Result<Value, DecodeError> {
    if open > NESTING_MAX {
        return Err(reader.fault(Fault::TooDeep));
    }
    let at = reader.position();
    Ok(match reader.item()? {
        Item::Null => Value::Null,
        Item::Bool(value) => Value::Bool(value),
        Item::Integer(value) => Value::Integer(value),
        Item::Float(value) => Value::Float(value),
        Item::Text(value) => Value::Text(value.to_owned()),
        Item::Bytes(value) => Value::Bytes(value.to_owned()),
        Item::Array(count) => {
            let mut values = Vec::with_capacity(count.min(ROOM_MAX));
            for _ in 0..count {
                values.push(any(reader, open + 1)?);
            }
            Value::List(values)
        }
        Item::Map(count) => Value::Map(pairs(reader, count, open + 1)?),
        Item::Tag(TAG_DECIMAL) => {
            reader.array_of(2, "an exponent and a mantissa")?;
            let exponent = read_i32(reader, "the exponent of a decimal")?;
            Value::Decimal { exponent, mantissa: reader.integer()? }
        }
        Item::Tag(TAG_TIME) => Value::Timestamp(seconds(reader)?),
        Item::Tag(TAG_DURATION) => Value::Duration(seconds(reader)?),
        Item::Tag(TAG_DATE) => Value::Date(read_i32(reader, "a date")?),
        Item::Tag(TAG_ARRAY) => Value::Tensor(tensor(reader)?),
        Item::Tag(TAG_OBJECT) => {
            let blob = check::blob(reader)?;
            Value::Blob(Blob {
                media_type: blob.media_type.to_owned(),
                length: blob.length,
                id: blob.id,
                digest: blob.digest,
            })
        }
        Item::Tag(tag) => return Err(DecodeError { at, fault: Fault::Tag(tag) }),
    })
}

/// The map at the reader's place, which has been checked.
pub(crate) fn map(reader: &mut Reader<'_>, open: usize) -> Result<Map, DecodeError> {
    let count = reader.map()?;
    pairs(reader, count, open + 1)
}

fn pairs(reader: &mut Reader<'_>, count: usize, open: usize) -> Result<Map, DecodeError> {
    let mut pairs = Vec::with_capacity(count.min(ROOM_MAX));
    for _ in 0..count {
        pairs.push((reader.text()?.to_owned(), any(reader, open)?));
    }
    Ok(Map(pairs))
}

fn seconds(reader: &mut Reader<'_>) -> Result<Seconds, DecodeError> {
    let (seconds, nanoseconds) = read_seconds(reader)?;
    Ok(Seconds { seconds, nanoseconds })
}

/// The content of tag 40.
pub(crate) fn tensor(reader: &mut Reader<'_>) -> Result<Tensor, DecodeError> {
    let found = check::tensor(reader)?;
    Ok(Tensor {
        element: found.element,
        shape: found.shape[..found.dimensions].to_vec(),
        data: found.data.to_vec(),
    })
}
