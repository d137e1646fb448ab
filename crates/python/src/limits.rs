//! Bounds of the binding, each with its reason.

use std::time::Duration;

/// Layouts of a model that are kept: a model has a handful, and one that makes up names as it goes must not fill the memory.
pub const LAYOUTS_KEPT: usize = 256;

/// Layouts that are tried in turn before the fields are looked at one by one: optional fields make a few patterns.
pub const LAYOUTS_TRIED: usize = 4;

/// Scratch memory that a thread keeps between records.
pub const SCRATCH_BYTES_KEPT: usize = 64 << 10;

/// Between two looks for room while a call blocks.
pub const ROOM_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lists within lists that are followed; the record allows 16 levels.
pub const DEPTH_MAX: usize = 16;

/// Rows of one batch: its numbers are all in flight at once.
pub const BATCH_ROWS_MAX: usize = 1 << 24;
