//! Which numbers a window counted. Edge: numbers only; that they add up is for the verifier to say.

use crate::limits::RANGES_MAX;
use minutebook_verify::windows;
use std::collections::BTreeMap;

/// Whose numbers: producer, epoch, class.
pub type Run = ([u8; 16], u64, String);

/// Numbers from one to another, both included, of which so many are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// How many of them.
    pub count: u64,
}

/// Ranges of the numbers of one run: ascending, apart from each other, at most [`RANGES_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Covered>);

impl Ranges {
    /// The ranges.
    pub fn as_slice(&self) -> &[Covered] {
        &self.0
    }

    /// Adds numbers from one to another.
    #[inline]
    pub fn add(&mut self, from: u64, to: u64) {
        if let Some(last) = self.0.last_mut()
            && last.to.checked_add(1) == Some(from)
            && last.count == last.to - last.from + 1
        {
            last.to = to;
            last.count += to - from + 1;
            return;
        }
        self.insert(Covered { from, to, count: to - from + 1 });
    }

    /// Adds a range.
    pub fn insert(&mut self, range: Covered) {
        let at = self.0.partition_point(|known| known.from < range.from);
        self.0.insert(at, range);
        self.join();
    }

    /// Adds other ranges.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
        self.0.sort_unstable_by_key(|range| range.from);
        self.join();
    }

    /// Joins what touches and is whole, and what overlaps; beyond the limit what is nearest.
    fn join(&mut self) {
        let is_whole = |range: &Covered| range.count == range.to - range.from + 1;
        let mut joined: Vec<Covered> = Vec::with_capacity(self.0.len());
        for range in self.0.drain(..) {
            match joined.last_mut() {
                Some(last)
                    if range.from <= last.to
                        || (range.from == last.to + 1 && is_whole(last) && is_whole(&range)) =>
                {
                    last.to = last.to.max(range.to);
                    last.count += range.count;
                }
                _ => joined.push(range),
            }
        }
        self.0 = joined;
        if self.0.len() > RANGES_MAX {
            self.thin();
        }
    }

    /// Halves the number of ranges, so that this is rare: the smallest gaps go.
    fn thin(&mut self) {
        let mut gaps: Vec<u64> = self.0.windows(2).map(|pair| pair[1].from - pair[0].to).collect();
        let drop = self.0.len() - RANGES_MAX / 2;
        let (_, &mut widest, _) = gaps.select_nth_unstable(drop - 1);
        let mut left = drop;
        let mut thinned: Vec<Covered> = Vec::with_capacity(RANGES_MAX / 2);
        for range in self.0.drain(..) {
            match thinned.last_mut() {
                Some(last) if left > 0 && range.from - last.to <= widest => {
                    left -= 1;
                    last.to = range.to;
                    last.count += range.count;
                }
                _ => thinned.push(range),
            }
        }
        self.0 = thinned;
    }
}

/// The numbers that a window counted, by run.
pub type Covers = BTreeMap<Run, Ranges>;

/// As a record tells them.
pub(crate) fn told(covers: &Covers) -> Vec<windows::Covered> {
    let of_run = |((producer, epoch, class), ranges): (&Run, &Ranges)| {
        let told = |range: &Covered| windows::Covered {
            producer: *producer,
            epoch: *epoch,
            class: class.clone(),
            from: range.from,
            to: range.to,
            count: range.count,
        };
        ranges.0.iter().map(told).collect::<Vec<_>>()
    };
    covers.iter().flat_map(of_run).collect()
}

/// From what a record tells.
pub(crate) fn from_told(told: Vec<windows::Covered>) -> Covers {
    let mut covers = Covers::new();
    for windows::Covered { producer, epoch, class, from, to, count } in told {
        covers.entry((producer, epoch, class)).or_default().insert(Covered { from, to, count });
    }
    covers
}
