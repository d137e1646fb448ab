//! Random schedules, some with two programs at once. `MINUTEBOOK_CRASH_SEED` replays the one of a seed, `MINUTEBOOK_CRASH_SCHEDULES` says how
//! many there are.

use crate::crash::case::{Case, Survival};
use crate::crash::check::{Promises, check};
use crate::crash::generate::Schedule;
use crate::crash::matrix::{RESTART, Templates, explain, only_kills, runtime, side_by_side};
use crate::crash::script::Script;
use minutebook_faultfs::Plan;
use std::path::Path;

const SCHEDULES: u64 = 1_000;

/// One entry before the first tile is full, so that each schedule that seals goes over its edge.
const ENTRIES: u64 = 254;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn random_schedules_with_random_faults_keep_what_was_promised() {
    let templates = Templates::new();
    let (fresh, long) = (templates.fresh(), templates.long(ENTRIES));
    let seeds: Vec<u64> = match number("MINUTEBOOK_CRASH_SEED") {
        Some(seed) => vec![seed],
        None => {
            let from = number("MINUTEBOOK_CRASH_FROM").unwrap_or(1);
            (from..from + number("MINUTEBOOK_CRASH_SCHEDULES").unwrap_or(SCHEDULES)).collect()
        }
    };
    let complaints = side_by_side(&seeds, |seed| {
        let schedule = Schedule::new(*seed);
        let wrong = run(&schedule, if schedule.long { &long } else { &fresh });
        let head = (!wrong.is_empty()).then(|| format!("seed {seed}: {schedule:?}"));
        head.into_iter().chain(wrong).collect()
    });
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

fn run(schedule: &Schedule, template: &Path) -> Vec<String> {
    let mut case = Case::new(template);
    case.fragile = schedule.fragile;
    let restart: Script = RESTART.parse().unwrap();
    match &schedule.second {
        None => {
            case.run(&schedule.script, schedule.plan);
        }
        Some(second) => {
            let mut running =
                case.start(&[("", &schedule.script), ("two-", second)], schedule.plan).into_iter();
            let (first, second) = (running.next().unwrap(), running.next().unwrap());
            case.end(first);
            if matches!(schedule.survival, Survival::Power(_)) {
                case.kill(second);
            } else {
                if schedule.engine_returns {
                    case.run(&restart, Plan::Count);
                }
                case.end(second);
            }
        }
    }
    let found = case.found(schedule.survival, &restart);
    let (survival, only_killed) = (schedule.survival, only_kills(schedule.plan));
    let promises = Promises { told: &case.told, seen: &case.seen, survival, only_killed };
    let wrong = runtime().block_on(check(&found, &promises));
    explain(case, wrong)
}
