//! `minutebook sql`: one SELECT over the tables of a trail.

use clap::Args;
use tokio::runtime::Runtime;

use crate::asking::Asking;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::rows::{Format, print};
use minutebook_present::page;

/// Run one SELECT over the trail: a table for each model, `records` for all records, `links` for what refers to others.
///
/// Nothing is written, and time and memory are bounded.
#[derive(Debug, Args)]
#[command(display_order = 5)]
pub(super) struct Sql {
    /// The query; `-` reads it from standard input.
    #[arg(required_unless_present = "tables")]
    query: Option<String>,
    /// Show which tables and columns there are.
    #[arg(long, conflicts_with = "query")]
    tables: bool,
    /// What it is for, such as the number of a case: in the record of the read, where the engine that answers makes one. Name no person.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    #[command(flatten)]
    format: Format,
}

impl Sql {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        if self.tables {
            return tables(options, runtime, self.purpose.as_deref());
        }
        let query = match self.query.as_deref() {
            Some("-") => std::io::read_to_string(std::io::stdin())?,
            query => query.unwrap_or_default().to_owned(),
        };
        let found = runtime.block_on(async {
            let asking = Asking::open(&options.place(), self.purpose.as_deref()).await?;
            let found = asking.sql(&query).await?;
            asking.close()?;
            Ok::<_, Failure>(found)
        })?;
        print(options, &self.format, &found)
    }
}

fn tables(options: &Options, runtime: &Runtime, purpose: Option<&str>) -> Result {
    let tables = runtime.block_on(async {
        let asking = Asking::open(&options.place(), purpose).await?;
        let tables = asking.tables().await?;
        asking.close()?;
        Ok::<_, Failure>(tables)
    })?;
    let terminal = options.terminal();
    let mut out = terminal.out();
    if options.json {
        for table in &tables {
            out.json(table)?;
        }
        return out.flush();
    }
    for table in &tables {
        let what = if table.model { "decisions of a model" } else { "table" };
        out.line(&format!("{} ({what}, {} rows)", page::printable(&table.name), page::count(table.rows)))?;
        let column = |(name, kind): (&String, &serde_json::Value)| {
            vec![format!("  {name}"), kind.as_str().unwrap_or_default().to_owned()]
        };
        let rows: Vec<Vec<String>> = table.columns.iter().map(column).collect();
        out.text(&page::rows(&terminal.look(), &["  column".into(), "type".into()], &rows))?;
        out.line("")?;
    }
    out.flush()
}
