//! Bounds of what is read from others, each with its reason.

/// Rows of one call: as many decisions are made of it. Larger batches are jobs, not requests, and come as files.
pub const ROWS_MAX: usize = 10_000;

/// Columns of a matrix that become fields of their own. Wider ones are embeddings and pictures, whose columns nobody asks for by name.
pub const COLUMNS_MAX: usize = 256;

/// Lists and maps within each other that stay so: a record has 16, and some are around these. What is deeper becomes text.
pub const NESTING_MAX: usize = 12;

/// Tensors of one side of a call: models have some hundred columns.
pub const TENSORS_MAX: usize = 4_096;

/// Choices of one answer of a language model: services give at most 128.
pub const CHOICES_MAX: usize = 128;

/// Calls of tools in one choice: services allow 128 tools, and a stream names each by a number that could be any.
pub const TOOL_CALLS_MAX: usize = 256;

/// Calls that one mapping file tells about: a service has some dozens.
pub const MAPPED_CALLS_MAX: usize = 256;
