//! The one writer of an index: follows the log, keeps rows in memory, makes files of them. Edge: when it does so is its owner's; queries go
//! on beside it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use minutebook_record::cbor::{Item, Reader as Cbor};
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{Content, Error as TrailError, StoredRecord};
use minutebook_verify::keys::Secret;

use crate::column::{Column, ColumnType, merge};
use crate::error::{Error, Result};
use crate::file::{FileWriter, IndexFile};
use crate::index::Shared;
use crate::limits;
use crate::manifest::{MANIFEST, Manifest, TableEntry};
use crate::projection::Projection;
use crate::state::{State, TableState, TailBatch, adapt, stored_schema};
use crate::sys::{self, FileLock};
use crate::table::TableId;

/// The file whose lock the writer holds.
const LOCK: &str = "lock";

/// Segments that are read at once.
const SEGMENTS_AT_ONCE: u64 = 8;

/// What an advance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advanced {
    /// Records that were taken in.
    pub records: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// What is to go from the index, since evidence of it is gone.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// Erased subjects, by their numbers.
    pub subjects: HashSet<u64>,
    /// Segments that were disposed of, by their places in the log.
    pub segments: HashSet<u64>,
    /// Whether a record says that some were.
    pub disposals: bool,
}

/// The writer of an index. Without its lock, as when another process has it, it keeps everything in memory.
pub struct Indexer {
    pub(crate) shared: Arc<Shared>,
    lock: Option<FileLock>,
    key: Option<Secret>,
    projection: Projection,
}

impl Indexer {
    /// Takes the index of a trail as it is stored: begins with nothing where there is none, or where what is there cannot be read. Blocks on
    /// files.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub(crate) fn open(shared: Arc<Shared>, may_write: bool) -> Result<Self> {
        let folder = &shared.folder;
        let lock = if may_write { take_lock(folder)? } else { None };
        let mut indexer = Self { shared, lock, key: None, projection: Projection::default() };
        indexer.load()?;
        Ok(indexer)
    }

    /// Whether it makes files: otherwise everything that is new stays in memory.
    pub fn writes(&self) -> bool {
        self.lock.is_some()
    }

    fn load(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let keys = shared.keys.load()?;
        let found = match Manifest::read(&shared.folder, &shared.trail, &keys) {
            Ok(found) => found,
            Err(error @ Error::Damaged { .. }) => {
                tracing::warn!("{error}; it is made anew");
                None
            }
            Err(error) => return Err(error),
        };
        let mut state = State::default();
        if let Some((manifest, key)) = found {
            state.position = manifest.position;
            state.stored = manifest.position;
            for entry in manifest.tables {
                let files = entry.files.into_iter();
                let files = files.map(|file| IndexFile::new(&shared.folder, file, &shared.footers)).collect();
                let table = TableState::of(entry.table.clone(), entry.columns, files, Vec::new());
                state.tables.insert(entry.table, Arc::new(table));
            }
            if self.lock.is_some() {
                // A crash may have left the key that this one replaced.
                shared.keys.keep_only(&key)?;
            }
            self.key = Some(key);
        }
        if self.lock.is_some() {
            sweep(&shared)?;
        }
        shared.set(state);
        Ok(())
    }

    /// Takes in what was sealed since, up to a bounded number of records.
    ///
    /// # Errors
    /// When evidence cannot be read, or a file not be written: nothing is lost, the next call tries again.
    pub async fn advance(&mut self) -> Result<Advanced> {
        let state = self.shared.state();
        let log_size = self.shared.reader.log_size().await?;
        if state.position > log_size {
            // A trail that was restored from before: the index is of another time.
            tracing::warn!("the index is ahead of the log; it is made anew");
            self.begin_anew()?;
        }
        let mut position = self.shared.state().position;
        let (mut records, mut gone, mut more) = (0, Gone::default(), false);
        while records < limits::ROUND_RECORDS {
            let (found, next) = self.shared.reader.following(position, SEGMENTS_AT_ONCE).await?;
            more = next < self.shared.reader.log_size().await?;
            for record in &found {
                look(record, &mut gone);
                self.projection.add(record);
            }
            records += found.len();
            let ended = next == position;
            position = next;
            if ended || !more {
                break;
            }
        }
        self.take_in(position);
        if gone.disposals {
            gone.segments = self.shared.reader.disposed().await?.into_iter().collect();
        }
        if !gone.subjects.is_empty() || !gone.segments.is_empty() {
            self.forget(&gone).await?;
        }
        let state = self.shared.state();
        if self.lock.is_some()
            && (state.tail_rows() > limits::TAIL_ROWS_MAX || state.tail_bytes() > limits::TAIL_BYTES_MAX)
        {
            self.flush()?;
        }
        Ok(Advanced { records: records as u64, more })
    }

    /// Takes in everything that is sealed.
    ///
    /// # Errors
    /// As [`Indexer::advance`].
    pub async fn catch_up(&mut self) -> Result<u64> {
        let mut records = 0;
        loop {
            let advanced = self.advance().await?;
            records += advanced.records;
            if !advanced.more {
                return Ok(records);
            }
        }
    }

    /// Puts what was projected into the state that queries see.
    fn take_in(&mut self, position: u64) {
        let mut state = State::clone(&self.shared.state());
        for (id, batch, columns) in self.projection.take() {
            add_rows(&mut state.tables, id, batch, &columns);
        }
        self.projection.forget();
        state.position = position;
        self.shared.set(state);
    }

    /// Makes files of what is in memory. Durable on return. Nothing without the lock. Blocks.
    ///
    /// # Errors
    /// When a file cannot be written: what is in memory stays there.
    pub fn flush(&mut self) -> Result<()> {
        if self.lock.is_none() {
            return Ok(());
        }
        let mut state = State::clone(&self.shared.state());
        for table in state.tables.values_mut().filter(|table| !table.tail.is_empty()) {
            let written = self.write_tail(table)?;
            let mut files = table.files.clone();
            files.push(written);
            *table = Arc::new(TableState::of(table.id.clone(), table.columns.clone(), files, Vec::new()));
        }
        let replaced = self.join_small(&mut state)?;
        state.stored = state.position;
        self.store(&state, false)?;
        self.shared.set(state);
        replaced.iter().for_each(|file| file.replaced());
        Ok(())
    }

    fn write_tail(&self, table: &TableState) -> Result<Arc<IndexFile>> {
        let batches: Vec<RecordBatch> = table.tail.iter().map(|batch| batch.stored.clone()).collect();
        let columns = present(&table.columns, batches.iter().map(RecordBatch::schema_ref));
        self.write_sorted(&columns, &batches, 0)
    }

    /// A file of rows that are in memory, by time.
    pub(crate) fn write_sorted(
        &self,
        columns: &[Column],
        batches: &[RecordBatch],
        tier: u8,
    ) -> Result<Arc<IndexFile>> {
        let schema = stored_schema(columns);
        let internal = |error: arrow_schema::ArrowError| Error::Query(error.to_string());
        let adapted = batches.iter().map(|batch| adapt(batch, &schema));
        let adapted = adapted.collect::<std::result::Result<Vec<_>, _>>().map_err(internal)?;
        let all = concat_batches(&schema, &adapted).map_err(internal)?;
        drop(adapted);
        let sorted = by_time(&all).map_err(internal)?;
        let mut writer = FileWriter::new(&self.shared.folder, schema, tier, self.shared.random.as_ref())?;
        writer.write(&sorted)?;
        Ok(IndexFile::new(&self.shared.folder, writer.finish()?, &self.shared.footers))
    }

    /// Writes the manifest of a state whose rows are all in files.
    pub(crate) fn store(&mut self, state: &State, fresh_key: bool) -> Result<()> {
        let shared = &self.shared;
        let key = match &self.key {
            Some(key) if !fresh_key => key.clone(),
            _ => shared.keys.add(shared.random.as_ref())?,
        };
        let tables = state.tables.values().map(|table| TableEntry {
            table: table.id.clone(),
            columns: table.columns.clone(),
            files: table.files.iter().map(|file| file.entry.clone()).collect(),
        });
        let manifest = Manifest::new(state.stored, tables.collect());
        sys::sync_folder(&shared.folder).map_err(|error| Error::io("flush", &shared.folder, error))?;
        manifest.write(&shared.folder, &shared.trail, &key, shared.random.as_ref())?;
        shared.keys.keep_only(&key)?;
        self.key = Some(key);
        Ok(())
    }

    /// Removes files that no manifest names any more, at once: what is erased is nowhere. A query that has one open reads it to its end, and
    /// one that has not yet opened it fails.
    pub(crate) fn remove(&self, files: &[Arc<IndexFile>]) -> Result<()> {
        for file in files {
            sys::remove(file.path()).map_err(|error| Error::io("remove", file.path(), error))?;
        }
        Ok(())
    }

    /// Throws the index away and begins with nothing, under a fresh key. Durable on return; evidence is not touched. Blocks.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it.
    pub fn begin_anew(&mut self) -> Result<()> {
        if self.lock.is_none() {
            if self.shared.read_only {
                self.shared.set(State::default());
                return Ok(());
            }
            return Err(Error::Locked { path: self.shared.folder.clone() });
        }
        let before = self.shared.state();
        let state = State::default();
        self.store(&state, true)?;
        sweep(&self.shared)?;
        self.shared.set(state);
        before.tables.values().flat_map(|table| &table.files).for_each(|file| file.replaced());
        Ok(())
    }

    /// Ends in order: what is much becomes files, so that the next start has little to read. Blocks.
    ///
    /// # Errors
    /// As [`Indexer::flush`].
    pub fn close(mut self) -> Result<()> {
        if self.shared.state().tail_rows() >= limits::CLOSE_ROWS_MIN { self.flush() } else { Ok(()) }
    }
}

/// Takes the lock of an index's folder, making the folder; `None` when another process has it, or nothing can be written there.
fn take_lock(folder: &std::path::Path) -> Result<Option<FileLock>> {
    let taken = sys::make_folder(folder).and_then(|()| FileLock::try_take(&folder.join(LOCK)));
    match taken {
        Ok(lock) => Ok(lock),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::io("lock the index in", folder, error)),
    }
}

/// Removes files that nobody has, neither the state nor a query that began before: what a crash left.
fn sweep(shared: &Shared) -> Result<()> {
    let folder = &shared.folder;
    let failed = |error| Error::io("look into", folder, error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name != LOCK && name != MANIFEST && !shared.footers.has(&name) {
            sys::remove(&entry.path()).map_err(|error| Error::io("remove", &entry.path(), error))?;
        }
    }
    Ok(())
}

/// Adds rows to a table of a state.
pub(crate) fn add_rows(
    tables: &mut BTreeMap<TableId, Arc<TableState>>,
    id: TableId,
    batch: RecordBatch,
    columns: &[Column],
) {
    let (mut all, files, mut tail) = match tables.get(&id) {
        Some(table) => (table.columns.clone(), table.files.clone(), table.tail.clone()),
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    merge(&mut all, columns);
    tail.push(TailBatch::new(batch));
    if tail.len() > limits::TAIL_BATCHES {
        tail = joined(&tail, &all);
    }
    tables.insert(id.clone(), Arc::new(TableState::of(id, all, files, tail)));
}

/// The batches of a tail as one.
fn joined(tail: &[Arc<TailBatch>], columns: &[Column]) -> Vec<Arc<TailBatch>> {
    let columns = present(columns, tail.iter().map(|batch| batch.stored.schema_ref()));
    let schema = stored_schema(&columns);
    let adapted: Vec<RecordBatch> =
        tail.iter().filter_map(|batch| adapt(&batch.stored, &schema).ok()).collect();
    match concat_batches(&schema, &adapted) {
        Ok(one) if adapted.len() == tail.len() => vec![TailBatch::new(one)],
        _ => tail.to_vec(),
    }
}

/// The columns of a table that some rows have.
pub(crate) fn present<'a>(
    columns: &[Column],
    schemas: impl Iterator<Item = &'a arrow_schema::SchemaRef>,
) -> Vec<Column> {
    let names: HashSet<&str> =
        schemas.flat_map(|schema| schema.fields().iter().map(|field| field.name().as_str())).collect();
    let some = |column: &&Column| column.kind != ColumnType::Empty && names.contains(column.name.as_str());
    columns.iter().filter(some).cloned().collect()
}

/// Rows in the order of time, then of id.
fn by_time(batch: &RecordBatch) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    let times =
        batch.column_by_name("time").and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>());
    let ids = batch.column_by_name("id").and_then(|array| array.as_string_opt::<i32>());
    let (Some(times), Some(ids)) = (times, ids) else { return Ok(batch.clone()) };
    let key = |at: u32| (times.value(at as usize), ids.value(at as usize));
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    if order.windows(2).all(|two| key(two[0]) <= key(two[1])) {
        return Ok(batch.clone());
    }
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    take_record_batch(batch, &arrow_array::UInt32Array::from(order))
}

/// What a record says about others being gone.
fn look(record: &StoredRecord, gone: &mut Gone) {
    gone.disposals |= record.header.kind == Kind::Disposal;
    if record.header.kind != Kind::Erasure {
        return;
    }
    let Content::Readable { values, .. } = &record.content else { return };
    let Some(place) = record.schema.find_parts(&["erasure", "subjects"]) else { return };
    let mut reader = Cbor::new(&values[place]);
    let Ok(Item::Array(count)) = reader.item() else { return };
    for _ in 0..count {
        if let Ok(Item::Integer(number)) = reader.item()
            && let Ok(number) = u64::try_from(number.get())
        {
            gone.subjects.insert(number);
        }
    }
}

/// Whether a record that was in the index is there still.
pub(crate) async fn again(shared: &Shared, id: &str) -> Result<Option<StoredRecord>> {
    let Ok(id) = id.parse::<RecordId>() else { return Ok(None) };
    match shared.reader.get(&id).await {
        Ok(record) => Ok(Some(record)),
        Err(TrailError::NoRecord { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Rows of a record that is read again.
pub(crate) fn rows_of(record: &StoredRecord) -> Vec<(TableId, RecordBatch, Vec<Column>)> {
    let mut projection = Projection::default();
    projection.add(record);
    projection.take()
}
