//! Copies of the tables in clear, for tools that read no trail: Parquet, JSON lines, CSV, and a Delta table that is kept up to date. Edge:
//! writes where it
//! is told; who may have it there is the operator's business.

mod delta;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::ask::{Answer, Search};
use crate::column::UTC;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::limits::ROW_GROUP_ROWS;
use crate::rows;
use crate::state::adapt;

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One Parquet file, zstd.
    Parquet,
    /// An object a line.
    JsonLines,
    /// CSV with a header.
    Csv,
    /// A Delta table: a folder. An export into one that is there adds what is new.
    Delta,
}

/// What to export.
#[derive(Debug, Clone)]
pub struct Export {
    /// Which rows and columns: its order, limit and cursor do not count.
    pub search: Search,
    /// Columns that are left out, with the attributions of those that are inputs.
    pub mask: Vec<String>,
    /// In which form.
    pub form: Form,
}

/// What an export wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows that were written.
    pub rows: u64,
    /// Files that were written.
    pub files: u64,
    /// Files that were removed, since something in them was erased, disposed of, or changed its type.
    pub removed: u64,
    /// Version of the Delta table.
    pub version: Option<u64>,
    /// Entries of the log that the export covers.
    pub position: u64,
}

impl Index {
    /// Exports rows in clear. Durable on return; a file is there whole or not at all. Blocks on files while rows are found.
    ///
    /// # Errors
    /// As [`Index::search`]; when `target` cannot be written, or is a Delta table of something else.
    pub async fn export(&self, export: &Export, target: &Path) -> Result<Exported> {
        if export.form == Form::Delta {
            return delta::export(self, export, target).await;
        }
        let (sql, position) = self.plan_rows(&export.search, &export.mask, None)?;
        let mut answer = self.run_own(&sql).await?;
        let staged = target.with_extension("new");
        let failed = |error| Error::io("write", &staged, error);
        let file = File::create(&staged).map_err(failed)?;
        let written = match export.form {
            Form::Parquet => parquet_file(&mut answer, file).await,
            Form::JsonLines => lines(&mut answer, file, false).await,
            _ => lines(&mut answer, file, true).await,
        };
        let rows = match written {
            Ok(rows) => rows,
            Err(error) => {
                let _ = std::fs::remove_file(&staged);
                return Err(error);
            }
        };
        std::fs::rename(&staged, target).map_err(failed)?;
        Ok(Exported { rows, files: 1, position, ..Exported::default() })
    }
}

/// The columns that are left when some are masked.
pub(crate) fn unmasked(columns: Vec<String>, mask: &[String]) -> Result<Vec<String>> {
    let all: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    if let Some(missing) = mask.iter().find(|masked| !all.contains(masked.as_str())) {
        let hint = minutebook_policy::nearest::proposal("", missing, all.into_iter());
        return Err(Error::Question(format!("no column `{missing}` to mask{hint}")));
    }
    let mut gone: BTreeSet<String> = mask.iter().cloned().collect();
    for masked in mask {
        // An attribution betrays the value that it is for.
        gone.extend(masked.strip_prefix("inputs.").map(|name| format!("attributions.{name}")));
    }
    Ok(columns.into_iter().filter(|column| !gone.contains(column)).collect())
}

async fn parquet_file(answer: &mut Answer, file: File) -> Result<u64> {
    let schema = exported(&answer.schema);
    let mut writer = writer(file, &schema)?;
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        let batch = clear(&batch?, &schema)?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(internal)?;
    }
    writer.finish().map_err(internal)?;
    writer.inner().sync_all().map_err(|error| Error::Query(error.to_string()))?;
    Ok(rows)
}

fn writer(file: File, schema: &SchemaRef) -> Result<ArrowWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by("minutebook".into())
        .build();
    ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).map_err(internal)
}

async fn lines(answer: &mut Answer, file: File, csv: bool) -> Result<u64> {
    let failed = |error: std::io::Error| Error::Query(format!("cannot write the export: {error}"));
    let mut out = BufWriter::new(file);
    if csv {
        out.write_all(rows::csv_header(&answer.schema).as_bytes()).map_err(failed)?;
    }
    let mut count = 0;
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        if csv {
            out.write_all(rows::csv(&batch)?.as_bytes()).map_err(failed)?;
        } else {
            for row in rows::json(&batch)? {
                serde_json::to_writer(&mut out, &row).map_err(|error| failed(error.into()))?;
                out.write_all(b"\n").map_err(failed)?;
            }
        }
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(count)
}

/// The columns of a file in clear: moments in microseconds, which every reader knows; naive times as text.
fn exported(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            DataType::Timestamp(_, None) | DataType::Null => DataType::Utf8,
            DataType::List(_) => DataType::new_list(DataType::Utf8, true),
            DataType::UInt64 => DataType::Int64,
            other => other.clone(),
        };
        Field::new(field.name(), kind, true)
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn clear(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    adapt(batch, schema).map_err(|error| Error::Query(error.to_string()))
}

fn internal(error: parquet::errors::ParquetError) -> Error {
    Error::Query(error.to_string())
}
