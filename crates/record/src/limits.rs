//! Every bound of the record format, with its reason (`docs/formats/record.md`, "Limits").

/// One encoded value, in bytes. Larger content is a blob, stored beside.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// All encoded values of a record together, in bytes: a record is one frame of a spool and one block of a segment.
pub const VALUES_BYTES_MAX: usize = 1 << 20;

/// Fields of a schema. Wider inputs are tensors.
pub const FIELDS_MAX: usize = 16_384;

/// An encoded schema, in bytes: it is stored once per segment.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// Texts of a path: deeper structure is a map.
pub const PATH_PARTS_MAX: usize = 8;

/// One text of a path, in bytes: the longest names of columns in common databases have 255.
pub const PATH_PART_BYTES_MAX: usize = 256;

/// Lists, maps and tags open at once within one value: bounds the stack of every reader.
pub const NESTING_MAX: usize = 16;

/// Dimensions of a tensor: what `NumPy` allows, halved, and more than any model takes.
pub const DIMENSIONS_MAX: usize = 32;

/// Subjects of a record: each has a key of its own, and each multiplies the cost of erasure.
pub const SUBJECTS_MAX: usize = 64;

/// One subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 512;

/// Links of a record: a window names its decisions by ranges, not by links.
pub const LINKS_MAX: usize = 1_024;

/// The name of a time zone, in bytes. The longest IANA name has 32.
pub const ZONE_BYTES_MAX: usize = 64;

/// Characters or bytes that a truncation may keep: what is longer is not much of a truncation.
pub const TRUNCATED_LENGTH_MAX: u32 = 65_535;

/// Edges of buckets: they stand in the schema, and people read them.
pub const BUCKET_EDGES_MAX: usize = 64;

/// A number in the type of buckets, in bytes: the longest double below 2^53 takes 24, with its sign and point.
pub const BUCKET_NUMBER_BYTES_MAX: usize = 24;

/// The name of a retention class, in bytes: it fits its entry in a spool's table.
pub const CLASS_BYTES_MAX: usize = 32;

/// Largest number of an epoch or of a record within one, so that it fits a signed column of any database.
pub const NUMBER_MAX: u64 = i64::MAX as u64;

/// An encoded header, in bytes: the map with every entry at its longest.
pub const HEADER_BYTES_MAX: usize = 96;

/// An encoded preimage, in bytes: array, tag, the longest header and two digests.
pub const PREIMAGE_BYTES_MAX: usize = 1 + 20 + HEADER_BYTES_MAX + 2 * 34;

/// An encoded disclosure, in bytes: header, schema, values, and a salt or a digest with its heads for each field.
pub const DISCLOSURE_BYTES_MAX: usize =
    64 + HEADER_BYTES_MAX + SCHEMA_BYTES_MAX + VALUES_BYTES_MAX + 34 * FIELDS_MAX;
