//! How many a rule has kept in each second. Edge: which second a decision belongs to is a value; counts in the order in which it is asked.

use crate::limits::SECONDS_MAX;
use crate::policy::Decision;
use std::collections::{HashMap, VecDeque};

/// What the rules that keep so many per second have kept so far, in the seconds that were asked for last.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    kept: HashMap<Of, u32>,
    /// The seconds in the order in which each was asked for first.
    // INVARIANT: the same as the keys of `kept`.
    order: VecDeque<Of>,
}

/// Table, rule and second.
type Of = (usize, usize, i64);

impl Quotas {
    /// Whether a decision at this time, in ns since 1970, is among the first `per_second` of its second that its rule keeps; if so it counts. A
    /// second that is forgotten, since many others were asked for after it, counts anew.
    pub fn admit(&mut self, decision: &Decision<'_>, per_second: u32, time_ns: i64) -> bool {
        let of = (decision.at.0, decision.at.1, time_ns.div_euclid(1_000_000_000));
        if !self.kept.contains_key(&of) {
            if self.order.len() >= SECONDS_MAX
                && let Some(first) = self.order.pop_front()
            {
                self.kept.remove(&first);
            }
            self.order.push_back(of);
        }
        let kept = self.kept.entry(of).or_default();
        let is_kept = *kept < per_second;
        *kept += u32::from(is_kept);
        is_kept
    }
}
