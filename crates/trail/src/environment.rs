//! What an engine takes from outside: time and randomness, as values that a test can set.

use crate::error::{Error, Result};
use minutebook_capture::{Clock, Random, SystemClock, SystemRandom};
use std::sync::Arc;

/// Clock, randomness and limits of an engine.
#[derive(Clone)]
pub struct Environment {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Keys, ids and seeds come from here.
    pub random: Arc<dyn Random>,
    /// How many segments are built side by side; each holds some 15 MiB.
    pub workers: usize,
}

impl Default for Environment {
    /// The machine's clock and randomness, and as many workers as it has processors.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), workers: workers.clamp(1, 8) }
    }
}

impl Environment {
    /// Unix seconds.
    pub(crate) fn seconds(&self) -> i64 {
        self.clock.wall_ns().div_euclid(1_000_000_000)
    }

    /// Now as RFC 3339, UTC, whole seconds.
    pub fn rfc3339(&self) -> String {
        jiff::Timestamp::from_second(self.seconds()).map_or_else(|_| String::new(), |time| time.to_string())
    }

    /// The calendar month in UTC, as in `2026-11`.
    pub(crate) fn month(&self) -> String {
        self.rfc3339().chars().take(7).collect()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// So many random bytes.
pub(crate) fn draw<const N: usize>(random: &dyn Random) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}
