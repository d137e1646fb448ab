//! Requests that may come again under the same idempotency key, and what was recorded for them. Edge: in memory; an engine that begins anew knows
//! none.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use minutebook_record::RecordId;
use tokio::time::Instant;

use super::Form;
use crate::guard::KeyName;
use crate::limits::{REPEAT_IDS_MAX, REPEAT_WINDOW};

/// An idempotency key, apart for each API key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RepeatKey {
    pub(crate) of: KeyName,
    pub(crate) key: String,
}

/// What was recorded for a request.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Tells its records from others.
    pub(super) print: u64,
    /// In their order: as many as were recorded.
    pub(super) ids: Vec<RecordId>,
    /// All of them are recorded.
    pub(super) is_safe: bool,
    /// And on disk.
    pub(super) is_flushed: bool,
    at: Instant,
}

impl Entry {
    pub(super) fn new(print: u64, at: Instant) -> Self {
        Self { print, ids: Vec::new(), is_safe: false, is_flushed: false, at }
    }

    /// What it counts for.
    fn weight(&self) -> usize {
        self.ids.len() + 8
    }
}

/// Tells two bodies apart that somebody sent under one key by mistake; not against who tries.
pub(super) fn print(form: Form, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (form, body).hash(&mut hasher);
    hasher.finish()
}

/// The requests of the last while.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    entries: HashMap<RepeatKey, Entry>,
    /// In the order in which they came first.
    order: VecDeque<RepeatKey>,
    weight: usize,
}

impl Repeats {
    /// What was recorded under a key.
    pub(super) fn find(&self, key: &RepeatKey, now: Instant) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| now.saturating_duration_since(entry.at) < REPEAT_WINDOW)
    }

    /// Remembers what was recorded under a key, and forgets what is too long ago or too much.
    pub(super) fn keep(&mut self, key: RepeatKey, entry: Entry) {
        let now = entry.at;
        self.weight += entry.weight();
        match self.entries.insert(key.clone(), entry) {
            Some(before) => self.weight -= before.weight(),
            None => self.order.push_back(key.clone()),
        }
        while let Some(first) = self.order.front() {
            let is_old = self.find(first, now).is_none();
            if !is_old && (self.weight <= REPEAT_IDS_MAX || *first == key) {
                break;
            }
            if let Some(gone) = self.entries.remove(first) {
                self.weight -= gone.weight();
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RepeatKey {
        RepeatKey { of: KeyName::default(), key: number.to_string() }
    }

    fn entry(ids: usize, at: Instant) -> Entry {
        let id = "0193a1b2-0000-7000-8000-000000000000".parse::<RecordId>().unwrap();
        Entry { ids: vec![id; ids], is_safe: true, ..Entry::new(7, at) }
    }

    #[tokio::test]
    async fn a_request_is_remembered_for_a_while() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        repeats.keep(key(1), entry(3, now));
        assert_eq!(repeats.find(&key(1), now).unwrap().ids.len(), 3);
        assert!(repeats.find(&key(2), now).is_none());
        let other = RepeatKey { of: KeyName(Some("ci".into())), ..key(1) };
        assert!(repeats.find(&other, now).is_none(), "another client's");
        assert!(repeats.find(&key(1), now + REPEAT_WINDOW).is_none());
        repeats.keep(key(2), entry(1, now + REPEAT_WINDOW));
        assert_eq!((repeats.entries.len(), repeats.order.len(), repeats.weight), (1, 1, 9));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for number in 0..100 {
            repeats.keep(key(number), entry(REPEAT_IDS_MAX / 10, now));
            assert!(repeats.weight <= REPEAT_IDS_MAX);
        }
        assert!(repeats.find(&key(99), now).is_some() && repeats.find(&key(89), now).is_none());
        repeats.keep(key(99), entry(5, now));
        assert_eq!(repeats.entries.len(), repeats.order.len());
    }
}
