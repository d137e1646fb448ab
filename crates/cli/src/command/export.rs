//! `minutebook export`: copies in clear, for tools that read no trail.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use minutebook_index::{Export as Wanted, Exported, Form, Index, Mode, Search};
use minutebook_present::page;
use minutebook_trail::Reader;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::moment;
use crate::options::Options;

/// Write decisions in clear: as Parquet, JSON lines or CSV, or as a Delta table that the next export brings up to date.
///
/// What is written is not encrypted, and no erasure reaches it; but one of a Delta table's next export does.
#[derive(Debug, Args)]
#[command(display_order = 6)]
pub(super) struct Export {
    /// The file, or the folder of a Delta table.
    #[arg(value_name = "FILE|DIR")]
    target: PathBuf,
    /// In which form [default: by the name of the file].
    #[arg(long)]
    format: Option<Format>,
    /// What has to hold, as of `search` [default: all].
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Of this model, or of this version of it.
    #[arg(long, value_name = "NAME[@VERSION]")]
    model: Option<String>,
    /// Not before.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<i64>,
    /// Only these columns; `*` for all.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Leave these columns out, and the attributions of those that are inputs.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    mask: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Jsonl,
    Csv,
    Delta,
}

impl Export {
    fn form(&self) -> Result<Form> {
        let by_name = || match self.target.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Some(Format::Parquet),
            Some("jsonl" | "ndjson") => Some(Format::Jsonl),
            Some("csv") => Some(Format::Csv),
            _ => None,
        };
        match self.format.or_else(by_name) {
            Some(Format::Parquet) => Ok(Form::Parquet),
            Some(Format::Jsonl) => Ok(Form::JsonLines),
            Some(Format::Csv) => Ok(Form::Csv),
            Some(Format::Delta) => Ok(Form::Delta),
            None => Err(Failure::input(
                format!("the name of `{}` does not say in which form", self.target.display()),
                "say it with --format parquet, jsonl, csv or delta",
            )),
        }
    }

    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let form = self.form()?;
        let wanted = Wanted {
            search: Search {
                condition: self.condition.clone(),
                model: self.model.clone(),
                since_ns: self.since,
                until_ns: self.until,
                columns: self.columns.clone(),
                ..Search::default()
            },
            mask: self.mask.clone(),
            form,
        };
        let place = options.place();
        let exported: Exported = runtime.block_on(async {
            let reader = Arc::new(Reader::open(&place).await?);
            let (index, mut indexer) = Index::open(&place, reader, Mode::Write)?;
            indexer.catch_up().await?;
            let exported = index.export(&wanted, &self.target).await?;
            indexer.close()?;
            Ok::<_, Failure>(exported)
        })?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({
                "rows": exported.rows, "files": exported.files, "removed": exported.removed,
                "version": exported.version, "position": exported.position,
            }))?;
            return out.flush();
        }
        let rows = page::count(exported.rows);
        match exported.version {
            Some(version) => {
                let removed = if exported.removed > 0 {
                    format!(
                        "; {} files with what is gone or changed its type were replaced",
                        page::count(exported.removed)
                    )
                } else {
                    String::new()
                };
                out.line(&format!("{rows} rows were added; the table is at version {version}{removed}"))?;
            }
            None => out.line(&format!("{rows} rows were written"))?,
        }
        out.flush()
    }
}
