//! Time, the one place where the crate reads it: a wall clock and a monotonic one, and a timeline that joins the two so that the
//! times of one process never go back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::sys;

/// Where times come from. Calls are cheap, do not block and may come from any thread.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970-01-01T00:00Z.
    fn wall_ns(&self) -> i64;
    /// Nanoseconds on a clock that is never set. Its zero means nothing.
    fn monotonic_ns(&self) -> u64;
    /// Upper bound of the wall clock's error in nanoseconds; `None` when nobody keeps it right or nobody can tell.
    fn error_ns(&self) -> Option<u64>;
}

/// The clocks of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn wall_ns(&self) -> i64 {
        sys::wall_ns()
    }

    #[inline]
    fn monotonic_ns(&self) -> u64 {
        sys::monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        sys::clock_error_ns()
    }
}

/// A moment on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970-01-01T00:00Z.
    pub(crate) wall_ns: i64,
    /// Nanoseconds on the monotonic clock.
    pub(crate) monotonic_ns: u64,
    /// Bound of the error of `wall_ns`.
    pub(crate) error_ns: Option<u64>,
}

/// A step smaller than this is the noise of reading two clocks.
const STEP_NS: i64 = 1_000_000;

const UNKNOWN: u64 = u64::MAX;

/// Wall time that advances with the monotonic clock. When the wall clock is set forward the timeline follows at the next [`check`];
/// when it is set back the timeline goes on and says by how much it may be wrong.
///
/// [`check`]: Timeline::check
pub(crate) struct Timeline {
    /// Wall time minus monotonic time.
    offset_ns: AtomicI64,
    error_ns: AtomicU64,
    checking: Mutex<()>,
}

impl Timeline {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let (wall, monotonic) = both(clock);
        Self {
            offset_ns: AtomicI64::new(wall.saturating_sub_unsigned(monotonic)),
            error_ns: AtomicU64::new(clock.error_ns().unwrap_or(UNKNOWN)),
            checking: Mutex::new(()),
        }
    }

    #[inline]
    pub(crate) fn now(&self, clock: &dyn Clock) -> Moment {
        let monotonic_ns = clock.monotonic_ns();
        let error = self.error_ns.load(Ordering::Relaxed);
        Moment {
            wall_ns: self.offset_ns.load(Ordering::Relaxed).saturating_add_unsigned(monotonic_ns),
            monotonic_ns,
            error_ns: (error != UNKNOWN).then_some(error),
        }
    }

    /// Compares with the wall clock. Called about once a second, by the maintenance thread.
    pub(crate) fn check(&self, clock: &dyn Clock) {
        let _one = self.checking.lock();
        let (wall, monotonic) = both(clock);
        let ours = self.offset_ns.load(Ordering::Relaxed).saturating_add_unsigned(monotonic);
        let ahead = ours.saturating_sub(wall);
        if ahead < -STEP_NS {
            self.offset_ns.store(wall.saturating_sub_unsigned(monotonic), Ordering::Relaxed);
        }
        let apart = if ahead < -STEP_NS { 0 } else { ahead.unsigned_abs() };
        let error = clock.error_ns().map_or(UNKNOWN, |bound| bound.saturating_add(apart));
        self.error_ns.store(error, Ordering::Relaxed);
    }
}

/// Both clocks at one moment: of several tries the one in which the monotonic clock advanced least around the other reading, since
/// a thread that is put to sleep between two readings would look like a step.
fn both(clock: &dyn Clock) -> (i64, u64) {
    let mut best = (i64::MAX as u64, 0, 0);
    for _ in 0..3 {
        let before = clock.monotonic_ns();
        let wall = clock.wall_ns();
        let took = clock.monotonic_ns().saturating_sub(before);
        if took < best.0 {
            best = (took, wall, before + took / 2);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set {
        wall: AtomicI64,
        monotonic: AtomicU64,
    }

    impl Clock for Set {
        fn wall_ns(&self) -> i64 {
            self.wall.load(Ordering::Relaxed)
        }
        fn monotonic_ns(&self) -> u64 {
            self.monotonic.load(Ordering::Relaxed)
        }
        fn error_ns(&self) -> Option<u64> {
            Some(500)
        }
    }

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_forward_step_is_followed_and_a_backward_step_widens_the_error() {
        let clock = Set { wall: AtomicI64::new(100 * S), monotonic: AtomicU64::new(7) };
        let timeline = Timeline::new(&clock);
        let start = timeline.now(&clock);
        assert_eq!((start.wall_ns, start.error_ns), (100 * S, Some(500)));

        clock.monotonic.fetch_add(S as u64, Ordering::Relaxed);
        clock.wall.fetch_add(11 * S, Ordering::Relaxed);
        timeline.check(&clock);
        let ahead = timeline.now(&clock);
        assert_eq!((ahead.wall_ns, ahead.error_ns), (111 * S, Some(500)));

        clock.monotonic.fetch_add(S as u64, Ordering::Relaxed);
        clock.wall.fetch_sub(4 * S, Ordering::Relaxed);
        timeline.check(&clock);
        let held = timeline.now(&clock);
        assert_eq!((held.wall_ns, held.error_ns), (112 * S, Some(500 + 5 * S as u64)));

        // The wall clock catches up: the bound narrows again, and no time went back meanwhile.
        clock.monotonic.fetch_add(S as u64, Ordering::Relaxed);
        clock.wall.fetch_add(6 * S, Ordering::Relaxed);
        timeline.check(&clock);
        let again = timeline.now(&clock);
        assert_eq!((again.wall_ns, again.error_ns), (113 * S, Some(500)));
    }
}
