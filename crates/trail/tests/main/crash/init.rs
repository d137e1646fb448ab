//! Making a trail, interrupted at every operation: afterwards there is a trail that verifies, or making one can be begun again.

use crate::crash::case::{Case, Survival, folder_in_memory, make_folder};
use crate::crash::check::{Promises, check};
use crate::crash::matrix::{explain, only_kills, runtime, side_by_side};
use crate::crash::program::place;
use crate::crash::script::Script;
use minutebook_faultfs::{Errno, MaterialiseMode, Plan};
use minutebook_trail::{Environment, Error, InitOptions, init};
use std::path::Path;

#[test]
fn an_interrupted_init_made_a_trail_or_can_be_called_again() {
    let folder = folder_in_memory();
    let template = folder.path().join("empty");
    make_folder(&template);
    let script: Script = "init".parse().unwrap();
    let mut counted = Case::new(&template);
    assert!(counted.run(&script, Plan::Count).made);
    let operations = counted.operations().len() as u64;
    assert!(operations > 30, "{operations}");
    let jobs: Vec<(Plan, Survival)> = (1..=operations).flat_map(fates).collect();
    let complaints = side_by_side(&jobs, |(plan, survival)| {
        let mut case = Case::new(&template);
        case.run(&script, *plan);
        // What a restart does is to make the trail again.
        let found = case.found(*survival, &script);
        let made = case.told.iter().any(|told| told.made);
        let mut wrong = runtime().block_on(make_again(&found, made));
        if wrong.is_empty() {
            let promises =
                Promises { told: &case.told, seen: &[], survival: *survival, only_killed: only_kills(*plan) };
            wrong = runtime().block_on(check(&found, &promises));
        }
        explain(case, wrong.into_iter().map(|what| format!("{plan}, {survival:?}: {what}")).collect())
    });
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

fn fates(k: u64) -> Vec<(Plan, Survival)> {
    use MaterialiseMode::{Seeded, Strict};
    use Survival::{Power, PowerAfterRestart, Whole};
    let eio = Errno(libc::EIO);
    vec![
        (Plan::KillBefore(k), Whole),
        (Plan::KillBefore(k), Power(Strict)),
        (Plan::KillBefore(k), PowerAfterRestart),
        (Plan::KillAfter(k), Power(Seeded(k))),
        (Plan::Fail(k, eio), Power(Strict)),
        (Plan::FailDone(k, eio), Power(Strict)),
        (Plan::FailFrom(k, Errno(libc::ENOSPC)), Whole),
    ]
}

/// Calls `init` where there is no trail, which must work; where one was reported made there must be one.
async fn make_again(root: &Path, made: bool) -> Vec<String> {
    let options = InitOptions { name: Some("trail.test/crash".into()) };
    match init(&place(root), &options, &Environment::default()).await {
        Err(Error::TrailExists { .. }) => Vec::new(),
        Ok(_) if made => vec!["the trail that was made is gone".into()],
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("init cannot be called again: {error}")],
    }
}
