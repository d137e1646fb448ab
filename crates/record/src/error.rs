//! Why bytes or parts of a record are refused. Messages carry places, types and bounds, never a value: a value may be a secret or be
//! about a person.

use crate::field_type::FieldType;
use crate::path::Path;

/// Encoded bytes that are not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {fault}")]
pub struct DecodeError {
    /// Offset in the bytes that were given, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with encoded bytes (`docs/formats/record.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end within an item.
    #[error("the bytes end in the middle of an item")]
    Truncated,
    /// Something follows the item.
    #[error("bytes follow where the item should end")]
    Trailing,
    /// A head is longer than its argument needs.
    #[error("length or integer not in the shortest form")]
    NotShortest,
    /// A float is longer than its value needs, or a NaN is not `f97e00`.
    #[error("float not in the shortest form")]
    FloatNotShortest,
    /// Additional information 31.
    #[error("indefinite length")]
    Indefinite,
    /// Additional information 28 to 30.
    #[error("reserved additional information {0}")]
    Reserved(u8),
    /// A simple value other than false, true and null.
    #[error("simple value {0} is not allowed")]
    Simple(u8),
    /// A tag that the format does not use, bignums among them.
    #[error("tag {0} is not allowed here")]
    Tag(u64),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// An integer below −2^63.
    #[error("integer below -2^63")]
    IntegerRange,
    /// Map keys that do not ascend in the bytewise order of their encodings.
    #[error("map keys are not in ascending order")]
    KeyOrder,
    /// A map key that occurs twice.
    #[error("map key occurs twice")]
    KeyTwice,
    /// More lists, maps and tags open at once than allowed.
    #[error("nested deeper than {} levels", crate::limits::NESTING_MAX)]
    TooDeep,
    /// An item of another kind is needed.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A number or a length is outside of its range.
    #[error("{0} out of range")]
    Range(&'static str),
    /// Content that does not hold together.
    #[error("{0}")]
    Content(&'static str),
    /// More bytes or entries than a limit allows.
    #[error("{what} exceeds {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// A value that does not fit the field that it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {path} of type `{field_type}`: {source}")]
pub struct FieldError {
    /// The field.
    pub path: Path,
    /// Its type.
    pub field_type: FieldType,
    /// What is wrong, with the offset within the value.
    pub source: DecodeError,
}

/// Values that do not fit a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// One of them does not fit its field.
    #[error(transparent)]
    Field(#[from] Box<FieldError>),
    /// Not one value for each field.
    #[error("{values} values for {fields} fields")]
    Count {
        /// Fields of the schema.
        fields: usize,
        /// Values given; counting stops at one too many.
        values: usize,
    },
    /// Bytes after the last value.
    #[error("{0} bytes follow the last value")]
    Trailing(usize),
    /// All values together exceed [`crate::limits::VALUES_BYTES_MAX`].
    #[error("the values take more than {} bytes", crate::limits::VALUES_BYTES_MAX)]
    TooLarge,
}

/// A path outside of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No text, or more than [`crate::limits::PATH_PARTS_MAX`].
    #[error("a path has 1 to {max} texts, not {0}", max = crate::limits::PATH_PARTS_MAX)]
    Parts(usize),
    /// A text is too long.
    #[error("a text of a path has at most {max} bytes, not {0}", max = crate::limits::PATH_PART_BYTES_MAX)]
    PartBytes(usize),
    /// The first text is empty.
    #[error("the first text of a path is empty")]
    Empty,
}

/// A schema that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A path occurs twice.
    #[error("path {0} occurs twice")]
    Duplicate(Path),
    /// Too many fields.
    #[error("a schema has at most {max} fields, not {0}", max = crate::limits::FIELDS_MAX)]
    Fields(usize),
    /// Too many bytes.
    #[error("an encoded schema has at most {max} bytes, not {0}", max = crate::limits::SCHEMA_BYTES_MAX)]
    Bytes(usize),
    /// A system field with another type than its own, or a type of the system elsewhere.
    #[error("field {path} cannot have the type `{field_type}`")]
    Type {
        /// The field.
        path: Path,
        /// The type that was given.
        field_type: FieldType,
    },
    /// A type that there is not.
    #[error("field {place}: {source}")]
    UnknownType {
        /// Place in the schema, from 0.
        place: usize,
        /// What is wrong with it.
        source: UnknownType,
    },
    /// Bytes that are no schema.
    #[error("the schema is malformed {0}")]
    Decode(#[from] DecodeError),
}

/// Text that names no type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown type of a field")]
pub struct UnknownType;

/// A part of a header or a value outside of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// Not a number from 1 to 2^63−1.
    #[error("a number from 1 to 2^63-1 is needed")]
    Number,
    /// Not `[a-z][a-z0-9-]{{0,31}}`.
    #[error("a class is `[a-z][a-z0-9-]{{0,31}}`")]
    Class,
    /// Not a UUIDv7.
    #[error("not a UUID of version 7")]
    RecordId,
    /// Not the id of a producer.
    #[error("a producer is 32 hex digits")]
    Producer,
    /// Not a kind.
    #[error("unknown kind")]
    Kind,
    /// An integer outside of −2^63 … 2^64−1.
    #[error("an integer lies in -2^63 to 2^64-1")]
    Integer,
    /// Nanoseconds outside of 0 … 999,999,999.
    #[error("nanoseconds lie in 0 to 999,999,999")]
    Nanoseconds,
    /// Not a name of a time zone.
    #[error("not the name of a time zone")]
    Zone,
}

/// A disclosure that cannot be made, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    /// The bytes are no disclosure.
    #[error("the disclosure is malformed {0}")]
    Decode(#[from] DecodeError),
    /// Its schema cannot be.
    #[error("the disclosure's schema: {0}")]
    Schema(#[from] SchemaError),
    /// Not one entry for each field.
    #[error("{entries} entries for {fields} fields")]
    Count {
        /// Fields of the schema.
        fields: usize,
        /// Entries found.
        entries: usize,
    },
    /// A shown value does not fit its field.
    #[error(transparent)]
    Values(#[from] ValuesError),
}
