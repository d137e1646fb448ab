//! `minutebook init`: makes a trail.

use std::path::PathBuf;

use clap::Args;
use minutebook_trail::{Environment, InitOptions};
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::Result;
use crate::options::Options;

/// Make a new trail.
///
/// Its keys are made beside it, never in it: a copied trail is unreadable. Back the key folder up apart from
/// the trail.
#[derive(Debug, Args)]
#[command(display_order = 1)]
pub(super) struct Init {
    /// The trail's folder [default: what --trail says].
    dir: Option<PathBuf>,
    /// The log's name for the world: a URL without its scheme, such as `trail.example/credit`.
    #[arg(long, value_name = "ORIGIN")]
    name: Option<String>,
}

impl Init {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place_in(self.dir.unwrap_or_else(|| options.trail.clone()));
        let init = InitOptions { name: self.name };
        let file = runtime.block_on(minutebook_trail::init(&place, &init, &Environment::default()))?;
        let keys = place.key_folder(&file.id)?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({
                "trail": hex(&file.id),
                "folder": place.folder,
                "keys": keys,
                "name": file.name,
                "log_key": file.log_key,
            }))?;
        } else {
            out.line(&format!("trail   {}", place.folder.display()))?;
            out.line(&format!("keys    {}", keys.display()))?;
            out.line(&format!("id      {}", hex(&file.id)))?;
            out.line(&format!("log     {}", file.name))?;
            out.line(&format!("signer  {}", file.log_key))?;
        }
        out.flush()?;
        options.terminal().say(
            "Back the key folder up, apart from the trail. Without it nobody reads the trail or adds to it.",
        );
        Ok(())
    }
}
