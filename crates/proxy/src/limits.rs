//! Bounds of the proxy, each with its reason.

use std::time::Duration;

/// Bytes of a body that are kept for its record. A record holds 1 MiB of values, and JSON of numbers is up to eight times what is stored of it; a
/// larger body passes, and its digest and length are recorded.
pub const BODY_BYTES_KEPT: usize = 8 << 20;

/// Bytes that a compressed body may unpack to for its record: what a bomb can take of the memory.
pub const BODY_BYTES_UNPACKED: usize = 16 << 20;

/// Bytes of all bodies that are kept at once. What comes while so much is kept is recorded by digest and length.
pub const BYTES_KEPT: usize = 256 << 20;

/// Calls that have ended and wait for the thread that records: some seconds of work. Further ones are told as lost.
pub const CALLS_WAITING: usize = 8_192;

/// Connections at once: each takes two descriptors and some kilobytes. Further ones wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Idle connections to the upstream that are kept.
pub const IDLE_CONNECTIONS: usize = 256;

/// How long an idle connection to the upstream is used again. Model servers close theirs after two seconds (gunicorn) or five (uvicorn): a request
/// that meets the close would fail.
pub const IDLE_WAIT: Duration = Duration::from_millis(1_500);

/// How long the upstream has to take a connection.
pub const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long the upstream has for the head of its answer unless the options say otherwise: what clients of language models wait.
pub const ANSWER_WAIT: Duration = Duration::from_secs(600);

/// How long a client has for the head of a request, from when it is awaited: as long as others keep a connection that is idle.
pub const HEAD_WAIT: Duration = Duration::from_secs(75);

/// How long a client may take nothing of an answer that waits, or of another protocol's bytes: as long as it may be idle.
pub const TAKING_WAIT: Duration = Duration::from_secs(75);

/// Bytes of the head of a request or an answer: twice what others allow.
pub const HEAD_BYTES_MAX: usize = 128 << 10;

/// How long calls under way have when the proxy ends.
pub const LAST_CALLS: Duration = Duration::from_secs(30);

/// Ids in the header of an answer: 64 are 2.4 KiB, and proxies cut headers at 4 KiB or 8 KiB.
pub const IDS_TOLD: usize = 64;

/// Between two tries to record again after the spool failed or was full: each draws a number, which is lost when there is no room.
pub const RETRY: Duration = Duration::from_secs(1);

/// Content encodings of one body: servers apply one, and each costs as much as unpacking the whole.
pub const CODINGS_MAX: usize = 4;

/// Characters of a subject or actor that a header names: as many bytes as a subject may have.
pub const NAME_BYTES_MAX: usize = 512;

/// Characters of a path that are recorded: longer ones carry data, which belongs in bodies.
pub const PATH_BYTES_MAX: usize = 1_024;
