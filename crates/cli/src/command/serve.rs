//! `minutebook serve`: the engine of a trail in the foreground, for a service manager.

use std::path::PathBuf;

use clap::Args;
use tokio::runtime::Runtime;

use crate::failure::Result;
use crate::options::Options;
use crate::serving::{Wanted, serve};

/// Run the engine of a trail until it is stopped: the same as `engine` without an end of its own.
#[derive(Debug, Args)]
#[command(display_order = 11)]
pub(super) struct Serve {
    /// The trail's folder [default: what --trail says].
    dir: Option<PathBuf>,
    /// Make the trail when there is none.
    #[arg(long)]
    create: bool,
}

impl Serve {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place_in(self.dir.unwrap_or_else(|| options.trail.clone()));
        let (create, json) = (self.create, options.json);
        let wanted = Wanted { place, create, idle: None, daemon: false, json };
        runtime.block_on(serve(&options.terminal(), wanted))
    }
}
