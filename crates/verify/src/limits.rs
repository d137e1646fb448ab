//! The bounds of the stored formats, each with its reason.

/// Records in a segment: one inner path has at most 12 hashes, and a segment stays a few MiB.
pub const SEGMENT_RECORDS_MAX: u64 = 4_096;

/// Encoded ranges of a descriptor, in bytes: leaves room for the rest within an entry's 65,535.
pub const RANGES_BYTES_MAX: usize = 32 << 10;

/// Items of any list in a descriptor: more do not fit into 65,535 bytes, so a larger count is a lie.
pub const DESCRIPTOR_ITEMS_MAX: u64 = 65_535;

/// Retention classes of one epoch: the table in the epoch file has 16 places.
pub const CLASSES_MAX: u64 = 16;

/// The stored object of a segment, in bytes: 4 MiB of content, a record of 1 MiB that was added last, and the overhead.
pub const OBJECT_BYTES_MAX: u64 = 16 << 20;

/// Content of a block of several records, in bytes: what is read and decrypted to show one record.
pub const BLOCK_BYTES_MAX: usize = 64 << 10;

/// `trail.toml`, in bytes: some hundred rotations of the signing key.
pub const TRAIL_TOML_BYTES_MAX: usize = 64 << 10;

/// Content of one chunk of a blob, in bytes: what is held in memory while a blob is written or read.
pub const BLOB_CHUNK_BYTES: usize = 1 << 20;

/// Parts of the log that are missing one behind the other until the rest is taken for missing too: a checkpoint that lies about its size
/// does not keep a verifier busy for ever.
pub const LOG_PARTS_MISSING_MAX: u32 = 16;

/// Numbers that one descriptor leaves out: each is drawn for, and a log that lies does not keep a verifier busy for ever.
pub const SAMPLED_OUT_MAX: u64 = 1 << 24;

/// Numbers that a finding names.
pub const NUMBERS_NAMED_MAX: usize = 20;

/// The text of a sampling policy, in bytes: a record holds it whole, beside what it replaces.
pub const POLICY_BYTES_MAX: usize = 64 << 10;

/// The text of retention settings, in bytes: a record holds it whole.
pub const RETENTION_BYTES_MAX: usize = 64 << 10;

/// The name of a sampling rule, in bytes: every record that it keeps repeats it.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// `restored.toml`, in bytes: some millions of subjects that were erased between a backup and its restore.
pub const RESTORED_BYTES_MAX: usize = 64 << 20;
