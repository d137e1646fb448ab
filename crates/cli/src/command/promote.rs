//! `minutebook promote`: a restored copy becomes the trail.

use std::path::PathBuf;

use clap::Args;
use minutebook_present::page;
use minutebook_trail::{Ahead, Environment, Place, promote};
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::seen::SeenFolder;

/// Make a restored copy the trail: from then on it is written to.
///
/// Only when the original is gone for good: two trails of one name that go on differently are shown by every
/// checkpoint that somebody kept. It is refused when a later log of the trail is known, from the backup or from
/// an earlier `verify` of this user.
#[derive(Debug, Args)]
#[command(display_order = 18)]
pub(super) struct Promote {
    /// The restored folder [default: what --trail says].
    #[arg(value_name = "DIR")]
    target: Option<PathBuf>,
    /// Promote it although a later log is known: what came after the backup is given up, and a record says so.
    #[arg(long)]
    fork: bool,
}

impl Promote {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place_in(self.target.clone().unwrap_or_else(|| options.trail.clone()));
        run(&place, self.fork, options, runtime)
    }
}

/// Promotes the copy in a folder, and tells.
pub(super) fn run(place: &Place, fork: bool, options: &Options, runtime: &Runtime) -> Result {
    let file = place.trail_file()?;
    let seen = SeenFolder::of_user().map(|seen| seen.read(&hex(&file.id))).transpose()?.flatten();
    let by = "a checkpoint that `verify` kept".to_owned();
    let known: Vec<Ahead> =
        seen.map(|seen| Ahead { size: seen.size, root: seen.root, by }).into_iter().collect();
    let done = runtime
        .block_on(async { Ok::<_, Failure>(promote(place, Environment::default(), &known, fork).await?) })?;
    let mut out = options.terminal().out();
    if options.json {
        out.json(&json!({
            "restored_size": done.restored_size,
            "log_size": done.log_size,
            "erased": done.erased,
            "forks": done.forks,
        }))?;
    } else {
        out.line(&format!(
            "`{}` is the trail now: its log went on from {} to {} entries",
            place.folder.display(),
            page::count(done.restored_size),
            page::count(done.log_size)
        ))?;
    }
    out.flush()
}
