//! Bounds of what is read from others, each with its reason.

use std::time::Duration;

/// Rows of one call: as many decisions are made of it. Larger batches are jobs, not requests, and come as files.
pub const ROWS_MAX: usize = 10_000;

/// Bytes that the records of one call may have in common, all rows together: parameters of a megabyte and ten thousand rows would be ten gigabytes.
pub const CALL_BYTES_MAX: usize = 64 << 20;

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
/// Events of one request: a batch of a broker has some hundred.
pub const EVENTS_MAX: usize = 1_000;

/// One attribute of an event, in bytes. The longest are lists of a request's headers.
pub const ATTRIBUTE_BYTES_MAX: usize = 16 << 10;

/// How long one half of a call waits for the other, and how long a call is known again when it is delivered twice. Models answer within seconds,
/// large ones within a minute; what waits is in memory only.
pub const HALVES_WAIT: Duration = Duration::from_secs(120);

/// Halves that wait and calls that are known again: at 800 calls a second it is as many as come in [`HALVES_WAIT`].
pub const HALVES_MAX: usize = 100_000;

/// Bytes of all halves that wait.
pub const HALVES_BYTES_MAX: usize = 128 << 20;

/// Halves of calls of a file that wait for their others: files of inputs and of outputs are read one after the other.
pub const CAPTURED_MAX: usize = 4_000_000;

/// Bytes of the halves of a file that wait, about. Beyond that the oldest are recorded alone.
pub const CAPTURED_BYTES_MAX: usize = 1 << 30;

/// The window of what zstd packed, as a power of two: 8 MiB, which every reader should have (RFC 8878, section 3.1.1.1.2).
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// What a message of OpenTelemetry may take in memory once it is read, in bytes: eight times the largest body. One with attributes of forty bytes,
/// as instrumentations write them, takes about five times its bytes; one made of nothing but empty messages a hundred times.
pub const MESSAGE_MEMORY_MAX: usize = 256 << 20;

/// A name that a sender gives of itself, in bytes: each record of a request has it.
pub const SENDER_NAME_BYTES_MAX: usize = 1 << 10;
