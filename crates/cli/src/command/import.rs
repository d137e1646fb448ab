//! `minutebook import`: records rows of a file that was made by something else.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::import::{Captured, CsvFile, JsonLines, Mapping, ParquetFile, Plan, Rows};
use crate::intake::IntakeOptions;
use crate::interrupt::Interrupt;
use crate::moment;
use crate::options::Options;
use crate::recording::Recording;
use crate::terminal::Terminal;
use minutebook_adapters::captures::Form;
use minutebook_present::json::{Draft, DraftReader, Problem, ReadAt};

/// Record the rows of a CSV, JSON lines or Parquet file, or what a serving platform captured.
///
/// A mapping says which column is what, by the options below or in a TOML file with the same names. The time
/// of a row is kept as the time at which it happened; ids and numbers are new.
///
/// Captures of SageMaker, Azure ML and KServe say themselves what is what; --model, --model-version,
/// --model-artifact and --class go over what they say.
#[derive(Debug, Args)]
#[command(display_order = 3)]
pub(super) struct Import {
    /// The file; `-` for JSON lines on standard input.
    file: PathBuf,
    /// What the file is [default: by its name].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Between the cells of CSV; `\t` for a tab.
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = parse_delimiter)]
    delimiter: u8,
    /// The mapping; options go over what it says.
    #[arg(long = "mapping", value_name = "FILE")]
    mapping_file: Option<PathBuf>,
    /// Show the first records as they would be recorded, and record nothing.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
    dry_run: Option<u64>,
    /// Stop at the first row that is wrong.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    intake: IntakeOptions,
    #[command(flatten)]
    mapping: Mapping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    Parquet,
    /// SageMaker's data capture.
    Sagemaker,
    /// Azure ML's data collector: inputs and outputs in one, one behind the other.
    Azureml,
    /// The blobs of KServe's inference logger.
    Kserve,
}

impl Format {
    /// What others captured.
    fn captures(self) -> Option<Form> {
        match self {
            Self::Csv | Self::Jsonl | Self::Parquet => None,
            Self::Sagemaker => Some(Form::Sagemaker),
            Self::Azureml => Some(Form::Azureml),
            Self::Kserve => Some(Form::Kserve),
        }
    }
}

fn parse_delimiter(text: &str) -> std::result::Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        _ => Err("write one ASCII character, or \\t".to_owned()),
    }
}

impl Import {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let terminal = options.terminal();
        if let Some(form) = self.format.and_then(Format::captures) {
            return self.captured(form, options, runtime);
        }
        let plan = Plan::new(self.mapping.clone().over_file(self.mapping_file.as_ref())?)?;
        let mut rows: Box<dyn Rows> = match self.format()? {
            Format::Csv => Box::new(CsvFile::open(&self.file, self.delimiter, &plan)?),
            Format::Jsonl => Box::new(JsonLines::open(&self.file)?),
            Format::Parquet => Box::new(ParquetFile::open(&self.file)?),
            Format::Sagemaker | Format::Azureml | Format::Kserve => unreachable!("read above"),
        };
        if let Some(columns) = rows.columns() {
            plan.check_columns(columns)?;
        }
        if let Some(count) = self.dry_run {
            return dry_run(&terminal, &plan, rows.as_mut(), count);
        }
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let mut recording = Recording::open(options, &self.intake, "row", self.strict).await?;
            let read = record(&mut recording, &plan, rows.as_mut(), &mut interrupt).await;
            recording.finish(read, &mut interrupt).await
        })
    }

    fn captured(self, form: Form, options: &Options, runtime: &Runtime) -> Result {
        let terminal = options.terminal();
        let settings = self.mapping.clone().over_file(self.mapping_file.as_ref())?.of_captures()?;
        let mut captured = Captured::open(&self.file, form, settings)?;
        if let Some(count) = self.dry_run {
            return show(&terminal, &mut captured, count);
        }
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let mut recording = Recording::open(options, &self.intake, "line", self.strict).await?;
            let read = record_captured(&mut recording, &mut captured, &mut interrupt).await;
            recording.finish(read, &mut interrupt).await
        })
    }

    fn format(&self) -> Result<Format> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let extension = self.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Ok(Format::Csv),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "parquet" => Ok(Format::Parquet),
            _ if self.file == Path::new("-") => Ok(Format::Jsonl),
            _ => {
                let what = format!("what `{}` is cannot be told from its name", self.file.display());
                Err(Failure::input(what, "say --format csv, jsonl or parquet"))
            }
        }
    }
}

/// A row as it would be recorded at `at`.
fn draft(
    plan: &Plan,
    reader: &mut DraftReader,
    row: std::result::Result<minutebook_present::json::Members<'static>, Problem>,
    at: ReadAt,
) -> std::result::Result<Draft, Problem> {
    reader.draft(&plan.record(row?)?, at)
}

async fn record(
    recording: &mut Recording,
    plan: &Plan,
    rows: &mut dyn Rows,
    interrupt: &mut Interrupt,
) -> Result {
    let mut reader = DraftReader::new(false);
    while let Some((number, row)) = rows.next()? {
        recording.take(number, draft(plan, &mut reader, row, moment::read_at())).await?;
        if interrupt.came() {
            break;
        }
    }
    Ok(())
}

async fn record_captured(
    recording: &mut Recording,
    captured: &mut Captured,
    interrupt: &mut Interrupt,
) -> Result {
    let mut reader = DraftReader::new(false);
    while let Some((number, records)) = captured.next()? {
        match records {
            Ok(records) => {
                for record in records {
                    recording.take(number, reader.draft(&record, moment::read_at())).await?;
                }
            }
            Err(problem) => recording.take(number, Err(problem)).await?,
        }
        if interrupt.came() {
            break;
        }
    }
    Ok(())
}

/// Shows the first records on standard output.
fn show(terminal: &Terminal, captured: &mut Captured, count: u64) -> Result {
    let mut out = terminal.out();
    let (mut reader, mut refused, mut shown) = (DraftReader::new(false), false, 0);
    while shown < count
        && let Some((number, records)) = captured.next()?
    {
        let left = usize::try_from(count - shown).unwrap_or(usize::MAX);
        let records = records
            .map_or_else(|problem| vec![Err(problem)], |records| records.into_iter().map(Ok).collect());
        for record in records.into_iter().take(left) {
            shown += 1;
            match record.and_then(|record| reader.draft(&record, moment::read_at()).map(|_| record)) {
                Ok(record) => out.json(&record)?,
                Err(problem) => {
                    let to_do = problem.to_do().map_or(String::new(), |to_do| format!("\n  {to_do}"));
                    terminal.complain(&format!("error: line {number}: {problem}{to_do}"));
                    refused = true;
                }
            }
        }
    }
    out.flush()?;
    if refused { Err(Failure::Said(crate::failure::Exit::Input)) } else { Ok(()) }
}

/// Shows types on standard error and the first records on standard output.
fn dry_run(terminal: &Terminal, plan: &Plan, rows: &mut dyn Rows, count: u64) -> Result {
    if let Some(columns) = rows.columns() {
        let widest = columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0);
        for column in columns {
            let role = plan.role(&column.name).words();
            terminal.say(&format!("{:<widest$}  {role:<14} {}", column.name, column.field_type));
        }
    }
    let mut out = terminal.out();
    let mut reader = DraftReader::new(false);
    let mut refused = false;
    for _ in 0..count {
        let Some((number, row)) = rows.next()? else { break };
        let record = row.and_then(|row| plan.record(row));
        match record.and_then(|record| reader.draft(&record, moment::read_at()).map(|_| record)) {
            Ok(record) => out.json(&record)?,
            Err(problem) => {
                let to_do = problem.to_do().map_or(String::new(), |to_do| format!("\n  {to_do}"));
                terminal.complain(&format!("error: row {number}: {problem}{to_do}"));
                refused = true;
            }
        }
    }
    out.flush()?;
    if refused { Err(Failure::Said(crate::failure::Exit::Input)) } else { Ok(()) }
}
