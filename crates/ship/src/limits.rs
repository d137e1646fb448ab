//! Bounds of the shipper, each with its reason.

use std::time::Duration;

/// Bytes of frames in a request, unless one frame is larger: with a frame of 1.25 MiB it stays within the 2 MiB that a server takes.
pub(crate) const PIECE_BYTES: usize = 512 << 10;

/// Between two looks whether a process has handed anything over. One that waits for it wakes the shipper.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Between two looks for processes that began.
pub(crate) const DISCOVER_PERIOD: Duration = Duration::from_millis(250);

/// Between two questions whether the engine asks for anything, when nothing is sent: it waits three seconds for an answer.
pub(crate) const CONTACT_PERIOD: Duration = Duration::from_secs(1);

/// Between two copies of an epoch's counters: 64 KiB each, and they only tell an operator how it goes.
pub(crate) const COUNTERS_PERIOD: Duration = Duration::from_secs(10);

/// For a server to accept a connection.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// For an answer: the server flushes its disk three times.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// The same while others wait to know which trail it is.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Bytes of an answer: some hundred are expected.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Between a failed request and the next one, at first; doubled with each failure.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);

/// The same at most: a server that was away for an hour is found soon after.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(5);

/// How long a server is believed that says when to come again: its limits may be changed meanwhile.
pub(crate) const LATER_MAX: Duration = Duration::from_secs(60);

/// How long requests have to fail before who waits is told: a server that is started anew is back by then. From then on they are told at once: a
/// service must not wait for a server that is known to be away.
pub(crate) const FAILURE_GRACE: Duration = Duration::from_secs(3);

/// Files of a line or a few.
pub(crate) const FILE_BYTES_MAX: u64 = 16 << 10;

/// Bytes of a line on the shipper's socket.
pub(crate) const LINE_BYTES_MAX: u64 = 256;

/// How long whoever connects to the socket has for its line.
pub(crate) const LINE_WAIT: Duration = Duration::from_secs(5);

/// Bytes of a path that fit into a socket's address with the zero behind them (unix(7), `sun_path`).
pub(crate) const SOCKET_PATH_BYTES: usize = 107;
