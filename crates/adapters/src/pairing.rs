//! Which request and which answer are of one call, when they come apart from each other, in any order and under an id that the client chose: it can
//! repeat, and be forged. Edge: keys and times; what the halves say is for others.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::limits::{HALVES_BYTES_MAX, HALVES_MAX, HALVES_WAIT};

/// Under which halves find each other. Two senders have nothing to do with each other, whatever their ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(pub Vec<String>);

/// Which side of a call a half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// What was asked.
    Request,
    /// What was answered.
    Answer,
}

/// A half that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came<T> {
    /// Its key.
    pub key: Key,
    /// Which side it is.
    pub half: Half,
    /// Tells it from another one under the same key: of what it says, and of when.
    pub print: u64,
    /// What it takes in memory.
    pub bytes: usize,
    /// What it is.
    pub content: T,
}

/// How two halves came together, or why one is alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both came.
    Paired,
    /// The other did not come in time.
    TimeUp,
    /// Another one of the same side came under its key while it waited: which is whose cannot be told.
    IdUsedTwice,
    /// There were too many others to wait any longer.
    NoRoom,
    /// The server or the file ended.
    Ended,
}

impl How {
    /// As it stands in the record.
    pub fn words(self, alone: Option<Half>) -> &'static str {
        match (self, alone) {
            (Self::Paired, _) => "request and answer",
            (Self::TimeUp, Some(Half::Request)) => "no answer came in time",
            (Self::TimeUp, _) => "no request came in time",
            (Self::IdUsedTwice, _) => "the id was used for two calls at once",
            (Self::NoRoom, _) => "too many others waited",
            (Self::Ended, Some(Half::Request)) => "no answer came before the end",
            (Self::Ended, _) => "no request came before the end",
        }
    }
}

/// A call, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<T> {
    /// What was asked.
    pub request: Option<Came<T>>,
    /// What was answered.
    pub answer: Option<Came<T>>,
    /// How they came together.
    pub how: How,
}

impl<T> Matched<T> {
    fn alone(came: Came<T>, how: How) -> Self {
        match came.half {
            Half::Request => Self { request: Some(came), answer: None, how },
            Half::Answer => Self { request: None, answer: Some(came), how },
        }
    }
}

/// What became of a half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<T> {
    /// It waits for the other.
    Waits,
    /// It is known already: it was delivered twice.
    Repeated,
    /// These can be recorded.
    Ready(Vec<Matched<T>>),
}

/// How long halves wait for each other, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For so long; calls that were whole are known again as long.
    pub wait: Duration,
    /// So many, with the calls that are known again.
    pub halves: usize,
    /// So many bytes of those that wait.
    pub bytes: usize,
}

/// Halves that wait, and calls that were whole a while ago. Bounded in number, bytes and time.
#[derive(Debug)]
pub struct Pairs<T> {
    entries: HashMap<Key, Entry<T>>,
    /// By age; what is not as old as here was renewed since.
    order: VecDeque<(Duration, Key)>,
    bytes: usize,
    bounds: Bounds,
}

#[derive(Debug)]
struct Entry<T> {
    since: Duration,
    state: State<T>,
}

impl<T> Entry<T> {
    fn waits(&self) -> Option<&Came<T>> {
        match &self.state {
            State::Waits(came) => Some(came),
            State::Whole(..) | State::Doubtful => None,
        }
    }

    fn waits_mut(&mut self) -> Option<&mut Came<T>> {
        match &mut self.state {
            State::Waits(came) => Some(came),
            State::Whole(..) | State::Doubtful => None,
        }
    }
}

#[derive(Debug)]
enum State<T> {
    Waits(Came<T>),
    /// Both came; the prints of request and answer.
    Whole(u64, u64),
    /// Two calls at once had this id: of what else comes under it nothing can be told.
    Doubtful,
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self::bounded(Bounds { wait: HALVES_WAIT, halves: HALVES_MAX, bytes: HALVES_BYTES_MAX })
    }
}

impl<T> Pairs<T> {
    /// With other bounds than those of a server.
    pub fn bounded(bounds: Bounds) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), bytes: 0, bounds }
    }

    /// Takes a half at `now`, on a clock that only goes forward.
    pub fn take(&mut self, came: Came<T>, now: Duration) -> Taken<T> {
        let key = came.key.clone();
        if self.is_known(&came) {
            return Taken::Repeated;
        }
        let (next, ready) = match self.remove(&key) {
            // What was whole under this key before is another call, one after the other.
            None | Some(State::Whole(..)) => (State::Waits(came), Vec::new()),
            Some(State::Doubtful) => (State::Doubtful, vec![Matched::alone(came, How::IdUsedTwice)]),
            Some(State::Waits(first)) if first.half == came.half => {
                let both = [first, came].map(|came| Matched::alone(came, How::IdUsedTwice));
                (State::Doubtful, both.into())
            }
            Some(State::Waits(first)) => {
                let (request, answer) =
                    if first.half == Half::Request { (first, came) } else { (came, first) };
                let whole = State::Whole(request.print, answer.print);
                (whole, vec![Matched { request: Some(request), answer: Some(answer), how: How::Paired }])
            }
        };
        self.insert(key, next, now);
        let ready: Vec<_> = ready.into_iter().chain(self.over(now)).collect();
        if ready.is_empty() { Taken::Waits } else { Taken::Ready(ready) }
    }

    /// Whether this half came before and was not yet forgotten.
    fn is_known(&self, came: &Came<T>) -> bool {
        match self.entries.get(&came.key).map(|entry| &entry.state) {
            Some(State::Waits(first)) => first.half == came.half && first.print == came.print,
            Some(State::Whole(request, answer)) => {
                let before = if came.half == Half::Request { request } else { answer };
                *before == came.print
            }
            Some(State::Doubtful) | None => false,
        }
    }

    /// Those whose time is up at `now`, and those for which there is no room.
    pub fn over(&mut self, now: Duration) -> Vec<Matched<T>> {
        let mut found = Vec::new();
        while let Some((since, key)) = self.order.front() {
            let is_late = now.saturating_sub(*since) >= self.bounds.wait;
            let is_full = self.bytes > self.bounds.bytes || self.order.len() > self.bounds.halves;
            if !is_late && !is_full {
                break;
            }
            let (since, key) = (*since, key.clone());
            self.order.pop_front();
            if self.entries.get(&key).is_some_and(|entry| entry.since == since)
                && let Some(State::Waits(came)) = self.remove(&key)
            {
                let how = if is_late { How::TimeUp } else { How::NoRoom };
                found.push(Matched::alone(came, how));
            }
        }
        found
    }

    /// All that still wait, when nothing more will come.
    pub fn end(&mut self) -> Vec<Matched<T>> {
        let order = std::mem::take(&mut self.order);
        let mut found = Vec::new();
        for (_, key) in order {
            if let Some(State::Waits(came)) = self.remove(&key) {
                found.push(Matched::alone(came, How::Ended));
            }
        }
        found
    }

    /// Whether nothing waits, and no call is known again.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The half that waits under a key.
    pub fn waits(&self, key: &Key) -> Option<&Came<T>> {
        self.entries.get(key).and_then(Entry::waits)
    }

    /// The same, to be changed.
    pub fn waits_mut(&mut self, key: &Key) -> Option<&mut Came<T>> {
        self.entries.get_mut(key).and_then(Entry::waits_mut)
    }

    /// All that wait, in no order, which stays the same until one is taken or given.
    pub fn waiting(&self) -> impl Iterator<Item = &Came<T>> {
        self.entries.values().filter_map(Entry::waits)
    }

    /// The same in the same order, to be changed.
    pub fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Came<T>> {
        self.entries.values_mut().filter_map(Entry::waits_mut)
    }

    /// Calls that were whole: since when, their key, and the prints of request and answer.
    pub fn whole(&self) -> impl Iterator<Item = (Duration, &Key, (u64, u64))> {
        self.entries.iter().filter_map(|(key, entry)| match entry.state {
            State::Whole(request, answer) => Some((entry.since, key, (request, answer))),
            State::Waits(_) | State::Doubtful => None,
        })
    }

    /// Knows again a call that was whole at `since`, as [`Pairs::whole`] gave it. In the order of time.
    pub fn know(&mut self, key: Key, (request, answer): (u64, u64), since: Duration) {
        self.remove(&key);
        self.insert(key, State::Whole(request, answer), since);
    }

    /// Forgets the half that waits under a key, as if it had not been taken.
    pub fn take_back(&mut self, key: &Key) {
        if self.waits(key).is_some() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<State<T>> {
        let entry = self.entries.remove(key)?;
        if let State::Waits(came) = &entry.state {
            self.bytes -= came.bytes;
        }
        Some(entry.state)
    }

    fn insert(&mut self, key: Key, state: State<T>, now: Duration) {
        if let State::Waits(came) = &state {
            self.bytes += came.bytes;
        }
        self.order.push_back((now, key.clone()));
        self.entries.insert(key, Entry { since: now, state });
    }
}

#[cfg(test)]
mod tests;
