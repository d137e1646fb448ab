use std::collections::BTreeMap;
use std::path::PathBuf;

use minutebook_verify::coverage::{Account, EpochState};
use minutebook_verify::descriptor::State;
use minutebook_verify::sampling::{Keep, PolicyReport, RuleReport, SamplingReport};
use minutebook_verify::windows::WindowsReport;
use minutebook_verify::{Finding, Report, Severity};

use minutebook_record::Path;
use minutebook_record::fields::ModelRef;
use minutebook_sketch::{Feature, Judged, Key, Length, Numbers, Texts, Window};
use serde_json::json;

use super::*;
use crate::explained::Explained;
use crate::json::{DraftReader, ReadAt};
use crate::opened::{Content, Opened, Seal, of_draft};
use crate::stats::{Asked, Series, series};
use crate::summary::Summary;

const AT: ReadAt = ReadAt { time_ns: 1_795_253_400_000_000_000, clock_error_ns: Some(250_000) };

fn look(width: usize) -> Look {
    Look { width: Some(width), unicode: true, zone: TimeZone::fixed(jiff::tz::offset(1)) }
}

fn ascii(width: usize) -> Look {
    Look { unicode: false, zone: TimeZone::UTC, ..look(width) }
}

/// Compares with a golden file; with `UPDATE_GOLDEN=1` in the environment, writes it instead.
fn check(name: &str, rendered: &str) {
    let plain = anstream::adapter::strip_str(rendered).to_string();
    for line in plain.lines() {
        assert_eq!(line, line.trim_end(), "blanks at the end of a line in {name}");
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &plain).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        plain == golden,
        "{name} differs; if it should, run with UPDATE_GOLDEN=1\n--- found\n{plain}\n--- golden\n{golden}"
    );
}

fn opened(line: &str) -> Opened {
    let draft = DraftReader::new(false).read(line.as_bytes(), AT).unwrap_or_else(|error| panic!("{error}"));
    let mut record = of_draft(&draft);
    record.seal = Some(Seal { segment: [0x5a; 16], place: 1_017, log_index: 4, log_size: 9 });
    record
}

const DECISION: &str = r#"{
 "model": {"name": "credit-risk", "version": "1.4.0",
           "artifact": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
 "params": {"threshold": 0.5, "solver": "lbfgs"},
 "inputs": {"duration_months": 24, "purpose": "car (used)", "amount": 4870.0, "age": 31, "housing": "free",
            "note": "null", "previous": null},
 "outputs": {"approve": false, "probability": 0.31415926535897931},
 "explanation": {"method": "coefficients", "library": "scikit-learn 1.7.2", "space": "log-odds", "class": "good",
                 "base": 0.12, "residual": 1.5e-17,
                 "attributions": {"duration_months": -0.4, "purpose": 0.1, "amount": -0.2, "age": 0.031, "housing": 0.0,
                                  "note": -0.001, "previous": 0.75}},
 "subject": "applicant-7", "actor": "branch-12", "time": "2026-11-21T09:30:00.123456789Z", "duration_ns": 81250,
 "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "span": "00f067aa0ba902b7",
 "tags": {"channel": "web"}, "environment": {"host": "worker-3", "threads": 4}}"#;

#[test]
fn a_decision() {
    check("decision.txt", &record(&look(100), &opened(DECISION)));
    check("decision-ascii.txt", &record(&ascii(60), &opened(DECISION)));
}

#[test]
fn a_decision_redacted_at_the_source() {
    let line = r#"{"model": {"name": "credit-risk", "version": "1.4.0"}, "time": "2026-11-21T09:30:00Z",
        "inputs": {"name": {"$typed": {"type": "dropped", "value": null}},
            "iban": {"$typed": {"type": "hashed/1f2e3d4c", "value": {"$bytes": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}},
            "postcode": {"$typed": {"type": "truncated/3/text", "value": "101"}},
            "city": {"$typed": {"type": "truncated/1/category", "value": null}},
            "born": {"$typed": {"type": "truncated/year/date", "value": {"$date": "1990-01-01"}}},
            "opened": {"$typed": {"type": "truncated/month/timestamp/Europe/Berlin", "value": "2021-05-01T00:00:00Z"}},
            "seen": {"$typed": {"type": "truncated/day/datetime", "value": {"$timestamp": "2026-11-20T00:00:00Z"}}},
            "age": {"$typed": {"type": "bucketed/edges/18,30,65", "value": 30.0}},
            "young": {"$typed": {"type": "bucketed/edges/18,30,65", "value": {"$float": "-Infinity"}}},
            "old": {"$typed": {"type": "bucketed/edges/18,30,65", "value": 65.0}},
            "rate": {"$typed": {"type": "bucketed/width/0.1", "value": 0.3}},
            "amount": 4870.0},
        "outputs": {"approve": false, "probability": {"$typed": {"type": "bucketed/width/0.25", "value": 0.25}}},
        "explanation": {"method": "coefficients"}, "tags": {"channel": "web"},
        "fields": [[["tags", "customer"], {"$typed": {"type": "truncated/2/bytes", "value": {"$bytes": "AAE="}}}],
            [["explanation", "attributions"], {"$typed": {"type": "dropped", "value": null}}],
            [["explanation", "reasons"], {"$typed": {"type": "dropped", "value": null}}]]}"#;
    check("redacted.txt", &record(&look(100), &opened(line)));
}

#[test]
fn a_decision_that_failed_and_is_not_sealed() {
    let mut failed = opened(
        r#"{"model": {"name": "m", "version": "2"}, "status": "ValueError", "inputs": {"x": {"$float": "NaN"},
            "image": {"$tensor": {"dtype": "f32", "shape": [2, 3], "data": [1, 2, 3, 4.5, 0.1, -6]}},
            "wide": {"$tensor": {"dtype": "u8", "shape": [3, 4], "data": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}},
            "raw": {"$bytes": "AAECAwQFBgcICQo="}, "price": {"$decimal": "12.50"}, "born": {"$date": "1990-05-01"},
            "at": {"$typed": {"type": "timestamp/Europe/Berlin", "value": "2026-11-21T09:30:00Z"}},
            "waited": {"$duration": "PT1M0.5S"}, "nested": {"a": [1, {"b": null}]},
            "ratio": {"$typed": {"type": "f32", "value": 0.1}}}}"#,
    );
    failed.seal = None;
    check("decision-failed.txt", &record(&look(100), &failed));
}

#[test]
fn several_outputs_and_many_features() {
    let attributions: Vec<String> = (0..30)
        .map(|n| format!("\"feature {n}\": [{}, {}]", f64::from(n) / 10.0, f64::from(n * n - 300) / 7.0))
        .collect();
    let line = format!(
        r#"{{"kind": "explanation", "links": ["0192f3c1-7c00-7000-8000-000000000001"],
            "explanation": {{"method": "shap.TreeExplainer", "class": 1, "base": [0.5, -1], "when": "later",
                             "attributions": {{{}}}}}}}"#,
        attributions.join(", ")
    );
    check("explanation.txt", &record(&look(80), &opened(&line)));
}

#[test]
fn reasons_and_counterfactuals() {
    let line = r#"{"model": {"name": "loans", "version": "3"},
        "inputs": {"amount": 4870.0, "months": 24, "age": 1, "purpose": "car"}, "outputs": {"approve": false},
        "explanation": {"method": "shap", "attributions": {"amount": -0.4, "months": -0.2, "age": -0.1, "purpose": 0.0},
            "reasons": [
                {"features": ["amount", "months"], "attribution": -0.6, "code": "A2",
                 "text": "the amount is too high for the income that was declared, and it would be paid back over too long a term\u001b[31m"},
                {"features": ["age"], "attribution": -0.1, "text": null}],
            "counterfactuals": [{"amount": 3000, "months": 24.0, "age": 1, "purpose": "car", "outcome": 1},
                                {"amount": 4000.5, "purpose": "bicycle"}, {"age": 1}]},
        "fields": [[["explanation", "author"], "j.doe"]]}"#;
    check("reasons.txt", &record(&look(80), &opened(line)));
    check("reasons-ascii.txt", &record(&ascii(60), &opened(line)));
    let mut masked = opened(line);
    let Content::Readable(values) = &mut masked.content else { panic!("it can be read") };
    for name in ["reasons", "counterfactuals"] {
        values[masked.schema.find_parts(&["explanation", name]).unwrap()] = None;
    }
    let page = record(&look(80), &masked);
    assert!(!page.contains("3000") && !page.contains("too high"), "{page}");
    assert!(page.contains("explanation/counterfactuals"), "{page}");
}

#[test]
fn what_explains_a_decision() {
    let decided = opened(DECISION);
    let later = r#"{"kind": "explanation", "links": ["01a1fd70-f23b-7707-8707-070707070707"], "time": "2026-11-22T08:00:00Z",
        "explanation": {"method": "lime", "library": "lime 0.2.0.1", "space": "probability", "when": "later",
            "parameters": {"outputs": ["bad", "good"]}, "base": [0.4, 0.6], "residual": [0.1, -0.1],
            "attributions": [["amount > 3972.25", [0.2, -0.2]], ["purpose=car", [-0.05, 0.05]]],
            "reasons": [{"features": ["amount > 3972.25"], "attribution": -0.2, "text": "the amount is high"}]}}"#;
    let mut later = opened(later);
    later.header.id = "01a20000-0000-7707-8707-070707070707".parse().unwrap();
    let explained = |record: &Opened, of| Explained::of(record, &decided, of).unwrap().unwrap();
    let all = [(explained(&decided, None), &decided), (explained(&later, Some("good")), &later)];
    check("explain.txt", &explanations(&look(90), &decided, &all, 5));
    check("explain-ascii.txt", &explanations(&ascii(60), &decided, &all, 3));
    assert_eq!(explained(&later, Some("1")).output, 1);
    assert_eq!(explained(&later, None).class(), Some("bad".into()));
    let none = Explained::of(&later, &decided, Some("2")).unwrap_err();
    assert_eq!((none.outputs, none.names), (2, vec!["bad".to_owned(), "good".to_owned()]));
    assert_eq!(explained(&decided, Some("good")).output, 0, "the class that it is said to be for");
    assert_eq!(Explained::of(&decided, &decided, Some("bad")).unwrap_err().outputs, 1);
}

#[test]
fn what_features_add_as_a_rule() {
    let decided = opened(DECISION);
    let mut summary = Summary::default();
    summary.add(&Explained::of(&decided, &decided, None).unwrap().unwrap(), &decided);
    let told = ["1 decision".to_owned()];
    check("importance.txt", &importance(&look(80), &summary.ranked(), "credit-risk\u{1b}[31m", &told, 4));
}

#[test]
fn another_kind() {
    let line = r#"{"kind": "outcome", "links": ["0192f3c1-7c00-7000-8000-000000000001"],
                   "outcome": {"defaulted": true, "after_months": 14}, "fields": [[["source"], "ledger"]]}"#;
    check("outcome.txt", &record(&look(80), &opened(line)));
}

#[test]
fn what_cannot_be_read() {
    let mut unreadable = opened(DECISION);
    unreadable.content = Content::Erased;
    check("erased.txt", &record(&look(100), &unreadable));
    unreadable.content = Content::NoKey;
    check("no-key.txt", &record(&look(100), &unreadable));
}

#[test]
fn a_value_cannot_steer_the_terminal() {
    let line = r#"{"model": {"name": "m\u001b[31m", "version": "1\r"}, "status": "x\u0007",
                   "inputs": {"a\u001b]0;title": "b\u001b[2J\u202e", "c": {"\u001bk": ["\u001b"]}},
                   "outputs": {"o": "\u001b[1m"},
                   "subject": "s\u001b[0m", "tags": {"t\u001b": "\u009b1m"}}"#;
    let hostile = opened(line);
    let listing = Listing::new(look(100), true, std::slice::from_ref(&hostile));
    let rendered = record(&look(100), &hostile) + &listing.line(&hostile);
    let plain = anstream::adapter::strip_str(&rendered).to_string();
    let bad = plain.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(bad, None, "{plain}");
    assert!(plain.contains(r"\u{1b}[2J"), "shown, escaped:\n{plain}");
}

#[test]
fn a_list() {
    let mut records = vec![
        opened(DECISION),
        opened(
            r#"{"model": {"name": "credit-risk", "version": "1.4.1"}, "status": "Timeout", "inputs": {}}"#,
        ),
        opened(
            r#"{"kind": "outcome", "class": "long", "outcome": {"defaulted": true}, "subject": ["a", "b"]}"#,
        ),
        opened(DECISION),
    ];
    records[3].content = Content::Erased;
    for (name, look, subjects) in [
        ("list.txt", Look { width: None, ..look(0) }, false),
        ("list-subjects.txt", look(130), true),
        ("list-narrow.txt", ascii(80), false),
    ] {
        let listing = Listing::new(look, subjects, &records);
        let lines: String = records.iter().map(|record| listing.line(record)).collect();
        check(name, &(listing.titles() + &lines));
    }
}

fn account(epoch: u64, class: &str, drawn: u64, state: EpochState) -> Account {
    Account {
        producer: [0xc4; 16],
        epoch,
        class: class.into(),
        drawn,
        kept: drawn,
        sampled_out: 0,
        counted: 0,
        lost: BTreeMap::new(),
        gaps: Vec::new(),
        state,
        last_mark: 1_795_253_400,
    }
}

fn clean() -> Report {
    Report {
        trail: "1f".repeat(16),
        origin: "trail.example/credit".into(),
        log_key: "trail.example/credit+3c8a41e5+AcHpQ7vT6m3v2bO7qk1s0oQ9Zf0Jm7V8b1u4c5d6e7f8".into(),
        checkpoint: Some((9, [3; 32])),
        segments: 8,
        audited: 8,
        opened: 8,
        records: 12_004,
        readable: 12_001,
        erased: 3,
        bytes: 7_340_032,
        accounts: vec![
            account(1, "standard", 12_000, EpochState::Closed),
            account(1, "system", 3, EpochState::Closed),
            account(2, "system", 1, EpochState::Open),
        ],
        ..Report::default()
    }
}

fn finding(severity: Severity, object: &str, what: &str, means: &str) -> Finding {
    Finding { severity, object: object.into(), what: what.into(), means: means.into() }
}

fn render(look: &Look, found: &Report, level: u8, earlier: Option<u64>) -> String {
    report(look, &Verification { report: found, level, earlier, witnesses: false, all_accounts: false })
}

#[test]
fn a_clean_trail() {
    let mut found = clean();
    found.findings.push(finding(
        Severity::Warning,
        "log/checkpoint",
        "nothing outside vouches for this checkpoint",
        "everybody but the holder of the signing key is excluded",
    ));
    check("verify-clean.txt", &render(&look(100), &found, 2, None));
    found.findings.clear();
    found.continues_earlier = true;
    found.accounts =
        (1..40).map(|epoch| account(epoch, "standard", 100 + epoch, EpochState::Closed)).collect();
    check("verify-again.txt", &render(&ascii(80), &found, 0, Some(6)));
}

#[test]
fn a_trail_with_problems() {
    let mut found = clean();
    found.readable = 11_000;
    let mut lossy = account(3, "standard", 500, EpochState::Abandoned);
    lossy.kept = 480;
    lossy.sampled_out = 5;
    lossy.counted = 3;
    lossy.lost = [(State::SpoolFull, 10), (State::Died, 2)].into();
    lossy.gaps = vec![(7, 9)];
    let mut other = account(1, "short", 20, EpochState::Open);
    other.producer[15] = 0;
    other.kept = 18;
    other.gaps = vec![(19, 20)];
    found.accounts.extend([lossy, other]);
    found.findings = vec![
        finding(Severity::Note, "spool", "two records wait", "they are not sealed yet"),
        finding(
            Severity::Problem,
            "segments/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            "its bytes were changed: their SHA-256 is not the one in the log",
            "somebody or something changed what was stored; the log still says what it was, and the rest of \
             the trail is not affected",
        ),
        finding(
            Severity::Problem,
            "segments/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            "the change is here: block 5 does not open",
            "somebody or something changed what was stored; the log still says what it was, and the rest of \
             the trail is not affected",
        ),
        finding(
            Severity::Problem,
            "producer c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4 epoch 3",
            "3 of class standard missing: number 7–9",
            "these decisions were numbered, and the trail neither has them nor says why not",
        ),
    ];
    let rule = |name: &str, rate, provable| RuleReport {
        models: vec!["credit-*".into()],
        classes: Vec::new(),
        name: name.into(),
        keep: Keep::Rate(rate),
        provable,
    };
    let policy = |entry, has_key: bool, rules| PolicyReport {
        entry,
        key_entry: (!has_key).then_some(entry + 1),
        has_key,
        left_out: 5,
        kept: 480,
        rules,
        ..PolicyReport::default()
    };
    let one = policy(3, true, vec![rule("refused", 1.0, false), rule("others", 0.05, true)]);
    found.windows = Some(WindowsReport { decisions: 11_998, counted: 11_500 });
    found.sampling =
        Some(SamplingReport { policies: vec![one, policy(7, false, vec![rule("half", 0.5, true)])] });
    check("verify-problems.txt", &render(&look(100), &found, 2, None));
    let verification =
        Verification { report: &found, level: 2, earlier: None, witnesses: false, all_accounts: false };
    let printed = serde_json::to_string_pretty(&report_json(&verification)).unwrap();
    check("verify-problems.json", &(printed + "\n"));
}

fn statistics() -> Vec<Series> {
    let path =
        |name: &str| Path::new([name.split_once('/').unwrap().0, name.split_once('/').unwrap().1]).unwrap();
    let mut model = Vec::new();
    ModelRef { name: "credit".into(), version: "1.4".into(), artifact: None }.write(&mut model);
    let windows = (0..3u32).map(|hour| {
        // So few that nothing is estimated.
        let count = 45 * u64::from(hour) + 15;
        let mut window = Window { decisions: count, ..Window::default() };
        window.status = [("ok".into(), count - 3), ("ValueError".into(), 3)].into();
        window.rules = [("others".into(), Judged { judged: count, kept: count / 20 })].into();
        let mut add = |name: &str, present: u64, numbers: Option<Numbers>, texts: Option<Texts>| {
            window.features.insert(path(name), Feature { present, numbers, texts });
        };
        let mut amounts = Numbers::default();
        amounts.extend((0..count).map(|n| (n * 7_919 % 100) as f64 * f64::from(hour + 1)));
        add("inputs/amount", count, Some(amounts), None);
        let mut purposes = Texts::default();
        purposes.add_many("car", count / 2);
        purposes.add_many("boat\u{1b}[31m", count / 4);
        (0..4).for_each(|n| purposes.add_many(&format!("purpose {n}"), 1));
        add("inputs/purpose", count / 2 + count / 4 + 4, None, Some(purposes));
        let mut names = Texts::default();
        (0..count).for_each(|n| names.add(&format!("Person {hour} {n}")));
        add("inputs/name", count, None, Some(names));
        let mut few = Numbers::default();
        few.extend([1.5; 2]);
        add("inputs/seldom", 2, Some(few), None);
        let mut times = Numbers::default();
        times.extend((0..count).map(|n| (n % 100) as f64 * 20_000.0));
        add("event/duration", count, Some(times), None);
        let start = 1_795_253_400 + i64::from(hour) * 3_600;
        (Key { length: Length::Hour, start, model: model.as_slice().into() }, window)
    });
    series(windows.collect())
}

#[test]
fn statistics_of_a_model() {
    let all = statistics();
    check("stats.txt", &stats(&look(100), &all, &Asked::default()));
    let features =
        ["inputs/amount", "inputs/purpose", "inputs/none"].map(|path| crate::typed::path(path).unwrap());
    let asked = Asked { features: features.into(), ..Asked::default() };
    check("stats-features-ascii.txt", &stats(&ascii(80), &all, &asked));
}

#[test]
fn a_window_shows_distributions_instead_of_sketches() {
    let mut record = opened(DECISION);
    let mut window = statistics().remove(0).whole;
    let part = window.seal().remove(0);
    let key = Key { length: Length::Hour, start: 1_795_253_400, model: Box::from([0xf6]) };
    let (fields, values): (Vec<_>, Vec<_>) = minutebook_sketch::fields(&key, &part, 9).into_iter().unzip();
    record.header.kind = minutebook_record::Kind::Window;
    record.schema = std::sync::Arc::new(minutebook_record::Schema::new(fields).unwrap());
    record.content = Content::Readable(values.into_iter().map(Some).collect());
    check("window.txt", &super::record(&look(100), &record));
}

#[test]
fn statistics_for_programs() {
    let told = crate::stats::json(&statistics(), &Asked { bins: 4, values: 2, ..Asked::default() });
    let whole = &told["models"][0]["whole"];
    assert_eq!(whole["decisions"], 180);
    let amount = &whole["features"][1];
    assert_eq!((&amount["path"][1], &amount["numbers"]["max"]), (&json!("amount"), &json!(297.0)));
    let bars = amount["numbers"]["histogram"]["counts"].as_array().unwrap();
    assert!(
        bars.len() == 4 && (bars.iter().map(|bar| bar.as_f64().unwrap()).sum::<f64>() - 180.0).abs() < 1e-6
    );
    let purpose = &whole["features"][3];
    assert_eq!((&purpose["missing"], &purpose["texts"]["top"][0]), (&json!(35), &json!(["car", 89])));
}

#[test]
fn a_checkup() {
    check("doctor-well.txt", &checkup(&look(100), &[], false));
    let found = [
        finding(Severity::Note, "spool/record", "2 records wait to be sealed", "run `minutebook seal`"),
        finding(Severity::Problem, "catalog.db", "it is missing", "restore its newest backup"),
    ];
    check("doctor-problems.txt", &checkup(&look(100), &found, true));
}

#[test]
fn nothing_to_read() {
    let found = Report {
        findings: vec![finding(Severity::Problem, "trail.toml", "it is missing", "restore it")],
        ..Report::default()
    };
    check("verify-nothing.txt", &render(&look(100), &found, 2, None));
}

#[test]
fn numbers_and_sizes() {
    for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(count(number), expected);
    }
    for (size, expected) in
        [(0, "0 bytes"), (1_023, "1023 bytes"), (1_536, "1.5 KiB"), (u64::MAX, "16777216.0 TiB")]
    {
        assert_eq!(bytes(size), expected);
    }
    for (value, expected) in [
        (0.314_159_265, "0.314159"),
        (-0.4, "-0.4"),
        (4870.0, "4870"),
        (123_456_789.0, "123456789"),
        (1e-7, "1.0000e-7"),
        (1.5e-17, "1.5000e-17"),
        (0.0, "0.0"),
        (f64::NAN, "NaN"),
        (0.000_012_345_678, "0.0000123457"),
    ] {
        assert_eq!(words::rounded(value), expected);
    }
    for (ns, expected) in [
        (7, "7 ns"),
        (81_260, "81.3 µs"),
        (1_250_000, "1.25 ms"),
        (2_000_000_000, "2 s"),
        (200_000_000_000, "3 min 20 s"),
    ] {
        assert_eq!(duration(ns), expected);
    }
}
