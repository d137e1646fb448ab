//! `minutebook backup`: copies the trail, without its keys.

use std::path::PathBuf;

use clap::Args;
use minutebook_present::page;
use minutebook_trail::{BackupOptions, BackupPlace, BackupReport, Place, Snapshot, backup};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Copy the trail to a folder or an object store, without its keys; again, and only what is new is copied.
///
/// What waits in the spool is sealed first; what is handed over later is in the next backup. Works beside an
/// engine. The keys are copied apart from it: `minutebook key copy`.
#[derive(Debug, Args)]
#[command(display_order = 16)]
pub(super) struct Backup {
    /// Where to: a folder, made when it is not there, or an address such as file:///mnt/backup.
    #[arg(value_name = "DIR|URL")]
    to: String,
    /// Believe that what is there already is what was put there, instead of reading and comparing it.
    #[arg(long)]
    quick: bool,
}

/// A folder as the engine finds it too, whose current folder is another one.
pub(super) fn whole(place: &str) -> String {
    if place.contains("://") {
        return place.to_owned();
    }
    std::path::absolute(place).unwrap_or_else(|_| PathBuf::from(place)).to_string_lossy().into_owned()
}

impl Backup {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let (place, name) = (options.place(), whole(&self.to));
        let terminal = options.terminal();
        let (snapshot, report) = runtime.block_on(async {
            // What is wrong with the place is told before the engine does anything.
            let to = BackupPlace::open(&name)?;
            let snapshot = match Access::open(&place).await? {
                Access::Ours(mut engine) => {
                    let taken = engine.snapshot(&name).await;
                    engine.close().await;
                    taken?
                }
                Access::Process(engine) => engine.snapshot(&name).await?,
            };
            let report = copy(&place, &snapshot, &to, self.quick, &terminal).await;
            snapshot.remove(&place);
            Ok::<_, Failure>((snapshot, report?))
        })?;
        self.tell(options, &snapshot, &report)
    }

    fn tell(&self, options: &Options, snapshot: &Snapshot, report: &BackupReport) -> Result {
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json!({
                "made": snapshot.made,
                "log_size": report.log_size,
                "objects": report.objects,
                "copied": report.copied,
                "bytes": report.copied_bytes,
                "tiles": report.tiles,
                "catalog_bytes": report.catalog_bytes,
                "mended": report.mended,
                "removed": report.removed,
                "open_epochs": snapshot.open_epochs,
                "key_copy_due": snapshot.key_copy_due,
            }))?;
        } else {
            let (copied, objects) = (page::count(report.copied), page::count(report.objects));
            let bytes = page::bytes(report.copied_bytes);
            out.line(&format!(
                "backed up {} log entries: {copied} of {objects} segments and blobs were new, {bytes}",
                page::count(report.log_size)
            ))?;
        }
        for name in &report.mended {
            terminal.complain(&format!("warning: `{name}` was damaged in the backup, and is right now"));
        }
        if snapshot.open_epochs > 0 {
            let count = snapshot.open_epochs;
            terminal
                .say(&format!("{count} producers are at work: what they hand over from now on is not in it"));
        }
        if snapshot.key_copy_due {
            terminal.say(
                "the keys are not in it, and were not copied since the last erasure: `minutebook key copy`",
            );
        }
        out.flush()
    }
}

async fn copy(
    place: &Place,
    snapshot: &Snapshot,
    to: &BackupPlace,
    quick: bool,
    terminal: &Terminal,
) -> minutebook_trail::Result<BackupReport> {
    let progress = Progress::new(terminal, "backed up", "segments and blobs");
    let done =
        backup(place, snapshot, to, BackupOptions { quick }, &|done, all| progress.show(done, all)).await;
    progress.clear();
    done
}
