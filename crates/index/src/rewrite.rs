//! Files in place of others: many small ones become one, and rows whose evidence is gone go. Edge: which rows those are is told by `indexer`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use crate::error::{Error, Result};
use crate::file::{FileWriter, IndexFile};
use crate::indexer::{Gone, Indexer, add_rows, again, present, rows_of};
use crate::limits;
use crate::state::{State, TableState, TailBatch, adapt, stored_schema};
use crate::table::TableId;

impl Indexer {
    /// Joins files of one tier where there are enough of them; gives those that were replaced.
    pub(crate) fn join_small(&self, state: &mut State) -> Result<Vec<Arc<IndexFile>>> {
        let mut replaced = Vec::new();
        for table in state.tables.values_mut() {
            while let Some(from) = joinable(&table.files) {
                let mut files = table.files.clone();
                let joined = files.split_off(from);
                files.push(self.join(table, &joined)?);
                replaced.extend(joined);
                let tail = table.tail.clone();
                *table = Arc::new(TableState::of(table.id.clone(), table.columns.clone(), files, tail));
            }
        }
        Ok(replaced)
    }

    fn join(&self, table: &TableState, files: &[Arc<IndexFile>]) -> Result<Arc<IndexFile>> {
        let tier = files.iter().map(|file| file.entry.tier).max().unwrap_or(0) + 1;
        let rows: u64 = files.iter().map(|file| file.entry.rows).sum();
        let readers = files.iter().map(|file| file.rows(None)).collect::<Result<Vec<_>>>()?;
        let schemas: Vec<_> = readers.iter().map(arrow_array::RecordBatchReader::schema).collect();
        let columns = present(&table.columns, schemas.iter());
        let damaged =
            |error: arrow_schema::ArrowError| Error::damaged(&self.shared.folder, error.to_string());
        if rows <= limits::TAIL_ROWS_MAX as u64 {
            let mut batches = Vec::new();
            for reader in readers {
                for batch in reader {
                    batches.push(batch.map_err(damaged)?);
                }
            }
            return self.write_sorted(&columns, &batches, tier);
        }
        let schema = stored_schema(&columns);
        let random = self.shared.random.as_ref();
        let mut writer = FileWriter::new(&self.shared.folder, Arc::clone(&schema), tier, random)?;
        for reader in readers {
            for batch in reader {
                writer.write(&adapt(&batch.map_err(damaged)?, &schema).map_err(damaged)?)?;
            }
        }
        Ok(IndexFile::new(&self.shared.folder, writer.finish()?, &self.shared.footers))
    }

    /// Rewrites what has rows whose evidence is gone, under a fresh key, and destroys the old one: copies of the old files open no more. Records
    /// that are erased stay as what their headers say. Durable on return when the index has its lock.
    pub(crate) async fn forget(&mut self, gone: &Gone) -> Result<()> {
        let mut state = State::clone(&self.shared.state());
        let (mut replaced, mut touched) = (Vec::new(), HashSet::new());
        let ids: Vec<TableId> = state.tables.keys().cloned().collect();
        for id in ids {
            let table = Arc::clone(&state.tables[&id]);
            let (mut files, mut tail) = (Vec::new(), Vec::new());
            for file in &table.files {
                match self.without(&table, file, gone, &mut touched)? {
                    Rest::All => files.push(Arc::clone(file)),
                    Rest::File(rest) => files.push(rest),
                    Rest::Rows(rest) => tail.extend(rest.into_iter().map(TailBatch::new)),
                }
                if files.last().is_none_or(|last| !Arc::ptr_eq(last, file)) {
                    replaced.push(Arc::clone(file));
                }
            }
            for batch in &table.tail {
                match rest_of(&batch.stored, gone, &mut touched)? {
                    Some(rest) if rest.num_rows() > 0 => tail.push(TailBatch::new(rest)),
                    Some(_) => {}
                    None => tail.push(Arc::clone(batch)),
                }
            }
            state.tables.insert(id.clone(), Arc::new(TableState::of(id, table.columns.clone(), files, tail)));
        }
        for id in &touched {
            // What evidence still says of it: all when the erasure was no erasure, and its header otherwise.
            let Some(record) = again(&self.shared, id).await? else { continue };
            if gone.segments.contains(&record.sealed.log_index) {
                continue;
            }
            for (table, batch, columns) in rows_of(&record) {
                add_rows(&mut state.tables, table, batch, &columns);
            }
        }
        self.shared.set(state);
        if self.writes() {
            self.flush()?;
            let state = self.shared.state();
            self.store(&state, true)?;
            self.remove(&replaced)?;
        }
        Ok(())
    }

    /// What is left of a file.
    fn without(
        &self,
        table: &TableState,
        file: &Arc<IndexFile>,
        gone: &Gone,
        touched: &mut HashSet<String>,
    ) -> Result<Rest> {
        let damaged = |error: arrow_schema::ArrowError| Error::damaged(file.path(), error.to_string());
        let mut any = false;
        for batch in file.rows(Some(&["id", "log_index", "_subjects"]))? {
            any |= rest_of(&batch.map_err(damaged)?, gone, touched)?.is_some();
        }
        if !any {
            return Ok(Rest::All);
        }
        let reader = file.rows(None)?;
        if !self.writes() {
            let mut rows = Vec::new();
            for batch in reader {
                let batch = batch.map_err(damaged)?;
                rows.push(rest_of(&batch, gone, &mut HashSet::new())?.unwrap_or(batch));
            }
            return Ok(Rest::Rows(rows));
        }
        let columns =
            present(&table.columns, std::iter::once(&arrow_array::RecordBatchReader::schema(&reader)));
        let schema = stored_schema(&columns);
        let random = self.shared.random.as_ref();
        let mut writer = FileWriter::new(&self.shared.folder, Arc::clone(&schema), file.entry.tier, random)?;
        for batch in reader {
            let batch = batch.map_err(damaged)?;
            let rest = rest_of(&batch, gone, &mut HashSet::new())?.unwrap_or(batch);
            writer.write(&adapt(&rest, &schema).map_err(damaged)?)?;
        }
        if writer.written() == 0 {
            writer.discard()?;
            return Ok(Rest::Rows(Vec::new()));
        }
        Ok(Rest::File(IndexFile::new(&self.shared.folder, writer.finish()?, &self.shared.footers)))
    }
}

/// What is left of a file.
enum Rest {
    /// All of it.
    All,
    /// Another file.
    File(Arc<IndexFile>),
    /// These rows, which stay in memory; none when all are gone.
    Rows(Vec<RecordBatch>),
}

/// From where on the files are to be joined: as many of one tier as it takes stand at the end.
fn joinable(files: &[Arc<IndexFile>]) -> Option<usize> {
    let last = files.last()?.entry.tier;
    let from = files.len().checked_sub(limits::TIER_FILES)?;
    let rows: u64 = files[from..].iter().map(|file| file.entry.rows).sum();
    let of_one_tier = files[from..].iter().all(|file| file.entry.tier == last);
    (of_one_tier && rows <= limits::FILE_ROWS_MAX).then_some(from)
}

/// The rows that stay; `None` when all do. Notes the ids of the others.
fn rest_of(batch: &RecordBatch, gone: &Gone, touched: &mut HashSet<String>) -> Result<Option<RecordBatch>> {
    let owners = batch.column_by_name("_subjects").and_then(|array| array.as_binary_opt::<i32>());
    let places = batch.column_by_name("log_index").and_then(|array| array.as_primitive_opt::<Int64Type>());
    let ids = batch.column_by_name("id").and_then(|array| array.as_string_opt::<i32>());
    let of_subject = |row: usize| {
        owners.filter(|owners| owners.is_valid(row)).is_some_and(|owners| {
            let numbers = owners.value(row).as_chunks::<8>().0.iter();
            numbers.map(|number| u64::from_le_bytes(*number)).any(|number| gone.subjects.contains(&number))
        })
    };
    let goes = |row: usize| {
        of_subject(row) || places.is_some_and(|places| gone.segments.contains(&(places.value(row) as u64)))
    };
    let stays: Vec<bool> = (0..batch.num_rows()).map(|row| !goes(row)).collect();
    if stays.iter().all(|stays| *stays) {
        return Ok(None);
    }
    for row in (0..stays.len()).filter(|row| of_subject(*row)) {
        touched.extend(ids.map(|ids| ids.value(row).to_owned()));
    }
    let rest = filter_record_batch(batch, &BooleanArray::from(stays));
    rest.map(Some).map_err(|error| Error::Query(error.to_string()))
}
