//! Bounds that all who listen or ask share, each with its reason.

use std::time::Duration;

/// A certificate with those above it, or a key: each is a few KiB.
pub(crate) const TLS_FILE_BYTES_MAX: u64 = 256 << 10;

/// Certificates of authorities: those that a system knows are some 300 KiB.
pub(crate) const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// Between two looks whether a certificate or its key was replaced: a new one holds within a second.
pub(crate) const CERTIFICATE_LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Between two tries to take a connection when the system has none to give: some are closed meanwhile.
pub(crate) const TAKING_PAUSE: Duration = Duration::from_millis(100);
