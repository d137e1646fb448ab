//! Reading items from a slice, strictly: what the writer would not have written is refused, with its offset.

use super::float::{self, Width};
use crate::error::{DecodeError, Fault};
use crate::value::Integer;

pub(crate) const MAJOR_UNSIGNED: u8 = 0;
pub(crate) const MAJOR_NEGATIVE: u8 = 1;
pub(crate) const MAJOR_BYTES: u8 = 2;
pub(crate) const MAJOR_TEXT: u8 = 3;
pub(crate) const MAJOR_ARRAY: u8 = 4;
pub(crate) const MAJOR_MAP: u8 = 5;
pub(crate) const MAJOR_TAG: u8 = 6;
pub(crate) const MAJOR_SIMPLE: u8 = 7;

/// What an item begins with. The content of arrays, maps and tags is read by further calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// An integer.
    Integer(Integer),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// An array of so many items.
    Array(usize),
    /// A map of so many pairs.
    Map(usize),
    /// A tag.
    Tag(u64),
    /// False or true.
    Bool(bool),
    /// Null.
    Null,
    /// A float.
    Float(f64),
}

/// Reads items one behind the other. After an error its place is unspecified.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`. Offsets in errors count from there.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes that are not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Passes `count` bytes that the caller has found well-formed.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] when there are not so many.
    pub fn advance(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        self.take(count)
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Fault::Trailing`] when bytes are left.
    #[inline]
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fault(Fault::Trailing)) }
    }

    /// An error at the next byte, for what a caller finds wrong with the content.
    #[inline]
    pub fn fault(&self, fault: Fault) -> DecodeError {
        DecodeError { at: self.at, fault }
    }

    /// The major type of the next item (RFC 8949 §3.1), if there is one.
    #[inline]
    pub fn major(&self) -> Option<u8> {
        self.bytes.get(self.at).map(|first| first >> 5)
    }

    #[inline]
    pub(crate) fn next_byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.rest();
        if count > rest.len() {
            return Err(DecodeError { at: self.bytes.len(), fault: Fault::Truncated });
        }
        self.at += count;
        Ok(&rest[..count])
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((bytes, _)) = self.rest().split_first_chunk::<N>() else {
            return Err(DecodeError { at: self.bytes.len(), fault: Fault::Truncated });
        };
        self.at += N;
        Ok(*bytes)
    }

    /// The argument of a head whose first byte is not read yet. Not for major type 7.
    #[inline]
    fn argument(&mut self) -> Result<(u8, u64), DecodeError> {
        let start = self.at;
        let [first] = self.fixed()?;
        let major = first >> 5;
        let info = first & 0x1f;
        if info < 24 {
            return Ok((major, u64::from(info)));
        }
        let (argument, least) = match info {
            24 => (u64::from(self.fixed::<1>()?[0]), 24),
            25 => (u64::from(u16::from_be_bytes(self.fixed()?)), 0x100),
            26 => (u64::from(u32::from_be_bytes(self.fixed()?)), 0x1_0000),
            27 => (u64::from_be_bytes(self.fixed()?), 0x1_0000_0000),
            31 => return Err(DecodeError { at: start, fault: Fault::Indefinite }),
            _ => return Err(DecodeError { at: start, fault: Fault::Reserved(info) }),
        };
        if argument < least {
            return Err(DecodeError { at: start, fault: Fault::NotShortest });
        }
        Ok((major, argument))
    }

    #[inline]
    fn argument_of(&mut self, major: u8, expected: &'static str) -> Result<u64, DecodeError> {
        match self.major() {
            Some(found) if found == major => Ok(self.argument()?.1),
            Some(_) => Err(self.fault(Fault::Expected(expected))),
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// A count of items, each of which takes at least `each` bytes: more than can follow is refused here, before anybody allocates.
    #[inline]
    fn count(&self, start: usize, argument: u64, each: usize) -> Result<usize, DecodeError> {
        match usize::try_from(argument) {
            Ok(count) if count <= (self.bytes.len() - self.at) / each => Ok(count),
            _ => Err(DecodeError { at: start, fault: Fault::Truncated }),
        }
    }

    /// Reads the next item: a whole scalar, or the head of an array, map or tag.
    ///
    /// # Errors
    ///
    /// Anything that is not deterministic CBOR as the format restricts it.
    pub fn item(&mut self) -> Result<Item<'a>, DecodeError> {
        let start = self.at;
        match self.major() {
            None => Err(self.fault(Fault::Truncated)),
            Some(MAJOR_UNSIGNED | MAJOR_NEGATIVE) => Ok(Item::Integer(self.integer()?)),
            Some(MAJOR_BYTES) => Ok(Item::Bytes(self.bytes()?)),
            Some(MAJOR_TEXT) => Ok(Item::Text(self.text()?)),
            Some(MAJOR_ARRAY) => Ok(Item::Array(self.array()?)),
            Some(MAJOR_MAP) => Ok(Item::Map(self.map()?)),
            Some(MAJOR_TAG) => Ok(Item::Tag(self.tag()?)),
            Some(_) => match self.bytes[start] {
                0xf4 | 0xf5 => Ok(Item::Bool(self.bool()?)),
                0xf6 => {
                    self.null()?;
                    Ok(Item::Null)
                }
                0xf9..=0xfb => Ok(Item::Float(self.float()?.0)),
                _ => Err(self.simple_fault()),
            },
        }
    }

    fn simple_fault(&self) -> DecodeError {
        let fault = match self.next_byte().map(|first| first & 0x1f) {
            None => Fault::Truncated,
            Some(31) => Fault::Indefinite,
            Some(info @ 28..=30) => Fault::Reserved(info),
            Some(24) => match self.bytes.get(self.at + 1) {
                Some(value) => Fault::Simple(*value),
                None => Fault::Truncated,
            },
            Some(info) => Fault::Simple(info),
        };
        self.fault(fault)
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    ///
    /// When the next item is none, or not in the shortest form.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, DecodeError> {
        self.argument_of(MAJOR_UNSIGNED, "an unsigned integer")
    }

    /// Reads an unsigned integer up to `max`; `what` names it in the error.
    ///
    /// # Errors
    ///
    /// As [`Reader::unsigned`], and [`Fault::Range`].
    #[inline]
    pub fn unsigned_up_to(&mut self, max: u64, what: &'static str) -> Result<u64, DecodeError> {
        let start = self.at;
        let value = self.unsigned()?;
        if value > max {
            return Err(DecodeError { at: start, fault: Fault::Range(what) });
        }
        Ok(value)
    }

    /// Reads an integer of the whole range −2^63 … 2^64−1.
    ///
    /// # Errors
    ///
    /// When the next item is none, not in the shortest form or out of range.
    #[inline]
    pub fn integer(&mut self) -> Result<Integer, DecodeError> {
        let start = self.at;
        match self.major() {
            Some(MAJOR_UNSIGNED) => Ok(Integer::from(self.argument()?.1)),
            Some(MAJOR_NEGATIVE) => match i64::try_from(self.argument()?.1) {
                Ok(argument) => Ok(Integer::from(!argument)),
                Err(_) => Err(DecodeError { at: start, fault: Fault::IntegerRange }),
            },
            Some(_) => Err(self.fault(Fault::Expected("an integer"))),
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// Reads an integer within −2^63 … 2^63−1.
    ///
    /// # Errors
    ///
    /// As [`Reader::integer`], and [`Fault::Range`] above 2^63−1.
    #[inline]
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let start = self.at;
        i64::try_from(self.integer()?.get())
            .map_err(|_| DecodeError { at: start, fault: Fault::Range("a signed 64-bit integer") })
    }

    /// Reads a float and gives its width.
    #[inline]
    pub(crate) fn float(&mut self) -> Result<(f64, Width), DecodeError> {
        let start = self.at;
        let not_shortest = DecodeError { at: start, fault: Fault::FloatNotShortest };
        match self.next_byte() {
            Some(0xfb) => {
                let [_, bits @ ..] = self.fixed::<9>()?;
                let value = f64::from_be_bytes(bits);
                // NaN is not equal to itself converted, and is refused apart.
                if f64::from(value as f32) == value || value.is_nan() {
                    return Err(not_shortest);
                }
                Ok((value, Width::Double))
            }
            Some(0xfa) => {
                let [_, bits @ ..] = self.fixed::<5>()?;
                let value = f32::from_be_bytes(bits);
                if value.is_nan() || float::half_bits(value).is_some() {
                    return Err(not_shortest);
                }
                Ok((f64::from(value), Width::Single))
            }
            Some(0xf9) => {
                let [_, bits @ ..] = self.fixed::<3>()?;
                let bits = u16::from_be_bytes(bits);
                let value = float::half_value(bits);
                if value.is_nan() && bits != 0x7e00 {
                    return Err(not_shortest);
                }
                Ok((f64::from(value), Width::Half))
            }
            Some(_) => Err(self.fault(Fault::Expected("a float"))),
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// Reads a float.
    ///
    /// # Errors
    ///
    /// When the next item is none, or not in the shortest form.
    #[inline]
    pub fn float64(&mut self) -> Result<f64, DecodeError> {
        Ok(self.float()?.0)
    }

    /// Reads a byte string.
    ///
    /// # Errors
    ///
    /// When the next item is none, or its length is not in the shortest form or passes the end.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.argument_of(MAJOR_BYTES, "a byte string")?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Reads a byte string of exactly `N` bytes.
    ///
    /// # Errors
    ///
    /// As [`Reader::bytes`], and [`Fault::Range`] when it has another length.
    #[inline]
    pub fn bytes_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let start = self.at;
        self.bytes()?
            .try_into()
            .map_err(|_| DecodeError { at: start, fault: Fault::Range("the length of a byte string") })
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// As [`Reader::bytes`], and [`Fault::Utf8`].
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.argument_of(MAJOR_TEXT, "a text")?;
        let start = self.at;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        std::str::from_utf8(bytes)
            .map_err(|error| DecodeError { at: start + error.valid_up_to(), fault: Fault::Utf8 })
    }

    /// Reads a text of at most `max` bytes; `what` names it in the error.
    ///
    /// # Errors
    ///
    /// As [`Reader::text`], and [`Fault::TooLarge`].
    #[inline]
    pub fn text_up_to(&mut self, max: usize, what: &'static str) -> Result<&'a str, DecodeError> {
        let start = self.at;
        let text = self.text()?;
        if text.len() > max {
            return Err(DecodeError { at: start, fault: Fault::TooLarge { what, max } });
        }
        Ok(text)
    }

    /// Reads the head of an array and gives the number of its items, which is at most the number of bytes that are left.
    ///
    /// # Errors
    ///
    /// When the next item is none, not in the shortest form or longer than the bytes.
    #[inline]
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        let start = self.at;
        let argument = self.argument_of(MAJOR_ARRAY, "an array")?;
        self.count(start, argument, 1)
    }

    /// Reads the head of an array of exactly `length` items; `expected` names it in the error.
    ///
    /// # Errors
    ///
    /// As [`Reader::array`], and [`Fault::Expected`] when it has another length.
    #[inline]
    pub fn array_of(&mut self, length: usize, expected: &'static str) -> Result<(), DecodeError> {
        let start = self.at;
        if self.argument_of(MAJOR_ARRAY, expected)? != length as u64 {
            return Err(DecodeError { at: start, fault: Fault::Expected(expected) });
        }
        Ok(())
    }

    /// Reads the head of a map and gives the number of its pairs. The order of the keys is for the caller to check.
    ///
    /// # Errors
    ///
    /// When the next item is none, not in the shortest form or longer than the bytes.
    #[inline]
    pub fn map(&mut self) -> Result<usize, DecodeError> {
        let start = self.at;
        let argument = self.argument_of(MAJOR_MAP, "a map")?;
        self.count(start, argument, 2)
    }

    /// Reads a tag.
    ///
    /// # Errors
    ///
    /// When the next item is none, or not in the shortest form.
    #[inline]
    pub fn tag(&mut self) -> Result<u64, DecodeError> {
        self.argument_of(MAJOR_TAG, "a tag")
    }

    /// Reads the tag `expected`; `what` names it in the error.
    ///
    /// # Errors
    ///
    /// As [`Reader::tag`], and [`Fault::Tag`] when it is another.
    #[inline]
    pub fn tag_of(&mut self, expected: u64, what: &'static str) -> Result<(), DecodeError> {
        let start = self.at;
        let found = self.argument_of(MAJOR_TAG, what)?;
        if found != expected {
            return Err(DecodeError { at: start, fault: Fault::Tag(found) });
        }
        Ok(())
    }

    /// Reads false or true.
    ///
    /// # Errors
    ///
    /// When the next item is neither.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.next_byte() {
            Some(byte @ (0xf4 | 0xf5)) => {
                self.at += 1;
                Ok(byte == 0xf5)
            }
            Some(_) => Err(self.fault(Fault::Expected("false or true"))),
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// Reads null.
    ///
    /// # Errors
    ///
    /// When the next item is not null.
    #[inline]
    pub fn null(&mut self) -> Result<(), DecodeError> {
        match self.next_byte() {
            Some(0xf6) => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fault(Fault::Expected("null"))),
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// Passes null if that is the next item, and says whether it was.
    #[inline]
    pub fn take_null(&mut self) -> bool {
        let null = self.next_byte() == Some(0xf6);
        self.at += usize::from(null);
        null
    }
}
