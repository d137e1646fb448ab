//! Calls that model servers log in two halves: held together until they are whole or their time is up, and recorded. Edge: when and where; what the
//! halves say is in `minutebook-adapters`.

mod kept;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minutebook_adapters::limits::HALVES_WAIT;
use minutebook_adapters::logger::{self, Logged, LoggedCall};
use minutebook_adapters::pairing::{Came, Key, Matched, Pairs, Taken};
use minutebook_capture::Clock;
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use minutebook_trail::{Error, HalfLog, HalfNoted};
use tokio::time::Instant;

use crate::api::App;
use crate::guard::KeyName;
use crate::intake::adapted::Item;
use crate::limits::{RETRY_FIRST, TOGETHER_BYTES, TOGETHER_MAX};
use crate::problem::Problem;
use crate::turns::{Asked, Turns};
use kept::{Kept, Restored, State};

/// Halves that wait, and since when this server does.
pub(crate) struct LoggedCalls {
    turns: Turns<Halves, Result<Counts, Problem>>,
    held: Mutex<Held>,
    begun: Instant,
}

/// Of one request.
type Halves = Vec<Came<Logged>>;

struct Held {
    pairs: Pairs<Logged>,
    kept: Kept,
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
    /// With the halves that an engine before has kept.
    pub(crate) fn restored(
        (log, noted): (HalfLog, BTreeMap<u64, HalfNoted<'static>>),
        clock: &dyn Clock,
    ) -> Self {
        let (kept, all) = Kept::restored(log, noted, clock.wall_ns());
        let (mut pairs, mut ready) = (Pairs::default(), Vec::new());
        for (age, restored) in all {
            let since = HALVES_WAIT.saturating_sub(age);
            match restored {
                Restored::Whole(key, prints) => pairs.know(key, prints, since),
                Restored::Waits(came) => {
                    if let Taken::Ready(more) = pairs.take(came, since) {
                        ready.extend(more);
                    }
                }
            }
        }
        let mut held = Held { pairs, kept, again: Vec::new(), again_at: Duration::ZERO, calls: 0 };
        held.make_ready(ready);
        Self { turns: Turns::default(), held: Mutex::new(held), begun: Instant::now() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a clock that began when halves that wait now may have come first.
    fn now(&self) -> Duration {
        HALVES_WAIT + self.begun.elapsed()
    }

    /// Takes halves, with those of requests that came meanwhile. Returns when what they made whole is on disk, and those that wait are kept there.
    /// Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// When something cannot be recorded or kept: the halves are to be sent again.
    pub(crate) fn take(&self, app: &App, halves: Halves) -> Result<Counts, Problem> {
        let serve = |batch: Vec<Asked<Halves, _>>| {
            let (halves, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(Asked::split).unzip();
            let taken = self.take_together(app, halves);
            for (at, answer) in answers.into_iter().enumerate() {
                // What waits for one may have come with another: none is taken unless all are.
                answer.give(taken.as_ref().map(|counts| counts[at]).map_err(Problem::clone));
            }
        };
        let answer = self.turns.ask(halves, fits, serve);
        answer.unwrap_or_else(|| Err(Error::Stopped("recording failed".into()).into()))
    }

    /// Takes the halves of several requests, and counts what became of those of each.
    fn take_together(&self, app: &App, requests: Vec<Halves>) -> Result<Vec<Counts>, Problem> {
        let mut held = self.held();
        self.record(app, &mut held, Vec::new())?;
        let mut all = vec![Counts::default(); requests.len()];
        // Beside each call that is ready, the request of which it came.
        let (mut keys, mut ready, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for (at, half) in requests
            .into_iter()
            .enumerate()
            .flat_map(|(at, halves)| halves.into_iter().map(move |half| (at, half)))
        {
            keys.push(half.key.clone());
            match held.pairs.take(half, self.now()) {
                Taken::Waits => all[at].waiting += 1,
                Taken::Repeated => all[at].repeated += 1,
                Taken::Ready(found) => {
                    of.extend(found.iter().map(|_| at));
                    ready.extend(found);
                }
            }
        }
        // What is ready is not held any more: it is recorded, or kept and tried again, whatever became of the others. Among what is tried again it is
        // written down when those that wait are.
        held.make_ready(ready);
        let kept = held.keep(&keys, self.now(), app.clock.wall_ns());
        let recorded = self.record(app, &mut held, Vec::new());
        kept.map_err(|error| {
            tracing::error!("halves of calls cannot be kept: {error}");
            Problem::from(error)
        })?;
        for (at, recorded) in of.into_iter().zip(recorded?) {
            all[at].recorded += recorded;
        }
        Ok(all)
    }

    /// Records those whose time is up. Does not wait for whoever records now.
    pub(crate) fn look(app: &App) {
        let Ok(mut held) = app.logged.held.try_lock() else { return };
        let now = app.logged.now();
        let late = held.pairs.over(now);
        let is_time = !late.is_empty() || (!held.again.is_empty() && now >= held.again_at);
        held.make_ready(late);
        let is_empty = held.pairs.is_empty() && held.again.is_empty();
        if !is_time && !held.kept.is_due(is_empty) {
            return;
        }
        // Not once more until this was tried.
        held.again_at = now + RETRY_FIRST;
        drop(held);
        let app = app.clone();
        drop(tokio::task::spawn_blocking(move || {
            let mut held = app.logged.held();
            if let Err(problem) = app.logged.record(&app, &mut held, Vec::new()) {
                tracing::warn!("logged calls are kept and tried again: {}", problem.detail());
            }
            let (kept, mut state) = held.parts(app.logged.now(), app.clock.wall_ns());
            kept.rest(&mut state);
        }));
    }

    /// Records all that wait: nothing more comes. Blocks.
    pub(crate) fn end(&self, app: &App) {
        let mut held = self.held();
        let left = held.pairs.end();
        if let Err(problem) = self.record(app, &mut held, left) {
            let left = held.again.len();
            let detail = problem.detail();
            tracing::error!(
                "{left} logged calls that waited are not recorded; the next engine tries it: {detail}"
            );
        }
        let (kept, mut state) = held.parts(self.now(), app.clock.wall_ns());
        kept.rest(&mut state);
    }

    /// How many records were made of each, of what is to be tried again first. When they cannot be recorded, they are kept for that.
    fn record(&self, app: &App, held: &mut Held, ready: Vec<Matched<Logged>>) -> Result<Vec<usize>, Problem> {
        held.make_ready(ready);
        if held.again.is_empty() {
            return Ok(Vec::new());
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
            let done: Vec<_> = held.again.drain(..).map(|(_, matched)| matched).collect();
            let (kept, mut state) = held.parts(self.now(), at.time_ns);
            kept.gone(&mut state, &done);
        } else {
            held.again_at = self.now() + RETRY_FIRST;
        }
        done
    }
}

impl Held {
    fn parts(&mut self, now: Duration, now_ns: i64) -> (&mut Kept, State<'_>) {
        (&mut self.kept, State { pairs: &mut self.pairs, again: &mut self.again, now, now_ns })
    }

    fn make_ready(&mut self, ready: Vec<Matched<Logged>>) {
        for matched in ready {
            self.calls += 1;
            self.again.push((self.calls, matched));
        }
    }

    /// Keeps those halves of these keys that wait, or takes them back.
    fn keep(&mut self, keys: &[Key], now: Duration, now_ns: i64) -> Result<(), Error> {
        let (kept, mut state) = self.parts(now, now_ns);
        let done = kept.keep(&mut state, keys);
        if done.is_err() {
            for key in keys {
                if self.pairs.waits(key).is_some_and(|came| came.content.entry().is_none()) {
                    self.pairs.take_back(key);
                }
            }
        }
        done
    }
}

/// Whether the halves of a request can be taken together with those before. The other half of one of these is taken when that is kept, so that
/// the call is known again by it.
fn fits<A>(batch: &[Asked<Halves, A>], next: &Halves) -> bool {
    let before = || batch.iter().flat_map(|asked| &asked.what);
    batch.len() < TOGETHER_MAX
        && before().chain(next).map(|came| came.bytes).sum::<usize>() <= TOGETHER_BYTES
        && !next.iter().any(|came| before().any(|other| other.key == came.key))
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
    // A half that is kept is taken up again by the next engine, which knows by its mark what was recorded of it. Of others nobody has been told
    // that they were taken: what was recorded before a failure is known again when it is tried again.
    let kept = kept::halves(matched).find(|came| came.content.entry().is_some());
    let key = kept.map_or_else(|| format!("call {number}"), logger::mark);
    Item { key, comes_again: kept.is_some(), drafts: made }
}
