//! The account of an epoch's numbers: what was drawn, and what of it is lost once the epoch has ended. Edge: what is known of the epoch is given;
//! the records about it are made elsewhere.

use super::{EpochState, SYSTEM};
use crate::own::{Losses, LostRange};
use minutebook_capture::InFlight;
use minutebook_record::ClassName;
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{Range, State};
use std::collections::{BTreeMap, BTreeSet};

/// The last number that is known to have been drawn of each class, in the order of the names. After a power loss the counters may be older than
/// what was sealed, or than frames behind a gap: every number below one that is known has to be accounted for.
pub(super) fn drawn(state: &EpochState, counters: &[(ClassName, u64)]) -> Vec<(ClassName, u64)> {
    let mut drawn: BTreeMap<String, u64> = state.drawn.clone();
    let claimed = state
        .claimed
        .iter()
        .map(|(class, ranges)| (class, ranges.ranges().last().map_or(0, |range| range.to)));
    for (class, last) in counters.iter().map(|(class, last)| (class, *last)).chain(claimed) {
        let known = drawn.entry(class.to_string()).or_default();
        *known = last.max(*known);
    }
    drawn
        .into_iter()
        .filter_map(|(class, last)| ClassName::new(&class).ok().map(|class| (class, last)))
        .collect()
}

/// How many numbers of an epoch have no record because they were lost, of each class that lost any.
pub(super) fn missing(state: &EpochState) -> Vec<(String, u64)> {
    let is_lost = |range: &&Range| matches!(range.state, State::Died | State::Damaged);
    let count = |ranges: &RangeSet| {
        ranges.ranges().iter().filter(is_lost).map(|range| range.to - range.from + 1).sum::<u64>()
    };
    let mut missing: Vec<_> = state
        .claimed
        .iter()
        .map(|(class, ranges)| (class.to_string(), count(ranges)))
        .filter(|(_, count)| *count > 0)
        .collect();
    missing.sort();
    missing
}

/// Whether the last number of the class `system`, which is that of the closing mark, has its record.
pub(super) fn has_last_mark(state: &EpochState, drawn: &[(ClassName, u64)]) -> bool {
    let last = drawn.iter().find(|(class, _)| class.as_str() == SYSTEM);
    last.and_then(|(class, last)| state.claimed.get(class)?.ranges().last().map(|range| (range, last)))
        .is_some_and(|(range, last)| range.state == State::Kept && range.to == *last)
}

/// Numbers that an ended epoch drew and that have neither record nor reason are lost: those in flight died with the process, the others were
/// damaged or never reached the disk.
pub(super) fn settle(
    state: &mut EpochState,
    drawn: &[(ClassName, u64)],
    in_flight: &[InFlight],
    losses: &mut Losses,
) {
    for (class, last) in drawn {
        let claimed = state.claimed.entry(*class).or_default();
        let slots = || in_flight.iter().filter(|slot| slot.class == *class);
        let flying: BTreeSet<u64> = slots().filter_map(|slot| slot.seq.map(|seq| seq.get())).collect();
        let mut unknown = slots().filter(|slot| slot.seq.is_none()).count();
        for (from, to) in claimed.gaps(*last) {
            let mut ranges: Vec<Range> = Vec::new();
            // By what is in flight and not number by number: a gap may be as long as somebody's counters say.
            let mut next = Some(from);
            while let Some(from) = next.filter(|from| *from <= to) {
                let died = flying.contains(&from) || unknown > 0;
                unknown -= usize::from(died && !flying.contains(&from));
                let state = if died { State::Died } else { State::Damaged };
                let until = if died { from } else { flying.range(from..=to).next().map_or(to, |n| n - 1) };
                match ranges.last_mut() {
                    Some(range) if range.state == state => range.to = until,
                    _ => ranges.push(Range { state, from, to: until }),
                }
                next = until.checked_add(1);
            }
            for range in ranges {
                // A gap is what is not claimed, so this cannot overlap.
                if claimed.insert(range).is_ok() {
                    losses.entry(range.state).or_default().push(LostRange {
                        producer: state.producer,
                        epoch: state.epoch,
                        class: class.to_string(),
                        from: range.from,
                        to: range.to,
                    });
                }
            }
        }
    }
}
