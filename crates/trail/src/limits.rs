//! The engine's bounds, each with its reason.

use std::time::Duration;

/// Records of a segment (`docs/formats/segment.md`).
pub const SEGMENT_RECORDS: usize = minutebook_verify::limits::SEGMENT_RECORDS_MAX as usize;

/// Values of a segment's records, in bytes: the object stays a few MiB, and a record is read back within milliseconds.
pub const SEGMENT_BYTES: usize = 4 << 20;

/// Blobs that one segment brings along, in bytes: they are held in memory until it is placed.
pub const SEGMENT_BLOB_BYTES: usize = 64 << 20;

/// Distinct (producer, epoch) pairs in a segment: with their ranges they stay within the descriptor's 32 KiB.
pub const SEGMENT_PRODUCERS: usize = 256;

/// Ranges of numbers that a policy left out, and of those between, in a descriptor: with 256 producers of 66 bytes each they stay within its
/// 32 KiB.
pub const SAMPLED_RANGE_BYTES: usize =
    minutebook_verify::limits::RANGES_BYTES_MAX - SEGMENT_PRODUCERS * 66 - 64;

/// A reason, a name or the like that somebody gives with an erasure or a hold, in bytes: a record holds it whole, and a person reads it.
pub const GIVEN_TEXT_BYTES: usize = 1_024;

/// Class-epochs that are disposed of before their records are sealed: what is interrupted is finished at the next opening, all at once.
pub const DISPOSALS_AT_ONCE: usize = 64;

/// Segments of one round of sealing: afterwards the log is published and spool space freed.
pub const ROUND_SEGMENTS: usize = 48;

/// Decisions that one round leaves out: a policy that keeps nearly none fills no segments, and space of the spool would wait to be freed.
pub const ROUND_LEFT_OUT: u64 = (ROUND_SEGMENTS * SEGMENT_RECORDS) as u64;

/// Blobs that are being put together from their frames, in bytes, over all producers.
pub const BLOBS_IN_ASSEMBLY_BYTES: usize = 128 << 20;

/// Decisions whose subjects are remembered for records that link to them shortly after: some 100 bytes each.
pub const RECENT_SUBJECTS: usize = 50_000;

/// Ranges of one loss statement in a descriptor: 32 KiB hold them.
pub const LOST_RANGES_PER_SEGMENT: usize = 400;

/// Records that a listing holds while it merges segments that overlap in time, in bytes: some ten segments.
pub const LISTING_BYTES: usize = 64 << 20;

/// How often an erasure looks whether producers have ended the parts that they were asked to end. They look for requests once a second.
pub const END_PART_LOOKS: usize = 60;

/// Between two such looks.
pub const END_PART_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks at a place that a thread has taken in the spool and not written to yet, before sealing goes on without what lies behind it.
pub const HELD_UP_LOOKS: u32 = 50;

/// Between two of these looks: the thread writes within microseconds, unless it lost its processor for some milliseconds.
pub const HELD_UP_LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a window waits for decisions that come late, in s: longer than an engine that keeps up takes to seal.
pub const WINDOW_GRACE_S: i64 = 15;

/// Windows that have no record yet: those of further ones are counted by the day. Each takes some 100 KiB at most.
pub const PENDING_WINDOWS: usize = 2_048;

/// A piece of a catalog's copy in a backup, in bytes: what is held in memory, and what one change of the catalog copies anew.
pub const CATALOG_PIECE_BYTES: usize = 4 << 20;

/// Objects that a backup or a restore has under way at once: enough to hide the way to a distant store, and some 64 MiB of segments at most.
pub const COPIES_AT_ONCE: usize = 4;

/// Subject numbers that a restored copy passes over: more than the trail that it was copied from gave out after its backup.
pub const SUBJECTS_PASSED_OVER: u64 = 1 << 32;

/// Records whose linked ones are looked up at once: a statement of SQLite's takes so much.
pub const ORPHANS_LOOKED_UP: usize = 4_096;

/// Keys of the API: each request is compared with all of them.
pub const API_KEYS_MAX: usize = 1_000;

/// Roles of one of them: there are seven, and room for more.
pub const API_KEY_ROLES_MAX: usize = 32;

/// Patterns of models of one of them: each model that is asked for is held against all.
pub const API_KEY_MODELS_MAX: usize = 64;

/// Bytes of such a pattern: a name of a model has fewer.
pub const API_KEY_PATTERN_BYTES_MAX: usize = 256;

/// Bytes of the text that says who may do what: a record holds it whole.
pub const ACCESS_BYTES_MAX: u64 = 64 << 10;

/// Bytes of the file with those keys: some 250 for each, and as much again for who writes it by hand.
pub const API_KEYS_BYTES_MAX: u64 = 512 << 10;

/// Bytes by which the file of requests that may come again grows before what still holds is written anew: some thousand requests.
pub(crate) const REPEATS_BYTES_KEPT: u64 = 8 << 20;

/// An entry of that file: the ids of 1,024 records, and the key.
pub(crate) const REPEATS_ENTRY_BYTES_MAX: usize = 64 << 10;

/// Bytes by which the file of halves that wait grows before those that still do are written anew.
pub(crate) const HALVES_BYTES_KEPT: u64 = 8 << 20;
