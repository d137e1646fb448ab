//! Reading the log's entries and receipts item by item, with errors that name the item. Edge: what the items mean is for `descriptor` and
//! `receipt` to say.

use crate::descriptor::Id;
use minutebook_record::cbor::Reader;

/// Why an entry of the log, or a receipt, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not the deterministic CBOR that the format fixes.
    #[error("{0}: {1}")]
    Malformed(&'static str, &'static str),
    /// An entry that this version does not know.
    #[error("`{0}` is of a version that this program does not know: use a newer one")]
    Unknown(String),
}

pub(crate) struct Cursor<'a>(Reader<'a>);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    pub(crate) fn finish(self) -> Result<(), EntryError> {
        self.0.finish().map_err(|_| EntryError::Malformed("entry", "bytes follow its end"))
    }

    pub(crate) fn array(&mut self, what: &'static str, max: u64) -> Result<usize, EntryError> {
        match self.0.array() {
            Ok(count) if count as u64 <= max => Ok(count),
            Ok(_) => Err(EntryError::Malformed(what, "too many items")),
            Err(_) => Err(EntryError::Malformed(what, "not an array")),
        }
    }

    pub(crate) fn array_of(&mut self, what: &'static str, count: usize) -> Result<(), EntryError> {
        if self.array(what, u64::MAX)? == count {
            Ok(())
        } else {
            Err(EntryError::Malformed(what, "wrong number of items"))
        }
    }

    pub(crate) fn unsigned(&mut self, what: &'static str, max: u64) -> Result<u64, EntryError> {
        self.0.unsigned_up_to(max, what).map_err(|_| EntryError::Malformed(what, "not an integer in range"))
    }

    /// A number or an epoch: from 1 to 2^63−1.
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, EntryError> {
        match self.unsigned(what, i64::MAX as u64)? {
            0 => Err(EntryError::Malformed(what, "0, where counting begins at 1")),
            number => Ok(number),
        }
    }

    pub(crate) fn signed(&mut self, what: &'static str) -> Result<i64, EntryError> {
        self.0.signed().map_err(|_| EntryError::Malformed(what, "not an integer in range"))
    }

    pub(crate) fn text(&mut self, what: &'static str, max: usize) -> Result<&'a str, EntryError> {
        self.0.text_up_to(max, what).map_err(|_| EntryError::Malformed(what, "not a short text"))
    }

    pub(crate) fn class(&mut self, what: &'static str) -> Result<String, EntryError> {
        let name = self.text(what, 32)?;
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        if first && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            Ok(name.to_owned())
        } else {
            Err(EntryError::Malformed(what, "not a class name"))
        }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], EntryError> {
        self.0.bytes().map_err(|_| EntryError::Malformed(what, "not a byte string"))
    }

    pub(crate) fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], EntryError> {
        self.0
            .bytes_of::<N>()
            .map_err(|_| EntryError::Malformed(what, "not a byte string of the right length"))
    }

    pub(crate) fn id(&mut self, what: &'static str) -> Result<Id, EntryError> {
        self.fixed(what)
    }

    pub(crate) fn digest(&mut self, what: &'static str) -> Result<[u8; 32], EntryError> {
        self.fixed(what)
    }

    pub(crate) fn null(&mut self, what: &'static str) -> Result<(), EntryError> {
        self.0.null().map_err(|_| EntryError::Malformed(what, "not null"))
    }

    pub(crate) fn take_null(&mut self) -> bool {
        self.0.take_null()
    }
}
