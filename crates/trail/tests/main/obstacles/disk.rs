//! The disk is full, or the folder cannot be written.

use super::{evidence, goes_on, shown, trail};
use crate::files::{copy, restore};
use crate::fixture::{Fixture, Given, record, try_record, verify_place};
use minutebook_capture::{CaptureError, IntakePublicKey, Producer, ProducerOptions, Storage, SystemStorage};
use minutebook_faultfs::{Errno, Plan, Session};
use minutebook_trail::{Engine, Environment, Error, Place, Reader, Remedy, doctor};
use minutebook_verify::Severity;
use minutebook_verify::coverage::EpochState;
use minutebook_verify::descriptor::State;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a process started by a test finds trail and keys.
const TRAIL: &str = "MINUTEBOOK_TEST_TRAIL";
const KEYS: &str = "MINUTEBOOK_TEST_KEYS";

/// What a process says of its error, for the test that started it.
const SAID: &str = "said: ";

fn place_of_parent() -> Place {
    let variable = |name| std::env::var_os(name).unwrap();
    Place::new(variable(TRAIL)).with_keys(variable(KEYS))
}

fn process(fixture: &Fixture, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", test, "--nocapture", "--test-threads=1"])
        .env(TRAIL, &fixture.place.folder)
        .env(KEYS, fixture.place.keys.as_ref().unwrap())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// What the process said of each error.
fn said(mut command: Command) -> Vec<String> {
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}");
    text.lines().filter_map(|line| Some(line.split_once(SAID)?.1.to_owned())).collect()
}

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn seals_and_says_what_stood_in_its_way() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let place = place_of_parent();
    let sealed = runtime.block_on(async {
        let mut engine = Engine::open(&place, Environment::default()).await?;
        engine.seal().await?;
        // After a failure it says so until it is opened again.
        engine.close().await;
        Ok::<_, Error>(())
    });
    match sealed {
        Ok(()) => println!("{SAID}nothing"),
        Err(error) => println!("{SAID}{:?} {error}", error.remedy()),
    }
}

fn wait_for_sealing(fixture: &Fixture) {
    let producer = fixture.producer("web");
    for number in 0..40 {
        let blob = (number == 3).then(|| vec![1; 5_000]);
        record(
            &producer,
            &Given { number: f64::from(number), subjects: vec!["ann"], blob, ..Given::default() },
        );
    }
    producer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_at_some_step_of_sealing() {
    const TEST: &str = "obstacles::disk::seals_and_says_what_stood_in_its_way";
    let fixture = trail().await;
    wait_for_sealing(&fixture);
    let aside = fixture.folder.path().join("aside");
    copy(&fixture.place.folder, &aside.join("trail"));
    copy(fixture.place.keys.as_ref().unwrap(), &aside.join("keys"));
    let restore_both = || {
        restore(&aside.join("trail"), &fixture.place.folder);
        restore(&aside.join("keys"), fixture.place.keys.as_ref().unwrap());
    };
    let session = |plan| {
        let session = Session::begin(&fixture.place.folder, &fixture.folder.path().join("scratch")).unwrap();
        let mut command = process(&fixture, TEST);
        session.arm(&mut command, plan).unwrap();
        (said(command), session.operations().unwrap().len() as u64)
    };
    let (said, operations) = session(Plan::Count);
    assert_eq!(said, ["nothing"]);
    let mut told = 0;
    for step in 0..12 {
        restore_both();
        let from = 1 + step * operations / 12;
        let (said, _) = session(Plan::FailFrom(from, Errno(libc::ENOSPC)));
        let [said] = &said[..] else { panic!("{said:?}") };
        if said != "nothing" {
            // SQLite speaks of its disk in its own words.
            let full = ["No space left on device", "database or disk is full", "disk I/O error"];
            assert!(full.iter().any(|words| said.contains(words)), "from operation {from}: {said}");
            assert!(said.starts_with("Retry "), "from operation {from}: {said}");
            let place = fixture.place.folder.display().to_string();
            assert!(
                said.contains(&place) || said.contains('`'),
                "from operation {from}: {said} does not say where"
            );
            told += 1;
        }
        // There is room again.
        fixture.seal().await;
        let report = fixture.check().await;
        let account = report.accounts.iter().find(|account| account.drawn == 40).unwrap();
        assert_eq!(account.kept, 40, "from operation {from}");
    }
    assert!(told >= 6, "{told} of 12 were told");
    goes_on(&fixture).await;
}

/// A disk that has no room for another file when told so.
#[derive(Default)]
struct Full(AtomicBool);

impl Storage for Full {
    fn reserve(&self, file: &std::fs::File, bytes: u64) -> std::io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(std::io::Error::from_raw_os_error(libc::ENOSPC)),
            false => SystemStorage.reserve(file, bytes),
        }
    }

    fn flush(&self, file: &std::fs::File) -> std::io::Result<()> {
        SystemStorage.flush(file)
    }
}

/// What a producer could not hand over until it closed is told with its reason, and its epoch as closed. It was told as abandoned, and the numbers
/// as damaged, while closing had no room of its own.
async fn closes_for_want_of_room(spill_bytes: u64, disk_is_full: bool) {
    let fixture = trail().await;
    let file = fixture.place.trail_file().unwrap();
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let storage = Arc::new(Full::default());
    let options = ProducerOptions {
        part_bytes: 64 << 10,
        spill_bytes,
        storage: Arc::clone(&storage) as Arc<dyn Storage>,
        ..ProducerOptions::new(fixture.place.spool(), file.id, intake, "full")
    };
    let producer = Producer::open(options).unwrap();
    storage.0.store(disk_is_full, Ordering::Relaxed);
    let (mut kept, mut refused) = (0, 0);
    while refused < 500 {
        match try_record(&producer, &Given { subjects: vec!["ann"], ..Given::default() }) {
            Ok(_) => kept += 1,
            Err(CaptureError::Full { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    // Neither a reserve that waits nor one that was used is anything to look into.
    let is_sound = async || {
        let findings = doctor(&fixture.place, true).await.unwrap();
        let notes = findings.iter().filter(|finding| finding.object.starts_with("spool/"));
        assert!(notes.clone().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
    };
    is_sound().await;
    producer.close().unwrap();
    is_sound().await;
    fixture.seal().await;
    let report = fixture.check().await;
    let account = report.accounts.iter().find(|account| account.drawn == kept + refused).unwrap();
    assert_eq!((account.state, account.kept), (EpochState::Closed, kept));
    assert_eq!(account.lost, [(State::SpoolFull, refused)].into());
    assert_eq!(account.gaps, []);
    assert_eq!(std::fs::read_dir(fixture.path("spool/full")).unwrap().count(), 2, "`producer` and `lock`");
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spool_is_full_until_its_producer_closes() {
    closes_for_want_of_room(2 * (64 << 10) + 4096, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_until_the_producer_closes() {
    closes_for_want_of_room(1 << 30, true).await;
}

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn reads_where_it_may_not_write() {
    // SAFETY: asks for ids, and gives up those of root for nobody's.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setgid(NOBODY), 0, "root can become somebody else");
            assert_eq!(libc::setuid(NOBODY), 0, "root can become somebody else");
        }
        assert_ne!(libc::geteuid(), 0);
    }
    let place = place_of_parent();
    let probe = std::fs::File::create(place.folder.join("probe")).unwrap_err();
    assert_eq!(probe.kind(), std::io::ErrorKind::PermissionDenied, "the folder cannot be written");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let error = Engine::open(&place, Environment::default()).await.unwrap_err();
        assert_eq!(error.remedy(), Remedy::Retry);
        println!("{SAID}{error}");
        // Reading and verifying need no more than reading.
        let reader = Reader::open(&place).await.unwrap();
        assert!(reader.totals().await.unwrap().1 > 0);
        let report = verify_place(&place, None).await;
        assert!(report.is_clean(), "{:#?}", report.findings);
        assert_eq!(report.readable, report.records);
        let file = place.trail_file().unwrap();
        let intake = IntakePublicKey::from_bytes(file.intake_key);
        match Producer::open(ProducerOptions::new(place.spool(), file.id, intake, "new")) {
            Ok(_) => panic!("a producer opened where nothing can be written"),
            Err(error) => println!("{SAID}{error}"),
        }
    });
}

/// Nobody's user and group number on every Linux.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_cannot_be_written() {
    let fixture = trail().await;
    wait_for_sealing(&fixture);
    let before = evidence(&fixture.place);
    // SAFETY: only asks.
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        give(fixture.folder.path(), NOBODY);
    }
    permit(&fixture.place.folder, 0o500, 0o400);
    let said = said(process(&fixture, "obstacles::disk::reads_where_it_may_not_write"));
    permit(&fixture.place.folder, 0o700, 0o600);
    if root {
        give(fixture.folder.path(), 0);
    }
    let [engine, producer] = &said[..] else { panic!("{said:?}") };
    assert!(
        engine.contains("Permission denied") && engine.contains(&shown(&fixture.path("lock"))),
        "{engine}"
    );
    assert!(producer.contains("ermission denied"), "{producer}");
    assert!(evidence(&fixture.place) == before);
    goes_on(&fixture).await;
}

/// Gives a folder and all below it to somebody.
fn give(folder: &std::path::Path, to: u32) {
    std::os::unix::fs::chown(folder, Some(to), Some(to)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            give(&entry.path(), to);
        } else {
            std::os::unix::fs::chown(entry.path(), Some(to), Some(to)).unwrap();
        }
    }
}

/// Sets the permissions of a folder and all below it.
fn permit(folder: &std::path::Path, folders: u32, files: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(folder, folders | 0o700);
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            permit(&entry.path(), folders, files);
        } else {
            set(&entry.path(), files);
        }
    }
    set(folder, folders);
}
