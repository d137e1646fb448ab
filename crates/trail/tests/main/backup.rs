//! Backups: what is in them, what a second one copies, and what becomes of them elsewhere, with keys of today, of yesterday and with none.

use crate::canaries::{Canaries, Search};
use crate::files::{copy, files};
use crate::fixture::{Fixture, Given, producer, record, verify_place};
use crate::keyring::Keyring;
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{
    Ahead, BackupOptions, BackupPlace, BackupReport, Content, Engine, Environment, Error, Filter, Place,
    Reader, RestoreOptions, RestoreReport, Whom, backup, copy_keys, doctor, promote, restore,
};
use minutebook_verify::Severity;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn quiet(_: u64, _: u64) {}

/// A trail, and where it is backed up and restored.
struct World {
    fixture: Fixture,
    backup: PathBuf,
}

impl World {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let backup = fixture.folder.path().join("backup");
        Self { fixture, backup }
    }

    fn keys(&self) -> PathBuf {
        self.fixture.place.keys.clone().unwrap()
    }

    fn name(&self) -> String {
        self.backup.to_str().unwrap().to_owned()
    }

    async fn back_up(&self) -> minutebook_trail::Result<BackupReport> {
        self.back_up_with(BackupOptions::default()).await
    }

    async fn back_up_with(&self, options: BackupOptions) -> minutebook_trail::Result<BackupReport> {
        let mut engine = self.fixture.engine().await;
        let snapshot = engine.snapshot(&self.name()).await?;
        engine.close().await;
        let to = BackupPlace::open(&self.name())?;
        let done = backup(&self.fixture.place, &snapshot, &to, options, &quiet).await;
        snapshot.remove(&self.fixture.place);
        done
    }

    /// A copy of the key folder as it is now.
    fn old_keys(&self, name: &str) -> PathBuf {
        let to = self.fixture.folder.path().join(name);
        copy(&self.keys(), &to);
        to
    }

    fn target(&self, name: &str, keys: &Path) -> Place {
        Place::new(self.fixture.folder.path().join(name)).with_keys(keys)
    }

    async fn restore(&self, target: &Place) -> minutebook_trail::Result<RestoreReport> {
        self.restore_with(target, RestoreOptions::default()).await
    }

    async fn restore_with(
        &self,
        target: &Place,
        options: RestoreOptions,
    ) -> minutebook_trail::Result<RestoreReport> {
        restore(&BackupPlace::existing(&self.name())?, target, options, &quiet).await
    }

    async fn erase(&self, subject: &str) {
        let mut engine = self.fixture.engine().await;
        engine.erase(Whom::Subject(subject), "request", "the test").await.unwrap();
        engine.close().await;
    }
}

/// Nothing is wrong with the evidence, and the catalog fits it.
async fn clean(place: &Place) -> minutebook_verify::Report {
    let findings = doctor(place, true).await.unwrap();
    let is_problem = |finding: &&minutebook_verify::Finding| finding.severity == Severity::Problem;
    let problems: Vec<_> = findings.iter().filter(is_problem).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let report = verify_place(place, None).await;
    assert!(report.is_clean(), "{:#?}", report.findings);
    report
}

fn is_readable(content: &Content) -> bool {
    matches!(content, Content::Readable { .. })
}

async fn content(place: &Place, id: &RecordId) -> Content {
    Reader::open(place).await.unwrap().get(id).await.unwrap().content
}

async fn promoted(place: &Place) -> minutebook_trail::Result<minutebook_trail::Promoted> {
    promote(place, Environment::default(), &[], false).await
}

/// Two names whose keys lie in one bucket, and one in another.
async fn neighbours(world: &World) -> [String; 3] {
    let ring = Keyring::read(&world.keys(), &world.fixture.place.folder).await;
    let bucket = |name: &str| ring.lookup(name).1;
    let other = (0..).map(|n| format!("neighbour {n}")).find(|name| bucket(name) == bucket("ann")).unwrap();
    assert_ne!(bucket("zoe"), bucket("ann"));
    ["ann".into(), other, "zoe".into()]
}

fn about<'a>(subject: &'a str) -> Given<'a> {
    Given { subjects: vec![subject], ..Given::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_reads_and_verifies_as_the_trail_did_and_is_written_to_only_when_promoted() {
    let world = World::new().await;
    let producer = world.fixture.producer("web");
    let mut ids = Vec::new();
    for n in 0..300 {
        let subject = format!("person {n}");
        let blob = (n % 100 == 0).then(|| vec![n as u8; 20_000]);
        ids.push(record(&producer, &Given { subjects: vec![&subject], blob, ..Given::default() }));
        if n % 100 == 50 {
            world.fixture.seal().await;
        }
    }
    let report = world.back_up().await.unwrap();
    let names = files(&world.backup);
    assert!(
        names
            .keys()
            .all(|name| !name.contains("spool") && !name.contains("buckets") && !name.contains("keys"))
    );
    assert_eq!(report.copied, report.objects);
    let waits = record(&producer, &Given::default());

    let keys = world.old_keys("keys-elsewhere");
    let target = world.target("elsewhere", &keys);
    let restored = world.restore(&target).await.unwrap();
    assert_eq!((restored.objects, restored.damaged.len(), restored.erased), (report.objects, 0, 0));
    assert_eq!(restored.log_size, report.log_size);
    clean(&target).await;
    let reader = Reader::open(&target).await.unwrap();
    for id in &ids {
        assert!(is_readable(&reader.get(id).await.unwrap().content), "{id}");
    }
    // What was not sealed by then is in no backup.
    assert!(matches!(reader.get(&waits).await, Err(Error::NoRecord { .. })));
    drop(reader);
    let refused = Engine::open(&target, Environment::default()).await.unwrap_err();
    assert!(matches!(refused, Error::NotPromoted { .. }), "{refused}");
    assert!(refused.to_string().contains("minutebook promote"));

    let promoted = promoted(&target).await.unwrap();
    assert_eq!(promoted.restored_size, report.log_size);
    assert!(promoted.log_size > promoted.restored_size);
    let mut engine = Engine::open(&target, Environment::default()).await.unwrap();
    let after = record(&producer_at(&target), &Given::default());
    engine.seal().await.unwrap();
    engine.seal_windows().await.unwrap();
    engine.close().await;
    clean(&target).await;
    assert!(is_readable(&content(&target, &after).await));
    assert!(records_say(&target, "restored from a backup and promoted").await);
    let again = promote(&target, Environment::default(), &[], false).await.unwrap_err();
    assert!(again.to_string().contains("no restored copy"), "{again}");
}

fn producer_at(place: &Place) -> minutebook_capture::Producer {
    producer(place, "after")
}

/// Whether a `policy` record says so.
async fn records_say(place: &Place, text: &str) -> bool {
    let reader = Reader::open(place).await.unwrap();
    let mut found = false;
    let mut each = |record: minutebook_trail::StoredRecord| {
        if let Content::Readable { values, .. } = &record.content {
            found |= values.iter().any(|value| value.windows(text.len()).any(|part| part == text.as_bytes()));
        }
        ControlFlow::Continue(())
    };
    reader.list(&Filter { kinds: vec![Kind::Policy], ..Filter::default() }, &mut each).await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_copies_what_is_new_and_mends_what_is_damaged() {
    let world = World::new().await;
    let producer = world.fixture.producer("web");
    record(&producer, &Given { blob: Some(vec![1; 20_000]), ..about("ann") });
    let first = world.back_up().await.unwrap();
    let nothing_new = world.back_up().await.unwrap();
    assert_eq!((nothing_new.copied, nothing_new.tiles), (0, 0));
    record(&producer, &about("ben"));
    let second = world.back_up().await.unwrap();
    assert!(second.copied > 0 && second.objects == first.objects + second.copied, "{second:?}");

    let damaged = files(&world.backup).into_keys().find(|name| name.starts_with("segments/")).unwrap();
    let path = world.backup.join(&damaged);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let target = world.target("elsewhere", &world.old_keys("other-keys"));
    let error = world.restore(&target).await.unwrap_err();
    assert!(matches!(&error, Error::Objects { objects, .. } if *objects == [damaged.clone()]), "{error}");
    assert!(error.to_string().contains(&damaged) && error.to_string().contains("--accept-damage"), "{error}");
    assert!(
        matches!(Reader::open(&target).await, Err(Error::NoTrail { .. })),
        "nothing half restored can be read"
    );
    let accepted = world.restore_with(&target, RestoreOptions { accept_damage: true }).await.unwrap();
    assert_eq!(accepted.damaged, std::slice::from_ref(&damaged));
    let report = verify_place(&target, None).await;
    assert!(
        report.findings.iter().any(|finding| finding.object == damaged && finding.what == "it is missing")
    );

    let quick = world.back_up_with(BackupOptions { quick: true }).await.unwrap();
    assert!(quick.mended.is_empty(), "what is not read is not found");
    let mended = world.back_up().await.unwrap();
    assert_eq!(mended.mended, [damaged]);
    assert!(world.restore(&target).await.unwrap().damaged.is_empty());
    clean(&target).await;

    // What the trail itself has damaged comes into no backup, and takes nothing from the one that is there.
    record(&producer, &about("cat"));
    world.fixture.seal().await;
    let newest = files(&world.fixture.place.folder).into_keys().filter(|name| name.starts_with("segments/"));
    let newest = newest
        .max_by_key(|name| std::fs::metadata(world.fixture.path(name)).unwrap().modified().unwrap())
        .unwrap();
    std::fs::write(world.fixture.path(&newest), b"nothing").unwrap();
    let error = world.back_up().await.unwrap_err();
    assert!(matches!(&error, Error::Objects { objects, .. } if *objects == [newest.clone()]), "{error}");
    assert!(world.restore(&target).await.unwrap().damaged.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_after_the_backup_is_done_again_with_the_keys_of_today() {
    let world = World::new().await;
    let [person, neighbour, other] = neighbours(&world).await;
    let producer = world.fixture.producer("web");
    let mut canaries = Canaries::default();
    let (text, letter) = (canaries.text("input"), canaries.text("blob"));
    let blob = Some([letter.as_bytes(), &[b'.'; 9_000]].concat());
    let theirs = record(&producer, &Given { text, blob, ..about(&person) });
    let near = record(&producer, &about(&neighbour));
    let far = record(&producer, &about(&other));
    world.back_up().await.unwrap();
    let before = Keyring::read(&world.keys(), &world.fixture.place.folder).await;
    let mut search = Search::new(&canaries, &before);
    search.folder("backup", &files(&world.backup));
    assert_eq!(search.found.names().len(), 2, "found as long as the keys are there");
    // The place cannot be reached meanwhile: only the key folder knows.
    let away = world.backup.with_extension("away");
    std::fs::rename(&world.backup, &away).unwrap();
    world.erase(&person).await;
    std::fs::rename(&away, &world.backup).unwrap();

    let target = world.target("elsewhere", &world.keys());
    let report = world.restore(&target).await.unwrap();
    assert_eq!((report.erased, report.unreadable), (1, 0));
    assert!(matches!(content(&target, &theirs).await, Content::Erased));
    assert!(is_readable(&content(&target, &near).await), "a neighbour's key was wrapped anew since");
    assert!(is_readable(&content(&target, &far).await));
    let verified = clean(&target).await;
    assert!(
        verified
            .findings
            .iter()
            .any(|finding| finding.what.contains("1 subjects were erased after this backup"))
    );
    assert_eq!(verified.erased, 1);
    assert!(!files(&target.folder).keys().any(|name| name.starts_with("blobs/")), "their blob");
    for catalog in [&target.folder, &world.fixture.place.folder] {
        let ring = Keyring::read(&world.keys(), catalog).await;
        let mut search = Search::new(&canaries, &ring);
        search.folder("copy", &files(&target.folder));
        search.folder("backup", &files(&world.backup));
        assert!(search.found.names().is_empty(), "{:?}", search.found.names());
    }
    // Who erased somebody has a log that went on.
    let refused = promoted(&target).await.unwrap_err();
    assert!(matches!(&refused, Error::LogAhead { by, .. } if by.contains("erased subjects")), "{refused}");
    promote(&target, Environment::default(), &[], true).await.unwrap();
    let verified = clean(&target).await;
    assert_eq!(verified.erasures.len(), 1, "the erasure has its record here too");
    assert!(is_readable(&content(&target, &near).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_before_an_erasure_do_not_give_back_whom_the_backup_knows_to_be_erased() {
    let world = World::new().await;
    let [person, neighbour, _] = neighbours(&world).await;
    let producer = world.fixture.producer("web");
    let theirs = record(&producer, &about(&person));
    let near = record(&producer, &about(&neighbour));
    world.back_up().await.unwrap();
    let old = world.old_keys("old-keys");
    // The place is told by the engine.
    world.erase(&person).await;

    let target = world.target("elsewhere", &old);
    let report = world.restore(&target).await.unwrap();
    assert_eq!((report.erased, report.unreadable), (1, 0));
    assert!(matches!(content(&target, &theirs).await, Content::Erased));
    assert!(is_readable(&content(&target, &near).await));
    clean(&target).await;
    let before = Keyring::read(&old, &target.folder).await;
    let (_, bucket) = before.lookup(&person);
    promote(&target, Environment::default(), &[], true).await.unwrap();
    let after = Keyring::read(&old, &target.folder).await;
    let of = |ring: &Keyring| -> Vec<u32> {
        ring.buckets
            .iter()
            .filter(|(known, ..)| *known == bucket)
            .map(|(_, generation, _)| *generation)
            .collect()
    };
    assert_eq!(
        (of(&before), of(&after)),
        (vec![1], vec![2]),
        "the key that opens them in the backup is destroyed"
    );
    clean(&target).await;
    assert!(is_readable(&content(&target, &near).await));
    assert!(matches!(content(&target, &theirs).await, Content::Erased));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_before_an_erasure_read_less_of_a_backup_from_after_it() {
    let world = World::new().await;
    let [person, neighbour, other] = neighbours(&world).await;
    let producer = world.fixture.producer("web");
    let theirs = record(&producer, &about(&person));
    let near = record(&producer, &about(&neighbour));
    let far = record(&producer, &about(&other));
    world.fixture.seal().await;
    let old = world.old_keys("old-keys");
    world.erase(&person).await;
    world.back_up().await.unwrap();
    let target = world.target("elsewhere", &old);
    let report = world.restore(&target).await.unwrap();
    assert_eq!((report.erased, report.unreadable), (0, 1));
    assert!(matches!(content(&target, &theirs).await, Content::Erased));
    assert!(matches!(content(&target, &near).await, Content::NoKey), "not erased: its key is elsewhere");
    assert!(is_readable(&content(&target, &far).await));
    let refused = promoted(&target).await.unwrap_err();
    assert!(matches!(refused, Error::BucketGeneration { .. }), "{refused}");
    assert!(matches!(Engine::open(&target, Environment::default()).await, Err(Error::NotPromoted { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_restored_without_keys_is_not_read_with_keys_that_know_more() {
    let world = World::new().await;
    let producer = world.fixture.producer("web");
    let theirs = record(&producer, &about("ann"));
    let bens = record(&producer, &about("ben"));
    world.back_up().await.unwrap();
    let away = world.backup.with_extension("away");
    std::fs::rename(&world.backup, &away).unwrap();
    world.erase("ann").await;
    std::fs::rename(&away, &world.backup).unwrap();
    let missing = world.fixture.folder.path().join("no-keys");
    let target = world.target("elsewhere", &missing);
    let report = world.restore(&target).await.unwrap();
    assert!(!report.has_keys && report.erased == 0);
    assert!(matches!(Reader::open(&target).await, Err(Error::KeysMissing { .. })));
    assert!(verify_place(&target, None).await.is_clean(), "without keys the log and the objects verify");
    let with_keys = world.target("elsewhere", &world.keys());
    let refused = Reader::open(&with_keys).await.unwrap_err();
    assert!(refused.to_string().contains("restore again"), "{refused}");
    assert_eq!(world.restore(&with_keys).await.unwrap().erased, 1);
    assert!(matches!(content(&with_keys, &theirs).await, Content::Erased));
    assert!(is_readable(&content(&with_keys, &bens).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_log_is_known_to_have_gone_on_is_not_promoted_by_mistake() {
    let world = World::new().await;
    let producer = world.fixture.producer("web");
    record(&producer, &Given::default());
    let made = world.back_up().await.unwrap();
    let target = world.target("elsewhere", &world.old_keys("other-keys"));
    world.restore(&target).await.unwrap();
    let known = |size, root| Ahead { size, root, by: "a checkpoint that was kept".into() };
    for ahead in [known(made.log_size + 1, [0; 32]), known(made.log_size, [1; 32])] {
        let refused = promote(&target, Environment::default(), &[ahead], false).await.unwrap_err();
        assert!(matches!(refused, Error::LogAhead { .. }), "{refused}");
    }
    // The place itself knows, once there is a newer backup in it.
    record(&producer, &Given::default());
    world.back_up().await.unwrap();
    let refused = promoted(&target).await.unwrap_err();
    assert!(matches!(&refused, Error::LogAhead { by, .. } if by.contains("backup")), "{refused}");
    clean(&target).await;
    let forked = promote(&target, Environment::default(), &[], true).await.unwrap();
    assert!(forked.forks);
    assert!(records_say(&target, "a later log of this trail is known and was given up").await);
    clean(&target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_key_folder_opens_what_comes_later_and_a_certificate_says_until_when() {
    let world = World::new().await;
    let producer = world.fixture.producer("web");
    record(&producer, &about("ann"));
    let mut engine = world.fixture.engine().await;
    let without = engine.erase(Whom::Subject("ann"), "request", "the test").await.unwrap();
    assert_eq!(without.key_copies_until, None);
    engine.note_key_copy(Some("2099-01-01T00:00:00Z")).await.unwrap();
    let trail = engine.trail().id;
    let kept = world.fixture.folder.path().join("kept");
    copy_keys(&world.keys(), trail, &kept).unwrap();
    record(&producer, &about("ben"));
    engine.seal().await.unwrap();
    let certificate = engine.erase(Whom::Subject("ben"), "request", "the test").await.unwrap();
    assert_eq!(certificate.key_copies_until.as_deref(), Some("2099-01-01T00:00:00Z"));
    engine.note_key_copy(None).await.unwrap();
    copy_keys(&world.keys(), trail, &kept).unwrap();
    // Somebody who is seen for the first time after the copy was made.
    let later = record(&producer, &about("somebody new"));
    record(&producer, &about("cat"));
    engine.seal().await.unwrap();
    let endless = engine.erase(Whom::Subject("cat"), "request", "the test").await.unwrap();
    assert_eq!(endless.key_copies_until.as_deref(), Some("never"));
    let wrong = engine.note_key_copy(Some("in May")).await.unwrap_err();
    assert!(matches!(wrong, Error::Request(_)), "{wrong}");
    engine.close().await;
    assert!(records_say(&world.fixture.place, "key folder copied").await);
    world.fixture.check().await;
    world.back_up().await.unwrap();
    let target = world.target("elsewhere", &kept);
    world.restore(&target).await.unwrap();
    assert!(is_readable(&content(&target, &later).await));
    // The copy goes nowhere where something else lies.
    let foreign = world.fixture.folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(foreign.join("letter"), b"mine").unwrap();
    assert!(matches!(copy_keys(&world.keys(), trail, &foreign), Err(Error::FolderInUse { .. })));
    assert!(matches!(copy_keys(&world.keys(), trail, &world.keys()), Err(Error::Request(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_one_trails_and_a_target_is_empty() {
    let (world, other) = (World::new().await, World::new().await);
    world.back_up().await.unwrap();
    let mut engine = other.fixture.engine().await;
    let snapshot = engine.snapshot(&world.name()).await.unwrap();
    engine.close().await;
    let to = BackupPlace::open(&world.name()).unwrap();
    let error =
        backup(&other.fixture.place, &snapshot, &to, BackupOptions::default(), &quiet).await.unwrap_err();
    assert!(error.to_string().contains("another trail"), "{error}");
    std::fs::create_dir_all(&other.backup).unwrap();
    std::fs::write(other.backup.join("letter"), b"mine").unwrap();
    let error = other.back_up().await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    std::fs::remove_file(other.backup.join("letter")).unwrap();
    let error = other.restore(&other.target("x", &other.keys())).await.unwrap_err();
    assert!(error.to_string().contains("no complete backup"), "{error}");
    for taken in [world.fixture.place.clone(), world.target("taken", &world.keys())] {
        std::fs::create_dir_all(&taken.folder).unwrap();
        std::fs::write(taken.folder.join("letter"), b"mine").unwrap();
        assert!(matches!(world.restore(&taken).await, Err(Error::FolderInUse { .. })));
    }
    assert!(matches!(BackupPlace::open("gs://bucket/below"), Err(Error::Backup { .. })));
    assert!(matches!(BackupPlace::open("no://where"), Err(Error::Backup { .. })));
}
