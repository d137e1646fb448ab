//! Crashes: a program that works on a trail is killed, or one of its file operations fails, at every operation in turn; then the power goes
//! or does not, the trail is opened again, and everything that was acknowledged is looked for.
//!
//! The program under test is this binary, started once more under `minutebook-faultfs` with a [`script`]. Edge: the fault model is that
//! crate's; what a sound trail is, says `check`.

mod backup;
mod case;
mod check;
mod generate;
mod init;
mod matrix;
mod program;
mod schedule;
mod script;
mod told;

/// Where the program under test finds what to do. Without it, [`child`] does nothing.
const SCRIPT: &str = "MINUTEBOOK_CRASH_SCRIPT";

/// The folder that has the trail and its keys, in folders of these names.
const ROOT: &str = "MINUTEBOOK_CRASH_ROOT";

/// What distinguishes the programs of one case: producers and subjects get it as a prefix.
const ACTOR: &str = "MINUTEBOOK_CRASH_ACTOR";

/// Set: the program ends at its first failure, as a service that leaves starting again to whoever watches it.
const FRAGILE: &str = "MINUTEBOOK_CRASH_FRAGILE";

/// Set by a person: the files of failed cases are kept, as they were found and as they are after the check.
const KEEP: &str = "MINUTEBOOK_CRASH_KEEP";

/// The program under test: another test starts it in a process of its own.
#[test]
fn child() {
    if let Ok(script) = std::env::var(SCRIPT) {
        program::run(&script);
    }
}
