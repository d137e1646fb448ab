//! The crate's one thread, one per run: makes the next part ahead of need, faults pages in, watches the wall clock, says that the
//! producer lives. Callers go on without it, only slower.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::fork::ForkGuard;
use crate::limits::{IDLE_HEARTBEATS, MAINTENANCE_PERIOD};
use crate::mark::Mark;
use crate::part_file::REQUEST;
use crate::reader::request;
use crate::run::Run;
use crate::sys;

/// Starts the thread. It ends when the run is no longer open, or nobody holds it.
pub(crate) fn start(run: &Arc<Run>, guard: &Arc<ForkGuard>) {
    let (weak, guard) = (Arc::downgrade(run), Arc::clone(guard));
    // Signals are for the threads of the program that we are a guest in.
    let started = sys::with_signals_blocked(|| {
        std::thread::Builder::new().name("minutebook".into()).spawn(move || work(&weak, &guard))
    });
    // Without a thread the callers make their parts themselves.
    if let Ok(thread) = started {
        run.set_thread(thread);
    }
}

fn work(run: &Weak<Run>, guard: &ForkGuard) {
    let mut heart = None;
    while let Some(run) = run.upgrade() {
        if run.check_open().is_err() {
            return;
        }
        let heart = heart.get_or_insert_with(|| Heart::new(&run));
        round(&run, heart, guard);
        let period = MAINTENANCE_PERIOD.min(run.settings.heartbeat);
        drop(run);
        std::thread::park_timeout(period);
    }
}

fn round(run: &Run, heart: &mut Heart, guard: &ForkGuard) {
    run.current.load().prefault_ahead();
    end_part_on_request(run);
    run.prepare_next();
    run.timeline.check(&*run.settings.clock);
    if heart.is_due(run) {
        // There may be no room, which whoever hands a record over is told.
        let _ = run.hand_over_mark(Mark::Alive, &guard.seed());
    }
}

/// Ends the current part when the engine asks for it: whoever writes next goes on in another.
fn end_part_on_request(run: &Run) {
    let part = run.current.load();
    let asked = std::fs::read_to_string(run.folder().join(REQUEST));
    if asked.is_ok_and(|text| text == request(run.number().get(), part.number)) {
        // A failed write poisons and is told to whoever comes next.
        let _ = run.written(part.end());
    }
}

/// When the next sign of life is due.
struct Heart {
    due_ns: u64,
    every_ns: u64,
    drawn: u64,
    skipped: u32,
}

impl Heart {
    fn new(run: &Run) -> Self {
        let every_ns = nanoseconds(run.settings.heartbeat);
        let now = run.settings.clock.monotonic_ns();
        Self { due_ns: now.saturating_add(every_ns), every_ns, drawn: 0, skipped: 0 }
    }

    fn is_due(&mut self, run: &Run) -> bool {
        let now = run.settings.clock.monotonic_ns();
        if now < self.due_ns {
            return false;
        }
        self.due_ns = now.saturating_add(self.every_ns);
        let drawn = run.epoch.drawn().iter().map(|(_, last)| last).sum::<u64>();
        self.skipped += 1;
        if drawn == self.drawn && self.skipped < IDLE_HEARTBEATS {
            return false;
        }
        // The mark draws a number itself.
        self.drawn = drawn + 1;
        self.skipped = 0;
        true
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
