//! Every bound of this crate, with its reason. Input beyond a bound is an error, never a longer wait or more memory.

/// Largest tree size, 2^63 − 1: what other implementations hold in a signed 64-bit integer. It keeps every shift and sum
/// of the tree's arithmetic inside 64 bits.
pub const TREE_SIZE_MAX: u64 = i64::MAX as u64;

/// Longest inclusion path, and most peaks of a frontier: the depth of the largest tree.
pub const PATH_HASHES_MAX: usize = 63;

/// Longest entry, in bytes: its length stands in 16 bits of the bundle (tlog-tiles, "Log entries").
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Hashes in a full tile and entries in a full bundle (tlog-tiles, "Merkle Tree").
pub const TILE_WIDTH_MAX: u16 = 256;

/// Highest tile level that a path may name (tlog-tiles, "Merkle Tree"). A tree of the largest size reaches level 7.
pub const TILE_LEVEL_MAX: u8 = 63;

/// Most signatures on a note. The specification asks for 16 at least; a policy of [`POLICY_WITNESSES_MAX`] witnesses
/// needs 64 and the log's own, and as many again may come from keys that the reader does not know.
pub const SIGNATURES_MAX: usize = 130;

/// Longest note, in bytes: room for [`SIGNATURES_MAX`] signatures of nearly 5 kB (post-quantum ones) in base64.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Longest verifier key, in bytes of text. An Ed25519 key takes 53 and its name.
pub const VERIFIER_KEY_BYTES_MAX: usize = 4_096;

/// Longest proof file, in bytes: its extra data holds a receipt, which discloses a record of a few MiB at most.
pub const PROOF_BYTES_MAX: usize = 16 << 20;

/// Longest policy file, in bytes: the entries below, with keys, URLs and comments.
pub const POLICY_BYTES_MAX: usize = 256 << 10;

/// Most logs in a policy. The specification asks for 32 at least.
pub const POLICY_LOGS_MAX: usize = 64;

/// Most witnesses in a policy. The specification asks for 32 at least.
pub const POLICY_WITNESSES_MAX: usize = 64;

/// Most groups in a policy. The specification asks for 32 at least.
pub const POLICY_GROUPS_MAX: usize = 64;

/// Latest time of a cosignature, in seconds since 1970 (tlog-cosignature, "Format").
pub const UNIX_SECONDS_MAX: u64 = i64::MAX as u64;
