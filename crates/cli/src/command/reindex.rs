//! `minutebook reindex`: makes the index anew from evidence.

use std::sync::Arc;

use clap::Args;
use minutebook_index::{Index, Mode};
use minutebook_present::page;
use minutebook_server::EngineClient;
use minutebook_trail::Reader;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::options::Options;

/// Make the index anew from evidence. Loses nothing: the index only repeats what is sealed.
#[derive(Debug, Args)]
#[command(display_order = 19)]
pub(super) struct Reindex {}

impl Reindex {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place();
        let position: Value = runtime.block_on(async {
            if let Some(engine) = EngineClient::find(&place.folder).await {
                return Ok::<_, Failure>(engine.json("/v1/index/rebuild", &json!({})).await?);
            }
            let reader = Arc::new(Reader::open(&place).await?);
            let (index, mut indexer) = Index::open(&place, reader, Mode::Write)?;
            indexer.begin_anew()?;
            indexer.catch_up().await?;
            indexer.flush()?;
            let position = json!(index.position().await?);
            indexer.close()?;
            Ok(position)
        })?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&position)?;
        } else {
            let number = |name: &str| page::count(position[name].as_u64().unwrap_or(0));
            out.line(&format!(
                "the index is made anew: rows {}, files {}, log entries {}",
                number("rows"),
                number("files"),
                number("indexed")
            ))?;
        }
        out.flush()
    }
}
