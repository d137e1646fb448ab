//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Columns of a table: a plan over more takes longer than the query. What comes beyond stands in the column `more`, as JSON.
pub const COLUMNS_MAX: usize = 2_000;

/// Levels of a map whose members become columns; what is deeper stands as JSON.
pub const MAP_LEVELS_MAX: usize = 4;

/// Rows in memory after which they become files. A row group of each busy table, and what a restart has to read again: some seconds.
pub const TAIL_ROWS_MAX: usize = 262_144;

/// Bytes in memory after which they become files.
pub const TAIL_BYTES_MAX: usize = 192 << 20;

/// Rows that are worth files when the index is closed: fewer are read again sooner than they are written.
pub const CLOSE_ROWS_MIN: usize = 8_192;

/// Batches of a table's tail that are joined into one: each costs a query some microseconds.
pub const TAIL_BATCHES: usize = 32;

/// Rows of a Parquet row group: what is skipped or read as one.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// Files of one tier that are joined into one of the next.
pub const TIER_FILES: usize = 8;

/// Rows of a file that is not joined any more: some 350 MB of a wide table.
pub const FILE_ROWS_MAX: u64 = 2_097_152;

/// Records that are taken into the index between two looks at whether somebody waits.
pub const ROUND_RECORDS: usize = 32_768;

/// Bytes of footers that stay in memory.
pub const FOOTER_BYTES_MAX: usize = 128 << 20;

/// Memory of all queries together.
pub const QUERY_BYTES: usize = 1 << 30;

/// Longest time of one query.
pub const QUERY_TIME: Duration = Duration::from_secs(60);

/// Rows of a search's answer.
pub const SEARCH_ROWS_MAX: usize = 100_000;

/// Rows that are held against evidence at once: each is read from its segment.
pub const PROVEN_ROWS_MAX: usize = 1_000;

/// Models that a search without a model looks through.
pub const SEARCH_MODELS_MAX: usize = 64;

/// Bytes of a question's text: deeper ones cost the parser its stack.
pub const QUESTION_BYTES_MAX: usize = 64 << 10;

/// How many times as long a question may make the values that it works on. Its batches have so many times fewer rows.
pub const GROWTH_MAX: u64 = 64;

/// Bytes of a question's texts and numbers that count as one value more: each may become one of every row.
pub const LITERAL_OF_ONE: u64 = 256;

/// Calls of functions that count as one value more: each makes a column.
pub const CALLS_OF_ONE: u64 = 32;

/// Rows that a query works on at once, when it does not make them longer.
pub const BATCH_ROWS: usize = 8_192;

/// Bytes of an answer that is held in memory.
pub const ANSWER_BYTES_MAX: usize = 512 << 20;

/// Values of a facet.
pub const FACET_VALUES_MAX: usize = 1_000;

/// Bars of a histogram over time.
pub const BARS_MAX: usize = 1_000;
