//! What the index has at one moment: a query sees one state from beginning to end. Edge: holds; changed by `indexer`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::cast;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::column::{Column, ColumnType};
use crate::file::IndexFile;
use crate::table::TableId;

/// All tables up to a place in the log.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Entries of the log that are in the tables.
    pub position: u64,
    /// Of these, entries that are in files.
    pub stored: u64,
    /// The tables.
    pub tables: BTreeMap<TableId, Arc<TableState>>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct TableState {
    /// Which.
    pub id: TableId,
    /// Its columns.
    pub columns: Vec<Column>,
    /// How a query sees them.
    pub schema: SchemaRef,
    /// Its files, the oldest first.
    pub files: Vec<Arc<IndexFile>>,
    /// What is not in files yet, the oldest first.
    pub tail: Vec<Arc<TailBatch>>,
}

/// Rows in memory.
#[derive(Debug)]
pub struct TailBatch {
    /// As they are stored.
    pub stored: RecordBatch,
    /// As a query last saw them.
    shown: Mutex<Option<RecordBatch>>,
}

impl State {
    /// Rows in memory.
    pub fn tail_rows(&self) -> usize {
        self.tables.values().map(|table| table.tail_rows()).sum()
    }

    /// Bytes in memory.
    pub fn tail_bytes(&self) -> usize {
        let batches = self.tables.values().flat_map(|table| &table.tail);
        batches.map(|batch| batch.stored.get_array_memory_size()).sum()
    }
}

impl TableState {
    /// A table of ours that has the columns of every table and no row.
    pub fn empty(id: TableId) -> Self {
        let column = |(name, kind): &(&str, ColumnType)| Column { name: (*name).to_owned(), kind: *kind };
        Self::of(id, crate::table::FIXED.iter().map(column).collect(), Vec::new(), Vec::new())
    }

    /// A table that has these.
    pub fn of(
        id: TableId,
        columns: Vec<Column>,
        files: Vec<Arc<IndexFile>>,
        tail: Vec<Arc<TailBatch>>,
    ) -> Self {
        let schema = shown_schema(&columns);
        Self { id, columns, schema, files, tail }
    }

    /// Rows in memory.
    pub fn tail_rows(&self) -> usize {
        self.tail.iter().map(|batch| batch.stored.num_rows()).sum()
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.entry.rows).sum::<u64>() + self.tail_rows() as u64
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name && column.kind != ColumnType::Hidden)
    }

    /// The rows in memory as a query sees them.
    ///
    /// # Errors
    /// When a column cannot be cast, which its type rules out.
    pub fn shown_tail(&self) -> Result<Vec<RecordBatch>, ArrowError> {
        self.tail.iter().map(|batch| batch.shown(&self.schema)).collect()
    }
}

impl TailBatch {
    /// Of rows as they are stored.
    pub fn new(stored: RecordBatch) -> Arc<Self> {
        Arc::new(Self { stored, shown: Mutex::default() })
    }

    fn shown(&self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = shown.as_ref()
            && batch.schema_ref() == schema
        {
            return Ok(batch.clone());
        }
        let batch = adapt(&self.stored, schema)?;
        *shown = Some(batch.clone());
        Ok(batch)
    }
}

fn shown_schema(columns: &[Column]) -> SchemaRef {
    let shown = columns.iter().filter(|column| column.kind != ColumnType::Hidden);
    Arc::new(Schema::new(shown.map(Column::shown).collect::<Vec<_>>()))
}

/// How columns are stored together.
pub fn stored_schema(columns: &[Column]) -> SchemaRef {
    let some = columns.iter().filter(|column| column.kind != ColumnType::Empty);
    Arc::new(Schema::new(some.map(Column::stored).collect::<Vec<_>>()))
}

/// Rows with the columns of another schema: cast where the type is another, null where there is none.
///
/// # Errors
/// When a column cannot be cast.
pub fn adapt(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let column = |field: &Arc<arrow_schema::Field>| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
            Some(array) => cast(array, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
