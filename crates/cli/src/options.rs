//! What is the same for all commands: where the trail and its keys are, and how to print. Edge: clap's view
//! of it and what comes out of it.

use std::path::PathBuf;

use clap::Args;
use minutebook_trail::Place;

use crate::terminal::Terminal;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The trail's folder.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MINUTEBOOK_TRAIL",
        default_value = "trail",
        display_order = 100
    )]
    pub trail: PathBuf,
    /// Its key folder [default: minutebook/keys/<trail id> in the user's data folder].
    #[arg(long, global = true, value_name = "DIR", env = "MINUTEBOOK_KEYS", display_order = 101)]
    pub keys: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long, global = true, display_order = 102)]
    pub json: bool,
    /// Use ASCII only [default: when the locale is not UTF-8].
    #[arg(long, global = true, display_order = 103)]
    pub ascii: bool,
    /// Say nothing but errors on standard error.
    #[arg(long, short, global = true, conflicts_with = "verbose", display_order = 104)]
    pub quiet: bool,
    /// Say more; twice, with what the engine does.
    #[arg(long, short, global = true, action = clap::ArgAction::Count, display_order = 105)]
    pub verbose: u8,
}

impl Options {
    /// The trail.
    pub fn place(&self) -> Place {
        self.place_in(self.trail.clone())
    }

    /// A trail in another folder.
    pub fn place_in(&self, folder: PathBuf) -> Place {
        // Without a current folder the path stays as it is, and what opens it says so.
        let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Place { folder: whole(folder), keys: self.keys.clone().map(whole) }
    }

    /// Where to write.
    pub fn terminal(&self) -> Terminal {
        Terminal { quiet: self.quiet, ascii: self.ascii }
    }
}
