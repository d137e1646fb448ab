//! Bounds of the binding, each with its reason.

use std::time::Duration;

/// Layouts of a model that are kept: a model has a handful, and one that makes up names as it goes must not fill the memory.
pub const LAYOUTS_KEPT: usize = 256;

/// Names of a model whose last type is kept, for values that are missing: as many as the kept layouts may well have.
pub const TYPES_KEPT: usize = LAYOUTS_KEPT * LAYOUTS_KEPT;

/// Layouts that are tried in turn before the fields are looked at one by one: optional fields make a few patterns.
pub const LAYOUTS_TRIED: usize = 4;

/// Between two looks for room while a call blocks.
pub const ROOM_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lists within lists that are followed; the record allows 16 levels.
pub const DEPTH_MAX: usize = 16;

/// Rows of one batch: its numbers are all in flight at once.
pub const BATCH_ROWS_MAX: usize = 1 << 24;

/// So many dicts in a row that are others are remembered, each in turn: a service has a few sets of parameters.
pub const REMEMBER_AFTER: u32 = 8;

/// Beyond that, one in so many: remembering costs what it saves ten times over.
pub const REMEMBER_AGAIN_EVERY: u32 = 1024;

/// Rows that are counted at once: their numbers are drawn in one step.
pub const COUNTED_ROWS_MAX: usize = 1 << 27;

/// Values that are taken from a column before they are counted together.
pub const NUMBERS_AT_ONCE: usize = 4_096;
