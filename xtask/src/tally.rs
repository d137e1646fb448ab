//! How many tests passed, failed and were left out, read from the summaries that `cargo test` and pytest print.

use std::ops::AddAssign;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl Tally {
    /// The tally in a line of `cargo test`, one for each test program:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub(crate) fn of_cargo_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Some(Self::of_counts(counts.split(';')))
    }

    /// The tally in pytest's last line, with or without its frame: `== 2 failed, 5 passed, 1 skipped in 0.12s ==`.
    pub(crate) fn of_pytest_line(line: &str) -> Option<Self> {
        let line = line.trim_matches(['=', ' ']);
        let (counts, time) = line.rsplit_once(" in ")?;
        if !time.starts_with(|c: char| c.is_ascii_digit()) || !time.contains('s') {
            return None;
        }
        let words_of_pytest = |part: &str| {
            let (number, word) = part.trim().split_once(' ').unwrap_or_default();
            number.parse::<u64>().is_ok() && !word.is_empty()
        };
        (counts == "no tests ran" || counts.split(',').all(words_of_pytest))
            .then(|| Self::of_counts(counts.split(',')))
    }

    fn of_counts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for part in parts {
            let Some((number, word)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => tally.passed += number,
                // An error in pytest is a test that could not be set up.
                "failed" | "error" | "errors" => tally.failed += number,
                "ignored" | "skipped" => tally.ignored += number,
                _ => {}
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, ignored: u64) -> Option<Tally> {
        Some(Tally { passed, failed, ignored })
    }

    #[test]
    fn cargo_summaries() {
        let check = |line: &str, expected| assert_eq!(Tally::of_cargo_line(line), expected, "{line}");
        check(
            "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.03s",
            tally(12, 0, 2),
        );
        check(
            "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
            tally(1, 3, 0),
        );
        check("test result_is_kept ... ok", None);
        check("running 3 tests", None);
    }

    #[test]
    fn pytest_summaries() {
        let check = |line: &str, expected| assert_eq!(Tally::of_pytest_line(line), expected, "{line}");
        check("5 passed in 0.12s", tally(5, 0, 0));
        check("==== 2 failed, 5 passed, 1 skipped, 3 warnings in 63.12s (0:01:03) ====", tally(5, 2, 1));
        check("1 passed, 1 error in 0.10s", tally(1, 1, 0));
        check("no tests ran in 0.01s", tally(0, 0, 0));
        check("something that happened in 3s", None);
        check("3 passed", None);
    }
}
