//! Bounds of the engine process, each with its reason.

use std::time::Duration;

/// Between two rounds of sealing: what is handed over is in the log soon, and a segment holds more than a few records.
pub(crate) const SEAL_PERIOD: Duration = Duration::from_secs(1);

/// Between a failed round and the next one, at first; doubled with each failure.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The same at most: a disk that was full has room again some time, and then producers should not wait long.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

/// Requests to seal that one sealing answers together.
pub(crate) const ASKED_AT_ONCE: usize = 1_024;

/// Between two looks at what happens around: connections, folder, the size of the log file.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Bytes of `tmp/engine.log` after which it is begun anew: a failure that goes on for months must not fill the disk.
pub(crate) const LOG_BYTES_MAX: u64 = 4 << 20;

/// How long the answers that are on their way have when the engine ends; sealing itself takes the time that it takes.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long an engine has to say who it is. It answers without looking at a disk.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How long to wait for somebody who has the lock and does not listen: an engine that begins or ends, or a command that seals.
pub(crate) const HOLDER_WAIT: Duration = Duration::from_secs(10);

/// How long an engine of another version has to seal what there is and to end.
pub(crate) const REPLACE_WAIT: Duration = Duration::from_secs(30);

/// Between two looks for a lock or a socket.
pub(crate) const WAIT_STEP: Duration = Duration::from_millis(20);

/// Bytes of a path that fit into a socket's address with the zero behind them (unix(7), `sun_path`).
pub(crate) const SOCKET_PATH_BYTES: usize = 107;

/// Records of a listing that does not say how many.
pub(crate) const LIST_RECORDS: usize = 20;

/// Records of one listing at most: who wants more asks by time.
pub(crate) const LIST_RECORDS_MAX: usize = 10_000;

/// Bytes of one listing at most: it is in memory whole, and beside others.
pub(crate) const LIST_BYTES_MAX: usize = 64 << 20;

/// Columns of a page at least: with fewer the names of fields have no room.
pub(crate) const PAGE_COLUMNS_MIN: usize = 40;

/// Bytes of an engine's answer that a client takes: none of those that it asks for is larger than some kilobytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Windows in an answer: a week by the minute, some hundred features each at most.
pub(crate) const STATS_WINDOWS_MAX: usize = 10_080;

/// Quantiles of each feature in an answer.
pub(crate) const STATS_QUANTILES_MAX: usize = 101;

/// Bars of each feature's histogram in an answer.
pub(crate) const STATS_BINS_MAX: usize = 1_000;

/// Frequent values of each feature in an answer: as many as a window keeps.
pub(crate) const STATS_VALUES_MAX: usize = 64;

/// Between two looks of the index for what was sealed, when no round of sealing says so.
pub(crate) const INDEX_PERIOD: Duration = Duration::from_secs(1);

/// Rows of a search that does not say how many.
pub(crate) const SEARCH_ROWS: usize = 100;

/// Rows of an answer in JSON, which is held in memory; an Arrow stream is not.
pub(crate) const JSON_ROWS_MAX: usize = 100_000;

/// Bytes of rows that a client takes: what an engine holds in memory for one answer, in Arrow's form.
pub(crate) const ROWS_BYTES_MAX: usize = 1 << 30;
