//! Bounds of what is read from others, each with its reason.

/// Rows of one call: as many decisions are made of it. Larger batches are jobs, not requests, and come as files.
pub const ROWS_MAX: usize = 10_000;

/// Columns of a matrix that become fields of their own. Wider ones are embeddings and pictures, whose columns nobody asks for by name.
pub const COLUMNS_MAX: usize = 256;

/// Lists and maps within each other that stay so: a record has 16, and some are around these. What is deeper becomes text.
pub const NESTING_MAX: usize = 12;

/// Tensors of one side of a call: models have some hundred columns.
pub const TENSORS_MAX: usize = 4_096;
