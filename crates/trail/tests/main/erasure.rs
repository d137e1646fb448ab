//! A person is erased: what was recorded about them is found nowhere any more, with whatever key that is still held, in no copy that a backup
//! may have; and nothing else suffers.
//!
//! Two copies are no part of what is searched, since an erasure does not reach them (`docs/formats/keys.md`, "Erasing a subject"): copies of
//! `spool/` from before, which the intake key opens, and copies of `buckets`. A backup leaves both out, or expires.

use crate::canaries::{Canaries, Search};
use crate::files::{copy, files, restore};
use crate::fixture::{Fixture, Given, encode, record, verify_place};
use crate::keyring::{Keyring, unwrap, wrapped};
use crate::slots::{Slots, event};
use minutebook_capture::Producer;
use minutebook_record::fields::{
    Attributions, Batch, Event, ExplanationMeta, Feature, Floats, ModelRef, Space, Subjects, When,
};
use minutebook_record::value::{Map, Tensor};
use minutebook_record::{Element, FieldType, Kind, Path, RecordId, Value};
use minutebook_tlog::Policy;
use minutebook_trail::{Content, Engine, Error, Filter, Place, Whom};
use minutebook_verify::descriptor::State;
use minutebook_verify::receipt::verify_receipt;
use minutebook_verify::{Pinned, hex};
use std::ops::ControlFlow;

/// Every slot of a decision, each with its own canary. What a shape may hold is in the shape.
fn decision(
    canaries: &mut Canaries,
    prefix: &str,
    subjects: &[&str],
    producer: &Producer,
    blob: bool,
) -> Slots {
    let name = |slot: &str| format!("{prefix}: {slot}");
    let text = |canaries: &mut Canaries, slot: &str| canaries.text(&name(slot));
    let map = |key: String, value: String| {
        encode(&Value::Map(
            Map::new([(key, Value::Text(value)), ("list".into(), Value::List(vec![Value::Null]))]).unwrap(),
        ))
    };
    let mut slots = Slots::new(Kind::Decision);
    let status = text(canaries, "status");
    slots = slots.event(&Event {
        status,
        trace: Some(canaries.bytes(&format!("{prefix}: trace"))),
        span: Some(canaries.bytes(&format!("{prefix}: span"))),
        batch: Some(Batch { call: canaries.bytes(&format!("{prefix}: call")), row: 0, rows: 1 }),
        ..event(1_760_000_000_000_000_000, Vec::new())
    });
    let mut model = Vec::new();
    let (model_name, version) = (text(canaries, "model"), text(canaries, "model version"));
    let artifact = Some(canaries.bytes(&format!("{prefix}: artifact")));
    ModelRef { name: model_name, version, artifact }.write(&mut model);
    slots = slots.constant(&["model"], FieldType::Model, model);
    for field in ["params", "environment", "tags"] {
        let (key, value) =
            (text(canaries, &format!("key of {field}")), text(canaries, &format!("value of {field}")));
        slots = slots.constant(&[field], FieldType::Map, map(key, value));
    }
    let actor = text(canaries, "actor");
    slots = slots.text(&["actor"], &actor);
    for field in ["one", "two"] {
        let value = text(canaries, &format!("input {field}"));
        slots = slots.text(&["inputs", field], &value);
    }
    let number = canaries.float(&format!("{prefix}: input number"));
    slots = slots.with(&["inputs", "number"], FieldType::F64, encode(&Value::Float(number)));
    let category = text(canaries, "category");
    slots = slots.with(&["inputs", "category"], FieldType::Category, encode(&Value::Text(category)));
    let bytes = canaries.bytes::<24>(&format!("{prefix}: bytes"));
    slots = slots.with(&["inputs", "bytes"], FieldType::Bytes, encode(&Value::Bytes(bytes.to_vec())));
    let (output, score) = (text(canaries, "output"), canaries.float(&format!("{prefix}: score")));
    slots = slots.text(&["outputs", "answer"], &output);
    slots = slots.with(&["outputs", "score"], FieldType::F64, encode(&Value::Float(score)));
    let mut attributions = Vec::new();
    let values = [0, 1].map(|n| canaries.element(&format!("{prefix}: attribution {n}")));
    let feature = text(canaries, "feature");
    Attributions {
        features: Some(vec![Feature::Name(feature), Feature::Path(Path::new(["inputs", "one"]).unwrap())]),
        tensor: Tensor {
            element: Element::F64,
            shape: vec![2],
            data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        },
    }
    .write(&mut attributions);
    slots = slots.with(&["explanation", "attributions"], FieldType::Attributions, attributions);
    let mut meta = Vec::new();
    let (key, value) = (text(canaries, "method's parameter"), text(canaries, "value of method's parameter"));
    ExplanationMeta {
        method: text(canaries, "method"),
        library: text(canaries, "library"),
        parameters: Map::new([(key, Value::Text(value))]).unwrap(),
        seed: None,
        background: Some(canaries.bytes(&format!("{prefix}: background"))),
        space: Some(Space::Raw),
        class: Value::Text(text(canaries, "class")),
        base: Some(Floats::Each(vec![canaries.float(&format!("{prefix}: base"))])),
        residual: Some(Floats::One(canaries.float(&format!("{prefix}: residual")))),
        when: When::Inline,
        duration_ns: Some(1),
    }
    .write(&mut meta);
    slots = slots.with(&["explanation", "meta"], FieldType::Explanation, meta);
    let mut subject = Vec::new();
    Subjects(subjects.iter().map(|subject| (*subject).to_owned()).collect()).write(&mut subject);
    slots = slots.with(&["subject"], FieldType::Subject, subject);
    if blob {
        // Longer than a frame and a chunk, with something in each.
        let (first, last) = (text(canaries, "blob"), text(canaries, "end of the blob"));
        let content = [first.as_bytes(), &[b'.'; 1_100_000], last.as_bytes()].concat();
        let media_type = text(canaries, "media type");
        let value = producer.blob(&content, &media_type).unwrap();
        slots = slots.with(&["inputs", "letter"], FieldType::Blob, encode(&value));
    }
    slots
}

/// A record that names nobody and is about another one.
fn about(canaries: &mut Canaries, prefix: &str, kind: Kind, link: RecordId) -> Slots {
    let status = canaries.text(&format!("{prefix}: status"));
    let (said, why) =
        (canaries.text(&format!("{prefix}: said")), canaries.text(&format!("{prefix}: in the shape")));
    let why = encode(&Value::Text(why));
    let slots = Slots::new(kind).event(&Event { status, ..event(1_760_000_001_000_000_000, vec![link]) });
    slots.text(&["outcome", "said"], &said).constant(&["outcome", "why"], FieldType::Text, why)
}

fn class(slots: Slots, class: &'static str) -> Slots {
    Slots { class, ..slots }
}

async fn readable(fixture: &Fixture, id: &RecordId) -> Option<Vec<u64>> {
    match fixture.reader().await.get(id).await.unwrap().content {
        Content::Readable { subjects, .. } => Some(subjects),
        Content::Erased => None,
        Content::NoKey => panic!("{id}: no key"),
    }
}

fn keys_of(fixture: &Fixture) -> std::path::PathBuf {
    fixture.place.keys.clone().unwrap()
}

async fn ring(fixture: &Fixture) -> Keyring {
    Keyring::read(&keys_of(fixture), &fixture.place.folder).await
}

/// Names whose keys lie in the same bucket as that of `subject`.
fn neighbours(ring: &Keyring, subject: &str, count: usize) -> Vec<String> {
    let (_, bucket) = ring.lookup(subject);
    let names = (0..).map(|n| format!("neighbour {n}"));
    names.filter(|name| ring.lookup(name).1 == bucket).take(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_found_in_anything_that_is_kept() {
    let fixture = Fixture::new().await;
    let (trail, keys) = (fixture.place.folder.clone(), keys_of(&fixture));
    let mut canaries = Canaries::default();
    let person = canaries.text("the name");
    let names = neighbours(&ring(&fixture).await, &person, 2);
    let producer = fixture.producer("web");
    let mut others = Vec::new();
    let neighbour = |producer: &Producer, n: usize| {
        record(producer, &Given { subjects: vec![names[n % 2].as_str()], ..Given::default() })
    };
    for n in 0..5 {
        others.push(neighbour(&producer, n));
        others.push(record(&producer, &Given::default()));
        others.push(record(&producer, &Given { subjects: vec!["ann"], ..Given::default() }));
    }
    let c = &mut canaries;
    let mut theirs = Vec::new();
    // One shape for a record about the person alone and one about two; sealed in two classes and over several segments.
    let alone = decision(c, "alone", &[&person], &producer, false);
    theirs.push(alone.hand_over(&producer));
    let mut pair = alone.clone();
    let two = pair.fields.iter_mut().find(|field| field.0 == ["subject"]).unwrap();
    two.2.clear();
    Subjects(vec!["ann".into(), person.clone()]).write(&mut two.2);
    theirs.push(pair.hand_over(&producer));
    theirs.push(decision(c, "two persons", &[&person, "bob"], &producer, true).hand_over(&producer));
    let decided = theirs[0];
    for (prefix, kind) in
        [("explanation", Kind::Explanation), ("outcome", Kind::Outcome), ("replay", Kind::Replay)]
    {
        theirs.push(about(c, prefix, kind, decided).hand_over(&producer));
    }
    let outcome = theirs[4];
    theirs.push(about(c, "review of the outcome", Kind::Review, outcome).hand_over(&producer));
    theirs
        .push(class(about(c, "review in another class", Kind::Review, decided), "long").hand_over(&producer));
    let mut engine = fixture.engine().await;
    engine.seal().await.unwrap();
    theirs.push(about(c, "later outcome", Kind::Outcome, decided).hand_over(&producer));
    theirs.push(about(c, "later review of the outcome", Kind::Review, outcome).hand_over(&producer));
    theirs.push(class(decision(c, "later", &[&person], &producer, true), "long").hand_over(&producer));
    others.push(neighbour(&producer, 1));
    engine.seal().await.unwrap();

    // Copies as a backup makes them, with the engine running: the catalog with its write-ahead log, and all but spools and bucket keys.
    let copies = tempfile::tempdir().unwrap();
    let (old_trail, old_keys) = (copies.path().join("trail"), copies.path().join("keys"));
    copy(&trail, &old_trail);
    copy(&keys, &old_keys);
    std::fs::remove_dir_all(old_trail.join("spool")).unwrap();
    std::fs::remove_file(old_keys.join("buckets")).unwrap();
    assert!(std::fs::metadata(old_trail.join("catalog.db-wal")).unwrap().len() > 0);
    let (_, old_rows) = wrapped(&old_trail).await;

    let reader = fixture.reader().await;
    let policy = Policy::parse(reader.policy().as_bytes()).unwrap();
    let shown = Path::new(["inputs", "one"]).unwrap();
    let receipts = [
        reader.receipt(&decided, &[]).await.unwrap(),
        reader.receipt(&decided, std::slice::from_ref(&shown)).await.unwrap(),
        reader.receipt(&others[0], &[]).await.unwrap(),
    ];
    let pinned = fixture.verify().await;
    let (size, root) = pinned.checkpoint.unwrap();
    let pinned = Pinned { log_key: pinned.log_key, size, root };

    // What is sealed is zeroed in the live parts of the spool; what shapes hold is there as long as their part.
    let held = ring(&fixture).await;
    let mut search = Search::new(&canaries, &held);
    search.folder("trail", &files(&trail.join("spool")));
    assert!(search.found.opened["frame"] > 0, "the definitions of the live part");
    let of_shapes = ["model", "params", "environment", "tags", "artifact", "in the shape"];
    let others_there = |name: &&str| !of_shapes.iter().any(|part| name.contains(part));
    let left: Vec<_> = search.found.names().into_iter().filter(others_there).map(str::to_owned).collect();
    assert!(left.is_empty(), "sealed, and still in the spool: {left:?}");

    // More about the person lies in the spool when they are erased.
    let c = &mut canaries;
    theirs.push(decision(c, "unsealed", &[&person], &producer, true).hand_over(&producer));
    theirs.push(about(c, "unsealed outcome", Kind::Outcome, decided).hand_over(&producer));
    others.push(neighbour(&producer, 0));

    // The search finds every one of them as long as the keys are there.
    let before = ring(&fixture).await;
    let (lookup, bucket) = before.lookup(&person);
    let mut search = Search::new(&canaries, &before);
    search.folder("trail", &files(&trail));
    search.folder("copy", &files(&old_trail));
    let missed: Vec<_> =
        canaries.names().difference(&search.found.names()).map(|name| (*name).to_owned()).collect();
    assert!(missed.is_empty(), "the search does not find {missed:?}");
    println!("before: {:?}", search.found.opened);

    let certificate =
        engine.erase(Whom::Subject(&person), "request of 20 November", "a clerk").await.unwrap();
    let number = before.subjects.iter().find(|subject| subject.1 == lookup).unwrap().0;
    assert_eq!((certificate.subject, certificate.blobs, certificate.shapes_left), (number, 3, 0));
    assert_eq!((certificate.trail.clone(), certificate.log_size), (hex(&before.trail), engine.published().0));
    assert_eq!((certificate.ground.as_str(), certificate.by.as_str()), ("request of 20 November", "a clerk"));
    let at: jiff::Timestamp = certificate.at.parse().unwrap();
    assert!(at.as_second() > 1_700_000_000 && !format!("{certificate:?}").contains(&person));

    // With the present catalog and the old ones: which subjects' keys open under the bucket keys that are left?
    let mut after = ring(&fixture).await;
    assert_eq!(after.closed, 0, "everything in the present catalog opens");
    assert!(after.subjects.iter().all(|(_, hash, _)| *hash != lookup));
    let known = after.subjects.len();
    after.read_catalog(&old_trail).await;
    assert_eq!(after.subjects.len(), known + old_rows.iter().filter(|row| row.1 != bucket).count());
    for (folder, name) in [(&trail, "trail"), (&old_trail, "copy")] {
        for (file, bytes) in files(folder).iter().filter(|(file, _)| file.starts_with("catalog.db")) {
            for (at, window) in bytes.windows(60).enumerate() {
                let opens = after
                    .buckets
                    .iter()
                    .filter(|(of, ..)| *of == bucket)
                    .any(|(.., key)| unwrap(key, &after.trail, "subject", &lookup, window).is_some());
                assert!(!opens, "a key of the erased person lies in the {name}'s {file} at {at}");
            }
        }
    }
    let mut search = Search::new(&canaries, &after);
    for (label, folder) in
        [("trail", &trail), ("keys", &keys), ("copy", &old_trail), ("copied keys", &old_keys)]
    {
        search.folder(label, &files(folder));
    }
    println!("after: {:?}", search.found.opened);
    for what in ["section", "body"] {
        assert!(search.found.opened[what] > 0, "the search opens no {what}");
    }
    // Windows are counted by model version and status, which are the model's and not a person's.
    let of_windows = ["model", "model version", "artifact", "status"];
    search.found.canaries.retain(|name, _| !of_windows.iter().any(|part| name.ends_with(part)));
    assert!(search.found.canaries.is_empty(), "{:#?}", search.found.canaries);

    // What was proved is proved.
    let report = fixture.verify_with(Some(pinned)).await;
    assert!(report.is_clean() && report.continues_earlier, "{:#?}", report.findings);
    assert_eq!(report.erased, theirs.len() as u64);
    for receipt in &receipts {
        verify_receipt(receipt.as_bytes(), &policy).unwrap();
    }
    let disclosed = verify_receipt(receipts[1].as_bytes(), &policy).unwrap().disclosure.unwrap();
    assert_eq!(disclosed.shown().count(), 1);
    verify_receipt(reader.receipt(&decided, &[]).await.unwrap().as_bytes(), &policy).unwrap();
    for id in &theirs {
        assert_eq!(readable(&fixture, id).await, None, "{id}");
        // A reader that was open before has no key left either.
        assert!(matches!(reader.get(id).await.unwrap().content, Content::Erased), "{id}");
    }
    for id in &others {
        assert!(readable(&fixture, id).await.is_some(), "{id}");
        assert!(matches!(reader.get(id).await.unwrap().content, Content::Readable { .. }), "{id}");
    }

    // Whoever comes back is somebody new, and what is said later of what was erased brings nobody back.
    let again = record(&producer, &Given { subjects: vec![&person], ..Given::default() });
    let late = about(&mut canaries, "late", Kind::Outcome, decided).hand_over(&producer);
    let of_both = about(&mut canaries, "late, two", Kind::Outcome, theirs[1]).hand_over(&producer);
    engine.seal().await.unwrap();
    let number = readable(&fixture, &again).await.unwrap();
    assert!(number[0] > certificate.subject && before.subjects.iter().all(|subject| subject.0 != number[0]));
    let late_number = readable(&fixture, &late).await.unwrap();
    assert!(late_number.len() == 1 && late_number != number && late_number[0] > certificate.subject);
    assert_eq!(
        readable(&fixture, &of_both).await.unwrap().len(),
        2,
        "the other person, and a key of its own"
    );
    for id in &theirs {
        assert_eq!(readable(&fixture, id).await, None, "{id}");
    }
    engine.erase(Whom::OrphansOf(decided), "the same", "a clerk").await.unwrap();
    assert_eq!(readable(&fixture, &late).await, None);
    assert!(readable(&fixture, &of_both).await.is_some());
    engine.erase(Whom::Subject("ann"), "the same", "a clerk").await.unwrap();
    assert_eq!(readable(&fixture, &of_both).await, None);
    assert!(readable(&fixture, &again).await.is_some());
    engine.close().await;
    fixture.check().await;
}

/// A trail with two records about each of some persons, one about the first two, and their keys in one bucket.
struct Persons {
    fixture: Fixture,
    names: Vec<String>,
    own: Vec<[RecordId; 2]>,
    both: RecordId,
}

impl Persons {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let mut names = vec!["ann".to_owned()];
        names.extend(neighbours(&ring(&fixture).await, "ann", 2));
        let producer = fixture.producer("web");
        let about = |subjects: Vec<&str>, blob: Option<Vec<u8>>| {
            record(&producer, &Given { subjects, blob, ..Given::default() })
        };
        let own = names
            .iter()
            .map(|name| [about(vec![name.as_str()], None), about(vec![name.as_str()], Some(vec![7; 100]))]);
        let own = own.collect();
        let both = about(vec![names[0].as_str(), names[1].as_str()], Some(vec![8; 100]));
        producer.close().unwrap();
        fixture.seal().await;
        Self { fixture, names, own, both }
    }

    async fn erase(&self, whom: Whom<'_>) -> Result<minutebook_trail::Certificate, Error> {
        let mut engine = self.fixture.engine().await;
        let certificate = engine.erase(whom, "request", "clerk").await;
        engine.close().await;
        certificate
    }

    /// Whether the records of each person can be read, and the one about two.
    async fn check(&self, readable_own: [bool; 3], both: bool) {
        for (own, expected) in self.own.iter().zip(readable_own) {
            for id in own {
                assert_eq!(readable(&self.fixture, id).await.is_some(), expected, "{id}");
            }
        }
        assert_eq!(readable(&self.fixture, &self.both).await.is_some(), both);
        let report = self.fixture.check().await;
        let erased = readable_own.iter().filter(|readable| !**readable).count() * 2 + usize::from(!both);
        assert_eq!(report.erased, erased as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_about_two_goes_with_either() {
    for first in [0, 1] {
        let persons = Persons::new().await;
        let certificate = persons.erase(Whom::Subject(&persons.names[first])).await.unwrap();
        assert_eq!(certificate.blobs, 2);
        persons.check([first != 0, first != 1, true], false).await;
        // Then the other one: the blob that they shared is gone already.
        let certificate = persons.erase(Whom::Subject(&persons.names[1 - first])).await.unwrap();
        assert_eq!(certificate.blobs, 1);
        persons.check([false, false, true], false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_not_erased() {
    let persons = Persons::new().await;
    let unknown = "01930000-0000-7000-8000-000000000000".parse().unwrap();
    for whom in
        [Whom::Subject("nobody"), Whom::Subject(""), Whom::OrphansOf(persons.both), Whom::OrphansOf(unknown)]
    {
        let error = persons.erase(whom).await.unwrap_err();
        assert!(matches!(error, Error::NoSubject), "{error}");
    }
    persons.erase(Whom::Subject("ann")).await.unwrap();
    let error = persons.erase(Whom::Subject("ann")).await.unwrap_err();
    assert!(matches!(error, Error::NoSubject), "{error}");
    persons.check([false, true, true], false).await;
    // An engine goes on after such a request.
    let mut engine = persons.fixture.engine().await;
    assert!(engine.erase(Whom::Subject("nobody"), "", "").await.is_err());
    engine.erase(Whom::Subject(&persons.names[2]), "request", "clerk").await.unwrap();
    engine.close().await;
    persons.check([false, true, false], false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_links_to_a_decision_that_is_elsewhere_is_erased_by_its_id() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let elsewhere: RecordId = "01930000-0000-7000-8000-000000000000".parse().unwrap();
    let orphan =
        record(&producer, &Given { kind: Kind::Outcome, links: vec![elsewhere], ..Given::default() });
    let of_orphan = record(&producer, &Given { kind: Kind::Review, links: vec![orphan], ..Given::default() });
    fixture.seal().await;
    let later = record(&producer, &Given { kind: Kind::Outcome, links: vec![elsewhere], ..Given::default() });
    fixture.seal().await;
    let numbers = readable(&fixture, &orphan).await.unwrap();
    assert_eq!(
        (readable(&fixture, &of_orphan).await.unwrap(), readable(&fixture, &later).await.unwrap()),
        (numbers.clone(), numbers)
    );
    let mut engine = fixture.engine().await;
    engine.erase(Whom::OrphansOf(elsewhere), "request", "clerk").await.unwrap();
    engine.close().await;
    for id in [orphan, of_orphan, later] {
        assert_eq!(readable(&fixture, &id).await, None);
    }
    fixture.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hides_in_the_class_that_is_under_no_ones_key() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let hidden = record(&producer, &Given { subjects: vec!["ann"], class: "system", ..Given::default() });
    producer.close().unwrap();
    fixture.seal().await;
    assert!(matches!(fixture.reader().await.get(&hidden).await, Err(Error::NoRecord { .. })));
    let report = fixture.check().await;
    let lost =
        report.accounts.iter().filter(|account| account.class == "system").flat_map(|account| &account.lost);
    assert_eq!(lost.collect::<Vec<_>>(), [(&State::Refused, &1)], "{:#?}", report.accounts);
}

/// The steps of an erasure as a crash leaves them, from copies of before and after.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_erasure_is_finished_or_forgotten() {
    let persons = Persons::new().await;
    let (trail, keys) = (persons.fixture.place.folder.clone(), keys_of(&persons.fixture));
    let (_, bucket) = ring(&persons.fixture).await.lookup("ann");
    let slot = usize::from(bucket) * 128;
    let buckets = |keys: &std::path::Path| std::fs::read(keys.join("buckets")).unwrap();
    let copies = tempfile::tempdir().unwrap();
    let at = |name: &str| copies.path().join(name);
    copy(&trail, &at("before"));
    let old = buckets(&keys);
    assert!(old[slot..slot + 64].iter().any(|&byte| byte != 0) && old[slot + 64..slot + 128] == [0; 64]);
    // The second step alone: the blob's folder is a file for that moment, so that what follows the keys fails.
    let mut engine = persons.fixture.engine().await;
    let blobs = trail.join("blobs");
    std::fs::rename(&blobs, at("blobs")).unwrap();
    std::fs::write(&blobs, b"in the way").unwrap();
    assert!(engine.erase(Whom::Subject("ann"), "request", "clerk").await.is_err());
    engine.close().await;
    std::fs::remove_file(&blobs).unwrap();
    std::fs::rename(at("blobs"), &blobs).unwrap();
    copy(&trail, &at("erased"));
    let new = buckets(&keys);
    assert!(new[slot..slot + 64] == [0; 64] && new[slot + 64..slot + 128] != [0; 64]);
    let mut both = old.clone();
    both[slot + 64..slot + 128].copy_from_slice(&new[slot + 64..slot + 128]);
    let mut torn = old.clone();
    torn[slot + 64..slot + 100].copy_from_slice(&new[slot + 64..slot + 100]);
    let mut torn_zeros = both.clone();
    torn_zeros[slot..slot + 32].fill(0);

    let cases: [(&str, &str, &[u8], bool); 6] = [
        ("before the first step", "before", &old, false),
        ("within the first step", "before", &torn, false),
        ("after the first step", "before", &both, false),
        ("after the second step", "erased", &both, true),
        ("within the third step", "erased", &torn_zeros, true),
        ("after the third step", "erased", &new, true),
    ];
    for (what, catalog, bytes, erased) in cases {
        restore(&at(catalog), &trail);
        std::fs::write(keys.join("buckets"), bytes).unwrap();
        persons.fixture.seal().await;
        let left = buckets(&keys);
        let halves = [&left[slot..slot + 64], &left[slot + 64..slot + 128]]
            .map(|half| half.iter().any(|&byte| byte != 0));
        assert_eq!(halves, [!erased, erased], "{what}: one key is left, the right one");
        persons.check([!erased, true, true], !erased).await;
        let records = erasures(&persons.fixture).await;
        assert_eq!(records, usize::from(erased), "{what}");
        assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), if erased { 2 } else { 4 }, "{what}");
        // The trail can do it again, or for the first time.
        let again =
            persons.erase(Whom::Subject(if erased { &persons.names[1] } else { "ann" })).await.unwrap();
        assert_eq!(again.ground, "request", "{what}");
        persons.fixture.check().await;
    }
}

async fn erasures(fixture: &Fixture) -> usize {
    let mut count = 0;
    let filter = Filter { kinds: vec![Kind::Erasure], ..Filter::default() };
    let mut each = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    fixture.reader().await.list(&filter, &mut each).await.unwrap();
    count
}

/// Bucket keys of another time than the catalog are not taken, and not touched.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_catalog_does_not_bring_anybody_back() {
    let persons = Persons::new().await;
    let copies = tempfile::tempdir().unwrap();
    let old = copies.path().join("trail");
    copy(&persons.fixture.place.folder, &old);
    persons.erase(Whom::Subject("ann")).await.unwrap();
    let place = Place::new(&old).with_keys(keys_of(&persons.fixture));
    let reader = minutebook_trail::Reader::open(&place).await.unwrap();
    for id in persons.own.iter().flatten().chain([&persons.both]) {
        // The neighbours too: their keys were wrapped anew since.
        assert!(matches!(reader.get(id).await.unwrap().content, Content::Erased), "{id}");
    }
    assert!(!verify_place(&place, None).await.is_clean(), "no erasure is recorded there");
    drop(reader);
    let before = std::fs::read(keys_of(&persons.fixture).join("buckets")).unwrap();
    if let Ok(mut engine) = Engine::open(&place, Default::default()).await {
        let error = engine.erase(Whom::Subject(&persons.names[1]), "", "").await.unwrap_err();
        assert!(matches!(error, Error::BucketGeneration { .. }), "{error}");
    }
    assert!(std::fs::read(keys_of(&persons.fixture).join("buckets")).unwrap() == before);
    persons.check([false, true, true], false).await;
}
