//! Deterministic CBOR (RFC 8949 §4.2.1, `docs/formats/record.md`, "Deterministic CBOR"): functions that append an item, and a reader
//! that refuses every other encoding. Edge: which items may stand where is for the callers to say.

mod float;
mod read;
mod write;

pub use read::{Item, Reader};
pub use write::{
    float_len, head_len, integer_len, write_array, write_bool, write_bytes, write_float, write_float32,
    write_integer, write_map, write_null, write_signed, write_tag, write_text, write_unsigned,
};

pub(crate) use float::Width;
pub(crate) use read::{MAJOR_ARRAY, MAJOR_BYTES, MAJOR_MAP, MAJOR_SIMPLE, MAJOR_TAG, MAJOR_TEXT};
