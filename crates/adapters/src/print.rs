//! What tells one thing that was sent from another, the same in every version of the program, since it is kept in files
//! (`docs/formats/repeats.md`, "Keys of what others send"). Edge: which of its parts do, others say.

use minutebook_record::cbor;
use minutebook_sha256::digest;

use crate::exchange::hex;

/// The parts of a print, each encoded as deterministic CBOR, one behind the other.
pub(crate) struct Print(Vec<u8>);

impl Print {
    /// Of a kind, which comes first.
    pub(crate) fn of(kind: &str) -> Self {
        Self(Vec::with_capacity(128)).text(kind)
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        cbor::write_text(&mut self.0, text);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        cbor::write_bytes(&mut self.0, bytes);
        self
    }

    pub(crate) fn unsigned(mut self, number: u64) -> Self {
        cbor::write_unsigned(&mut self.0, number);
        self
    }

    pub(crate) fn signed(mut self, number: i64) -> Self {
        cbor::write_signed(&mut self.0, number);
        self
    }

    /// What may not be there, or null.
    pub(crate) fn maybe<T>(mut self, part: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match part {
            Some(part) => add(self, part),
            None => {
                cbor::write_null(&mut self.0);
                self
            }
        }
    }

    /// The first 16 bytes of their SHA-256.
    pub(crate) fn id(&self) -> [u8; 16] {
        digest(&self.0).first_chunk().copied().unwrap_or_default()
    }

    /// The first 8 of them, as a number (big-endian).
    pub(crate) fn number(&self) -> u64 {
        u64::from_be_bytes(self.id().first_chunk().copied().unwrap_or_default())
    }

    /// The same as 32 hex digits.
    pub(crate) fn digits(&self) -> String {
        hex(&self.id())
    }
}
