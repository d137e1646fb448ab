//! Halves that wait, in a file beside what is in memory of them, so that a server that begins anew has them (`docs/formats/halves.md`). Edge: writes
//! down what `logged` holds; what becomes of it is decided there.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use minutebook_adapters::Problem as Wrong;
use minutebook_adapters::cloudevents::Event;
use minutebook_adapters::logger::{self, Logged};
use minutebook_adapters::pairing::{Came, How, Key, Matched, Pairs};
use minutebook_trail::{Error, HalfLog, HalfNoted, HalfWaits};
use tokio::time::Instant;

use crate::limits::{HALVES_KEY_AGE, RETRY_MAX};

/// The file.
pub(super) struct Kept {
    log: HalfLog,
    /// Whether there is one.
    has_file: bool,
    /// Whether what was kept in it is recorded since it was written as a whole, and when that was.
    is_outdated: bool,
    written: Instant,
    /// When it could not be removed or written anew: that is tried again later.
    failed: Option<Instant>,
}

/// What a file kept.
pub(super) enum Restored {
    Waits(Came<Logged>),
    Whole(Key, (u64, u64)),
}

impl Kept {
    /// What an engine before has kept, each with its age at `now_ns`, the oldest first.
    pub(super) fn restored(
        log: HalfLog,
        noted: BTreeMap<u64, HalfNoted<'static>>,
        now_ns: i64,
    ) -> (Self, Vec<(Duration, Restored)>) {
        let kept =
            Self { has_file: log.was_there(), log, is_outdated: true, written: Instant::now(), failed: None };
        let age = |at_ns: i64| Duration::from_nanos(u64::try_from(now_ns.saturating_sub(at_ns)).unwrap_or(0));
        let mut all = Vec::with_capacity(noted.len());
        for (number, noted) in noted {
            match noted {
                HalfNoted::Waits(half) => match half_of(half) {
                    Ok(mut came) => {
                        came.content.kept_in(number);
                        all.push((age(came.content.taken_ns()), Restored::Waits(came)));
                    }
                    // Another version took it.
                    Err(wrong) => {
                        tracing::error!("a half of a call that was kept is not read any more: {wrong}");
                    }
                },
                HalfNoted::Whole { at_ns, key, prints } => {
                    all.push((age(at_ns), Restored::Whole(Key(key.into_owned()), prints)));
                }
                HalfNoted::Gone(_) => {}
            }
        }
        all.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
        (kept, all)
    }

    /// Keeps the halves of these keys that wait and are not kept yet. Durable on return.
    ///
    /// # Errors
    /// When they cannot be written: none of them is kept.
    pub(super) fn keep(&mut self, state: &mut State<'_>, keys: &[Key]) -> Result<(), Error> {
        let mut fresh: Vec<&Key> = Vec::new();
        for key in keys {
            if !fresh.contains(&key)
                && state.pairs.waits(key).is_some_and(|came| came.content.entry().is_none())
            {
                fresh.push(key);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        if self.log.wants_rewrite() {
            return self.write_anew(state);
        }
        let pairs = &*state.pairs;
        let first = self.log.append(fresh.iter().filter_map(|key| pairs.waits(key)).map(entry), true)?;
        for (number, key) in (first..).zip(fresh) {
            if let Some(came) = state.pairs.waits_mut(key) {
                came.content.kept_in(number);
            }
        }
        Ok(())
    }

    /// Notes that these are recorded. What cannot be noted is known by its records when it comes again.
    pub(super) fn gone(&mut self, state: &mut State<'_>, done: &[Matched<Logged>]) {
        if !self.has_file && !done.iter().any(|matched| matched.how == How::Paired) {
            return;
        }
        self.is_outdated = true;
        let noted = if self.log.is_open() && !self.log.wants_rewrite() {
            let numbers = done.iter().flat_map(halves).filter_map(|came| came.content.entry()).collect();
            let gone = Some(HalfNoted::Gone(numbers))
                .filter(|gone| !matches!(gone, HalfNoted::Gone(numbers) if numbers.is_empty()));
            let whole = done.iter().filter_map(|matched| match (&matched.request, &matched.answer) {
                (Some(request), Some(answer)) => Some(HalfNoted::Whole {
                    at_ns: state.now_ns,
                    key: (&request.key.0[..]).into(),
                    prints: (request.print, answer.print),
                }),
                _ => None,
            });
            self.log.append(gone.into_iter().chain(whole), false).map(drop)
        } else {
            self.write_anew(state)
        };
        if let Err(error) = noted {
            tracing::warn!("that logged calls are recorded cannot be noted: {error}");
        }
    }

    /// Writes all that is held into a new file.
    fn write_anew(&mut self, state: &mut State<'_>) -> Result<(), Error> {
        let left = state.again.iter().flat_map(|(_, matched)| halves(matched));
        let left = left.filter(|came| came.content.entry().is_some());
        let waiting = left.chain(state.pairs.waiting()).map(entry);
        let (now, now_ns) = (state.now, state.now_ns);
        // A call that is still to be recorded is whole once it is: until then its half is what there is of it.
        let left_keys: HashSet<&Key> =
            state.again.iter().flat_map(|(_, matched)| halves(matched)).map(|came| &came.key).collect();
        let recorded = state.pairs.whole().filter(|(_, key, _)| !left_keys.contains(key));
        let whole = recorded.map(|(since, key, prints)| HalfNoted::Whole {
            at_ns: now_ns.saturating_sub(now.saturating_sub(since).as_nanos() as i64),
            key: (&key.0[..]).into(),
            prints,
        });
        self.log.rewrite(waiting.chain(whole))?;
        (self.has_file, self.is_outdated, self.written) = (true, false, Instant::now());
        let left = state.again.iter_mut().flat_map(|(_, matched)| {
            matched
                .request
                .iter_mut()
                .chain(&mut matched.answer)
                .filter(|came| came.content.entry().is_some())
        });
        for (number, came) in (0..).zip(left.chain(state.pairs.waiting_mut())) {
            came.content.kept_in(number);
        }
        Ok(())
    }

    /// Whether [`Kept::rest`] has something to do.
    pub(super) fn is_due(&self, is_empty: bool) -> bool {
        let is_old = self.is_outdated && self.written.elapsed() >= HALVES_KEY_AGE;
        self.has_file && (is_empty || is_old) && self.failed.is_none_or(|at| at.elapsed() >= RETRY_MAX)
    }

    /// Removes the file when nothing is held any more, and writes it anew when what it says of what is recorded has been there for long.
    pub(super) fn rest(&mut self, state: &mut State<'_>) {
        let is_empty = state.is_empty();
        if !self.is_due(is_empty) {
            return;
        }
        let done = if is_empty { self.log.remove() } else { self.write_anew(state) };
        match done {
            Ok(()) => (self.has_file, self.failed) = (!is_empty, None),
            Err(error) => {
                self.failed = Some(Instant::now());
                tracing::warn!("what is kept of halves that are recorded cannot be removed: {error}");
            }
        }
    }
}

/// What is held in memory.
pub(super) struct State<'h> {
    pub(super) pairs: &'h mut Pairs<Logged>,
    pub(super) again: &'h mut [(u64, Matched<Logged>)],
    /// On the clock of `pairs`.
    pub(super) now: Duration,
    /// The same, in ns since 1970.
    pub(super) now_ns: i64,
}

impl State<'_> {
    fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.again.is_empty()
    }
}

pub(super) fn halves(matched: &Matched<Logged>) -> impl Iterator<Item = &Came<Logged>> {
    matched.request.iter().chain(&matched.answer)
}

fn entry(came: &Came<Logged>) -> HalfNoted<'_> {
    let event = came.content.event();
    HalfNoted::Waits(HalfWaits {
        taken_ns: came.content.taken_ns(),
        of: logger::sent_by(came).into(),
        attributes: event.attributes().map(|(name, value)| (name.into(), value.into())).collect(),
        data: event.data.as_slice().into(),
    })
}

fn half_of(half: HalfWaits<'_>) -> Result<Came<Logged>, Wrong> {
    let attributes = half.attributes.iter().map(|(name, value)| (name.as_ref(), value.to_string()));
    logger::half(Event::of(attributes, half.data.into_owned())?, &half.of, half.taken_ns)
}
