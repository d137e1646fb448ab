//! Every operation of fixed scripts in turn: killed before it, killed after it, failed, done and reported failed, no space from it on; each
//! followed by what a dead process leaves, and by what a power loss leaves.

use crate::crash::KEEP;
use crate::crash::case::{Case, Survival, folder_in_memory};
use crate::crash::check::{Promises, check};
use crate::crash::program::place;
use crate::crash::script::Script;
use crate::fixture::{Given, producer, record};
use crate::life::{Days, producer_at, settings};
use minutebook_faultfs::{Errno, MaterialiseMode, Operation, OperationKind, Plan};
use minutebook_trail::{Engine, Environment, InitOptions, init};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const EIO: Errno = Errno(libc::EIO);
const ENOSPC: Errno = Errno(libc::ENOSPC);

/// How many cases run side by side.
const WORKERS: usize = 2;

/// What an engine does first after a crash, as a script.
pub const RESTART: &str = "seal";

/// A runtime for one worker's checks.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Does the jobs, two at a time; gives the complaints.
pub fn side_by_side<J: Sync>(jobs: &[J], work: impl Fn(&J) -> Vec<String> + Sync) -> Vec<String> {
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    #[expect(clippy::disallowed_methods, reason = "each case waits for processes of its own")]
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = work(job);
                    complaints.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    complaints.into_inner().unwrap()
}

/// Trails to begin with.
pub struct Templates {
    folder: TempDir,
}

impl Templates {
    pub fn new() -> Self {
        Self { folder: folder_in_memory() }
    }

    /// A trail that was just made.
    pub fn fresh(&self) -> PathBuf {
        let root = self.folder.path().join("fresh");
        runtime().block_on(make(&root));
        root
    }

    /// The same, to be worked on further.
    pub fn keep_fresh(&self) -> TempDir {
        let folder = folder_in_memory();
        std::fs::remove_dir(folder.path()).unwrap();
        crate::crash::case::copy(&self.fresh(), folder.path());
        folder
    }

    /// A trail whose log is about to fill its first tile: with so many entries.
    pub fn long(&self, entries: u64) -> PathBuf {
        let root = self.folder.path().join("long");
        let place = place(&root);
        runtime().block_on(async {
            make(&root).await;
            let mut engine =
                Engine::open(&place, Environment { workers: 1, ..Environment::default() }).await.unwrap();
            let producer = producer(&place, "before");
            // The closing mark makes one more.
            while engine.published().0 + 1 < entries {
                record(&producer, &Given { subjects: vec!["eve"], ..Given::default() });
                engine.seal().await.unwrap();
            }
            producer.close().unwrap();
            engine.seal().await.unwrap();
            assert_eq!(engine.published().0, entries);
            engine.close().await;
        });
        root
    }
}

/// A trail with a month that is past its retention: records about persons, with blobs, in several segments.
fn due(templates: &Templates) -> PathBuf {
    let root = templates.folder.path().join("due");
    let place = place(&root);
    runtime().block_on(async {
        make(&root).await;
        let mut engine = Engine::open(
            &place,
            Environment { workers: 1, clock: Arc::new(Days(-70)), ..Environment::default() },
        )
        .await
        .unwrap();
        let producer = producer_at(&place, -70, "before");
        for n in 0..3u8 {
            let given =
                Given { subjects: vec!["eve"], blob: (n < 2).then(|| vec![n; 5_000]), ..Given::default() };
            record(&producer, &given);
            engine.seal().await.unwrap();
        }
        producer.close().unwrap();
        engine.seal().await.unwrap();
        engine
            .set_retention(&settings("[[class]]\nname = \"standard\"\nkeep = \"1 month\"\n"))
            .await
            .unwrap();
        engine.close().await;
    });
    root
}

async fn make(root: &Path) {
    crate::crash::case::make_folder(root);
    let options = InitOptions { name: Some("trail.test/crash".into()) };
    init(&place(root), &options, &Environment::default()).await.unwrap();
}

/// What may happen at an operation, and what may be left.
fn fates(operation: &Operation) -> Vec<Fate> {
    use MaterialiseMode::{Seeded, Strict, TornTail};
    use OperationKind::{Fdatasync, Fsync, FsyncDirectory};
    use Survival::{Power, PowerAfterRestart, Whole};
    let k = operation.number;
    let fate = |plan, survivals: &[Survival]| Fate { plan, fragile: false, survivals: survivals.to_vec() };
    // Half of all operations are pages of SQLite's log, of which a transaction writes several, and each of which is as good as any.
    if operation.kind == OperationKind::Write && operation.path.ends_with(".db-wal") && !k.is_multiple_of(4) {
        return vec![fate(Plan::KillBefore(k), &[Power(Strict)])];
    }
    let mut fates = vec![
        fate(Plan::KillBefore(k), &[Whole, Power(Strict), Power(Seeded(k)), PowerAfterRestart]),
        fate(Plan::KillAfter(k), &[Power(TornTail(k))]),
        fate(Plan::Fail(k, EIO), &[Whole, Power(Strict)]),
        fate(Plan::FailDone(k, EIO), &[Whole, Power(Strict)]),
        fate(Plan::FailFrom(k, ENOSPC), &[Whole]),
    ];
    // A failed flush is told once: to a process that ends, and the next one finds everything as if it were flushed.
    if matches!(operation.kind, Fsync | Fdatasync | FsyncDirectory) {
        fates.push(Fate { fragile: true, ..fate(Plan::Fail(k, EIO), &[PowerAfterRestart]) });
    }
    fates
}

/// A fault, and what becomes of the files.
#[derive(Debug)]
struct Fate {
    plan: Plan,
    /// The program ends at its first failure.
    fragile: bool,
    survivals: Vec<Survival>,
}

/// Whether processes only die under the plan.
pub fn only_kills(plan: Plan) -> bool {
    matches!(plan, Plan::Count | Plan::KillBefore(_) | Plan::KillAfter(_))
}

/// Runs a script under every plan at every operation, and checks.
fn check_matrix(template: &Path, script: &str) {
    let script: Script = script.parse().unwrap();
    let restart: Script = RESTART.parse().unwrap();
    let mut counted = Case::new(template);
    let told = counted.run(&script, Plan::Count);
    assert!(told.ended && told.failures.is_empty(), "{told:#?}");
    let operations = counted.operations();
    eprintln!("{} operations: {script}", operations.len());
    let jobs: Vec<Fate> = operations
        .iter()
        .filter(|operation| looked_at().contains(&operation.number))
        .step_by(stride())
        .flat_map(fates)
        .collect();
    let complaints = side_by_side(&jobs, |fate| {
        let mut case = Case::new(template);
        case.fragile = fate.fragile;
        case.run(&script, fate.plan);
        let mut wrong = Vec::new();
        for survival in &fate.survivals {
            let found = case.found(*survival, &restart);
            let only_killed = only_kills(fate.plan);
            let promises = Promises { told: &case.told, seen: &case.seen, survival: *survival, only_killed };
            let complaints = runtime().block_on(check(&found, &promises));
            wrong.extend(complaints.into_iter().map(|what| format!("{}, {survival:?}: {what}", fate.plan)));
        }
        explain(case, wrong)
    });
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Adds to complaints what helps to understand them. `MINUTEBOOK_CRASH_KEEP` keeps the files.
pub fn explain(case: Case, mut wrong: Vec<String>) -> Vec<String> {
    if wrong.is_empty() {
        return wrong;
    }
    let operations = case.operations();
    let last: Vec<String> = operations.iter().rev().take(3).rev().map(ToString::to_string).collect();
    let failures: Vec<&String> = case.told.iter().flat_map(|told| &told.failures).collect();
    wrong.push(format!("  with failures {failures:?}, the last operations {last:?}"));
    if std::env::var_os(KEEP).is_some() {
        wrong.push(format!("  kept in `{}`", case.keep().display()));
    }
    wrong
}

#[test]
fn a_new_trail_survives_a_crash_at_every_operation() {
    let templates = Templates::new();
    check_matrix(
        &templates.fresh(),
        "open web; record web 7; begin web 2; flush web; seal; open log; record log 6; close log; seal; erase ann; rotate; \
         record web 3; seal; stop",
    );
}

#[test]
fn a_policy_survives_a_crash_at_every_operation() {
    let templates = Templates::new();
    check_matrix(
        &templates.fresh(),
        "open web; record web 2; policy half; record web 8; flush web; seal; resample; record web 4; policy busy; record web 4; \
         close web; seal; stop",
    );
}

#[test]
fn a_disposal_survives_a_crash_at_every_operation() {
    let templates = Templates::new();
    check_matrix(
        &due(&templates),
        "open web; record web 3; flush web; dispose; record web 3; close web; seal; stop",
    );
}

/// Which operations, such as `560..620`: all of them, unless somebody looks for something.
fn looked_at() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("MINUTEBOOK_CRASH_AT") else { return 0..u64::MAX };
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

/// Every how manyth operation: all of them, unless somebody is in a hurry.
pub fn stride() -> usize {
    std::env::var("MINUTEBOOK_CRASH_STRIDE").map_or(1, |stride| stride.parse().unwrap())
}
