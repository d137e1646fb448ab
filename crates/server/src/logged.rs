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
use crate::problem::Problem;

/// Halves that wait, and since when this server does.
pub(crate) struct LoggedCalls {
    pairs: Mutex<Pairs<Logged>>,
    begun: Instant,
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
        Self { pairs: Mutex::default(), begun: Instant::now() }
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs<Logged>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Takes halves. Returns when what they made whole is on disk. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// When it cannot be recorded: what is not, waits and is tried again; the half at hand is to be sent again.
    pub(crate) fn take(&self, app: &App, halves: Vec<Came<Logged>>) -> Result<Counts, Problem> {
        let mut pairs = self.pairs();
        let mut counts = Counts::default();
        for half in halves {
            match pairs.take(half, self.now()) {
                Taken::Waits => counts.waiting += 1,
                Taken::Repeated => counts.repeated += 1,
                Taken::Ready(ready) => counts.recorded += self.record(app, &mut pairs, ready)?,
            }
        }
        Ok(counts)
    }

    /// Records those whose time is up. Does not wait for whoever records now.
    pub(crate) fn look(app: &App) {
        let Ok(mut pairs) = app.logged.pairs.try_lock() else { return };
        let ready = pairs.over(app.logged.now());
        if ready.is_empty() {
            return;
        }
        drop(pairs);
        let app = app.clone();
        drop(tokio::task::spawn_blocking(move || {
            let mut pairs = app.logged.pairs();
            if let Err(problem) = app.logged.record(&app, &mut pairs, ready) {
                tracing::warn!("halves of calls are tried again: {}", problem.detail());
            }
        }));
    }

    /// Records all that wait: nothing more comes. Blocks.
    pub(crate) fn end(&self, app: &App) {
        let mut pairs = self.pairs();
        let ready = pairs.end();
        let left = ready.len();
        if left > 0
            && let Err(problem) = self.record(app, &mut pairs, ready)
        {
            tracing::error!(
                "up to {left} halves of calls that waited are not recorded: {}",
                problem.detail()
            );
        }
    }

    /// How many records were made of these. When they cannot be recorded, they wait again.
    fn record(
        &self,
        app: &App,
        pairs: &mut Pairs<Logged>,
        ready: Vec<Matched<Logged>>,
    ) -> Result<usize, Problem> {
        let at = ReadAt { time_ns: app.clock.wall_ns(), clock_error_ns: app.clock.error_ns() };
        let calls: Vec<(LoggedCall, &Matched<Logged>)> = ready
            .iter()
            .map(|matched| {
                let mut found = LoggedCall::of(matched);
                app.versions.resolve(&app.indexing.index, &mut found.call, at.time_ns);
                (found, matched)
            })
            .collect();
        let make = |reader: &mut DraftReader| {
            Ok(calls.iter().map(|(found, matched)| item(found, matched, reader, at)).collect())
        };
        let done = app.intake.take_made(&KeyName::default(), make);
        drop(calls);
        match done {
            Ok(counted) => Ok(counted.recorded),
            Err(problem) => {
                let now = self.now();
                let halves =
                    ready.into_iter().flat_map(|matched| matched.request.into_iter().chain(matched.answer));
                halves.for_each(|half| pairs.take_back(half, now));
                Err(problem)
            }
        }
    }
}

/// The records of a call. One that is larger than a record may be says so, without its content.
fn item(found: &LoggedCall, matched: &Matched<Logged>, reader: &mut DraftReader, at: ReadAt) -> Item {
    let drafts = |found: &LoggedCall, reader: &mut DraftReader| -> Option<Vec<Draft>> {
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
    Item { key: None, drafts: made }
}
