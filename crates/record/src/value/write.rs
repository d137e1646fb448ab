//! The encoding of a value.

use super::{Blob, Seconds, Tensor, Value};
use crate::cbor;
use crate::check::{BLOB_NAME, TAG_ARRAY, TAG_DATE, TAG_DECIMAL, TAG_DURATION, TAG_OBJECT, TAG_TIME};

impl Value {
    /// Appends the encoding to `out` unchecked: nesting, sizes and the dimensions of tensors are as they are. For values within a field
    /// that is checked as a whole.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => cbor::write_null(out),
            Self::Bool(value) => cbor::write_bool(out, *value),
            Self::Integer(value) => cbor::write_integer(out, *value),
            Self::Float(value) => cbor::write_float(out, *value),
            Self::Decimal { exponent, mantissa } => {
                cbor::write_tag(out, TAG_DECIMAL);
                cbor::write_array(out, 2);
                cbor::write_integer(out, *exponent);
                cbor::write_integer(out, *mantissa);
            }
            Self::Text(value) => cbor::write_text(out, value),
            Self::Bytes(value) => cbor::write_bytes(out, value),
            Self::Timestamp(value) => value.write_timestamp(out),
            Self::Date(days) => {
                cbor::write_tag(out, TAG_DATE);
                cbor::write_integer(out, *days);
            }
            Self::Duration(value) => value.write_duration(out),
            Self::List(values) => {
                cbor::write_array(out, values.len() as u64);
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(map) => map.write(out),
            Self::Tensor(tensor) => tensor.write(out),
            Self::Blob(blob) => blob.write(out),
        }
    }
}

impl super::Map {
    /// Appends the encoding to `out`, unchecked.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_map(out, self.len() as u64);
        for (key, value) in self.iter() {
            cbor::write_text(out, key);
            value.write(out);
        }
    }
}

impl Seconds {
    /// Appends the encoding of a timestamp (tag 1001, RFC 9581 §3).
    pub fn write_timestamp(self, out: &mut Vec<u8>) {
        self.write(out, TAG_TIME);
    }

    /// Appends the encoding of a duration (tag 1002, RFC 9581 §4).
    pub fn write_duration(self, out: &mut Vec<u8>) {
        self.write(out, TAG_DURATION);
    }

    fn write(self, out: &mut Vec<u8>, tag: u64) {
        cbor::write_tag(out, tag);
        cbor::write_map(out, 2);
        cbor::write_unsigned(out, 1);
        cbor::write_signed(out, self.seconds);
        cbor::write_signed(out, -9);
        cbor::write_unsigned(out, u64::from(self.nanoseconds));
    }
}

impl Tensor {
    /// Appends the encoding to `out`, unchecked.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_tag(out, TAG_ARRAY);
        cbor::write_array(out, 2);
        cbor::write_array(out, self.shape.len() as u64);
        self.shape.iter().for_each(|dimension| cbor::write_unsigned(out, *dimension));
        cbor::write_tag(out, self.element.tag());
        cbor::write_bytes(out, &self.data);
    }
}

impl Blob {
    /// Appends the encoding to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_tag(out, TAG_OBJECT);
        cbor::write_array(out, 5);
        cbor::write_text(out, BLOB_NAME);
        cbor::write_text(out, &self.media_type);
        cbor::write_unsigned(out, self.length);
        cbor::write_bytes(out, &self.id);
        cbor::write_bytes(out, &self.digest);
    }
}
