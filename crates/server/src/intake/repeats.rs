//! Requests that may come again under the same idempotency key, and what was recorded for them: in memory, and noted in a file before the first
//! of their records is handed over, so that an engine that begins anew knows them (`docs/formats/repeats.md`). Edge: whether records that were
//! noted are in the trail, others look.

use std::collections::{HashMap, VecDeque};

use minutebook_record::RecordId;
use minutebook_tlog::leaf_hash;
use minutebook_trail::{Drawn, Error, Noted, RepeatLog};

use super::Form;
use crate::guard::KeyName;
use crate::limits::{DRAWN_AT_ONCE, REPEAT_IDS_MAX, REPEAT_WINDOW};

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
    pub(super) print: [u8; 32],
    /// How many records it has.
    pub(super) count: usize,
    /// In their order: those whose numbers were drawn.
    pub(super) ids: Vec<RecordId>,
    /// All of them are recorded.
    pub(super) is_safe: bool,
    /// And on disk.
    pub(super) is_flushed: bool,
    /// Whether the file has it.
    pub(super) is_noted: bool,
    /// When it came first, ns since 1970.
    at_ns: i64,
}

impl Entry {
    pub(super) fn new(print: [u8; 32], count: usize, at_ns: i64) -> Self {
        Self { print, count, ids: Vec::new(), is_safe: false, is_flushed: false, is_noted: false, at_ns }
    }

    /// What it counts for.
    fn weight(&self) -> usize {
        self.ids.len() + 8
    }

    /// That the numbers of these places were drawn.
    pub(super) fn drawn(&self, key: &RepeatKey, places: impl Iterator<Item = usize>) -> Noted {
        // INVARIANT: a request has fewer records than a number of 32 bits counts.
        let ids = places.filter_map(|place| Some((place as u32, *self.ids.get(place)?)));
        Noted::Drawn(Drawn {
            at_ns: self.at_ns,
            of: key.of.0.clone(),
            key: key.key.clone(),
            print: self.print,
            count: self.count as u32,
            ids: ids.collect(),
        })
    }
}

/// Tells two bodies apart, whatever is in them.
pub(super) fn print(form: &Form, body: &[u8]) -> [u8; 32] {
    let said = match form {
        Form::Json => b"json".to_vec(),
        Form::Lines { .. } => b"lines".to_vec(),
        Form::Arrow(defaults) => defaults.said().into_bytes(),
    };
    *leaf_hash(&[leaf_hash(body).as_bytes(), said.as_slice()].concat()).as_bytes()
}

/// The requests of the last while.
#[derive(Default)]
pub(super) struct Repeats {
    entries: HashMap<RepeatKey, Entry>,
    /// In the order in which they came first.
    order: VecDeque<RepeatKey>,
    weight: usize,
    /// None in tests.
    log: Option<RepeatLog>,
    /// Whether there is anything in it.
    has_file: bool,
}

impl Repeats {
    /// Those that an engine before has noted.
    pub(super) fn restored(log: RepeatLog, noted: Vec<Noted>, now_ns: i64) -> Self {
        let mut repeats = Self { has_file: !noted.is_empty(), ..Self::default() };
        // The requests by the number of their entries, of which later ones may say that they are done.
        let mut numbered: Vec<Option<RepeatKey>> = Vec::with_capacity(noted.len());
        for entry in noted {
            match entry {
                Noted::Drawn(drawn) => {
                    let key = RepeatKey { of: KeyName(drawn.of), key: drawn.key };
                    let mut entry = match repeats.entries.get(&key) {
                        Some(entry) if entry.print == drawn.print => entry.clone(),
                        _ => Entry::new(drawn.print, drawn.count as usize, drawn.at_ns),
                    };
                    (entry.is_safe, entry.is_flushed, entry.is_noted) = (false, false, true);
                    for (place, id) in drawn.ids {
                        match entry.ids.get_mut(place as usize) {
                            Some(known) => *known = id,
                            None => entry.ids.push(id),
                        }
                    }
                    repeats.keep(key.clone(), entry, now_ns);
                    numbered.push(Some(key));
                }
                Noted::Done { first, on_disk } => {
                    let from = usize::try_from(first).unwrap_or(usize::MAX);
                    for key in numbered.get(from..).into_iter().flatten().flatten() {
                        if let Some(entry) = repeats.entries.get_mut(key) {
                            // What did not reach the disk may have gone with a power cut: it is looked for.
                            (entry.is_safe, entry.is_flushed) = (on_disk, on_disk);
                        }
                    }
                    numbered.push(None);
                }
            }
        }
        repeats.log = Some(log);
        repeats
    }

    /// What was recorded under a key.
    pub(super) fn find(&self, key: &RepeatKey, now_ns: i64) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| is_recent(entry, now_ns))
    }

    /// Remembers what was recorded under a key, and forgets what is too long ago or too much.
    pub(super) fn keep(&mut self, key: RepeatKey, entry: Entry, now_ns: i64) {
        self.weight += entry.weight();
        match self.entries.insert(key.clone(), entry) {
            Some(before) => self.weight -= before.weight(),
            None => self.order.push_back(key.clone()),
        }
        self.forget(Some(&key), now_ns);
    }

    fn forget(&mut self, but: Option<&RepeatKey>, now_ns: i64) {
        while let Some(first) = self.order.front() {
            let is_old = self.find(first, now_ns).is_none();
            if !is_old && (self.weight <= REPEAT_IDS_MAX || Some(first) == but) {
                break;
            }
            if let Some(gone) = self.entries.remove(first) {
                self.weight -= gone.weight();
            }
            self.order.pop_front();
        }
    }

    /// Forgets what is too long ago, and removes a file in which nothing else is.
    pub(super) fn rest(&mut self, now_ns: i64) {
        self.forget(None, now_ns);
        let log = self.log.as_mut().filter(|_| self.has_file && self.entries.is_empty());
        let Some(log) = log else { return };
        self.has_file = false;
        if let Err(error) = log.remove() {
            tracing::warn!("what is known of requests of before cannot be removed: {error}");
        }
    }

    /// Makes ready to note what comes: writes the file anew where that is due.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn prepare(&mut self, now_ns: i64) -> Result<(), Error> {
        self.forget(None, now_ns);
        let Some(log) = self.log.as_mut().filter(|log| log.wants_rewrite()) else { return Ok(()) };
        let mut whole = Vec::new();
        for (key, entry) in self.order.iter().filter_map(|key| Some((key, self.entries.get(key)?))) {
            if !entry.is_noted {
                continue;
            }
            let first = whole.len() as u64;
            let places: Vec<usize> = (0..entry.ids.len()).collect();
            whole.extend(places.chunks(DRAWN_AT_ONCE).map(|places| entry.drawn(key, places.iter().copied())));
            if entry.is_safe {
                whole.push(Noted::Done { first, on_disk: entry.is_flushed });
            }
        }
        log.rewrite(&whole)
    }

    /// Notes ids before their records are handed over, and gives the number of the first entry.
    ///
    /// # Errors
    /// When they cannot be written: then nothing is handed over.
    pub(super) fn note(&mut self, entries: &[Noted], flush: bool) -> Result<u64, Error> {
        self.has_file = true;
        self.log.as_mut().map_or(Ok(0), |log| log.append(entries, flush))
    }

    /// Notes that the records since an entry are handed over. What cannot be noted is looked for in the trail when it comes again.
    pub(super) fn done(&mut self, first: u64, on_disk: bool) {
        if let Err(error) = self.note(&[Noted::Done { first, on_disk }], false) {
            tracing::warn!("that a request is recorded cannot be noted: {error}");
        }
    }
}

fn is_recent(entry: &Entry, now_ns: i64) -> bool {
    now_ns.saturating_sub(entry.at_ns) < REPEAT_WINDOW.as_nanos() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RepeatKey {
        RepeatKey { of: KeyName::default(), key: number.to_string() }
    }

    fn id(number: u8) -> RecordId {
        RecordId::from_parts(1, [number; 10])
    }

    fn entry(ids: usize, at_ns: i64) -> Entry {
        Entry { ids: vec![id(1); ids], is_safe: true, ..Entry::new([7; 32], ids, at_ns) }
    }

    const WINDOW_NS: i64 = REPEAT_WINDOW.as_nanos() as i64;

    #[test]
    fn a_request_is_remembered_for_a_while() {
        let (mut repeats, now) = (Repeats::default(), 5);
        repeats.keep(key(1), entry(3, now), now);
        assert_eq!(repeats.find(&key(1), now).unwrap().ids.len(), 3);
        assert!(repeats.find(&key(2), now).is_none());
        let other = RepeatKey { of: KeyName(Some("ci".into())), ..key(1) };
        assert!(repeats.find(&other, now).is_none(), "another client's");
        assert!(repeats.find(&key(1), now + WINDOW_NS).is_none());
        repeats.keep(key(2), entry(1, now + WINDOW_NS), now + WINDOW_NS);
        assert_eq!((repeats.entries.len(), repeats.order.len(), repeats.weight), (1, 1, 9));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut repeats, now) = (Repeats::default(), 5);
        for number in 0..100 {
            repeats.keep(key(number), entry(REPEAT_IDS_MAX / 10, now), now);
            assert!(repeats.weight <= REPEAT_IDS_MAX);
        }
        assert!(repeats.find(&key(99), now).is_some() && repeats.find(&key(89), now).is_none());
        repeats.keep(key(99), entry(5, now), now);
        assert_eq!(repeats.entries.len(), repeats.order.len());
    }

    #[test]
    fn bodies_are_told_apart_by_what_they_say() {
        let all = [
            print(&Form::Json, b"a"),
            print(&Form::Lines { first: 1 }, b"a"),
            print(&Form::Json, b"b"),
            print(&Form::Arrow(Default::default()), b"a"),
            print(&Form::Arrow(crate::intake::Defaults { reimport: true, ..Default::default() }), b"a"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at}");
        }
        assert_eq!(all[0], print(&Form::Json, b"a"));
    }

    fn note_one(repeats: &mut Repeats) {
        repeats.prepare(7).unwrap();
        let one = Entry { ids: vec![id(1)], ..Entry::new([1; 32], 1, 7) };
        repeats.note(&[one.drawn(&key(1), [0].into_iter())], false).unwrap();
    }

    #[test]
    fn what_was_noted_is_known_as_far_as_it_went() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("trail/tmp")).unwrap();
        let place = minutebook_trail::Place::new(folder.path().join("trail"));
        let random = std::sync::Arc::new(minutebook_capture::SystemRandom);
        let keys =
            minutebook_trail::KeyFolder::create(&folder.path().join("keys"), [1; 16], &*random).unwrap();
        let keys = std::sync::Arc::new(keys);
        let open = |now| {
            let (log, noted) = RepeatLog::open(&place, [1; 16], keys.clone(), random.clone()).unwrap();
            Repeats::restored(log, noted, now)
        };
        let mut repeats = open(5);
        let mut note = |number: usize, ids: &[u8], done: Option<bool>| {
            let mut entry = Entry::new([number as u8; 32], ids.len() + 1, 5);
            entry.is_noted = true;
            entry.ids = ids.iter().map(|number| id(*number)).collect();
            repeats.prepare(5).unwrap();
            let drawn = entry.drawn(&key(number), 0..ids.len());
            let first = repeats.note(&[drawn], done.is_some()).unwrap();
            done.into_iter().for_each(|on_disk| repeats.done(first, on_disk));
        };
        note(1, &[1, 2], Some(true));
        note(2, &[3], Some(false));
        note(3, &[4, 5, 6], None);
        // The second place was drawn anew, and one more.
        let again = Entry { ids: vec![id(4), id(9), id(6), id(7)], ..Entry::new([3; 32], 4, 5) };
        repeats.note(&[again.drawn(&key(3), [1, 3].into_iter())], false).unwrap();
        let mut restored = open(6);
        let check = |restored: &Repeats| {
            let known = |number: usize| {
                let entry = restored.find(&key(number), 6).unwrap();
                (entry.ids.clone(), entry.is_safe, entry.is_flushed, entry.count)
            };
            assert_eq!(known(1), (vec![id(1), id(2)], true, true, 3));
            assert_eq!(known(2), (vec![id(3)], false, false, 2));
            assert_eq!(known(3), (vec![id(4), id(9), id(6), id(7)], false, false, 4));
        };
        check(&restored);
        // Written anew it says the same.
        restored.prepare(6).unwrap();
        check(&open(6));
        restored.rest(6);
        assert!(place.folder.join("repeats").exists());
        restored.rest(6 + WINDOW_NS);
        assert!(!place.folder.join("repeats").exists(), "nothing holds any more");
        note_one(&mut open(7));
        open(8).rest(8);
        assert!(place.folder.join("repeats").exists());
        open(8 + WINDOW_NS).rest(8 + WINDOW_NS);
        assert!(!place.folder.join("repeats").exists(), "nor of what an engine before has noted");
    }
}
