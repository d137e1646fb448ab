//! Every bound of the crate, with its reason. Those that the format fixes stand in `docs/formats/spool.md`.

use std::time::Duration;

/// Bytes of a part unless the options say otherwise: some 25,000 decisions of 600 bytes, so that making a part is rare, and small
/// enough that an idle producer costs little disk.
pub const PART_BYTES_DEFAULT: u64 = 16 << 20;

/// Smallest part: the header's page and room for some records. Tests rotate parts with it.
pub const PART_BYTES_MIN: u64 = 64 << 10;

/// Largest part: what one unsealed frame at its start may keep on disk.
pub const PART_BYTES_MAX: u64 = 1 << 30;

/// Bytes of a frame with its word and tag, without padding. Fixed by the format.
pub const FRAME_BYTES_MAX: usize = 5 << 18;

/// Encoded values of one record. Fixed by the format of the record.
pub const VALUES_BYTES_MAX: usize = 1 << 20;

/// Content of one blob frame: far enough below the frame's bound.
pub const BLOB_CHUNK_BYTES: usize = 1 << 20;

/// Content of one blob. Fixed by the format; a reader gathers a blob in memory.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a blob's media type: RFC 6838 §4.2 allows 127 on each side of the slash.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Retention classes of an epoch: entries of the epoch file. Fixed by the format.
pub const CLASSES_MAX: usize = 16;

/// In-flight slots of an epoch. Fixed by the format; more decisions at once go on without a slot.
pub const SLOTS: usize = 1024;

/// Slots that a decision tries before it goes on without: bounds the search on the caller's thread.
pub(crate) const SLOT_TRIES: usize = 32;

/// Parts a producer may keep on disk unsealed, in bytes, unless the options say otherwise.
pub const SPILL_BYTES_DEFAULT: u64 = 1 << 30;

/// Between two tries to make a part after the disk or the spill limit said no: each try reads the folder.
pub(crate) const FULL_RETRY: Duration = Duration::from_millis(50);

/// Shapes whose definition in a part is remembered, one bit each. Shapes beyond are defined anew before each record.
pub(crate) const SHAPES_REMEMBERED: u32 = 1 << 16;

/// Shapes found again when declared twice; beyond, declaring one again gives it another number.
pub(crate) const SHAPES_SHARED: usize = 4096;

/// Ranges of lost numbers kept in memory while no frame can be written; numbers beyond are found missing by the engine.
pub(crate) const LOST_RANGES_MAX: usize = 4096;

/// Bytes of the file that a run keeps for what it says last: the header's page, `LOST_RANGES_MAX` ranges in frames of 48 bytes (192 KiB),
/// and 60 KiB for the definitions of [`CLASSES_MAX`] classes and the closing mark, which take 3 KiB at most.
pub const RESERVE_BYTES: u64 = 256 << 10;

/// Bytes of a part that are faulted in ahead of the tail, and the step in which the maintenance thread is told of progress.
pub(crate) const PREFAULT_BYTES: u64 = 1 << 20;

/// Between two signed marks of a producer that draws numbers, unless the options say otherwise.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(30);

/// An idle producer says that it lives at every n-th heartbeat only: nothing else would fill the trail of an idle service.
pub(crate) const IDLE_HEARTBEATS: u32 = 20;

/// Between two rounds of the maintenance thread when nobody wakes it: how late a step of the wall clock is noticed.
pub(crate) const MAINTENANCE_PERIOD: Duration = Duration::from_secs(1);

/// How long `close` waits for decisions in flight.
pub(crate) const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Random bytes drawn at once per thread, for ids: 51 ids.
pub(crate) const RANDOM_POOL_BYTES: usize = 512;

/// Scratch memory that a thread keeps between records; a larger one is given back.
pub(crate) const SCRATCH_BYTES_KEPT: usize = 64 << 10;

/// Bytes that a reader asks for at once: large enough that the system call does not count, and holds any frame.
pub(crate) const READ_WINDOW_BYTES: usize = 2 << 20;

/// Distinct shapes that a reader remembers across parts.
pub(crate) const SHAPES_CACHED: usize = 4096;

/// A producer file is three short lines.
pub(crate) const PRODUCER_FILE_BYTES_MAX: u64 = 4096;

/// Bytes decrypted in search of the next frame after one damaged place: a part of forged words would keep the reader busy for hours.
pub(crate) const SEARCH_BYTES_MAX: u64 = 1 << 30;

/// Largest part of a mirror: who ships is not trusted, and a reader searches all of a damaged part. Four times the default.
pub const MIRROR_PART_BYTES_MAX: u64 = 64 << 20;

/// Largest number of a mirror: who ships is not trusted, sums over all epochs have to fit, and at ten million a second it is reached after 20 days.
pub const MIRROR_NUMBER_MAX: u64 = 1 << 44;

/// A mirror's file says three short things.
pub(crate) const MIRROR_FILE_BYTES_MAX: u64 = 4096;

/// Bytes of a part that a shipper looks at for words at once.
pub(crate) const SHIP_WINDOW_BYTES: usize = 2 << 20;

/// Why an epoch was given up, or by whom, in bytes: a sentence.
pub const GIVEN_UP_TEXT_BYTES_MAX: usize = 1_024;
