//! Every bound of a window, with its reason.

/// The `k` of KLL: a rank is off by less than 1.4 % with 99 % confidence, in at most some 4 KiB.
pub const KLL_K: u16 = 200;

/// Registers of `HyperLogLog`, as a power of two: a count of distinct values is off by 2.3 % (one standard deviation), in 1 KiB.
pub const HLL_LG_K: u8 = 11;

/// Numbers that wait to go into a sketch together: 32 KiB, which a core's cache holds for several features.
pub const NUMBERS_WAITING: usize = 4_096;

/// Distinct texts that are counted exactly, before they go into sketches.
pub const EXACT_TEXTS: usize = 256;

/// Texts that the sketch of frequent items tells apart; a power of two.
pub const FREQUENT_ITEMS: usize = 512;

/// A text that can be a frequent item, in bytes. Longer ones are free text and are only counted.
pub const ITEM_BYTES_MAX: usize = 64;

/// Frequent items that a window names.
pub const ITEMS_NAMED_MAX: usize = 64;

/// Below so many values a window says how many there were and nothing of what they were; a text is named when it occurred so often.
pub const COUNT_MIN: u64 = 10;

/// Ranges of numbers of one run of a producer; beyond it the nearest are told as one, with how many of its numbers are meant.
pub const RANGES_MAX: usize = 64;

/// Different statuses, and different rules, that a window counts each for itself.
pub const NAMES_MAX: usize = 64;

/// Under this name the others are counted.
pub const OTHERS: &str = "other";

/// Windows of a minute that a batch of decisions fills; those of further minutes go into windows of an hour, and then of a day.
pub const WINDOWS_OF_BATCH: usize = 256;

/// Features that one record tells of, in bytes: with the rest they stay below what a record may hold.
pub const PART_BYTES: usize = 512 << 10;

/// Features of a shape that are looked at; those behind them are not.
pub const FEATURES_MAX: usize = 512;

/// Windows of a batch of decisions. Beyond it those of further models are counted together.
pub const WINDOWS_MAX: usize = 1_024;
