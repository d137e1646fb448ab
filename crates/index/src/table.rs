//! The rows of one table on their way into columns. Edge: knows columns and rows; what a record says is `projection`'s.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::builder::{Cell, ColumnBuilder};
use crate::column::{Column, ColumnType};
use crate::limits;

/// Which table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableId {
    /// All records, one row each.
    Records,
    /// Records that link to others, one row for each link.
    Links,
    /// The decisions of one model.
    Model(String),
}

impl TableId {
    /// How a query names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Records => RECORDS,
            Self::Links => LINKS,
            Self::Model(name) => name,
        }
    }
}

/// The table of all records.
pub const RECORDS: &str = "records";
/// The table of links.
pub const LINKS: &str = "links";

macro_rules! fixed {
    ($($place:ident $name:literal $kind:ident,)*) => {
        /// Places of the columns that every table has.
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs, reason = "docs/formats/index.md tells them")]
        pub enum Fixed { $($place),* }

        /// The columns that every table has, in order.
        pub const FIXED: &[(&str, ColumnType)] = &[$(($name, ColumnType::$kind)),*];
    };
}

fixed! {
    Id "id" Text,
    Time "time" Timestamp,
    Kind "kind" Text,
    Model "model" Text,
    Version "version" Text,
    Artifact "artifact" Text,
    Status "status" Text,
    Duration "duration_ns" Int,
    Subject "subject" Text,
    Subjects "subjects" Empty,
    Actor "actor" Text,
    Trace "trace" Text,
    Span "span" Text,
    KeptRule "kept.rule" Text,
    KeptRate "kept.rate" Float,
    Weight "weight" Float,
    Call "batch.call" Empty,
    Row "batch.row" Empty,
    Links "links" Empty,
    Target "target" Empty,
    Class "class" Text,
    Producer "producer" Text,
    Epoch "epoch" Int,
    Seq "seq" Int,
    LogIndex "log_index" Int,
    Place "place" Int,
    Readable "readable" Bool,
    Owners "_subjects" Hidden,
    More "more" Empty,
}

/// A table that is being filled.
pub struct TableBuilder {
    columns: Vec<(String, ColumnType, ColumnBuilder)>,
    by_name: HashMap<String, usize>,
    rows: usize,
    more: Vec<(String, String)>,
    name: String,
}

impl Default for TableBuilder {
    fn default() -> Self {
        let mut table = Self {
            columns: Vec::new(),
            by_name: HashMap::new(),
            rows: 0,
            more: Vec::new(),
            name: String::new(),
        };
        for (name, kind) in FIXED {
            table.by_name.insert((*name).to_owned(), table.columns.len());
            table.columns.push(((*name).to_owned(), *kind, ColumnBuilder::new(*kind)));
        }
        table
    }
}

impl TableBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The place of a column, made when it is new; `None` beyond the bound.
    pub fn column(&mut self, prefix: &str, name: &str) -> Option<usize> {
        self.name.clear();
        self.name.push_str(prefix);
        self.name.push('.');
        self.name.push_str(name);
        if let Some(place) = self.by_name.get(&self.name) {
            return Some(*place);
        }
        if self.columns.len() >= limits::COLUMNS_MAX {
            return None;
        }
        let place = self.columns.len();
        self.by_name.insert(self.name.clone(), place);
        self.columns.push((self.name.clone(), ColumnType::Empty, ColumnBuilder::new(ColumnType::Empty)));
        Some(place)
    }

    /// Puts a value of the present row into a column.
    pub fn set(&mut self, place: usize, cell: Cell<'_>) {
        let column = &mut self.columns[place].2;
        // A path that stands twice, once as a member of a map: the first one counts.
        if column.rows() <= self.rows {
            column.pad(self.rows);
            column.push(cell);
        }
    }

    /// The same for a column that every table has.
    pub fn fix(&mut self, place: Fixed, cell: Cell<'_>) {
        self.set(place as usize, cell);
    }

    /// Several texts in the present row.
    pub fn fix_texts<'a>(&mut self, place: Fixed, texts: impl IntoIterator<Item = &'a str>) {
        let column = &mut self.columns[place as usize].2;
        column.pad(self.rows);
        column.push_texts(texts);
    }

    /// Bytes in the present row that nobody sees.
    pub fn fix_hidden(&mut self, place: Fixed, bytes: &[u8]) {
        let column = &mut self.columns[place as usize].2;
        column.pad(self.rows);
        column.push_hidden(bytes);
    }

    /// Keeps a value that has no column.
    pub fn beyond(&mut self, prefix: &str, name: &str, json: String) {
        self.more.push((format!("{prefix}.{name}"), json));
    }

    /// Ends the present row.
    pub fn end_row(&mut self) {
        if !self.more.is_empty() {
            let members =
                self.more.drain(..).map(|(name, json)| format!("{}:{json}", serde_json::Value::String(name)));
            let more = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            self.fix(Fixed::More, Cell::Json(&more));
        }
        self.rows += 1;
    }

    /// The rows since the last batch, with their columns; those that are null throughout are left out, but for the fixed ones.
    pub fn finish(&mut self) -> (RecordBatch, Vec<Column>) {
        let rows = std::mem::take(&mut self.rows);
        let (mut columns, mut arrays): (Vec<Column>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for (name, first, builder) in &mut self.columns {
            let (array, kind) = builder.finish(rows, *first);
            if kind != ColumnType::Empty {
                arrays.push(array);
            }
            columns.push(Column { name: name.clone(), kind });
        }
        let fields = columns.iter().filter(|column| column.kind != ColumnType::Empty);
        let schema = Arc::new(Schema::new(fields.map(Column::stored).collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // INVARIANT: every array is of its column's type and has a value or null for each row.
        let batch =
            RecordBatch::try_new_with_options(schema, arrays, &options).expect("columns of one length");
        (batch, columns)
    }
}
