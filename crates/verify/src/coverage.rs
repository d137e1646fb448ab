//! Completeness: what the descriptors of a log say, together, of every number that was drawn. Edge: works from the log alone;
//! whether a segment really has the records that it claims is `segment`'s business.

use crate::descriptor::{Descriptor, Id, Mark, MarkKind, Range, State};
use std::collections::BTreeMap;

/// What is wrong with the numbers. Positions are given as the log shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Two descriptors claim one number.
    Overlap {
        /// Whose number.
        producer: Id,
        /// Of which run.
        epoch: u64,
        /// In which class.
        class: String,
        /// The first number claimed twice.
        number: u64,
    },
    /// Numbers that an ended epoch drew and that no descriptor accounts for.
    Missing {
        /// Whose numbers.
        producer: Id,
        /// Of which run.
        epoch: u64,
        /// In which class.
        class: String,
        /// First and last of each gap.
        gaps: Vec<(u64, u64)>,
    },
    /// Epochs of a producer that left no trace, though later ones did.
    MissingEpochs {
        /// Whose.
        producer: Id,
        /// First and last of the gap.
        from: u64,
        /// Last of the gap.
        to: u64,
    },
    /// A number beyond those that the epoch's closing mark counts.
    AfterEnd {
        /// Whose.
        producer: Id,
        /// Of which run.
        epoch: u64,
        /// In which class.
        class: String,
        /// The highest such number.
        number: u64,
    },
    /// A mark whose signature is not that of the epoch's key, or that has no opening to check it by.
    BadMark {
        /// Whose.
        producer: Id,
        /// Of which run.
        epoch: u64,
        /// Which mark.
        mark: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// How an epoch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    /// No closing mark: it may still run; what came after its last mark is not known from the log.
    Open,
    /// Ended in order.
    Closed,
    /// Its process died; the engine closed the account.
    Abandoned,
}

/// The account of one (producer, epoch, class).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who drew the numbers.
    pub producer: Id,
    /// In which run.
    pub epoch: u64,
    /// In which class.
    pub class: String,
    /// The highest number known to have been drawn.
    pub drawn: u64,
    /// How many are kept.
    pub kept: u64,
    /// How many were sampled out.
    pub sampled_out: u64,
    /// How many were counted only.
    pub counted: u64,
    /// How many were lost, by state.
    pub lost: BTreeMap<State, u64>,
    /// First and last of each gap: missing when the epoch has ended, else not sealed yet.
    pub gaps: Vec<(u64, u64)>,
    /// How its epoch stands.
    pub state: EpochState,
    /// Unix seconds of the epoch's last mark; 0 when it has none.
    pub last_mark: i64,
}

impl Account {
    /// How many numbers have no descriptor.
    pub fn unaccounted(&self) -> u64 {
        self.gaps.iter().map(|(from, to)| to - from + 1).sum()
    }
}

#[derive(Debug, Default)]
struct Epoch {
    key: Option<[u8; 32]>,
    marks: Vec<Mark>,
    classes: BTreeMap<String, Vec<Range>>,
}

/// Takes in descriptors, in the order of the log.
#[derive(Debug)]
pub struct Coverage {
    trail: Id,
    epochs: BTreeMap<(Id, u64), Epoch>,
}

impl Coverage {
    /// Nothing yet, of this trail.
    pub fn new(trail: Id) -> Self {
        Self { trail, epochs: BTreeMap::new() }
    }

    /// Of which trail the marks have to be signed.
    pub fn set_trail(&mut self, trail: Id) {
        self.trail = trail;
    }

    /// Adds a descriptor's ranges and marks; gives the overlaps that this one makes.
    pub fn add(&mut self, descriptor: &Descriptor) -> Vec<Fault> {
        let mut faults = Vec::new();
        for ranges in &descriptor.ranges {
            let epoch = self.epochs.entry((ranges.producer, ranges.epoch)).or_default();
            let class = epoch.classes.entry(ranges.class.clone()).or_default();
            for range in &ranges.ranges {
                if let Some(number) = insert(class, *range) {
                    faults.push(Fault::Overlap {
                        producer: ranges.producer,
                        epoch: ranges.epoch,
                        class: ranges.class.clone(),
                        number,
                    });
                }
            }
        }
        // The keys first: places are in the order of ids, which are drawn by several clocks.
        for mark in &descriptor.marks {
            let MarkKind::Opened(key) = mark.what else { continue };
            let epoch = self.epochs.entry((mark.producer, mark.epoch)).or_default();
            if *epoch.key.get_or_insert(key) != key {
                faults.push(bad(mark, "the epoch was opened before, with another key"));
            }
        }
        for mark in &descriptor.marks {
            let epoch = self.epochs.entry((mark.producer, mark.epoch)).or_default();
            // Of the heartbeats the last one is enough: an epoch of months has many.
            if let (Some(Mark { what: MarkKind::Alive(_), .. }), MarkKind::Alive(_)) =
                (epoch.marks.last(), &mark.what)
            {
                if let Some(fault) = signature_fault(&self.trail, epoch.key, mark) {
                    faults.push(fault);
                }
                epoch.marks.pop();
            }
            epoch.marks.push(mark.clone());
        }
        faults
    }

    /// The accounts, ascending by producer, epoch and class, and what is wrong with the whole.
    pub fn settle(&self) -> (Vec<Account>, Vec<Fault>) {
        let mut accounts = Vec::new();
        let mut faults = Vec::new();
        let mut before: Option<(Id, u64)> = None;
        for ((producer, number), epoch) in &self.epochs {
            let expected = match before {
                Some((id, last)) if id == *producer => last + 1,
                _ => 1,
            };
            if *number > expected {
                faults.push(Fault::MissingEpochs { producer: *producer, from: expected, to: number - 1 });
            }
            before = Some((*producer, *number));
            faults
                .extend(epoch.marks.iter().filter_map(|mark| signature_fault(&self.trail, epoch.key, mark)));
            epoch.settle(*producer, *number, &mut accounts, &mut faults);
        }
        (accounts, faults)
    }
}

impl Epoch {
    fn settle(&self, producer: Id, number: u64, accounts: &mut Vec<Account>, faults: &mut Vec<Fault>) {
        let state = self.marks.iter().fold(EpochState::Open, |state, mark| match mark.what {
            MarkKind::Closed(_) => EpochState::Closed,
            MarkKind::Abandoned => EpochState::Abandoned,
            _ => state,
        });
        let mut drawn: BTreeMap<&str, u64> = BTreeMap::new();
        for mark in &self.marks {
            for (class, last) in &mark.counts {
                let known = drawn.entry(class).or_default();
                *known = (*known).max(*last);
            }
            // A mark's own record is in `system` and counted neither by itself nor, for a closing, by anything later.
            if let MarkKind::Closed(_) = mark.what {
                let own =
                    mark.counts.iter().find(|(class, _)| class == "system").map_or(0, |(_, last)| *last) + 1;
                let known = drawn.entry("system").or_default();
                *known = (*known).max(own);
            }
        }
        let closed = self.marks.iter().any(|mark| matches!(mark.what, MarkKind::Closed(_)));
        for (class, ranges) in &self.classes {
            let known = drawn.entry(class).or_default();
            let last = ranges.last().map_or(0, |range| range.to);
            if closed && last > *known {
                faults.push(Fault::AfterEnd { producer, epoch: number, class: class.clone(), number: last });
            }
            *known = (*known).max(last);
        }
        let last_mark = self.marks.iter().map(|mark| mark.time).max().unwrap_or(0);
        for (class, drawn) in drawn {
            let ranges = self.classes.get(class).map_or(&[][..], Vec::as_slice);
            let gaps = gaps(ranges, drawn);
            let mut account = Account {
                producer,
                epoch: number,
                class: class.to_owned(),
                drawn,
                kept: 0,
                sampled_out: 0,
                counted: 0,
                lost: BTreeMap::new(),
                gaps: gaps.clone(),
                state,
                last_mark,
            };
            for range in ranges {
                let count = range.to - range.from + 1;
                match range.state {
                    State::Kept => account.kept += count,
                    State::SampledOut => account.sampled_out += count,
                    State::Counted => account.counted += count,
                    lost => *account.lost.entry(lost).or_default() += count,
                }
            }
            accounts.push(account);
            if state != EpochState::Open && !gaps.is_empty() {
                faults.push(Fault::Missing { producer, epoch: number, class: class.to_owned(), gaps });
            }
        }
    }
}

fn bad(mark: &Mark, why: &'static str) -> Fault {
    Fault::BadMark { producer: mark.producer, epoch: mark.epoch, mark: mark.what.name(), why }
}

fn signature_fault(trail: &Id, key: Option<[u8; 32]>, mark: &Mark) -> Option<Fault> {
    match (&mark.what, key) {
        (MarkKind::Alive(_) | MarkKind::Closed(_), None) => {
            Some(bad(mark, "there is no opening mark with a key"))
        }
        (MarkKind::Alive(_) | MarkKind::Closed(_), Some(key)) if !mark.signature_is_good(trail, &key) => {
            Some(bad(mark, "its signature is not of the epoch's key"))
        }
        _ => None,
    }
}

/// Puts a range in its place, joining neighbours of the same state; gives the first number that is there already.
fn insert(ranges: &mut Vec<Range>, new: Range) -> Option<u64> {
    let at = ranges.partition_point(|range| range.to < new.from);
    if let Some(next) = ranges.get(at)
        && next.from <= new.to
    {
        return Some(next.from.max(new.from));
    }
    let joins_next = ranges.get(at).is_some_and(|next| next.state == new.state && next.from == new.to + 1);
    let joins_last = at > 0 && ranges[at - 1].state == new.state && ranges[at - 1].to + 1 == new.from;
    match (joins_last, joins_next) {
        (true, true) => {
            ranges[at - 1].to = ranges[at].to;
            ranges.remove(at);
        }
        (true, false) => ranges[at - 1].to = new.to,
        (false, true) => ranges[at].from = new.from,
        (false, false) => ranges.insert(at, new),
    }
    None
}

fn gaps(ranges: &[Range], drawn: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for range in ranges {
        if range.from > next {
            gaps.push((next, range.from - 1));
        }
        next = range.to + 1;
    }
    if next <= drawn {
        gaps.push((next, drawn));
    }
    gaps
}

/// A set of numbers as the engine keeps it per (producer, epoch, class): the same joining and the same overlap rule as the
/// verifier's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// Adds a range.
    ///
    /// # Errors
    /// The first number that is in the set already; the set is unchanged then.
    pub fn insert(&mut self, range: Range) -> Result<(), u64> {
        insert(&mut self.0, range).map_or(Ok(()), Err)
    }

    /// Whether `number` is in the set, in any state.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|range| range.to < number);
        self.0.get(at).is_some_and(|range| range.from <= number)
    }

    /// First and last of each gap below or at `drawn`.
    pub fn gaps(&self, drawn: u64) -> Vec<(u64, u64)> {
        gaps(&self.0, drawn)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }
}
