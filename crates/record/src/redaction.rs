//! What was done to a value before it left the process that decided (`docs/formats/record.md`, "Redaction at the source"): part of the type
//! of its field, so that the schema says it and every value can be held to it. Edge: says what a redacted value is, and computes it where
//! no key is needed; hashing is for whoever has the key.

mod buckets;
mod truncation;

pub use buckets::{Buckets, Number};
pub use truncation::{Kept, Truncation, Unit};

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownType;

/// Bytes of a keyed hash: HMAC-SHA-256.
pub const HASH_BYTES: usize = 32;

/// What the key's id is the beginning of: HMAC-SHA-256 of these bytes. No encoded value is equal to them.
pub const KEY_ID_LABEL: &[u8] = b"minutebook/redaction key id/1";

/// The key of keyed hashes, by the first bytes of what it makes of [`KEY_ID_LABEL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let is_hex = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = if is_hex { u32::from_str_radix(text, 16).ok() } else { None };
        number.map(|number| Self(number.to_be_bytes())).ok_or(UnknownType)
    }
}
