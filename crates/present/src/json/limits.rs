//! Bounds of what is kept while records in JSON are read, each with its reason.

/// Shapes (schema and model) kept by a reader of records: a stream has a few; one that makes a new one in
/// each line must not fill the memory. A shape takes some kilobytes.
pub const SHAPES_CACHED: usize = 1_024;
