//! Bounds of the program, each with its reason.

use std::time::Duration;

/// One line of input, in bytes. Values of a record take 1 MiB; JSON of numbers takes some times that.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;

/// Bytes of lines that are read ahead: enough to keep the recorder busy, little enough to stop soon.
pub(crate) const LINES_AHEAD_BYTES: usize = 1 << 20;

/// Batches of lines on their way from the reading thread.
pub(crate) const BATCHES_AHEAD: usize = 4;

/// Records that are acknowledged together at most: with more the first ones would wait too long.
pub(crate) const GROUP_RECORDS_MAX: usize = 4_096;

/// Bytes handed over after which sealing begins before its time: some 100,000 decisions.
pub(crate) const SEAL_AFTER_BYTES: u64 = 64 << 20;

/// Bytes handed over and not sealed at which recording waits for the engine: half of what the spool may take
/// on disk.
pub(crate) const SEAL_WAIT_BYTES: u64 = 512 << 20;

/// Between two rounds of sealing in the background.
pub(crate) const SEAL_PERIOD: Duration = Duration::from_secs(10);

/// Between two looks for what another engine has sealed.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// Between two tries to hand over while the spool is full.
pub(crate) const FULL_RETRY: Duration = Duration::from_secs(1);

/// How long records are gathered before they are sealed for an acknowledgement: a segment each would make a
/// long log.
pub(crate) const SEAL_GATHER: Duration = Duration::from_millis(500);

/// Bytes of a file with a sampling policy: a policy has far less, and says so itself.
pub(crate) const POLICY_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a proof or policy file: far above any, so that a wrong file is refused early.
pub(crate) const PROOF_BYTES_MAX: u64 = 16 << 20;

/// Decisions that are explained together: each keeps 32 bytes a feature, and its record while its explanation is looked for elsewhere. A plot
/// of more shows no more.
pub(crate) const EXPLAINED_MAX: u64 = 100_000;

/// How far the clock that dated an explanation may be behind the one that dated its decision, in ns: an hour is more than any that is kept
/// in order.
pub(crate) const CLOCKS_APART_NS: i64 = 3_600_000_000_000;

/// Between two looks of a proxy for the engine: what it hands over meanwhile waits in the spool.
pub(crate) const ENGINE_LOOK_PERIOD: Duration = Duration::from_secs(2);
