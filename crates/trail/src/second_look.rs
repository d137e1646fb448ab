//! Verifying beside an engine: what it is just writing is not in the log yet, and looks as if it did not belong. It does so once, so what two
//! looks find counts. Edge: puts two reports together; looking is the verifier's.

use minutebook_verify::{Finding, Report, Severity};

/// The second of two looks, with those problems only that the first one found too.
pub fn lasting(first: &Report, mut second: Report) -> Report {
    let is_new =
        |finding: &Finding| finding.severity == Severity::Problem && !first.findings.contains(finding);
    second.findings.retain(|finding| !is_new(finding));
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_looks_what_both_found_counts() {
        let finding = |severity, object: &str| Finding {
            severity,
            object: object.into(),
            what: "it is there".into(),
            means: String::new(),
        };
        let report = |findings: &[(Severity, &str)]| Report {
            findings: findings.iter().map(|(severity, object)| finding(*severity, object)).collect(),
            ..Report::default()
        };
        use Severity::{Note, Problem};
        let first = report(&[(Problem, "segments/on-its-way"), (Problem, "segments/changed")]);
        let second = report(&[(Problem, "segments/changed"), (Problem, "segments/another"), (Note, "spool")]);
        let left: Vec<_> =
            lasting(&first, second).findings.into_iter().map(|finding| finding.object).collect();
        assert_eq!(left, ["segments/changed", "spool"]);
    }
}
