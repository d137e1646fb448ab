//! Disposal: what goes, what stays, what still verifies, and what nothing opens any more.

use super::{engine_in, healthy, now_ns, producer_in, records_of, sealed_in, set};
use crate::canaries::{Canaries, Search};
use crate::files::{copy, files};
use crate::fixture::{Fixture, Given, record, verify_place};
use crate::keyring::{Keyring, unwrap, wrapped};
use minutebook_record::Kind;
use minutebook_trail::{Error, FolderSource, Place};
use minutebook_verify::keys::NoKeys;
use minutebook_verify::{Options, Pinned, Report, Severity, Source, hex, verify};

const MONTH: &str = "[[class]]\nname = \"standard\"\nfloor = \"20 days\"\nkeep = \"1 month\"\n";

/// Verifies as deep as a level.
async fn at_level(fixture: &Fixture, level: u8, pinned: Option<Pinned>) -> Report {
    let keys = fixture.reader().await.keys().up_to(level);
    let source = FolderSource::new(&fixture.place.folder);
    tokio::task::spawn_blocking(move || {
        let keys: &dyn minutebook_verify::keys::Keys = if level == 0 { &NoKeys } else { &keys };
        let options = Options {
            keys,
            pinned,
            policy: None,
            sampling: &[],
            in_progress: Vec::new(),
            threads: 2,
            progress: &|_, _| {},
        };
        verify(&source, &options)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_retention_goes_and_the_rest_stays() {
    let fixture = Fixture::new().await;
    let about = |who| Given { subjects: vec![who], blob: Some(vec![7; 9_000]), ..Given::default() };
    let other = Given { class: "long", ..Given::default() };
    let old = sealed_in(&fixture, -70, &[Given::default(), about("ann"), other.clone()]).await;
    let young = sealed_in(&fixture, -10, &[Given::default(), about("ann"), other]).await;
    set(&fixture, 0, MONTH).await;
    let before = fixture.check().await;
    let (size, root) = before.checkpoint.unwrap();
    let pinned = Pinned { log_key: before.log_key.clone(), size, root };

    // The dry run says the same and changes nothing.
    let stored = files(&fixture.place.folder);
    let now_s = now_ns() / 1_000_000_000;
    let plan = fixture.reader().await.disposal_plan(now_s).await.unwrap();
    let evidence = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        let kept = files.iter().filter(|(name, _)| !name.starts_with("catalog.db-"));
        kept.map(|(name, bytes)| (name.clone(), bytes.clone())).collect::<Vec<_>>()
    };
    assert!(evidence(&stored) == evidence(&files(&fixture.place.folder)), "the dry run changed something");
    let [due] = plan.due.as_slice() else { panic!("{plan:?}") };
    assert_eq!((due.class.as_str(), due.records, due.blobs), ("standard", 2, 1));
    assert!(due.bytes > 9_000 && due.segments >= 1);
    assert_eq!(due.keep.as_deref(), Some("1 month"));
    let why: Vec<_> =
        plan.kept.iter().map(|kept| (kept.portion.class.as_str(), kept.why[0].as_str())).collect();
    let nothing = "nothing disposes of class `long`";
    assert!(
        why.contains(&("standard", "not past its retention")) && why.contains(&("long", nothing)),
        "{why:?}"
    );

    let reader = fixture.reader().await;
    assert!(reader.get(&old[0]).await.is_ok());
    let mut engine = fixture.engine().await;
    let certificate = engine.dispose("privacy officer").await.unwrap();
    assert_eq!(certificate.disposed, plan.due);
    assert_eq!((certificate.by.as_str(), certificate.log_size), ("privacy officer", engine.published().0));
    assert_eq!(engine.dispose("privacy officer").await.unwrap().disposed, [], "once is enough");
    engine.close().await;

    // Found no more, also by a reader that was open before, and told as what it is.
    let disposed = reader.disposed().await.unwrap();
    assert_eq!(disposed.len() as u64, due.segments);
    for id in &old[..2] {
        let gone = reader.get(id).await.unwrap_err();
        let Error::Disposed { class, by, .. } = &gone else { panic!("{gone}") };
        assert_eq!((class.as_str(), by.as_str()), ("standard", "privacy officer"));
        assert!(matches!(reader.receipt(id, &[]).await.unwrap_err(), Error::Disposed { .. }));
    }
    for id in young.iter().chain(&old[2..]) {
        assert!(reader.get(id).await.is_ok(), "{id}");
    }
    let decisions = records_of(&fixture, Kind::Decision).await;
    assert_eq!(decisions.len(), 4);
    assert!(decisions.iter().all(|record| !disposed.contains(&record.sealed.log_index)));
    let records = records_of(&fixture, Kind::Disposal).await;
    assert_eq!(records.len(), 1);

    // Numbers, roots and all earlier proofs stay, at every depth.
    for level in 0..3 {
        let report = at_level(&fixture, level, Some(pinned.clone())).await;
        assert!(report.is_clean() && report.continues_earlier, "level {level}: {:#?}", report.findings);
        assert_eq!((report.disposed, report.disposed_records), (due.segments, 2));
        let numbers = |report: &Report| -> Vec<(String, u64, u64)> {
            let accounts = report.accounts.iter().filter(|account| account.class != "system");
            accounts.map(|account| (account.class.clone(), account.kept, account.drawn)).collect()
        };
        assert_eq!(numbers(&report), numbers(&before));
        if level == 2 {
            assert_eq!(report.readable, report.records - 2);
        }
    }
    healthy(&fixture).await;

    // And the trail goes on; the class too.
    sealed_in(&fixture, 0, &[about("ann"), Given::default()]).await;
    fixture.check().await;
    healthy(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dating_events_back_shortens_nothing() {
    let fixture = Fixture::new().await;
    let long_ago = Some(1_000_000_000_000_000_000);
    sealed_in(&fixture, -20, &[Given { time_ns: long_ago, ..Given::default() }]).await;
    set(&fixture, 0, MONTH).await;
    let now_s = now_ns() / 1_000_000_000;
    let plan = fixture.reader().await.disposal_plan(now_s).await.unwrap();
    assert_eq!(plan.due, []);
    let due = fixture.reader().await.disposal_plan(now_s + 15 * 86_400).await.unwrap().due;
    assert_eq!((due.len(), due[0].earliest.as_deref()), (1, Some("2001-09-09T01:46:40Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_stored_opens_what_was_disposed_of() {
    let fixture = Fixture::new().await;
    let mut canaries = Canaries::default();
    let producer = producer_in(&fixture, -70, "web");
    let (plain, theirs) = (canaries.text("plain"), canaries.text("about somebody"));
    let (letter, other) = (canaries.text("blob"), canaries.text("blob about somebody"));
    record(&producer, &Given { text: plain, blob: Some(letter.into_bytes()), ..Given::default() });
    let blob = Some(other.into_bytes());
    record(&producer, &Given { text: theirs, subjects: vec!["ann"], blob, ..Given::default() });
    producer.close().unwrap();
    // The engine stays: what is in its write-ahead log is searched too.
    let mut engine = engine_in(&fixture, -70).await;
    engine.seal().await.unwrap();
    engine.close().await;
    set(&fixture, 0, MONTH).await;
    let mut engine = fixture.engine().await;
    engine.seal().await.unwrap();
    let (trail, keys) = (fixture.place.folder.clone(), fixture.place.keys.clone().unwrap());
    let before = Keyring::read(&keys, &trail).await;
    let (old, _) = wrapped(&trail).await;
    let mut search = Search::new(&canaries, &before);
    search.folder("trail", &files(&trail));
    assert_eq!(
        search.found.names().len(),
        canaries.names().len(),
        "the search finds {:?}",
        search.found.names()
    );

    let certificate = engine.dispose("clerk").await.unwrap();
    assert_eq!(certificate.disposed.len(), 1);
    let after = Keyring::read(&keys, &trail).await;
    assert_eq!(after.closed, 0, "everything in the present catalog opens");
    assert_eq!(after.class_epochs.len() + 1, before.class_epochs.len());
    // With the present keys, the key of what was disposed of is in no page of the catalog and its log.
    let gone = old
        .iter()
        .find(|key| key.purpose == "class-epoch" && hex(&key.id) == certificate.disposed[0].class_epoch);
    let gone = gone.unwrap();
    for (file, bytes) in files(&trail).iter().filter(|(file, _)| file.starts_with("catalog.db")) {
        let kek = &after.key_encryption[0].1;
        let opens = |window: &[u8]| unwrap(kek, &after.trail, "class-epoch", &gone.id, window).is_some();
        assert!(!bytes.windows(60).any(opens), "the key lies in {file}");
    }
    let mut search = Search::new(&canaries, &after);
    search.folder("trail", &files(&trail));
    search.folder("keys", &files(&keys));
    assert!(search.found.canaries.is_empty(), "{:#?}", search.found.canaries);
    engine.close().await;
    fixture.check().await;
}

/// The problems that a verification of a copy finds, as text.
async fn problems(place: &Place) -> Vec<String> {
    let report = verify_place(place, None).await;
    let problems = report.findings.iter().filter(|finding| finding.severity == Severity::Problem);
    problems.map(|finding| format!("{}: {}", finding.object, finding.what)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_or_taken_away_beside_a_disposal_is_found() {
    let fixture = Fixture::new().await;
    let given = Given { blob: Some(vec![7; 9_000]), ..Given::default() };
    sealed_in(&fixture, -70, std::slice::from_ref(&given)).await;
    sealed_in(&fixture, 0, &[given]).await;
    set(&fixture, 0, MONTH).await;
    let copies = tempfile::tempdir().unwrap();
    let old = copies.path().join("old");
    copy(&fixture.place.folder, &old);
    let mut engine = fixture.engine().await;
    let certificate = engine.dispose("clerk").await.unwrap();
    engine.close().await;
    let gone: Vec<String> = fixture_difference(&old, &fixture);
    assert_eq!(gone.len(), 2, "a segment and a blob: {gone:?}");

    // Put back: the objects alone.
    for name in &gone {
        std::fs::copy(old.join(name), fixture.path(name)).unwrap();
        let found = problems(&fixture.place).await;
        assert_eq!(found, [format!("{name}: it is still there")]);
        std::fs::remove_file(fixture.path(name)).unwrap();
    }
    // Taken away without a disposal.
    let source = FolderSource::new(&fixture.place.folder);
    let left = source.list().unwrap().into_iter().filter(|name| name.starts_with("segments/"));
    for name in left {
        let path = fixture.path(&name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let found = problems(&fixture.place).await;
        assert!(
            found.iter().any(|found| found.starts_with(&name) && found.contains("it is missing")),
            "{found:?}"
        );
        std::fs::write(&path, bytes).unwrap();
    }
    // The disposal withdrawn: the log from before, without the objects.
    let withdrawn = copies.path().join("withdrawn");
    copy(&old, &withdrawn);
    gone.iter().for_each(|name| std::fs::remove_file(withdrawn.join(name)).unwrap());
    let place = Place::new(withdrawn).with_keys(fixture.place.keys.clone().unwrap());
    let found = problems(&place).await;
    assert!(
        gone.iter().all(|name| found.iter().any(|found| *found == format!("{name}: it is missing"))),
        "{found:?}"
    );
    // The old catalog with the new log: the key is there, and it is told.
    std::fs::copy(old.join("catalog.db"), fixture.path("catalog.db")).unwrap();
    let report = fixture.verify().await;
    let name = format!("class-epoch {}", certificate.disposed[0].class_epoch);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.object == name && finding.what.contains("still have its key"))
    );
}

/// Evidence that a copy has and the trail has not.
fn fixture_difference(old: &std::path::Path, fixture: &Fixture) -> Vec<String> {
    let names =
        files(old).into_keys().filter(|name| name.starts_with("segments/") || name.starts_with("blobs/"));
    names.filter(|name| !fixture.path(name).exists()).collect()
}
