//! Sampling by a policy: what is kept and what is left out, that every number has its account, and that the right ones were kept.

use crate::fixture::{Fixture, Given, record, verify_place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Producer;
use minutebook_record::fields::{Event, Kept};
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{Content, Error, Filter, StoredRecord, doctor};
use minutebook_verify::keys::Secret;
use minutebook_verify::sampling::{SamplingKey, keeps};
use minutebook_verify::{Report, Severity};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const HALF: &str = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\n[[model.rule]]\nname = \"half\"\nrate = 0.5\n";

const THREE: &str = r#"
format = "minutebook/policy/1"

[[model]]
name = "cred*"

[[model.rule]]
name = "large"
when = "inputs.amount > 0.9"
keep = "all"

[[model.rule]]
name = "boats"
when = 'inputs["purpose"] == "boat"'
rate = 0.5

[[model.rule]]
name = "others"
rate = 0.05
"#;

async fn set(fixture: &Fixture, text: &str) -> bool {
    let mut engine = fixture.engine().await;
    let changed = engine.set_policy(text).await.unwrap();
    engine.close().await;
    changed
}

/// All decisions, with why they were kept.
async fn decisions(fixture: &Fixture) -> Vec<(StoredRecord, Option<Kept>)> {
    let filter = Filter { kinds: vec![Kind::Decision], oldest_first: true, ..Filter::default() };
    let mut found = Vec::new();
    let mut each = |record: StoredRecord| {
        let Content::Readable { values, .. } = &record.content else { panic!("unreadable") };
        let event = &values[record.schema.find_parts(&["event"]).unwrap()];
        let kept = Event::decode(event).unwrap().unwrap().kept;
        found.push((record, kept));
        ControlFlow::Continue(())
    };
    fixture.reader().await.list(&filter, &mut each).await.unwrap();
    found
}

/// Drawn, kept and left out in classes other than `system`.
fn totals(report: &Report) -> (u64, u64, u64) {
    let accounts = report.accounts.iter().filter(|account| account.class != "system");
    accounts.fold((0, 0, 0), |(drawn, kept, out), account| {
        assert!(account.lost.is_empty() && account.unaccounted() == 0, "{account:?}");
        (drawn + account.drawn, kept + account.kept, out + account.sampled_out)
    })
}

async fn check_sound(fixture: &Fixture) -> Report {
    let report = fixture.check().await;
    assert_eq!(report.findings.iter().filter(|finding| finding.object == "sampling").count(), 0);
    let found = doctor(&fixture.place, true).await.unwrap();
    let problems: Vec<_> = found.iter().filter(|finding| finding.severity == Severity::Problem).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    report
}

/// The key that draws, and a number's draw.
fn key(fixture: &Fixture) -> SamplingKey {
    keys(fixture).remove(0)
}

/// All sampling keys, the oldest first.
fn keys(fixture: &Fixture) -> Vec<SamplingKey> {
    let keys = std::fs::read_to_string(fixture.folder.path().join("keys/keys.toml")).unwrap();
    let keys: toml::Value = toml::from_str(&keys).unwrap();
    let key = |entry: &toml::Value| BASE64.decode(entry["key"].as_str().unwrap()).unwrap();
    let keys = keys["sampling"].as_array().unwrap().iter().map(key);
    keys.map(|key| SamplingKey::new(&Secret::new(key.try_into().unwrap()))).collect()
}

fn given(amount: f64, purpose: &str) -> Given<'static> {
    Given { number: amount, text: purpose.into(), ..Given::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_hold_and_every_number_has_its_account() {
    const DECISIONS: u32 = 100_000;
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    assert!(engine.set_policy(THREE).await.unwrap());
    let producer = fixture.producer("web");
    let mut expected: BTreeMap<&str, u32> = BTreeMap::new();
    for n in 0..DECISIONS {
        // A tenth each is large and a boat, independently.
        let (large, boat) = (n % 10 == 3, n / 10 % 10 == 3);
        record(&producer, &given(if large { 0.95 } else { 0.25 }, if boat { "boat" } else { "car" }));
        *expected
            .entry(if large {
                "large"
            } else if boat {
                "boats"
            } else {
                "others"
            })
            .or_default() += 1;
        if n % 20_000 == 0 {
            engine.seal().await.unwrap();
        }
    }
    producer.close().unwrap();
    engine.seal().await.unwrap();
    engine.close().await;

    let mut kept: BTreeMap<String, u32> = BTreeMap::new();
    for (_, why) in decisions(&fixture).await {
        *kept.entry(why.unwrap().rule).or_default() += 1;
    }
    for (rule, rate) in [("large", 1.0), ("boats", 0.5), ("others", 0.05)] {
        let (all, kept) = (f64::from(expected[rule]), f64::from(kept[rule]));
        // Six standard deviations: once in a billion runs.
        let bound = 6.0 * (all * rate * (1.0 - rate)).sqrt();
        assert!((kept - all * rate).abs() <= bound, "{rule}: {kept} of {all}");
    }
    let report = check_sound(&fixture).await;
    let (drawn, kept, left_out) = totals(&report);
    assert_eq!((drawn, kept + left_out), (u64::from(DECISIONS), u64::from(DECISIONS)));
    let sampling = report.sampling.unwrap();
    assert_eq!(sampling.policies.len(), 1);
    let policy = &sampling.policies[0];
    assert_eq!((policy.has_key, policy.kept, policy.left_out), (true, kept, left_out));
    assert_eq!(policy.rules.iter().map(|rule| rule.provable).collect::<Vec<_>>(), [false; 3]);
}

const BY_PURPOSE: &str = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\n[[model.rule]]\nname = \"purposes\"\n\
    rate = { by = \"inputs.purpose\", values = { car = 0.25, boat = 1 }, others = 0 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_by_value_keeps_by_it_and_is_proved() {
    let fixture = Fixture::new().await;
    set(&fixture, BY_PURPOSE).await;
    let producer = fixture.producer("web");
    let purposes = ["car", "boat", "house"];
    (0..600).for_each(|n| _ = record(&producer, &given(0.5, purposes[n % 3])));
    fixture.seal().await;
    let key = key(&fixture);
    let mut boats = 0;
    for (record, why) in decisions(&fixture).await {
        let Content::Readable { values, .. } = &record.content else { panic!("unreadable") };
        let place = record.schema.find_parts(&["inputs", "purpose"]).unwrap();
        let purpose = minutebook_record::cbor::Reader::new(&values[place]).text().unwrap().to_owned();
        boats += u32::from(purpose == "boat");
        let rate = if purpose == "boat" { 1.0 } else { 0.25 };
        assert_ne!(purpose, "house");
        assert_eq!(why, Some(Kept { rule: "purposes".into(), rate: Some(rate) }));
        let header = &record.header;
        let draw = key.draw(&header.producer.0, header.epoch.get(), "standard", header.seq.get());
        assert!(keeps(rate, draw), "{header:?}");
    }
    assert_eq!(boats, 200);
    let report = check_sound(&fixture).await;
    assert!(!report.sampling.unwrap().policies[0].rules[0].provable, "several rates");

    // A rate that is none of the rule's is named.
    judge_secretly_by(&fixture, &BY_PURPOSE.replace("0.25", "0.75")).await;
    (0..100).for_each(|_| _ = record(&producer, &given(0.5, "car")));
    producer.close().unwrap();
    fixture.seal().await;
    let report = fixture.verify().await;
    let found = |what: &str| report.findings.iter().any(|finding| finding.what.contains(what));
    assert!(found("has not for their model"), "{:#?}", report.findings);
}

const PER_SECOND: &str = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\nrule = [\
    { name = \"large\", when = \"inputs.amount > 0.9\", keep = \"all\" }, { name = \"busy\", per_second = 10 }]\n";

/// Decisions that a rule kept, by the second of their event.
async fn kept_by_second(fixture: &Fixture, rule: &str) -> BTreeMap<i64, u32> {
    let mut seconds = BTreeMap::new();
    for (record, why) in decisions(fixture).await {
        let why = why.unwrap();
        if why.rule == rule {
            assert_eq!(why.rate, None);
            *seconds.entry(record.time_ns().div_euclid(1_000_000_000)).or_default() += 1;
        }
    }
    seconds
}

fn at_second(second: i64, amount: f64) -> Given<'static> {
    Given { time_ns: Some(second * 1_000_000_000 + 5), ..given(amount, "car") }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_per_second_are_kept_and_the_rest_is_counted() {
    let fixture = Fixture::new().await;
    set(&fixture, PER_SECOND).await;
    let (web, batch) = (fixture.producer("web"), fixture.producer("batch"));
    // Seconds with 5, 10 and 40 decisions of two producers, in any order; those of another rule do not count.
    let seconds = [(100, 5), (101, 10), (102, 40)];
    for n in 0..40 {
        for (second, count) in seconds {
            if n < count {
                record(if n % 2 == 0 { &web } else { &batch }, &at_second(second, 0.5));
            }
        }
        record(&web, &at_second(102, 0.95));
    }
    for producer in [web, batch] {
        producer.close().unwrap();
    }
    fixture.seal().await;
    assert_eq!(kept_by_second(&fixture, "busy").await, BTreeMap::from([(100, 5), (101, 10), (102, 10)]));
    let report = check_sound(&fixture).await;
    assert_eq!(totals(&report), (95, 65, 30));
    let rules = &report.sampling.unwrap().policies[0].rules;
    assert_eq!(rules.iter().map(|rule| rule.provable).collect::<Vec<_>>(), [false; 2]);

    // A record that claims a rate is not of this rule.
    judge_secretly_by(&fixture, &PER_SECOND.replace("per_second = 10", "rate = 0.5")).await;
    let web = fixture.producer("web");
    (0..50).for_each(|_| _ = record(&web, &at_second(200, 0.5)));
    web.close().unwrap();
    fixture.seal().await;
    let report = fixture.verify().await;
    let found = |what: &str| report.findings.iter().any(|finding| finding.what.contains(what));
    assert!(found("has not for their model"), "{:#?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_placed_counts_in_its_second_when_the_spool_is_drained_again() {
    // A round that placed its segments and failed to publish leaves the spool as it is. The decisions that come after are of the same second.
    let fixture = Fixture::new().await;
    set(&fixture, PER_SECOND).await;
    let producer = fixture.producer("web");
    (0..7).for_each(|_| _ = record(&producer, &at_second(100, 0.5)));
    let mut engine = fixture.engine().await;
    let (place, away) = (fixture.path("log/tile/entries/000.p"), fixture.path("tmp/away"));
    std::fs::rename(&place, &away).unwrap();
    std::fs::write(&place, b"in the way").unwrap();
    assert!(engine.seal().await.is_err());
    engine.close().await;
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    (0..7).for_each(|_| _ = record(&producer, &at_second(100, 0.5)));
    producer.close().unwrap();
    fixture.seal().await;
    assert_eq!(kept_by_second(&fixture, "busy").await, BTreeMap::from([(100, 10)]));
    assert_eq!(totals(&check_sound(&fixture).await), (14, 10, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_right_ones_are_kept() {
    let fixture = Fixture::new().await;
    assert!(set(&fixture, HALF).await);
    assert!(!set(&fixture, HALF).await, "the same again is no change");
    let producer = fixture.producer("web");
    let all: Vec<RecordId> = (0..500).map(|_| record(&producer, &Given::default())).collect();
    fixture.seal().await;
    let waiting = fixture.reader().await.spool().await.unwrap();
    assert!(waiting.epochs[0].lost.is_empty(), "what is left out is not lost: {waiting:?}");
    producer.close().unwrap();
    fixture.seal().await;

    let key = key(&fixture);
    let found = decisions(&fixture).await;
    let kept: BTreeMap<RecordId, u64> =
        found.iter().map(|(record, _)| (record.header.id, record.header.seq.get())).collect();
    let (whose, epoch) = (found[0].0.header.producer.0, found[0].0.header.epoch.get());
    for (id, seq) in all.iter().zip(1..) {
        let is_kept = keeps(0.5, key.draw(&whose, epoch, "standard", seq));
        assert_eq!(kept.get(id), is_kept.then_some(&seq), "number {seq}");
    }
    assert!(found.iter().all(|(_, why)| *why == Some(Kept { rule: "half".into(), rate: Some(0.5) })));
    let report = check_sound(&fixture).await;
    assert_eq!(totals(&report), (500, kept.len() as u64, 500 - kept.len() as u64));
    let policy = &report.sampling.unwrap().policies[0];
    assert!(policy.rules[0].provable && policy.has_key);
}

/// Makes the engine judge by another text than the log says, as somebody might who has the catalog.
async fn judge_secretly_by(fixture: &Fixture, text: &str) {
    let options = SqliteConnectOptions::new().filename(fixture.path("catalog.db"));
    let mut connection = options.connect().await.unwrap();
    let done = sqlx::query("UPDATE meta SET value = $1 WHERE name = 'sampling_policy'")
        .bind(text.as_bytes())
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
    connection.close().await.unwrap();
}

/// Records one decision after the other until the draw of the next is as wanted; gives its number.
async fn until_the_next_is(fixture: &Fixture, producer: &Producer, wanted: bool, seq: &mut u64) -> u64 {
    let key = key(fixture);
    // The account of the only producer there is but for the engine.
    let spool = fixture.reader().await.spool().await.unwrap();
    let (whose, epoch) = (spool.epochs[0].producer, spool.epochs[0].epoch);
    loop {
        *seq += 1;
        if keeps(0.5, key.draw(&whose, epoch, "standard", *seq)) == wanted {
            fixture.seal().await;
            return *seq;
        }
        record(producer, &Given::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrongly_kept_and_one_wrongly_left_out_are_named() {
    let fixture = Fixture::new().await;
    set(&fixture, HALF).await;
    let producer = fixture.producer("web");
    let mut seq = 0;
    let kept = until_the_next_is(&fixture, &producer, false, &mut seq).await;
    judge_secretly_by(&fixture, &HALF.replace("rate = 0.5", "keep = \"all\"")).await;
    record(&producer, &Given::default());
    fixture.seal().await;
    judge_secretly_by(&fixture, HALF).await;
    let left_out = until_the_next_is(&fixture, &producer, true, &mut seq).await;
    judge_secretly_by(&fixture, &HALF.replace("rate = 0.5", "keep = \"none\"")).await;
    record(&producer, &Given::default());
    fixture.seal().await;
    judge_secretly_by(&fixture, HALF).await;
    (0..20).for_each(|_| _ = record(&producer, &Given::default()));
    producer.close().unwrap();
    fixture.seal().await;

    let report = fixture.verify().await;
    let mut found: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
    found.retain(|what| !what.contains("vouches"));
    let expected = [
        format!("1 of class standard left out, though the draw keeps them: number {left_out}"),
        format!("1 of class standard kept, though the draw leaves them out: number {kept}"),
    ];
    assert_eq!(found, expected);
    assert_eq!(report.problems(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_the_log_does_not_know_is_found() {
    let fixture = Fixture::new().await;
    set(&fixture, THREE).await;
    judge_secretly_by(&fixture, &THREE.replace("0.05", "0.04")).await;
    let producer = fixture.producer("web");
    (0..200).for_each(|_| _ = record(&producer, &given(0.25, "car")));
    producer.close().unwrap();
    fixture.seal().await;
    let report = fixture.verify().await;
    assert!(
        report.findings.iter().any(|finding| finding.what.contains("has not for their model")),
        "{:#?}",
        report.findings
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_out_without_a_policy_is_found_without_a_key() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    set(&fixture, "format = \"minutebook/policy/1\"").await;
    judge_secretly_by(&fixture, &HALF.replace("rate = 0.5", "keep = \"none\"")).await;
    record(&producer, &Given::default());
    producer.close().unwrap();
    fixture.seal().await;
    let report = fixture.verify().await;
    assert!(
        report.findings.iter().any(|finding| finding.what.contains("no policy in force")),
        "{:#?}",
        report.findings
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_holds_for_what_comes_after_it() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut engine = fixture.engine().await;
    for (at, text) in
        ["", HALF, &HALF.replace("0.5", "0.0"), THREE, "format = \"minutebook/policy/1\""].iter().enumerate()
    {
        if at > 0 {
            engine.set_policy(text).await.unwrap();
        }
        // What is in the spool when the policy changes is judged by the one before; here an engine that is opened again does it.
        (0..100).for_each(|_| _ = record(&producer, &given(0.25, "car")));
        if at == 2 {
            engine.close().await;
            engine = fixture.engine().await;
        }
    }
    producer.close().unwrap();
    engine.seal().await.unwrap();
    engine.close().await;
    let mut kept: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (record, why) in decisions(&fixture).await {
        let rule = why.map_or("none".into(), |why| why.rule);
        kept.entry(rule).or_default().push(record.header.seq.get());
    }
    let all: Vec<u64> = (1..=100).chain(401..=500).collect();
    assert_eq!(kept["none"], all);
    assert!(kept["half"].iter().all(|seq| (101..=200).contains(seq)), "{kept:?}");
    let half = kept["half"].len();
    assert!((20..=80).contains(&half), "{half} of 100");
    if let Some(others) = kept.get("others") {
        assert!(others.iter().all(|seq| (301..=400).contains(seq)), "{kept:?}");
    }
    let report = check_sound(&fixture).await;
    assert_eq!(report.sampling.unwrap().policies.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_interrupted_is_in_the_log_before_what_is_judged_by_it() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    record(&producer, &Given::default());
    fixture.seal().await;
    // The change is noted, and its record cannot be sealed.
    let mut engine = fixture.engine().await;
    let (segments, away) = (fixture.path("segments"), fixture.path("tmp/away"));
    std::fs::rename(&segments, &away).unwrap();
    std::fs::write(&segments, b"in the way").unwrap();
    assert!(engine.set_policy(HALF).await.is_err());
    engine.close().await;
    std::fs::remove_file(&segments).unwrap();
    std::fs::rename(&away, &segments).unwrap();
    for _ in 0..100 {
        record(&producer, &Given::default());
    }
    producer.close().unwrap();
    fixture.seal().await;
    assert!(!set(&fixture, HALF).await);
    let report = check_sound(&fixture).await;
    let (drawn, kept, left_out) = totals(&report);
    assert_eq!((drawn, kept + left_out), (101, 101));
    let policy = &report.sampling.unwrap().policies[0];
    assert_eq!((policy.kept, policy.left_out), (kept - 1, left_out));
    assert!(left_out > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drained_twice_is_judged_the_same() {
    // A round that fails behind the drain leaves the spool as it is; the next engine drains it again.
    for text in [HALF, THREE, PER_SECOND] {
        let fixture = Fixture::new().await;
        set(&fixture, text).await;
        let producer = fixture.producer("web");
        for n in 0..300 {
            record(&producer, &given(f64::from(n % 10) / 10.0, if n % 3 == 0 { "boat" } else { "car" }));
        }
        for way in ["segments", "log/tile/entries/000.p"] {
            let mut engine = fixture.engine().await;
            let (place, away) = (fixture.path(way), fixture.path("tmp/away"));
            std::fs::rename(&place, &away).unwrap();
            std::fs::write(&place, b"in the way").unwrap();
            let failed = engine.seal().await;
            assert!(failed.is_err(), "{way}: {failed:?}");
            engine.close().await;
            std::fs::remove_file(&place).unwrap();
            std::fs::rename(&away, &place).unwrap();
        }
        producer.close().unwrap();
        fixture.seal().await;
        let report = check_sound(&fixture).await;
        let (drawn, kept, left_out) = totals(&report);
        assert_eq!((drawn, kept + left_out), (300, 300));
        assert_eq!(decisions(&fixture).await.len() as u64, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_links_to_a_decision_that_was_left_out_is_kept_with_its_subject() {
    let fixture = Fixture::new().await;
    set(&fixture, &HALF.replace("rate = 0.5", "keep = \"none\"")).await;
    let producer = fixture.producer("web");
    let decision = Given { subjects: vec!["ann"], blob: Some(vec![7; 5_000]), ..Given::default() };
    let decision = record(&producer, &decision);
    let outcome =
        record(&producer, &Given { kind: Kind::Outcome, links: vec![decision], ..Given::default() });
    producer.close().unwrap();
    fixture.seal().await;
    assert!(matches!(fixture.reader().await.get(&decision).await, Err(Error::NoRecord { .. })));
    let found = fixture.reader().await.get(&outcome).await.unwrap();
    assert!(matches!(&found.content, Content::Readable { .. }));
    let report = check_sound(&fixture).await;
    assert_eq!((totals(&report), report.blobs), ((2, 1, 1), 0));

    // Erasing the person takes it too.
    let mut engine = fixture.engine().await;
    engine.erase(minutebook_trail::Whom::Subject("ann"), "a test", "a test").await.unwrap();
    engine.close().await;
    let found = fixture.reader().await.get(&outcome).await.unwrap();
    assert!(!matches!(&found.content, Content::Readable { .. }));
    check_sound(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_left_out_is_accounted_for_all_the_same() {
    let fixture = Fixture::new().await;
    set(&fixture, &HALF.replace("rate = 0.5", "keep = \"none\"")).await;
    let producer = fixture.producer("web");
    (0..10_000).for_each(|_| _ = record(&producer, &Given::default()));
    producer.close().unwrap();
    fixture.seal().await;
    assert!(decisions(&fixture).await.is_empty());
    assert_eq!(totals(&check_sound(&fixture).await), (10_000, 0, 10_000));
    assert!(fixture.reader().await.spool().await.unwrap().epochs.is_empty(), "the spool is freed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_draws_from_its_record_on_and_the_old_one_proves_what_was_before() {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    assert!(matches!(engine.rotate_sampling().await, Err(Error::Request(_))), "there is none yet");
    engine.set_policy(HALF).await.unwrap();
    let producer = fixture.producer("web");
    (0..200).for_each(|_| _ = record(&producer, &Given::default()));
    // What waits in the spool is still drawn for with the old key.
    let digest = engine.rotate_sampling().await.unwrap();
    (0..200).for_each(|_| _ = record(&producer, &Given::default()));
    engine.close().await;
    producer.close().unwrap();
    fixture.seal().await;

    let keys = keys(&fixture);
    assert_eq!((keys.len(), keys[1].digest()), (2, digest));
    let kept: Vec<u64> =
        decisions(&fixture).await.iter().map(|(record, _)| record.header.seq.get()).collect();
    let whose = decisions(&fixture).await[0].0.header.producer.0;
    for seq in 1..=400 {
        let key = &keys[usize::from(seq > 200)];
        assert_eq!(kept.contains(&seq), keeps(0.5, key.draw(&whose, 1, "standard", seq)), "number {seq}");
    }
    let report = check_sound(&fixture).await;
    let policies = report.sampling.unwrap().policies;
    assert_eq!(policies.len(), 2);
    assert_eq!(policies.iter().map(|policy| policy.left_out + policy.kept).collect::<Vec<_>>(), [200, 200]);
    assert!(policies.iter().all(|policy| policy.has_key && policy.entry == policies[0].entry));
    assert!(policies[0].key_entry.is_none() && policies[1].key_entry > Some(policies[1].entry));

    // Whoever draws with another key than the log says is found: with the old one, as if it had not been replaced.
    let file = fixture.folder.path().join("keys/keys.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.rfind("[[sampling]]").unwrap();
    std::fs::write(&file, &text[..at]).unwrap();
    assert!(minutebook_trail::Engine::open(&fixture.place, Default::default()).await.is_err());
    let report = verify_place(&fixture.place, None).await;
    let policies = report.sampling.unwrap().policies;
    assert_eq!(policies.iter().map(|policy| policy.has_key).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_failed_behind_its_commitment_is_finished() {
    // The record of the new key could not be sealed: it is placed before anything that is drawn for with that key.
    let fixture = Fixture::new().await;
    set(&fixture, HALF).await;
    let producer = fixture.producer("web");
    (0..100).for_each(|_| _ = record(&producer, &Given::default()));
    fixture.seal().await;
    let mut engine = fixture.engine().await;
    let (place, away) = (fixture.path("segments"), fixture.path("tmp/away"));
    std::fs::rename(&place, &away).unwrap();
    std::fs::write(&place, b"in the way").unwrap();
    assert!(engine.rotate_sampling().await.is_err());
    engine.close().await;
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    (0..100).for_each(|_| _ = record(&producer, &Given::default()));
    producer.close().unwrap();
    fixture.seal().await;
    let report = check_sound(&fixture).await;
    let policies = report.sampling.unwrap().policies;
    assert_eq!(policies.iter().map(|policy| policy.left_out + policy.kept).collect::<Vec<_>>(), [100, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_no_policy_is_judged_by() {
    let fixture = Fixture::new().await;
    let keys = fixture.folder.path().join("keys/keys.toml");
    let before = std::fs::read(&keys).unwrap();
    set(&fixture, HALF).await;
    assert!(matches!(fixture.engine().await.set_policy("nonsense").await, Err(Error::Policy(_))));
    let with = std::fs::read(&keys).unwrap();
    std::fs::write(&keys, before).unwrap();
    let error = minutebook_trail::Engine::open(&fixture.place, Default::default()).await.unwrap_err();
    assert!(matches!(error, Error::KeysDoNotMatch { what: "sampling key", .. }), "{error}");
    let report = verify_place(&fixture.place, None).await;
    assert!(report.is_clean() && !report.sampling.unwrap().policies[0].has_key);
    std::fs::write(&keys, with).unwrap();
    check_sound(&fixture).await;
}
