//! `minutebook receipt`: a proof of one record, for who does not have the trail.

use std::path::PathBuf;

use clap::Args;
use minutebook_present::typed;
use minutebook_record::{Path, RecordId};
use minutebook_trail::Reader;
use tokio::runtime::Runtime;

use super::show::parse_id;
use crate::failure::{Failure, Result};
use crate::options::Options;

/// Write a proof that a record is in the log, for whoever does not have the trail.
///
/// The proof shows the record's header and hides all of its fields but those of --disclose. It is checked
/// with `minutebook verify FILE --policy POLICY`, where the policy is what `minutebook key show --policy`
/// prints.
#[derive(Debug, Args)]
#[command(display_order = 7)]
pub(super) struct Receipt {
    /// The record's id.
    #[arg(value_parser = parse_id)]
    id: RecordId,
    /// Where to write it [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show these fields with it, such as `outputs/approve`, or `outputs` for all of them.
    #[arg(long, value_name = "PATH,…", value_delimiter = ',', value_parser = typed::path)]
    disclose: Vec<Path>,
}

impl Receipt {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let receipt = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            Ok::<_, Failure>(reader.receipt(&self.id, &self.disclose).await?)
        })?;
        match &self.output {
            Some(path) => {
                std::fs::write(path, &receipt).map_err(|error| Failure::file("write", path, &error))?;
                options.terminal().say(&format!("wrote `{}`", path.display()));
                Ok(())
            }
            None => {
                let mut out = options.terminal().out();
                out.text(&receipt)?;
                out.flush()
            }
        }
    }
}
