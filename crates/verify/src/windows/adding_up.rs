//! Whether windows add up: every number that they say they counted is a decision's, and none is counted twice. Edge: which decisions there are is
//! said by the log and by the segments' audit sections.

use super::Covered;
use crate::check::{Level, Outcome};
use crate::descriptor::{Descriptor, Id, Range, State};
use crate::hex;
use crate::report::Report;
use std::collections::BTreeMap;

/// What windows counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowsReport {
    /// Decisions in the log, kept or left out.
    pub decisions: u64,
    /// Those of them that some window counted.
    pub counted: u64,
}

/// Producer, epoch, class.
type Run = (Id, u64, String);

/// What segments say, gathered in any order.
#[derive(Debug, Default)]
pub(crate) struct AddingUp {
    decided: BTreeMap<Run, Vec<(u64, u64)>>,
    covers: BTreeMap<Run, Vec<(u64, u64, u64)>>,
    /// Something that may tell of decisions or windows could not be read.
    is_partial: bool,
}

impl AddingUp {
    /// Decisions that have no record.
    pub(crate) fn take_log(&mut self, descriptor: &Descriptor) {
        for ranges in &descriptor.ranges {
            let run = (ranges.producer, ranges.epoch, ranges.class.clone());
            let without_record = |range: &&Range| matches!(range.state, State::SampledOut | State::Counted);
            let left_out = ranges.ranges.iter().filter(without_record);
            let left_out: Vec<(u64, u64)> = left_out.map(|range| (range.from, range.to)).collect();
            if !left_out.is_empty() {
                self.decided.entry(run).or_default().extend(left_out);
            }
        }
    }

    /// A segment of a class that was checked.
    pub(crate) fn take(&mut self, class: &str, outcome: &mut Outcome) {
        let needed = if class == "system" { Level::Content } else { Level::Audit };
        self.is_partial |= outcome.level < Some(needed) || !outcome.faults.is_empty();
        for ranges in outcome.decided.drain(..) {
            let run = (ranges.producer, ranges.epoch, ranges.class);
            let decided = ranges.ranges.iter().map(|range| (range.from, range.to));
            self.decided.entry(run).or_default().extend(decided);
        }
        for Covered { producer, epoch, class, from, to, count } in outcome.covers.drain(..) {
            self.covers.entry((producer, epoch, class)).or_default().push((from, to, count));
        }
    }

    /// A segment that could not be read.
    pub(crate) fn miss(&mut self) {
        self.is_partial = true;
    }

    /// Compares the two, and puts it into the report.
    pub(crate) fn report(mut self, report: &mut Report) {
        if self.is_partial {
            return;
        }
        let mut found = WindowsReport::default();
        for decided in self.decided.values_mut() {
            decided.sort_unstable();
            found.decisions += decided.iter().map(|(from, to)| to - from + 1).sum::<u64>();
        }
        for ((producer, epoch, class), mut covers) in std::mem::take(&mut self.covers) {
            let run = (producer, epoch, class);
            let decided = self.decided.get(&run).map_or(&[][..], Vec::as_slice);
            covers.sort_unstable();
            let mut covers = covers.into_iter().peekable();
            while let Some((from, mut to, mut count)) = covers.next() {
                // What overlaps can only be compared together.
                while let Some((_, last, more)) = covers.next_if(|(next, ..)| *next <= to) {
                    to = to.max(last);
                    count = count.saturating_add(more);
                }
                let there = within(decided, from, to);
                found.counted += count.min(there);
                if count > there {
                    let object = format!("producer {} epoch {}", hex(&run.0), run.1);
                    let what = format!(
                        "windows counted {count} decisions of class {} with the numbers {from}–{to}, and there are {there}",
                        run.2
                    );
                    let means = "whoever ran the engine counted decisions twice, or ones that never were: distributions and totals are wrong";
                    report.problem(object, what, means);
                }
            }
        }
        report.windows = Some(found);
    }
}

/// How many numbers from one to another are in these ranges, which ascend and lie apart.
fn within(ranges: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let first = ranges.partition_point(|(_, last)| *last < from);
    let inside = ranges[first..].iter().take_while(|(start, _)| *start <= to);
    inside.map(|(start, last)| (*last).min(to) - (*start).max(from) + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Ranges;
    use crate::report::Severity;

    fn run() -> Run {
        ([7; 16], 1, "standard".into())
    }

    fn adding_up(decided: &[(u64, u64)], covers: &[(u64, u64, u64)]) -> AddingUp {
        let mut adding_up = AddingUp::default();
        let range = |(from, to): &(u64, u64)| Range { state: State::Kept, from: *from, to: *to };
        let ranges = decided.iter().map(range).collect();
        let (producer, epoch, class) = run();
        let mut outcome = Outcome { level: Some(Level::Content), ..Outcome::default() };
        outcome.decided = vec![Ranges { producer, epoch, class: class.clone(), ranges }];
        outcome.covers = covers
            .iter()
            .map(|(from, to, count)| Covered {
                producer,
                epoch,
                class: class.clone(),
                from: *from,
                to: *to,
                count: *count,
            })
            .collect();
        adding_up.take("standard", &mut outcome);
        adding_up
    }

    fn found(decided: &[(u64, u64)], covers: &[(u64, u64, u64)]) -> (u64, u64, Vec<String>) {
        let mut report = Report::default();
        adding_up(decided, covers).report(&mut report);
        let windows = report.windows.unwrap();
        let problems = report.findings.into_iter().inspect(|f| assert_eq!(f.severity, Severity::Problem));
        (windows.decisions, windows.counted, problems.map(|finding| finding.what).collect())
    }

    #[test]
    fn what_adds_up_is_clean() {
        assert_eq!(found(&[(1, 100)], &[(1, 60, 60), (61, 100, 40)]), (100, 100, vec![]));
        // Two models took turns: each names the span and how many of it.
        assert_eq!(found(&[(1, 100)], &[(1, 99, 50), (2, 100, 50)]), (100, 100, vec![]));
        assert_eq!(found(&[(1, 10), (21, 30)], &[(5, 25, 11)]), (20, 11, vec![]));
        assert_eq!(found(&[(1, 100)], &[]), (100, 0, vec![]));
    }

    #[test]
    fn what_is_counted_twice_or_never_was_is_found() {
        for covers in [
            &[(1, 60, 60), (60, 100, 41)][..],
            &[(1, 100, 100), (50, 50, 1)],
            &[(1, 99, 50), (2, 100, 51)],
            &[(101, 101, 1)],
            &[(90, 110, 12)],
        ] {
            let (_, _, problems) = found(&[(1, 100)], covers);
            assert_eq!(problems.len(), 1, "{covers:?}");
        }
    }

    #[test]
    fn nothing_is_said_when_something_could_not_be_read() {
        let mut report = Report::default();
        let mut partial = adding_up(&[(1, 2)], &[(1, 9, 9)]);
        partial.miss();
        partial.report(&mut report);
        assert_eq!((report.windows, report.findings.len()), (None, 0));
    }
}
