//! Stored objects that the log does not account for. Edge: what is no evidence (spool, catalog, temporary files) is not looked at here.

use crate::Source;
use crate::log::{CheckedLog, LOG, Standing};
use crate::report::{Report, Severity};
use crate::restored::RESTORED_FILE;
use crate::verify::{CHECKPOINT, Options};
use std::collections::BTreeSet;

/// Names below these are not evidence: they have their own checks, or none.
const NOT_EVIDENCE: [&str; 11] = [
    "spool/",
    "index/",
    "tmp/",
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
    "lock",
    "engine.sock",
    "repeats",
    RESTORED_FILE,
];

const PUT_THERE: &str = "nothing in the log names it: somebody put it there, or an interrupted write left it (then the engine \
     removes it at its next start)";

/// Names everything that is stored and that neither `names` nor the log's tree has.
pub(crate) fn check_names(
    source: &dyn Source,
    listed: std::io::Result<Vec<String>>,
    names: &BTreeSet<String>,
    options: &Options<'_>,
    log: &CheckedLog,
    report: &mut Report,
) {
    let mut listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let means = "objects that do not belong to the trail would not be found";
            let what = format!("the trail's objects cannot be listed: {error}");
            report.add(Severity::Warning, "", what, means);
            return;
        }
    };
    listed.sort();
    let mut longer_log = 0;
    let mut unnamed = 0;
    for name in listed {
        if names.contains(&name) || options.in_progress.contains(&name) || !is_evidence(&name) {
            continue;
        }
        match log.standing(&name) {
            Standing::Current => {}
            Standing::Earlier(tile) => {
                if log.continues(source, tile) == Some(false) {
                    let means = "it was of use to who holds an earlier checkpoint, and was changed since; the tree of today is in other files";
                    report.problem(name, "it is not the beginning of what the log has there", means);
                }
            }
            Standing::Beyond(size) => {
                longer_log = longer_log.max(size);
                report.problem(name, "it is of a longer log than the checkpoint signs", PUT_THERE);
            }
            // What the log's unreadable entries name cannot be told from what somebody put there.
            Standing::NoTile
                if log.unread > 0 && (name.starts_with("segments/") || name.starts_with("blobs/")) =>
            {
                unnamed += 1;
            }
            Standing::NoTile => report.problem(name, "it does not belong to the trail", PUT_THERE),
        }
    }
    if longer_log > 0 {
        report.problem(
            CHECKPOINT,
            format!("parts of a longer log lie beside it, of at least {longer_log} entries; it has {}", log.head().size),
            "an older checkpoint was put in the place of the newest one, or the writing of a newer one was interrupted \
             (then the engine finishes that at its next start)",
        );
    }
    if unnamed > 0 {
        report.add(
            Severity::Warning,
            LOG,
            format!("{unnamed} segments and blobs are named by no entry that can be read"),
            "they belong to entries that cannot be read, or somebody put them there",
        );
    }
}

fn is_evidence(name: &str) -> bool {
    !NOT_EVIDENCE
        .iter()
        .any(|other| if other.ends_with('/') { name.starts_with(other) } else { name == *other })
}
