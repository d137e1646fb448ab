//! `minutebook restore`: a trail's folder from a backup, for reading.

use std::path::PathBuf;

use clap::Args;
use minutebook_present::page;
use minutebook_trail::{BackupPlace, RestoreOptions, RestoreReport, restore};
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use super::backup::whole;
use super::promote;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::progress::Progress;

/// Restore a trail from a backup into a new folder, for reading until it is promoted.
///
/// Everything is checked on its way, and what was erased since the backup is erased again. The keys are those of
/// the key folder (--keys): put a copy of it there first.
#[derive(Debug, Args)]
#[command(display_order = 17)]
pub(super) struct Restore {
    /// Where the backup is.
    #[arg(value_name = "DIR|URL")]
    from: String,
    /// The folder to make.
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// Restore the rest when objects are missing or damaged.
    #[arg(long)]
    accept_damage: bool,
    /// Make it the trail at once, as `promote` does.
    #[arg(long)]
    promote: bool,
}

impl Restore {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let target = options.place_in(self.target.clone());
        let terminal = options.terminal();
        let progress = Progress::new(&terminal, "restored", "segments and blobs");
        let settings = RestoreOptions { accept_damage: self.accept_damage };
        let report = runtime.block_on(async {
            let from = BackupPlace::existing(&whole(&self.from))?;
            let done = restore(&from, &target, settings, &|done, all| progress.show(done, all)).await;
            progress.clear();
            Ok::<_, Failure>(done?)
        })?;
        self.tell(options, &report)?;
        if self.promote { promote::run(&target, false, options, runtime) } else { Ok(()) }
    }

    fn tell(&self, options: &Options, report: &RestoreReport) -> Result {
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json!({
                "trail": hex(&report.trail),
                "made": report.made,
                "log_size": report.log_size,
                "objects": report.objects,
                "damaged": report.damaged,
                "erased": report.erased,
                "has_keys": report.has_keys,
                "unreadable": report.unreadable,
            }))?;
        } else {
            out.line(&format!(
                "restored {} log entries with {} segments and blobs, as of {}",
                page::count(report.log_size),
                page::count(report.objects),
                report.made
            ))?;
            if report.erased > 0 {
                out.line(&format!(
                    "{} subjects were erased since, and are again",
                    page::count(report.erased)
                ))?;
            }
        }
        out.flush()?;
        for name in &report.damaged {
            terminal.complain(&format!(
                "warning: `{name}` is missing or damaged in the backup, and not restored"
            ));
        }
        if !report.has_keys {
            terminal.complain(
                "warning: there are no keys: put a copy of the key folder in its place, then restore once more; until then \
                 what was erased since the backup may not all be known",
            );
        }
        if report.unreadable > 0 {
            terminal.complain(&format!(
                "warning: what is about {} subjects cannot be read: the keys are an older copy than the backup",
                page::count(report.unreadable)
            ));
        }
        if !self.promote {
            terminal.say(&format!(
                "it is for reading; `minutebook promote {}` makes it the trail when the original is gone",
                self.target.display()
            ));
        }
        Ok(())
    }
}
