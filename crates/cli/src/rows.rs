//! Rows on standard output: as a table for people, and for programs as JSON, CSV, an Arrow stream or Parquet. Edge: prints; what is asked
//! is the command's.

use std::io::Write;

use clap::Args;
use minutebook_index::rows::{self, ArrowStream};
use minutebook_present::page;

use crate::asking::Rows;
use crate::failure::Result;
use crate::options::Options;

/// How rows are printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Format {
    /// Print CSV.
    #[arg(long, conflicts_with_all = ["json", "arrow"])]
    csv: bool,
    /// Print an Arrow IPC stream.
    #[arg(long, conflicts_with = "json")]
    arrow: bool,
}

impl Format {
    /// For people.
    pub(crate) fn is_table(&self) -> bool {
        !self.csv && !self.arrow
    }
}

/// Prints rows.
pub(crate) fn print(options: &Options, format: &Format, found: &Rows) -> Result {
    let terminal = options.terminal();
    let mut out = terminal.out();
    if format.arrow {
        let mut stream = ArrowStream::new(&found.schema)?;
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&stream.begin()?)?;
        for batch in &found.batches {
            stdout.write_all(&stream.write(batch)?)?;
        }
        stdout.write_all(&stream.finish()?)?;
        stdout.flush()?;
        return Ok(());
    }
    if options.json {
        for batch in &found.batches {
            for row in rows::json(batch)? {
                out.json(&row)?;
            }
        }
    } else if format.csv {
        out.text(&rows::csv_header(&found.schema))?;
        for batch in &found.batches {
            out.text(&rows::csv(batch)?)?;
        }
    } else {
        let titles: Vec<String> = found.schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut cells = Vec::new();
        for batch in &found.batches {
            for row in 0..batch.num_rows() {
                let row = batch.columns().iter().map(|column| rows::text(column, row));
                cells.push(row.collect::<minutebook_index::Result<Vec<_>>>()?);
            }
        }
        if !cells.is_empty() {
            out.text(&page::rows(&terminal.look(), &titles, &cells))?;
        }
        terminal.say(&match cells.len() {
            0 => "nothing was found".to_owned(),
            1 => "1 row".to_owned(),
            count => format!("{} rows", page::count(count as u64)),
        });
    }
    out.flush()
}
