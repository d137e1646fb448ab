//! Bounds of what is kept while records in JSON are read, each with its reason.

/// Shapes (schema and model) kept by a reader of records: a stream has a few; one that makes a new one in
/// each line must not fill the memory. A shape takes some kilobytes.
pub const SHAPES_CACHED: usize = 1_024;

/// What the values of one JSON text may take in memory besides their texts, in bytes: eight times the largest body that a server takes. Records as
/// they are sent take four to five times their bytes, numbers of eight digits seven times; a text of nothing but brackets fifty times.
pub const TREE_MEMORY_MAX: usize = 256 << 20;

/// What a byte of JSON takes at most, so that shorter texts need not be looked at: `[0],` takes 200 bytes, `{"":{"":` as much.
pub const TREE_MEMORY_PER_BYTE: usize = 256;
