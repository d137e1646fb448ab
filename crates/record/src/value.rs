//! A value of a field, or within one, in memory (`docs/formats/record.md`, "Values and types").

pub(crate) mod read;
mod write;

use crate::error::{DecodeError, Fault, PartError};
use crate::field_type::{Element, FieldType, IntegerType};

/// An integer within −2^63 … 2^64−1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integer(i128);

impl Integer {
    /// This integer.
    ///
    /// # Errors
    ///
    /// [`PartError::Integer`] outside of the range.
    pub const fn new(value: i128) -> Result<Self, PartError> {
        if value >= i64::MIN as i128 && value <= u64::MAX as i128 {
            Ok(Self(value))
        } else {
            Err(PartError::Integer)
        }
    }

    /// The integer.
    #[inline]
    pub const fn get(self) -> i128 {
        self.0
    }
}

macro_rules! integer_from {
    ($($from:ty)*) => {$(
        impl From<$from> for Integer {
            #[inline]
            fn from(value: $from) -> Self {
                Self(i128::from(value))
            }
        }
    )*};
}

integer_from!(i8 i16 i32 i64 u8 u16 u32 u64);

impl TryFrom<i128> for Integer {
    type Error = PartError;

    fn try_from(value: i128) -> Result<Self, PartError> {
        Self::new(value)
    }
}

impl std::fmt::Debug for Integer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

impl std::fmt::Display for Integer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// A value. Two values are equal when their encodings are: all NaNs are one, 0.0 and −0.0 are two.
#[derive(Debug, Clone)]
pub enum Value {
    /// Missing.
    Null,
    /// False or true.
    Bool(bool),
    /// An integer.
    Integer(Integer),
    /// A float, of whatever width.
    Float(f64),
    /// A decimal fraction: mantissa × 10^exponent.
    Decimal {
        /// The power of ten.
        exponent: i32,
        /// What is multiplied by it.
        mantissa: Integer,
    },
    /// Text, or the label of a category.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An instant, or a naive time as if it were UTC.
    Timestamp(Seconds),
    /// Days since 1970-01-01.
    Date(i32),
    /// A span of time.
    Duration(Seconds),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Map),
    /// A tensor.
    Tensor(Tensor),
    /// Large content stored beside.
    Blob(Blob),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        self.write(&mut a);
        other.write(&mut b);
        a == b
    }
}

impl Eq for Value {}

/// Seconds and nanoseconds: since 1970-01-01T00:00Z, or of a duration. −0.5 s is −1 s and 500,000,000 ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds {
    seconds: i64,
    nanoseconds: u32,
}

impl Seconds {
    /// So many seconds, and nanoseconds on top.
    ///
    /// # Errors
    ///
    /// [`PartError::Nanoseconds`] outside of 0 … 999,999,999.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Result<Self, PartError> {
        if nanoseconds < 1_000_000_000 {
            Ok(Self { seconds, nanoseconds })
        } else {
            Err(PartError::Nanoseconds)
        }
    }

    /// From nanoseconds alone.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self {
            seconds: nanoseconds.div_euclid(1_000_000_000),
            nanoseconds: nanoseconds.rem_euclid(1_000_000_000) as u32,
        }
    }

    /// Whole seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds on top, 0 … 999,999,999.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

/// A map from text to values, in the order of the encoded keys: shorter keys first, then bytewise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// A map of these pairs, in whatever order.
    ///
    /// # Errors
    ///
    /// Gives the key back that occurs twice.
    pub fn new(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Self, String> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        match pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            Some(two) => Err(two[0].0.clone()),
            None => Ok(Self(pairs)),
        }
    }

    /// The pairs, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found =
            self.0.binary_search_by(|(other, _)| (other.len(), other.as_str()).cmp(&(key.len(), key)));
        found.ok().map(|place| &self.0[place].1)
    }

    /// How many pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A tensor, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// What it holds.
    pub element: Element,
    /// Its dimensions, 0 to 32. Their product times the size of an element is the length of the data.
    pub shape: Vec<u64>,
    /// The elements, little-endian.
    pub data: Vec<u8>,
}

/// A reference to large content that is stored beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Media type of the content.
    pub media_type: String,
    /// Length of the clear content in bytes.
    pub length: u64,
    /// The blob's id.
    pub id: [u8; 16],
    /// SHA-256 of the clear content.
    pub digest: [u8; 32],
}

impl Value {
    /// Appends the encoding to `out`, after checking it against the type of the field that it is for.
    ///
    /// # Errors
    ///
    /// When the value does not fit; `out` is then as before.
    pub fn encode(&self, field_type: &FieldType, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let start = out.len();
        self.write(out);
        let checked = crate::check::check(field_type, &out[start..]);
        let element_fits = match (field_type, self) {
            // The encodings of the two are the same, so only the value itself can tell.
            (FieldType::Tensor(element), Self::Tensor(tensor)) => *element == tensor.element,
            _ => true,
        };
        let checked = checked.and_then(|length| match element_fits {
            true => Ok(length),
            false => Err(DecodeError { at: 0, fault: Fault::Expected("a tensor of the field's elements") }),
        });
        if let Err(error) = checked {
            out.truncate(start);
            return Err(error);
        }
        Ok(())
    }

    /// Decodes a value of a field that fills `bytes`.
    ///
    /// # Errors
    ///
    /// When it does not fit the type, or bytes follow.
    pub fn decode(field_type: &FieldType, bytes: &[u8]) -> Result<Self, DecodeError> {
        let length = crate::check::check(field_type, bytes)?;
        if length != bytes.len() {
            return Err(DecodeError { at: length, fault: Fault::Trailing });
        }
        let mut value = read::any(&mut crate::cbor::Reader::new(bytes), 0)?;
        if let (FieldType::Tensor(element), Self::Tensor(tensor)) = (field_type, &mut value) {
            tensor.element = *element;
        }
        Ok(value)
    }

    /// The type that says no more than the value itself: `i64`, or `u64` above 2^63−1; `f64`; `text`; `timestamp` without a zone.
    pub fn natural_type(&self) -> FieldType {
        match self {
            Self::Null => FieldType::Null,
            Self::Bool(_) => FieldType::Bool,
            Self::Integer(value) if i64::try_from(value.get()).is_err() => {
                FieldType::Integer(IntegerType::U64)
            }
            Self::Integer(_) => FieldType::Integer(IntegerType::I64),
            Self::Float(_) => FieldType::F64,
            Self::Decimal { .. } => FieldType::Decimal,
            Self::Text(_) => FieldType::Text,
            Self::Bytes(_) => FieldType::Bytes,
            Self::Timestamp(_) => FieldType::Timestamp(None),
            Self::Date(_) => FieldType::Date,
            Self::Duration(_) => FieldType::Duration,
            Self::List(_) => FieldType::List,
            Self::Map(_) => FieldType::Map,
            Self::Tensor(tensor) => FieldType::Tensor(tensor.element),
            Self::Blob(_) => FieldType::Blob,
        }
    }
}
