//! The trail that is tampered with: several producers, epochs, classes, subjects, blobs, linked records, losses, an erased subject, hundreds of
//! entries in the log, and what an older copy of its folder held.

use super::source::{HeldKeys, MapSource, UpTo};
use crate::fixture::{Fixture, Given, class, record};
use minutebook_record::{Kind, RecordId};
use minutebook_tlog::{KeyName, Signer};
use minutebook_trail::{Engine, KeyFolder, Place, Whom};
use minutebook_verify::keys::{Keys as _, SubjectKey};
use minutebook_verify::{Finding, Id, Options, Pinned, Report, Severity, Source, verify};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The trail now, and what belongs to it.
pub struct World {
    pub now: MapSource,
    /// The same without the tiles that earlier checkpoints left.
    pub lean: MapSource,
    /// The same folder earlier.
    pub before: MapSource,
    /// What a look at the older folder found.
    pub before_pinned: Pinned,
    pub keys: HeldKeys,
    pub seed: [u8; 32],
    pub origin: String,
    pub trail: Id,
}

/// One trail for all tests of the matrix: they only read it.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(build())
    })
}

/// Rounds of sealing, each of which publishes some entries and leaves partial tiles behind.
const ROUNDS: usize = 26;
/// The round after which the older copy is taken, before the first tile is full.
const OLDER_AFTER: usize = 15;
const CLASSES: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "standard", "long"];

async fn build() -> World {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    let web = fixture.producer("web");
    let mut first_decision = None;
    let mut older = None;
    for round in 0..ROUNDS {
        for class in CLASSES {
            record(&web, &Given { class, number: round as f64, ..Given::default() });
        }
        match round {
            1 => first_decision = Some(people(&web)),
            2 => drop(fixture.producer("batch")),
            4 => {
                let batch = fixture.producer("batch");
                let text =
                    "a longer text, so that the segment has several blocks and is no small file ".repeat(12);
                for number in 0..160 {
                    let given = Given { text: format!("{text}{number}"), class: "long", ..Given::default() };
                    record(&batch, &given);
                }
                batch.close().unwrap();
            }
            6 => dies(&fixture.place),
            8 => drop(web.begin(&class("standard")).unwrap()),
            9 => linked(&web, first_decision.unwrap()),
            _ => {}
        }
        engine.seal().await.unwrap();
        if round == OLDER_AFTER {
            older = Some((MapSource::of_folder(&fixture.place.folder), engine.published()));
            engine.erase(Whom::Subject("cyd"), "asked for it", "officer-7").await.unwrap();
        }
    }
    web.close().unwrap();
    engine.seal().await.unwrap();
    let (before, (size, root)) = older.unwrap();
    finish(&fixture, engine, before, (size, root)).await
}

/// Decisions about persons, some with blobs.
fn people(web: &minutebook_capture::Producer) -> RecordId {
    let mut first = None;
    for (number, subjects) in
        [vec!["ann"], vec!["bob"], vec!["cyd"], vec!["ann", "bob"], vec!["cyd", "dan"]].iter().enumerate()
    {
        let letter = (number != 1).then(|| vec![number as u8; 300 * (number + 1)]);
        let given = Given { subjects: subjects.clone(), blob: letter, ..Given::default() };
        first.get_or_insert(record(web, &given));
    }
    record(web, &Given { blob: Some((0..30_000u32).map(|at| at as u8).collect()), ..Given::default() });
    first.unwrap()
}

fn linked(web: &minutebook_capture::Producer, decision: RecordId) {
    for kind in [Kind::Outcome, Kind::Review, Kind::Explanation] {
        record(web, &Given { kind, links: vec![decision], ..Given::default() });
    }
}

/// A producer that dies with decisions in flight: its epoch is abandoned.
fn dies(place: &Place) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child
        .args([
            "--ignored",
            "--exact",
            "tamper::world::hands_over_and_dies",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, &place.folder)
        .stdout(Stdio::null());
    assert!(!child.status().unwrap().success(), "it should have died");
}

/// Where a process started by a test finds its trail.
const FOLDER: &str = "MINUTEBOOK_TEST_TRAIL";

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn hands_over_and_dies() {
    let place = Place::new(std::env::var_os(FOLDER).unwrap());
    let producer = crate::fixture::producer(&place, "mortal");
    for number in 0..5 {
        record(&producer, &Given { number: f64::from(number), ..Given::default() });
    }
    let _in_flight = producer.begin(&class("standard")).unwrap();
    producer.flush(minutebook_capture::Level::Disk).unwrap();
    std::process::abort();
}

async fn finish(
    fixture: &Fixture,
    engine: Engine,
    before: MapSource,
    (size, root): (u64, [u8; 32]),
) -> World {
    engine.close().await;
    let reader = fixture.reader().await;
    let file = reader.trail().clone();
    let mut keys = HeldKeys::default();
    for key in reader.class_epoch_keys().await.unwrap() {
        keys.audit.insert(key.id, key.audit);
        keys.content.insert(key.id, key.content);
    }
    let trail_keys = reader.keys().clone();
    let numbers: Vec<u64> = (1..100).collect();
    let asked = numbers.clone();
    let subjects = tokio::task::spawn_blocking(move || trail_keys.subjects(&asked)).await.unwrap();
    for (number, key) in numbers.into_iter().zip(subjects) {
        if let SubjectKey::Known(key) = key {
            keys.subjects.insert(number, key);
        }
    }
    assert_eq!(keys.subjects.len(), 3, "ann, bob and dan");
    let folder = KeyFolder::open(&fixture.place.key_folder(&file.id).unwrap(), file.id).unwrap();
    let before_pinned = Pinned { log_key: file.log_key.clone(), size, root };
    let mut world = World {
        lean: MapSource::default(),
        now: MapSource::of_folder(&fixture.place.folder),
        before,
        before_pinned,
        keys,
        seed: *folder.signing.expose(),
        origin: file.name,
        trail: file.id,
    };
    world.check_variety();
    world.lean = world.now.clone();
    let stale: Vec<String> = world.stale().into_iter().map(str::to_owned).collect();
    stale.iter().for_each(|name| drop(world.lean.0.remove(name)));
    world
}

impl World {
    /// The matrix is worth something only on a trail that has all that a trail can have.
    fn check_variety(&self) {
        let report = self.verify(&self.now, 2, Some(self.before_pinned.clone()));
        assert!(report.is_clean(), "{:#?}", report.findings);
        assert!(report.continues_earlier);
        assert!(report.erased > 0 && !report.erasures.is_empty() && report.blobs >= 3, "{report:?}");
        let producers: BTreeSet<_> =
            report.accounts.iter().map(|account| (account.producer, account.epoch)).collect();
        assert!(producers.len() >= 5, "web, batch twice, mortal, the engine");
        use minutebook_verify::coverage::EpochState::{Abandoned, Closed, Open};
        for state in [Abandoned, Closed, Open] {
            assert!(report.accounts.iter().any(|account| account.state == state), "{state:?}");
        }
        assert!(report.accounts.iter().any(|account| !account.lost.is_empty()));
        let size = report.checkpoint.unwrap().0;
        assert!((257..512).contains(&size), "{size} entries");
        for name in ["log/tile/0/000", "log/tile/entries/000", "log/tile/1/000.p/1"] {
            assert!(self.now.0.contains_key(name), "{name}");
        }
        assert!(self.stale().len() >= 20, "{:?}", self.stale());
        assert!(self.now.below("segments/").any(|name| self.now.bytes(name).len() > 4_096));
        assert!(self.before.below("blobs/").any(|name| !self.now.0.contains_key(name)), "a blob was erased");
    }

    /// Verifies with the keys of a level.
    pub fn verify(&self, source: &dyn Source, level: u8, pinned: Option<Pinned>) -> Report {
        let keys = UpTo(&self.keys, level);
        let progress = |_, _| {};
        let options = Options {
            keys: &keys,
            pinned,
            policy: None,
            sampling: &[],
            in_progress: Vec::new(),
            threads: 1,
            progress: &progress,
        };
        verify(source, &options)
    }

    /// The key holder's signer.
    pub fn signer(&self) -> Signer {
        Signer::from_seed(KeyName::new(&*self.origin).unwrap(), Zeroizing::new(self.seed)).unwrap()
    }

    /// Partial tiles and bundles of earlier checkpoints, which nobody needs any more and everybody may still ask for.
    pub fn stale(&self) -> Vec<&str> {
        let width = |name: &str| name.split_once(".p/").map(|(_, width)| width.parse::<u64>().unwrap());
        let wider = |name: &str| {
            let (front, _) = name.split_once(".p/").unwrap();
            self.now.names().any(|other| {
                other == front || (other.starts_with(&format!("{front}.p/")) && width(other) > width(name))
            })
        };
        self.now.below("log/tile/").filter(|name| name.contains(".p/") && wider(name)).collect()
    }
}

/// Whether a finding is about an object.
pub fn names(finding: &Finding, object: &str) -> bool {
    finding.object == object
}

/// Insists that each of `objects` is named by a problem that says what it means, and that no other object is accused, but for
/// those of `also`.
pub fn expect(report: &Report, what: &str, objects: &[&str], also: &[&str]) {
    let problems = || report.findings.iter().filter(|finding| finding.severity == Severity::Problem);
    for object in objects {
        let found = problems().find(|finding| names(finding, object));
        let found =
            found.unwrap_or_else(|| panic!("{what}: nobody noticed it at {object}: {:#?}", report.findings));
        assert!(!found.what.is_empty() && found.means.len() > 20, "{what}: {found:?}");
    }
    let innocent =
        problems().find(|finding| !objects.iter().chain(also).any(|object| names(finding, object)));
    assert_eq!(innocent, None, "{what} (at {objects:?}) throws suspicion on something else");
}
