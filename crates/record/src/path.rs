//! The path of a field: an array of texts, never a dotted string.

use std::fmt;

use crate::cbor::{self, Reader};
use crate::error::{DecodeError, Fault, PathError};
use crate::limits::{PATH_PART_BYTES_MAX, PATH_PARTS_MAX};

/// The path of a field: 1 to 8 texts of at most 256 bytes, the first not empty. Ordered text by text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<[Box<str>]>);

impl Path {
    /// A path of these texts.
    ///
    /// # Errors
    ///
    /// When a limit of paths is broken.
    pub fn new<T: Into<Box<str>>>(parts: impl IntoIterator<Item = T>) -> Result<Self, PathError> {
        let parts: Box<[Box<str>]> = parts.into_iter().map(Into::into).collect();
        if parts.is_empty() || parts.len() > PATH_PARTS_MAX {
            return Err(PathError::Parts(parts.len()));
        }
        if let Some(long) = parts.iter().find(|part| part.len() > PATH_PART_BYTES_MAX) {
            return Err(PathError::PartBytes(long.len()));
        }
        if parts[0].is_empty() {
            return Err(PathError::Empty);
        }
        Ok(Self(parts))
    }

    /// The texts.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The first text, which says what the field is about: `inputs`, `outputs`, a kind.
    pub fn first(&self) -> &str {
        &self.0[0]
    }

    /// Whether these are its texts.
    pub fn is(&self, parts: &[&str]) -> bool {
        self.0.len() == parts.len() && self.begins_with(parts)
    }

    /// Whether it has these texts, or these and more.
    pub fn begins_with(&self, parts: &[&str]) -> bool {
        self.0.len() >= parts.len() && self.0.iter().zip(parts).all(|(a, b)| **a == **b)
    }

    /// Whether it is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.len() >= other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, self.0.len() as u64);
        for part in &self.0 {
            cbor::write_text(out, part);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut ahead = reader.clone();
        check(reader)?;
        let parts = ahead.array()?;
        (0..parts).map(|_| ahead.text().map(Box::from)).collect::<Result<_, _>>().map(Self)
    }
}

/// Passes a path that is within its limits.
pub(crate) fn check(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let start = reader.position();
    let parts = reader.array()?;
    if parts == 0 || parts > PATH_PARTS_MAX {
        return Err(DecodeError { at: start, fault: Fault::Range("the number of texts of a path") });
    }
    for place in 0..parts {
        let start = reader.position();
        let part = reader.text_up_to(PATH_PART_BYTES_MAX, "a text of a path")?;
        if place == 0 && part.is_empty() {
            return Err(DecodeError {
                at: start,
                fault: Fault::Content("the first text of a path is empty"),
            });
        }
    }
    Ok(())
}

/// For people: texts joined by `/`; within a text `~` is `~0` and `/` is `~1` (RFC 6901 §3), control characters are escaped.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (place, part) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_char('/')?;
            }
            for character in part.chars() {
                match character {
                    '~' => f.write_str("~0")?,
                    '/' => f.write_str("~1")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => f.write_char(c)?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
