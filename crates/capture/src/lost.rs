//! Numbers without a record that could not be told yet, because there was no room for the frame that tells.

use crate::frame::LostReason;
use crate::limits::LOST_RANGES_MAX;

/// One range of numbers of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LostRange {
    pub(crate) class: u8,
    pub(crate) reason: LostReason,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Ranges to tell, neighbours joined.
#[derive(Debug, Default)]
pub(crate) struct LostRanges {
    ranges: Vec<LostRange>,
}

impl LostRanges {
    /// Remembers a range. When too many are remembered it is forgotten: the engine then finds its numbers missing.
    pub(crate) fn add(&mut self, range: LostRange) {
        let joins = |other: &&mut LostRange| {
            (other.class, other.reason) == (range.class, range.reason)
                && (other.to + 1 == range.from || range.to + 1 == other.from)
        };
        // From behind: numbers are lost about in order.
        if let Some(other) = self.ranges.iter_mut().rev().find(joins) {
            other.from = other.from.min(range.from);
            other.to = other.to.max(range.to);
        } else if self.ranges.len() < LOST_RANGES_MAX {
            self.ranges.push(range);
        }
    }

    /// All ranges, joined as far as possible, which are then no longer remembered.
    pub(crate) fn take(&mut self) -> Vec<LostRange> {
        let mut taken = std::mem::take(&mut self.ranges);
        taken.sort_unstable();
        taken.dedup_by(|next, before| {
            let joins =
                (next.class, next.reason) == (before.class, before.reason) && next.from <= before.to + 1;
            if joins {
                before.to = before.to.max(next.to);
            }
            joins
        });
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_class_and_reason_are_joined() {
        let mut lost = LostRanges::default();
        let one = |class, seq| LostRange { class, reason: LostReason::SpoolFull, from: seq, to: seq };
        for (class, seq) in [(1, 4), (1, 6), (2, 5), (1, 5), (1, 9)] {
            lost.add(one(class, seq));
        }
        let ranges: Vec<_> = lost.take().iter().map(|r| (r.class, r.from, r.to)).collect();
        assert_eq!(ranges, [(1, 4, 6), (1, 9, 9), (2, 5, 5)]);
        assert!(lost.is_empty());
    }
}
