//! Calls that model servers log in two halves: held together until they are whole or their time is up, and recorded. Edge: when and where; what the
//! halves say is in `minutebook-adapters`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minutebook_adapters::logger::{Logged, LoggedCall};
use minutebook_adapters::pairing::{Came, Matched, Pairs, Taken};
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use tokio::time::Instant;

use crate::api::App;
use crate::guard::KeyName;
use crate::intake::adapted::Item;
use crate::limits::RETRY_FIRST;
use crate::problem::Problem;

/// Halves that wait, and since when this server does.
pub(crate) struct LoggedCalls {
    held: Mutex<Held>,
    begun: Instant,
}

#[derive(Default)]
struct Held {
    pairs: Pairs<Logged>,
    /// Calls that could not be recorded, and when that is tried again. While there are some, no half is taken: what is held stays bounded.
    again: Vec<(u64, Matched<Logged>)>,
    again_at: Duration,
    /// Numbers calls, so that one that is tried again is known.
    calls: u64,
}

/// What became of the halves of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Decisions on disk, those of halves that waited among them.
    pub(crate) recorded: usize,
    /// Halves that wait for the other.
    pub(crate) waiting: usize,
    /// Halves that came before.
    pub(crate) repeated: usize,
}

impl LoggedCalls {
    pub(crate) fn new() -> Self {
        Self { held: Mutex::default(), begun: Instant::now() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Takes halves. Returns when what they made whole is on disk. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// When something cannot be recorded: it is kept and tried again, and the halves are to be sent again.
    pub(crate) fn take(&self, app: &App, halves: Vec<Came<Logged>>) -> Result<Counts, Problem> {
        let mut held = self.held();
        let mut counts = Counts::default();
        self.record(app, &mut held, Vec::new())?;
        for half in halves {
            match held.pairs.take(half, self.now()) {
                Taken::Waits => counts.waiting += 1,
                Taken::Repeated => counts.repeated += 1,
                Taken::Ready(ready) => counts.recorded += self.record(app, &mut held, ready)?,
            }
        }
        Ok(counts)
    }

    /// Records those whose time is up. Does not wait for whoever records now.
    pub(crate) fn look(app: &App) {
        let Ok(mut held) = app.logged.held.try_lock() else { return };
        let now = app.logged.now();
        let late = held.pairs.over(now);
        let is_time = !held.again.is_empty() && now >= held.again_at;
        if late.is_empty() && !is_time {
            return;
        }
        drop(held);
        let app = app.clone();
        drop(tokio::task::spawn_blocking(move || {
            let mut held = app.logged.held();
            if let Err(problem) = app.logged.record(&app, &mut held, late) {
                tracing::warn!("logged calls are kept and tried again: {}", problem.detail());
            }
        }));
    }

    /// Records all that wait: nothing more comes. Blocks.
    pub(crate) fn end(&self, app: &App) {
        let mut held = self.held();
        let left = held.pairs.end();
        if let Err(problem) = self.record(app, &mut held, left) {
            let lost = held.again.len();
            tracing::error!("up to {lost} logged calls that waited are not recorded: {}", problem.detail());
        }
    }

    /// How many records were made of these and of what is to be tried again. When they cannot be recorded, they are kept for that.
    fn record(&self, app: &App, held: &mut Held, ready: Vec<Matched<Logged>>) -> Result<usize, Problem> {
        for matched in ready {
            held.calls += 1;
            held.again.push((held.calls, matched));
        }
        if held.again.is_empty() {
            return Ok(0);
        }
        let at = ReadAt { time_ns: app.clock.wall_ns(), clock_error_ns: app.clock.error_ns() };
        let call = |matched: &Matched<Logged>| {
            let mut found = LoggedCall::of(matched);
            app.versions.resolve(&app.indexing.index, &mut found.call, at.time_ns);
            found
        };
        let calls: Vec<_> =
            held.again.iter().map(|(number, matched)| (call(matched), matched, *number)).collect();
        let make = |reader: &mut DraftReader| {
            Ok(calls
                .iter()
                .map(|(found, matched, number)| item(found, matched, *number, reader, at))
                .collect())
        };
        let done = app.intake.take_made(&KeyName::default(), make);
        if done.is_ok() {
            held.again.clear();
        } else {
            held.again_at = self.now() + RETRY_FIRST;
        }
        done.map(|counted| counted.recorded)
    }
}

/// The records of a call. One that is larger than a record may be says so, without its content.
fn item(
    found: &LoggedCall,
    matched: &Matched<Logged>,
    number: u64,
    reader: &mut DraftReader,
    at: ReadAt,
) -> Item {
    let drafts = |found: &LoggedCall, reader: &mut DraftReader| -> Option<Vec<Draft>> {
        if found.call.is_too_large(&found.exchange) {
            return None;
        }
        found.call.records(&found.exchange).map(|record| reader.draft(&record, at).ok()).collect()
    };
    let made = drafts(found, reader).unwrap_or_else(|| {
        let mut without = LoggedCall::without_content(matched);
        without.call.version = found.call.version.clone();
        drafts(&without, reader).unwrap_or_default()
    });
    if made.is_empty() {
        tracing::warn!("a logged call could not be recorded, not even without its content");
    }
    // What was recorded before a failure is known again when it is tried again.
    Item { key: format!("call {number}"), comes_again: false, drafts: made }
}
