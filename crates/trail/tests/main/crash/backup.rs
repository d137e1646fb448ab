//! Backup, restore and promotion, interrupted at every operation: the place has a complete backup or none, the folder is a copy or none, the copy
//! is a trail or not yet; and each can be called again.

use crate::crash::case::{Case, Survival, copy, make_folder};
use crate::crash::check::{Promises, check};
use crate::crash::matrix::{Templates, explain, only_kills, runtime, side_by_side, stride};
use crate::crash::program::place;
use crate::crash::script::Script;
use crate::fixture::{Given, producer, record, verify_place};
use minutebook_faultfs::{Errno, MaterialiseMode, Operation, Plan};
use minutebook_record::RecordId;
use minutebook_trail::{
    BackupOptions, BackupPlace, Content, Engine, Environment, Place, Reader, RestoreOptions, Whom, backup,
    promote, restore,
};
use std::path::Path;

/// Every how manyth operation: what is done for one object is done for the next.
const STEP: usize = 3;

fn environment() -> Environment {
    Environment { workers: 1, ..Environment::default() }
}

fn fates(operation: &Operation) -> Vec<(Plan, Survival)> {
    use MaterialiseMode::{Seeded, Strict};
    use Survival::{Power, Whole};
    let k = operation.number;
    if operation.path.ends_with(".db-wal") && !k.is_multiple_of(4) {
        return vec![(Plan::KillBefore(k), Power(Strict))];
    }
    vec![
        (Plan::KillBefore(k), Whole),
        (Plan::KillBefore(k), Power(Strict)),
        (Plan::KillAfter(k), Power(Seeded(k))),
        (Plan::Fail(k, Errno(libc::EIO)), Power(Strict)),
        (Plan::FailFrom(k, Errno(libc::ENOSPC)), Whole),
    ]
}

/// Interrupts a script everywhere, and checks what is found.
fn matrix(
    template: &Path,
    script: &str,
    ends: &str,
    found_is: impl Fn(&Path, &Case, Plan, Survival) -> Vec<String> + Sync,
) {
    let script: Script = script.parse().unwrap();
    let mut counted = Case::new(template);
    let told = counted.run(&script, Plan::Count);
    assert!(told.ended && told.failures.is_empty() && told.said.iter().any(|said| said == ends), "{told:#?}");
    let operations = counted.operations();
    eprintln!("{} operations: {script}", operations.len());
    let jobs: Vec<(&Operation, Plan, Survival)> = operations
        .iter()
        .step_by(STEP * stride())
        .flat_map(|operation| {
            fates(operation).into_iter().map(move |(plan, survival)| (operation, plan, survival))
        })
        .collect();
    let restart: Script = "seal".parse().unwrap();
    let complaints = side_by_side(&jobs, |(operation, plan, survival)| {
        let mut case = Case::new(template);
        case.run(&script, *plan);
        let found = case.found(*survival, &restart);
        let wrong = found_is(&found, &case, *plan, *survival);
        explain(
            case,
            wrong.into_iter().map(|what| format!("{plan}, {survival:?} ({operation}): {what}")).collect(),
        )
    });
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// A trail with a few records.
async fn fill(place: &Place) -> Vec<RecordId> {
    let producer = producer(place, "before");
    let mut ids = Vec::new();
    for n in 0..4 {
        let blob = (n == 2).then(|| vec![7; 9_000]);
        let subjects = vec![["ann", "ben"][n % 2]];
        ids.push(record(&producer, &Given { subjects, blob, ..Given::default() }));
    }
    producer.close().unwrap();
    let mut engine = Engine::open(place, environment()).await.unwrap();
    engine.seal().await.unwrap();
    engine.close().await;
    ids
}

async fn back_up(root: &Path) -> minutebook_trail::Result<()> {
    let (place, name) = (place(root), root.join("backup").to_str().unwrap().to_owned());
    let mut engine = Engine::open(&place, environment()).await?;
    let snapshot = engine.snapshot(&name).await?;
    let done =
        backup(&place, &snapshot, &BackupPlace::open(&name)?, BackupOptions::default(), &|_, _| {}).await;
    snapshot.remove(&place);
    engine.close().await;
    done.map(drop)
}

async fn restore_it(root: &Path, into: &Path) -> minutebook_trail::Result<()> {
    let from = BackupPlace::existing(root.join("backup").to_str().unwrap())?;
    restore(&from, &place(into), RestoreOptions::default(), &|_, _| {}).await.map(drop)
}

/// The copy can be read, is clean, and has these records.
async fn readable(place: &Place, ids: &[RecordId], wrong: &mut Vec<String>) {
    let report = verify_place(place, None).await;
    wrong.extend(
        report.findings.iter().filter(|_| !report.is_clean()).map(|finding| format!("verify: {finding:?}")),
    );
    let reader = match Reader::open(place).await {
        Ok(reader) => reader,
        Err(error) => return wrong.push(format!("the copy cannot be read: {error}")),
    };
    for id in ids {
        match reader.get(id).await {
            Ok(record) if matches!(record.content, Content::Readable { .. }) => {}
            other => wrong.push(format!("{id}: {other:?}")),
        }
    }
}

#[test]
fn a_backup_that_was_interrupted_leaves_the_one_before_or_can_be_made_again() {
    let template = Templates::new().keep_fresh();
    let ids = runtime().block_on(fill(&place(template.path())));
    runtime().block_on(back_up(template.path())).unwrap();
    let more = runtime().block_on(fill(&place(template.path())));
    matrix(template.path(), "backup; stop", "backed-up", |found, case, plan, survival| {
        let mut wrong = Vec::new();
        let done = case.told.iter().any(|told| told.said.iter().any(|said| said == "backed-up"));
        runtime().block_on(async {
            // What is there now, with the keys of the trail.
            let into = found.join("now");
            make_folder(&into);
            copy(&found.join("keys"), &into.join("keys"));
            match restore_it(found, &into).await {
                Ok(()) => readable(&place(&into), if done { &more } else { &ids }, &mut wrong).await,
                Err(error) => wrong.push(format!("the backup before is lost: {error}")),
            }
            let promises =
                Promises { told: &case.told, seen: &case.seen, survival, only_killed: only_kills(plan) };
            wrong.extend(check(found, &promises).await);
            if let Err(error) = back_up(found).await {
                return wrong.push(format!("it cannot be made again: {error}"));
            }
            let into = found.join("again");
            make_folder(&into);
            copy(&found.join("keys"), &into.join("keys"));
            match restore_it(found, &into).await {
                Ok(()) => readable(&place(&into), &more, &mut wrong).await,
                Err(error) => wrong.push(format!("it cannot be restored: {error}")),
            }
        });
        wrong
    });
}

#[test]
fn a_restore_and_a_promotion_that_were_interrupted_can_be_called_again() {
    let template = Templates::new().keep_fresh();
    let root = template.path();
    let ids = runtime().block_on(async {
        let ids = fill(&place(root)).await;
        back_up(root).await.unwrap();
        // With the keys from before the erasure, of which the backup is told.
        make_folder(&root.join("copy"));
        copy(&root.join("keys"), &root.join("copy/keys"));
        let mut engine = Engine::open(&place(root), environment()).await.unwrap();
        engine.erase(Whom::Subject("ann"), "request", "the test").await.unwrap();
        engine.close().await;
        ids
    });
    let (anns, bens): (Vec<RecordId>, Vec<RecordId>) = ([ids[0], ids[2]].into(), [ids[1], ids[3]].into());
    matrix(root, "restore; promote", "promoted", |found, case, _, _| {
        let mut wrong = Vec::new();
        let copied = place(&found.join("copy"));
        let done = case.told.iter().any(|told| told.said.iter().any(|said| said == "promoted"));
        runtime().block_on(async {
            let promoted = copied.trail_file().is_ok() && matches!(copied.restored(), Ok(None));
            if done && !promoted {
                wrong.push("it was promoted, and is none".into());
            }
            if !promoted {
                if Engine::open(&copied, environment()).await.is_ok() {
                    wrong.push("what was not promoted is written to".into());
                }
                if let Err(error) = restore_it(found, &found.join("copy")).await {
                    return wrong.push(format!("it cannot be restored again: {error}"));
                }
                readable(&copied, &bens, &mut wrong).await;
                if let Err(error) = promote(&copied, environment(), &[], true).await {
                    return wrong.push(format!("it cannot be promoted again: {error}"));
                }
            }
            match Engine::open(&copied, environment()).await {
                Ok(mut engine) => {
                    if let Err(error) = engine.seal().await {
                        wrong.push(format!("the promoted trail does not seal: {error}"));
                    }
                    engine.close().await;
                }
                Err(error) => return wrong.push(format!("the promoted trail does not open: {error}")),
            }
            readable(&copied, &bens, &mut wrong).await;
            let reader = Reader::open(&copied).await.unwrap();
            for id in &anns {
                if !matches!(reader.get(id).await.unwrap().content, Content::Erased) {
                    wrong.push(format!("{id} was erased and is back"));
                }
            }
        });
        wrong
    });
}
