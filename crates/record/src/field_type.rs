//! The type of a field (`docs/formats/record.md`, "Values and types"): what a value alone does not say, such as that 1 was an `i64`.

use std::fmt;
use std::str::FromStr;

use crate::error::{PartError, UnknownType};
use crate::limits::ZONE_BYTES_MAX;
use crate::redaction::{Buckets, KeyId, Truncation};

/// The type of a field. Parsed from its text and printed as it exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Null only.
    Null,
    /// False or true.
    Bool,
    /// An integer of one of eight widths.
    Integer(IntegerType),
    /// A half float.
    F16,
    /// A single float.
    F32,
    /// A double float.
    F64,
    /// A decimal fraction.
    Decimal,
    /// Text.
    Text,
    /// The label of a category of a data frame.
    Category,
    /// Bytes.
    Bytes,
    /// An instant, with the zone in which it was told, if any.
    Timestamp(Option<Zone>),
    /// A naive local time, counted as if it were UTC.
    DateTime,
    /// A day.
    Date,
    /// A span of time.
    Duration,
    /// A list of values.
    List,
    /// A map from text to values.
    Map,
    /// A tensor of one kind of elements.
    Tensor(Element),
    /// Large content stored beside.
    Blob,
    /// The system field `event`.
    Event,
    /// The system field `model`.
    Model,
    /// The system field `explanation / attributions`.
    Attributions,
    /// The system field `explanation / meta`.
    Explanation,
    /// The system field `subject`.
    Subject,
    /// Left out at the source: null only.
    Dropped,
    /// HMAC-SHA-256 of the value that was there, under the key of this id.
    Hashed(KeyId),
    /// The beginning of the value that was there.
    Truncated(Truncation),
    /// The bucket of the number that was there.
    Bucketed(Buckets),
}

/// The width of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say all")]
pub enum IntegerType {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// What a tensor holds. The bytes are little-endian (RFC 8746 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say all")]
pub enum Element {
    /// A byte 0 or 1.
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

/// The IANA name of a time zone: texts of ASCII letters, digits, `_`, `+` and `-`, joined by `/`; at most 64 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(Box<str>);

impl Zone {
    /// A zone of this name. Whether the name is in a database of zones is not looked up.
    ///
    /// # Errors
    ///
    /// [`PartError::Zone`] when it has not the form of a name.
    pub fn new(name: &str) -> Result<Self, PartError> {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-'))
        };
        if name.len() <= ZONE_BYTES_MAX && name.split('/').all(part) {
            Ok(Self(name.into()))
        } else {
            Err(PartError::Zone)
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl IntegerType {
    /// The smallest and the largest integer.
    #[inline]
    pub const fn range(self) -> (i128, i128) {
        match self {
            Self::I8 => (i8::MIN as i128, i8::MAX as i128),
            Self::I16 => (i16::MIN as i128, i16::MAX as i128),
            Self::I32 => (i32::MIN as i128, i32::MAX as i128),
            Self::I64 => (i64::MIN as i128, i64::MAX as i128),
            Self::U8 => (0, u8::MAX as i128),
            Self::U16 => (0, u16::MAX as i128),
            Self::U32 => (0, u32::MAX as i128),
            Self::U64 => (0, u64::MAX as i128),
        }
    }

    /// Its text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        }
    }
}

impl Element {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Bool,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F16,
        Self::F32,
        Self::F64,
    ];

    /// The CBOR tag of a typed array of it. `bool` and `u8` share one.
    pub const fn tag(self) -> u64 {
        match self {
            Self::Bool | Self::U8 => 64,
            Self::U16 => 69,
            Self::U32 => 70,
            Self::U64 => 71,
            Self::I8 => 72,
            Self::I16 => 77,
            Self::I32 => 78,
            Self::I64 => 79,
            Self::F16 => 84,
            Self::F32 => 85,
            Self::F64 => 86,
        }
    }

    /// The element of a tag; `u8` for 64.
    pub const fn from_tag(tag: u64) -> Option<Self> {
        Some(match tag {
            64 => Self::U8,
            69 => Self::U16,
            70 => Self::U32,
            71 => Self::U64,
            72 => Self::I8,
            77 => Self::I16,
            78 => Self::I32,
            79 => Self::I64,
            84 => Self::F16,
            85 => Self::F32,
            86 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Its text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

impl FromStr for Element {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        Self::ALL.into_iter().find(|element| element.name() == text).ok_or(UnknownType)
    }
}

/// The types that are one word each.
const WORDS: [FieldType; 30] = {
    use FieldType as T;
    [
        T::Null,
        T::Bool,
        T::Integer(IntegerType::I8),
        T::Integer(IntegerType::I16),
        T::Integer(IntegerType::I32),
        T::Integer(IntegerType::I64),
        T::Integer(IntegerType::U8),
        T::Integer(IntegerType::U16),
        T::Integer(IntegerType::U32),
        T::Integer(IntegerType::U64),
        T::F16,
        T::F32,
        T::F64,
        T::Decimal,
        T::Text,
        T::Category,
        T::Bytes,
        T::Timestamp(None),
        T::DateTime,
        T::Date,
        T::Duration,
        T::List,
        T::Map,
        T::Blob,
        T::Event,
        T::Model,
        T::Attributions,
        T::Explanation,
        T::Subject,
        T::Dropped,
    ]
};

impl FromStr for FieldType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        match text.split_once('/') {
            Some(("hashed", key)) => key.parse().map(Self::Hashed),
            Some(("truncated", rest)) => Truncation::parse(rest, Self::unredacted).map(Self::Truncated),
            Some(("bucketed", rest)) => Buckets::parse(rest).map(Self::Bucketed),
            _ => Self::unredacted(text),
        }
    }
}

impl FieldType {
    fn unredacted(text: &str) -> Result<Self, UnknownType> {
        if let Some(zone) = text.strip_prefix("timestamp/") {
            return Zone::new(zone).map(|zone| Self::Timestamp(Some(zone))).map_err(|_| UnknownType);
        }
        if let Some(element) = text.strip_prefix("tensor/") {
            return element.parse().map(Self::Tensor);
        }
        WORDS.iter().find(|found| found.word() == text).cloned().ok_or(UnknownType)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(Some(zone)) => write!(f, "timestamp/{}", zone.0),
            Self::Tensor(element) => write!(f, "tensor/{}", element.name()),
            Self::Hashed(key) => write!(f, "hashed/{key}"),
            Self::Truncated(truncation) => truncation.fmt(f),
            Self::Bucketed(buckets) => buckets.fmt(f),
            other => f.write_str(other.word()),
        }
    }
}

impl FieldType {
    /// Whether a field of this type holds less than its decision saw: it was redacted at the source.
    pub fn is_redacted(&self) -> bool {
        matches!(self, Self::Dropped | Self::Hashed(_) | Self::Truncated(_) | Self::Bucketed(_))
    }

    /// The text before a slash, if there is one.
    fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Integer(width) => width.name(),
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Category => "category",
            Self::Bytes => "bytes",
            Self::Timestamp(_) => "timestamp",
            Self::DateTime => "datetime",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Map => "map",
            Self::Tensor(_) => "tensor",
            Self::Blob => "blob",
            Self::Event => "event",
            Self::Model => "model",
            Self::Attributions => "attributions",
            Self::Explanation => "explanation",
            Self::Subject => "subject",
            Self::Dropped => "dropped",
            Self::Hashed(_) => "hashed",
            Self::Truncated(_) => "truncated",
            Self::Bucketed(_) => "bucketed",
        }
    }
}
