use std::path::PathBuf;

use super::*;
use crate::json::{DraftReader, ReadAt};
use crate::opened::of_draft;
use crate::summary::Summary;

const AT: ReadAt = ReadAt { time_ns: 1_795_253_400_000_000_000, clock_error_ns: None };

/// Compares with a golden file; with `UPDATE_GOLDEN=1` in the environment, writes it instead.
fn check(name: &str, drawn: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(drawn == golden, "{name} differs; if it should, run with UPDATE_GOLDEN=1 and look at it");
}

fn opened(line: &str) -> Opened {
    of_draft(&DraftReader::new(false).read(line.as_bytes(), AT).unwrap_or_else(|error| panic!("{error}")))
}

fn explained(record: &Opened) -> Explained {
    Explained::of(record, record, None).unwrap().unwrap()
}

type Draw = fn(&Explained, &Opened, usize) -> Result<String, Undrawable>;

const ONE: [(&str, Draw); 3] = [("waterfall", waterfall), ("force", force), ("bar", bar)];

const CREDIT: &str = r#"{"model": {"name": "credit-risk", "version": "1.4.0"},
 "inputs": {"duration_months": 24, "purpose": "car (used)", "amount": 4870.0, "age": 31, "housing": "free", "installment_rate": 4,
            "checking_status": "less than 0 DM", "savings": "unknown / none", "employment": "1 <= X < 4", "phone": true,
            "existing_credits": 1, "job": "skilled"},
 "outputs": {"probability_good": 0.3418},
 "explanation": {"method": "shap", "library": "shap 0.51.0", "space": "probability", "class": "good",
   "base": 0.7012, "residual": 0.0,
   "attributions": {"duration_months": -0.081, "purpose": 0.024, "amount": -0.052, "age": 0.0121, "housing": -0.0309,
                    "installment_rate": -0.0198, "checking_status": -0.2145, "savings": -0.0341, "employment": 0.0287,
                    "phone": 0.0042, "existing_credits": 0.0011, "job": 0.0028}}}"#;

#[test]
fn one_decision() {
    let record = opened(CREDIT);
    for (name, draw) in ONE {
        check(&format!("{name}.svg"), &draw(&explained(&record), &record, 10).unwrap());
    }
}

/// LIME: terms for names, no values of inputs, a sum that is not the output; and texts that would be markup.
#[test]
fn one_decision_by_lime() {
    let record = opened(
        r#"{"model": {"name": "<b>spam</b> & more", "version": "2"}, "inputs": {"text": "x"},
            "explanation": {"method": "lime", "library": "lime 0.2.0.1", "space": "probability", "class": "spam", "base": 0.21,
              "residual": -0.17, "when": "later",
              "attributions": [["free", 0.31], ["<script>alert(1)</script>", 0.12], ["meeting", -0.05], ["income <= 0.24", 0.02],
                               ["free", -0.001], ["价格", 0.04]]}}"#,
    );
    for (name, draw) in ONE {
        let drawn = draw(&explained(&record), &record, 10).unwrap();
        assert!(!drawn.contains("<script") && !drawn.contains("<b>"), "{drawn}");
        check(&format!("{name}-lime.svg"), &drawn);
    }
}

fn many(count: u32) -> Summary {
    let mut summary = Summary::default();
    for n in 0..count {
        // Spread over the unit interval without chance.
        let part = |by: u32| f64::from(n * by % 997) / 997.0;
        let (amount, months, age) = (part(389), part(617), part(211));
        let purpose = ["car", "repairs", "education"][n as usize % 3];
        let line = format!(
            r#"{{"model": {{"name": "m", "version": "1"}},
                "inputs": {{"amount": {}, "months": {}, "age": {}, "purpose": "{purpose}", "phone": {}}},
                "explanation": {{"method": "shap", "attributions": {{"amount": {}, "months": {}, "age": {}, "purpose": {}, "phone": 0.0}}}}}}"#,
            500.0 + 9000.0 * amount,
            6 + (months * 48.0) as i64,
            19 + (age * 50.0) as i64,
            n % 2 == 0,
            0.3 * (0.5 - amount).powi(3) * 4.0 + 0.05 * (0.5 - months),
            0.22 * (0.5 - months),
            0.15 * (age - 0.4) * (1.0 - amount),
            [0.04, -0.03, 0.005][n as usize % 3] * (0.5 + amount),
        );
        let record = opened(&line);
        summary.add(&explained(&record), &record);
    }
    summary
}

#[test]
fn many_decisions() {
    let told = ["400 decisions, 2026-11-14 to 2026-11-21".to_owned()];
    let ranked = many(400).ranked();
    let names: Vec<_> = ranked.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["months", "amount", "purpose", "age", "phone"]);
    check("beeswarm.svg", &beeswarm(&ranked, "credit-risk", &told, 4).unwrap());
    check("mean-bar.svg", &mean_bar(&ranked, "credit-risk", &told, 4).unwrap());
}

#[test]
fn means_count_decisions_that_do_not_name_a_feature() {
    let mut summary = Summary::default();
    for attributions in [r#"{"a": 1.0, "b": -3.0}"#, r#"{"a": 1.0}"#, r#"{"a": {"$float": "NaN"}}"#, "{}"] {
        let line = format!(
            r#"{{"model": {{"name": "m", "version": "1"}}, "inputs": {{"z": 1}},
                "explanation": {{"method": "m", "attributions": {attributions}}}}}"#
        );
        let record = opened(&line);
        summary.add(&explained(&record), &record);
    }
    assert_eq!((summary.decisions, summary.left_out), (3, 1));
    let ranked = summary.ranked();
    let means: Vec<_> = ranked.iter().map(|feature| (feature.name.as_str(), feature.mean)).collect();
    assert_eq!(means, [("b", 1.0), ("a", 2.0 / 3.0)]);
}

#[test]
fn what_cannot_be_drawn() {
    for (attributions, why) in [
        ("{}", Undrawable::NoAttributions),
        (r#"{"a": {"$float": "NaN"}}"#, Undrawable::NoAttributions),
        (r#"{"a": 1.7e308, "b": 1.7e308, "c": 1e300}"#, Undrawable::OutOfScale),
        (r#"{"a": 5e-324}"#, Undrawable::OutOfScale),
    ] {
        let line = format!(
            r#"{{"model": {{"name": "m", "version": "1"}}, "inputs": {{"a": 1}},
                "explanation": {{"method": "m", "attributions": {attributions}}}}}"#
        );
        let record = opened(&line);
        for (name, draw) in ONE {
            assert_eq!(draw(&explained(&record), &record, 10), Err(why), "{name} of {attributions}");
        }
    }
    assert_eq!(beeswarm(&[], "t", &[], 10), Err(Undrawable::NoAttributions));
    assert_eq!(mean_bar(&[], "t", &[], 10), Err(Undrawable::NoAttributions));
}

/// Every bar is as long as its number, wherever the scale puts it.
#[test]
fn any_attributions_are_drawn_to_scale() {
    for attributions in [
        r#"{"a": 0.0}"#,
        r#"{"a": -1e-9, "b": 2e-9}"#,
        r#"{"a": 1e12, "b": -5e11}"#,
        r#"{"a": 3.0, "b": {"$float": "Infinity"}}"#,
    ] {
        for meta in [r#""base": 0"#, r#""base": 1e9, "residual": {"$float": "NaN"}"#, r#""space": "raw""#] {
            let line = format!(
                r#"{{"model": {{"name": "m", "version": "1"}}, "inputs": {{"a": 1}},
                    "explanation": {{"method": "m", {meta}, "attributions": {attributions}}}}}"#
            );
            let record = opened(&line);
            for (name, draw) in ONE {
                let drawn =
                    draw(&explained(&record), &record, 10).unwrap_or_else(|e| panic!("{name}: {e} {line}"));
                assert!(!drawn.contains("NaN\"") && !drawn.contains("inf"), "{name} of {line}: {drawn}");
            }
        }
    }
}
