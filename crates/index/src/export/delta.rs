//! A Delta table (Delta transaction protocol, reader version 1, writer version 2) of one table: an export adds what was sealed since the
//! one before. Edge: the
//! protocol's actions that this needs; tables that others write to are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use minutebook_verify::hex;
use serde_json::{Map, Value, json};

use super::{Export, Exported, clear, exported, internal, writer};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::sys;

/// Rows of one file.
const FILE_ROWS: u64 = 1_048_576;

const LOG: &str = "_delta_log";

/// What the log of a table says.
#[derive(Debug, Default)]
struct Table {
    /// The next version.
    next: u64,
    /// The schema, as its text.
    schema: Option<Value>,
    id: Option<String>,
    /// What was exported: a condition and columns.
    asked: Option<String>,
    /// Entries of the trail's log that it covers.
    position: u64,
    files: BTreeSet<String>,
}

/// Brings the table in a folder up to date, or makes it.
pub async fn export(index: &Index, export: &Export, folder: &Path) -> Result<Exported> {
    let log = folder.join(LOG);
    let failed = |error| Error::io("make", &log, error);
    std::fs::create_dir_all(&log).map_err(failed)?;
    let application = format!("minutebook/{}", hex(&index.shared.trail));
    let table = read(&log, &application)?;
    let asked = json!({
        "model": export.search.model, "where": export.search.condition, "columns": export.search.columns, "mask": export.mask,
        "since_ns": export.search.since_ns, "until_ns": export.search.until_ns,
    })
    .to_string();
    if table.asked.as_ref().is_some_and(|before| *before != asked) {
        return Err(Error::Question(format!(
            "`{}` is an export of something else: ask for the same as before, or name a new folder",
            folder.display()
        )));
    }
    let gone = index.gone_since(table.position).await?;
    let (sql, position) = index.plan_rows(&export.search, &export.mask, None)?;
    let schema = index.schema_of(&sql).await?;
    let (fields, clear_schema) = delta_schema(&exported(&schema));
    let grows = table.schema.as_ref().is_none_or(|before| extends(before, &fields));
    let anew = table.next > 0 && (gone || !grows);
    let since = if anew { 0 } else { table.position };
    let (sql, _) = index.plan_rows(&export.search, &export.mask, Some((since, position)))?;
    let mut answer = index.run_own(&sql).await?;
    let mut parts = Parts { folder, schema: clear_schema, open: None, done: Vec::new(), random: index };
    while let Some(batch) = answer.next().await {
        parts.write(&batch?)?;
    }
    let added = parts.finish()?;
    let now_ms = index.now_ms();
    let mut actions = vec![json!({ "commitInfo": {
        "timestamp": now_ms, "operation": if table.next == 0 { "CREATE TABLE AS SELECT" } else { "WRITE" }, "engineInfo": "minutebook",
    } })];
    if table.next == 0 {
        actions.push(json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } }));
    }
    if table.schema.as_ref() != Some(&fields) {
        let id = table.id.clone().unwrap_or_else(|| index.fresh_uuid());
        actions.push(json!({ "metaData": {
            "id": id, "format": { "provider": "parquet", "options": {} }, "schemaString": fields.to_string(),
            "partitionColumns": [], "configuration": { "minutebook.asked": asked }, "createdTime": now_ms,
        } }));
    }
    actions.push(json!({ "txn": { "appId": application, "version": position, "lastUpdated": now_ms } }));
    let removed: Vec<String> = if anew { table.files.iter().cloned().collect() } else { Vec::new() };
    for path in &removed {
        actions.push(json!({ "remove": { "path": path, "deletionTimestamp": now_ms, "dataChange": true } }));
    }
    for part in &added {
        actions.push(json!({ "add": {
            "path": part.name, "partitionValues": {}, "size": part.bytes, "modificationTime": now_ms, "dataChange": true,
            "stats": json!({ "numRecords": part.rows }).to_string(),
        } }));
    }
    let rows = added.iter().map(|part| part.rows).sum();
    let mut done =
        Exported { rows, files: added.len() as u64, removed: removed.len() as u64, version: None, position };
    if table.next > 0 && added.is_empty() && removed.is_empty() && position == table.position {
        done.version = Some(table.next - 1);
        return Ok(done);
    }
    commit(&log, table.next, &actions)?;
    done.version = Some(table.next);
    // What was erased must not stay: older versions of the table that still name these files cannot be read any more.
    for path in &removed {
        let path = folder.join(path);
        sys::remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(done)
}

/// Puts a version in place, which must not be there yet.
fn commit(log: &Path, version: u64, actions: &[Value]) -> Result<()> {
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    let path = log.join(format!("{version:020}.json"));
    let staged = log.join(format!(".{version:020}.json.new"));
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Question(format!(
            "somebody else wrote version {version} of the table in `{}`: export again",
            log.display()
        )),
        _ => Error::io("write", &path, error),
    };
    let mut file = sys::create(&staged).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    // Unlike a rename, a link does not replace what is there.
    let linked = std::fs::hard_link(&staged, &path).map_err(failed);
    sys::remove(&staged).map_err(failed)?;
    linked?;
    sys::sync_folder(log).map_err(failed)
}

fn read(log: &Path, application: &str) -> Result<Table> {
    let mut table = Table::default();
    loop {
        let path = log.join(format!("{:020}.json", table.next));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let action: Value =
                serde_json::from_str(line).map_err(|error| Error::damaged(&path, error.to_string()))?;
            table.take(&action, application);
        }
        table.next += 1;
    }
    let is_empty = std::fs::read_dir(log).map_err(|error| Error::io("read", log, error))?.next().is_none();
    if table.next == 0 && !is_empty {
        return Err(Error::Question(format!(
            "the log in `{}` does not begin with version 0, so it cannot be continued: name a new folder",
            log.display()
        )));
    }
    if table.next > 0 && table.asked.is_none() {
        return Err(Error::Question(format!(
            "the table of `{}` is not one that this program made: name a new folder",
            log.display()
        )));
    }
    Ok(table)
}

impl Table {
    fn take(&mut self, action: &Value, application: &str) {
        if let Some(metadata) = action.get("metaData") {
            self.schema = metadata["schemaString"].as_str().and_then(|text| serde_json::from_str(text).ok());
            self.id = metadata["id"].as_str().map(str::to_owned);
            self.asked = metadata["configuration"]["minutebook.asked"].as_str().map(str::to_owned);
        }
        if let Some(transaction) = action.get("txn").filter(|txn| txn["appId"] == application) {
            self.position = transaction["version"].as_u64().unwrap_or(0);
        }
        if let Some(path) = action["add"]["path"].as_str() {
            self.files.insert(path.to_owned());
        }
        if let Some(path) = action["remove"]["path"].as_str() {
            self.files.remove(path);
        }
    }
}

/// Whether a schema has all columns of one before, as they were.
fn extends(before: &Value, now: &Value) -> bool {
    let fields = |schema: &Value| -> BTreeMap<String, String> {
        let fields = schema["fields"].as_array().cloned().unwrap_or_default();
        fields.iter().map(|field| (field["name"].to_string(), field["type"].to_string())).collect()
    };
    let now = fields(now);
    fields(before).iter().all(|(name, kind)| now.get(name) == Some(kind))
}

/// The table's schema as the protocol writes it, and the same for its files. Points and what the protocol forbids in names become `_`.
fn delta_schema(schema: &Schema) -> (Value, SchemaRef) {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let (mut told, mut fields) = (Vec::new(), Vec::new());
    for field in schema.fields() {
        let plain: String = field
            .name()
            .chars()
            .map(|char| if ".,;{}()\n\t= ".contains(char) { '_' } else { char })
            .collect();
        let mut name = plain.clone();
        let mut number = 1;
        while !names.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{plain}_{number}");
        }
        let kind = match field.data_type() {
            DataType::Boolean => json!("boolean"),
            DataType::Int64 => json!("long"),
            DataType::Float64 => json!("double"),
            DataType::Timestamp(..) => json!("timestamp"),
            DataType::Date32 => json!("date"),
            DataType::List(_) => json!({ "type": "array", "elementType": "string", "containsNull": true }),
            _ => json!("string"),
        };
        told.push(json!({ "name": name, "type": kind, "nullable": true, "metadata": Map::new() }));
        fields.push(Field::new(name, field.data_type().clone(), true));
    }
    (json!({ "type": "struct", "fields": told }), Arc::new(Schema::new(fields)))
}

/// A file that was written.
struct Part {
    name: String,
    rows: u64,
    bytes: u64,
}

struct Parts<'a> {
    folder: &'a Path,
    schema: SchemaRef,
    open: Option<(parquet::arrow::ArrowWriter<File>, PathBuf, u64)>,
    done: Vec<Part>,
    random: &'a Index,
}

impl Parts<'_> {
    fn write(&mut self, batch: &arrow_array::RecordBatch) -> Result<()> {
        let batch = clear(batch, &exported(&batch.schema()))?;
        let batch = arrow_array::RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|error| Error::Query(error.to_string()))?;
        if self.open.is_none() {
            let path = self.folder.join(format!("part-{}.zstd.parquet", self.random.fresh_uuid()));
            let file = sys::create(&path).map_err(|error| Error::io("create", &path, error))?;
            self.open = Some((writer(file, &self.schema)?, path, 0));
        }
        if let Some((writer, _, rows)) = &mut self.open {
            writer.write(&batch).map_err(internal)?;
            *rows += batch.num_rows() as u64;
            if *rows >= FILE_ROWS {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some((mut writer, path, rows)) = self.open.take() else { return Ok(()) };
        writer.finish().map_err(internal)?;
        let failed = |error| Error::io("flush", &path, error);
        writer.inner().sync_all().map_err(failed)?;
        let bytes = writer.inner().metadata().map_err(failed)?.len();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.done.push(Part { name, rows, bytes });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Part>> {
        self.close()?;
        sys::sync_folder(self.folder).map_err(|error| Error::io("flush", self.folder, error))?;
        Ok(self.done)
    }
}
