//! `minutebook show`: one record in full.

use clap::Args;
use minutebook_record::RecordId;
use minutebook_trail::Reader;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::options::Options;
use minutebook_present::json::Printer;
use minutebook_present::opened::Opened;
use minutebook_present::page;

/// Show a record: inputs, outputs, explanation, model, times, seal.
#[derive(Debug, Args)]
#[command(display_order = 6)]
pub(super) struct Show {
    /// The record's id.
    #[arg(value_parser = parse_id)]
    id: RecordId,
    /// With --json, add path and type of each field.
    #[arg(long, requires = "json")]
    types: bool,
}

pub(super) fn parse_id(text: &str) -> std::result::Result<RecordId, String> {
    text.parse()
        .map_err(|_| "not the id of a record, such as 0193a1b2-0000-7000-8000-000000000000".to_owned())
}

impl Show {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let record = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            Ok::<_, Failure>(Opened::from(reader.get(&self.id).await?))
        })?;
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&Printer { types: self.types }.record(&record))?;
        } else {
            out.text(&page::record(&terminal.look(), &record))?;
        }
        out.flush()
    }
}
