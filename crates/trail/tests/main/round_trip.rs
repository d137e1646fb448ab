//! What is recorded is sealed, found again, proved, and accounted for.

use crate::fixture::{Fixture, Given, encode, record, try_record};
use minutebook_capture::{IntakePublicKey, Producer, ProducerOptions};
use minutebook_record::{Kind, Path, Value};
use minutebook_trail::limits::{ROUND_SEGMENTS, SEGMENT_BYTES};
use minutebook_trail::{Content, Error, Filter};
use minutebook_verify::coverage::EpochState;
use minutebook_verify::descriptor::State;
use minutebook_verify::receipt::verify_receipt;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn records_are_sealed_and_read_back() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut ids = Vec::new();
    for number in 0..300 {
        let subject = format!("applicant-{}", number % 7);
        let subjects = if number % 3 == 0 { vec![] } else { vec![subject.as_str()] };
        let class = if number % 10 == 0 { "long" } else { "standard" };
        let given = Given { number: f64::from(number), subjects, class, ..Given::default() };
        ids.push(record(&producer, &given));
    }
    producer.close().unwrap();
    drop(producer);
    fixture.seal().await;

    let report = fixture.check().await;
    // Two `producer` records, and the engine's own opening.
    assert_eq!(report.records, 303);
    assert_eq!(report.readable, 303);
    assert_eq!(report.segments, 3);
    let standard = report.accounts.iter().find(|account| account.class == "standard").unwrap();
    assert_eq!((standard.kept, standard.drawn, standard.state), (270, 270, EpochState::Closed));

    let reader = fixture.reader().await;
    for (number, id) in ids.iter().enumerate() {
        let stored = reader.get(id).await.unwrap();
        let Content::Readable { values, .. } = &stored.content else { panic!("unreadable") };
        let place = stored.schema.find_parts(&["inputs", "amount"]).unwrap();
        assert_eq!(values[place], encode(&Value::Float(number as f64)));
    }
    let mut listed = Vec::new();
    let filter = Filter { kinds: vec![Kind::Decision], oldest_first: true, ..Filter::default() };
    reader
        .list(&filter, &mut |stored| {
            listed.push(stored.header.id);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    listed.sort();
    ids.sort();
    assert_eq!(listed, ids);
    assert!(!fixture.path("spool/web").join("0000000001.epoch").exists(), "an ended epoch's files go");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rounds_continue_one_log() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut engine = fixture.engine().await;
    let mut sizes = Vec::new();
    for round in 0..5 {
        for _ in 0..10 {
            record(&producer, &Given { number: f64::from(round), ..Given::default() });
        }
        let report = engine.seal().await.unwrap();
        assert!(report.records >= 10, "{report:?}");
        sizes.push(engine.published().0);
        let report = fixture.check().await;
        assert_eq!(report.checkpoint.unwrap().0, engine.published().0);
    }
    assert!(sizes.is_sorted_by(|a, b| a < b), "{sizes:?}");
    assert_eq!(engine.seal().await.unwrap().segments, 0, "nothing new makes no segment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_opens_with_the_policy_alone() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let ids: Vec<_> =
        (0..20).map(|_| record(&producer, &Given { subjects: vec!["a"], ..Given::default() })).collect();
    fixture.seal().await;
    let reader = fixture.reader().await;
    let policy = minutebook_tlog::Policy::parse(reader.policy().as_bytes()).unwrap();
    for id in &ids {
        let receipt = reader.receipt(id, &[]).await.unwrap();
        let proved = verify_receipt(receipt.as_bytes(), &policy).unwrap();
        assert_eq!(proved.header.id, *id);
        assert!(proved.disclosure.is_none());
    }
    let amount = Path::new(["inputs", "amount"]).unwrap();
    let receipt = reader.receipt(&ids[3], std::slice::from_ref(&amount)).await.unwrap();
    let proved = verify_receipt(receipt.as_bytes(), &policy).unwrap();
    let disclosure = proved.disclosure.unwrap();
    let shown: Vec<usize> = disclosure.shown().map(|(place, _)| place).collect();
    assert_eq!(shown, [disclosure.schema().find(&amount).unwrap()]);
    let wrong = receipt.replace("index ", "index 1");
    assert!(verify_receipt(wrong.as_bytes(), &policy).is_err());
    let none = reader.receipt(&"01930000-0000-7000-8000-000000000000".parse().unwrap(), &[]).await;
    assert!(matches!(none, Err(Error::NoRecord { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_a_decision_is_under_its_subjects_key() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let decision = record(&producer, &Given { subjects: vec!["ann"], ..Given::default() });
    let same_batch =
        record(&producer, &Given { kind: Kind::Outcome, links: vec![decision], ..Given::default() });
    fixture.seal().await;
    let later = record(&producer, &Given { kind: Kind::Review, links: vec![decision], ..Given::default() });
    fixture.seal().await;
    let reader = fixture.reader().await;
    for id in [decision, same_batch, later] {
        let Content::Readable { subjects, .. } = reader.get(&id).await.unwrap().content else {
            panic!("{id}")
        };
        assert_eq!(subjects, [1], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_stored_beside_and_read_back() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let letter: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    let given = Given { subjects: vec!["ann"], blob: Some(letter.clone()), ..Given::default() };
    let id = record(&producer, &given);
    let plain = record(&producer, &Given { blob: Some(b"short".to_vec()), ..Given::default() });
    fixture.seal().await;
    let report = fixture.check().await;
    assert_eq!(report.blobs, 2);
    let reader = fixture.reader().await;
    for (id, expected) in [(id, letter), (plain, b"short".to_vec())] {
        let stored = reader.get(&id).await.unwrap();
        let Content::Readable { values, .. } = &stored.content else { panic!("unreadable") };
        let place = stored.schema.find_parts(&["inputs", "letter"]).unwrap();
        let blob = minutebook_verify::check::blob_id(&values[place]).unwrap();
        assert!(reader.blob(&stored, &blob).await.unwrap() == expected);
    }
}

struct SameBytes;

impl minutebook_capture::Random for SameBytes {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), minutebook_capture::RandomError> {
        bytes.fill(7);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_repeat_an_id_are_refused_and_told() {
    let fixture = Fixture::new().await;
    let file = fixture.place.trail_file().unwrap();
    let intake = minutebook_capture::IntakePublicKey::from_bytes(file.intake_key);
    let mut options =
        minutebook_capture::ProducerOptions::new(fixture.place.spool(), file.id, intake, "same");
    options.random = std::sync::Arc::new(SameBytes);
    let producer = minutebook_capture::Producer::open(options).unwrap();
    let mut ids: Vec<_> = (0..2_000).map(|_| record(&producer, &Given::default())).collect();
    producer.close().unwrap();
    drop(producer);
    ids.sort();
    ids.dedup();
    assert!(ids.len() < 2_000, "without randomness ids of one millisecond are the same");
    fixture.seal().await;
    let report = fixture.check().await;
    let account = report.accounts.iter().find(|account| account.class == "standard").unwrap();
    let refused = account.lost[&State::Refused];
    assert_eq!((account.kept, refused), (ids.len() as u64, 2_000 - ids.len() as u64));
    // Records say it too: each range that the log has, with the reason.
    let filter = Filter { kinds: vec![Kind::Loss], ..Filter::default() };
    let reader = fixture.reader().await;
    let mut said = Vec::new();
    let mut each = |stored: minutebook_trail::StoredRecord| {
        said.push(stored);
        ControlFlow::Continue(())
    };
    reader.list(&filter, &mut each).await.unwrap();
    let mut told = 0;
    for stored in said {
        let Content::Readable { values, .. } = &stored.content else { panic!("unreadable") };
        let field = |name| {
            let place = stored.schema.find_parts(&["loss", name]).unwrap();
            Value::decode(&stored.schema.fields()[place].field_type, &values[place]).unwrap()
        };
        assert_eq!(field("reason"), Value::Text(State::Refused.words().into()));
        let Value::List(ranges) = field("ranges") else { panic!("no ranges") };
        for range in ranges {
            let Value::List(range) = range else { panic!("{range:?}") };
            let [_, _, _, Value::Integer(from), Value::Integer(to)] = range[..] else { panic!("{range:?}") };
            told += to.get() - from.get() + 1;
        }
    }
    assert_eq!(told, i128::from(refused));
}

/// `init` in a relative folder failed with "prefix not found": the store's root was compared with an absolute one.
#[tokio::test(flavor = "multi_thread")]
async fn a_trail_may_be_named_by_a_relative_path() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = std::path::Path::new(folder.path().file_name().unwrap());
    let place = minutebook_trail::Place::new(relative.join("trail")).with_keys(relative.join("keys"));
    let environment = minutebook_trail::Environment::default();
    minutebook_trail::init(&place, &minutebook_trail::InitOptions::default(), &environment).await.unwrap();
    let producer = crate::fixture::producer(&place, "web");
    let id = record(&producer, &Given::default());
    let mut engine = minutebook_trail::Engine::open(&place, environment).await.unwrap();
    engine.seal().await.unwrap();
    let reader = minutebook_trail::Reader::open(&place).await.unwrap();
    assert_eq!(reader.get(&id).await.unwrap().header.id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_read_no_more_and_old_proofs_open() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let canary = "zq-canary-77";
    let given = Given { subjects: vec!["ann"], text: canary.into(), model: canary, ..Given::default() };
    let decision = record(&producer, &given);
    let outcome =
        record(&producer, &Given { kind: Kind::Outcome, links: vec![decision], ..Given::default() });
    let other = record(&producer, &Given { subjects: vec!["bob"], ..Given::default() });
    fixture.seal().await;
    let policy = fixture.reader().await.policy();
    let receipt = fixture.reader().await.receipt(&decision, &[]).await.unwrap();
    let mut engine = fixture.engine().await;
    let certificate =
        engine.erase(minutebook_trail::Whom::Subject("ann"), "request", "officer").await.unwrap();
    // Two subjects were new in one segment: their numbers follow their keyed hashes.
    assert!([1, 2].contains(&certificate.subject) && certificate.ground == "request", "{certificate:?}");
    let again = engine.erase(minutebook_trail::Whom::Subject("ann"), "request", "officer").await;
    assert!(matches!(again, Err(Error::NoSubject)));
    engine.close().await;
    let report = fixture.check().await;
    assert_eq!((report.erased, report.withheld), (2, 0));
    let reader = fixture.reader().await;
    for id in [decision, outcome] {
        assert!(matches!(reader.get(&id).await.unwrap().content, Content::Erased), "{id}");
    }
    assert!(matches!(reader.get(&other).await.unwrap().content, Content::Readable { .. }));
    let policy = minutebook_tlog::Policy::parse(policy.as_bytes()).unwrap();
    assert!(verify_receipt(receipt.as_bytes(), &policy).is_ok());
}

/// `seal` went on until a round found nothing more. Beside producers that are faster than the engine it never ended.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_ends_beside_a_producer_that_never_rests() {
    let fixture = Fixture::new().await;
    let before = {
        let producer = fixture.producer("before");
        record(&producer, &Given::default())
    };
    // More than a round takes, so that what comes while the first is sealed is not all.
    let backlog = (ROUND_SEGMENTS * SEGMENT_BYTES) as u64 * 5 / 4;
    let file = fixture.place.trail_file().unwrap();
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let options = ProducerOptions::new(fixture.place.spool(), file.id, intake, "hurried");
    let hurried =
        Arc::new(Producer::open(ProducerOptions { spill_bytes: backlog * 3 / 2, ..options }).unwrap());
    let (last, ended) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
    let hurrying = {
        let (hurried, last, ended) = (Arc::clone(&hurried), Arc::clone(&last), Arc::clone(&ended));
        tokio::task::spawn_blocking(move || {
            let given = Given { text: "a letter ".repeat(4 << 10), ..Given::default() };
            while !ended.load(Ordering::Relaxed) {
                // At the limit of what it may spill it tries again.
                if let Ok(id) = try_record(&hurried, &given) {
                    *last.lock().unwrap() = Some(id);
                }
            }
        })
    };
    while hurried.status().unwrap().bytes < backlog {
        tokio::task::yield_now().await;
    }
    let handed_over = last.lock().unwrap().unwrap();
    let mut engine = fixture.engine().await;
    let sealed = tokio::time::timeout(Duration::from_secs(60), engine.seal()).await;
    ended.store(true, Ordering::Relaxed);
    hurrying.await.unwrap();
    sealed.expect("sealing ends").unwrap();
    let reader = fixture.reader().await;
    for id in [before, handed_over] {
        assert_eq!(reader.get(&id).await.unwrap().header.id, id);
    }
    fixture.check().await;
}

/// A thread that lost its processor between taking its place in the spool and writing to it holds up what others hand over behind it.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_waits_for_a_place_that_is_taken_and_not_written_yet() {
    // Words of a part, and where they lie: docs/formats/spool.md.
    const TAIL_AT: u64 = 256;
    const TAKEN: u64 = 64;
    const PUBLISHED: u64 = 2 << 32;
    let fixture = Fixture::new().await;
    let producer = fixture.producer("two-threads");
    let first = record(&producer, &Given::default());
    let part = fixture.place.spool().join("two-threads/0000000001-000001.spool");
    let part = std::fs::File::options().read(true).write(true).open(part).unwrap();
    let word = |at: u64| {
        let mut bytes = [0; 8];
        part.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    };
    let place = word(TAIL_AT);
    part.write_all_at(&(place + TAKEN).to_le_bytes(), TAIL_AT).unwrap();
    let behind = record(&producer, &Given::default());

    let mut engine = fixture.engine().await;
    let (sealed, ()) = tokio::join!(engine.seal(), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        // What is written does not authenticate, so that it counts as damage; but it is written.
        part.write_all_at(&(PUBLISHED | TAKEN).to_le_bytes(), place).unwrap();
    });
    sealed.unwrap();
    let reader = fixture.reader().await;
    for id in [first, behind] {
        assert_eq!(reader.get(&id).await.unwrap().header.id, id);
    }

    // One that is never written holds nothing up for long.
    let place = word(TAIL_AT);
    part.write_all_at(&(place + TAKEN).to_le_bytes(), TAIL_AT).unwrap();
    record(&producer, &Given::default());
    let sealed = tokio::time::timeout(Duration::from_secs(60), engine.seal()).await;
    sealed.expect("sealing ends").unwrap();
}
