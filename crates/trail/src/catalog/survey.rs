//! The catalog as it lies there, for `doctor`: every row of every table, whatever somebody has put into it. Edge: reads only, and judges
//! nothing.

use super::segments::{IDS, SegmentRow, TimelineRow, id_span, timeline_rows};
use super::{Catalog, coverage};
use crate::error::{Error, Result};
use minutebook_verify::coverage::RangeSet;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Column, Row, TypeInfo, ValueRef};
use std::collections::BTreeMap;

/// A value as SQLite keeps it, of whatever type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Nothing.
    Null,
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything else, such as a real number.
    Other,
}

/// A row by the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow(BTreeMap<String, Cell>);

impl RawRow {
    fn new(row: &SqliteRow) -> Self {
        let cell = |at: usize| {
            let Ok(raw) = row.try_get_raw(at) else { return Cell::Other };
            if raw.is_null() {
                return Cell::Null;
            }
            match raw.type_info().name() {
                "INTEGER" => row.try_get_unchecked(at).map_or(Cell::Other, Cell::Integer),
                "TEXT" => row.try_get_unchecked(at).map_or(Cell::Other, Cell::Text),
                "BLOB" => row.try_get_unchecked(at).map_or(Cell::Other, Cell::Bytes),
                _ => Cell::Other,
            }
        };
        Self(row.columns().iter().map(|column| (column.name().to_owned(), cell(column.ordinal()))).collect())
    }

    /// The value of a column.
    pub fn cell(&self, column: &str) -> &Cell {
        self.0.get(column).unwrap_or(&Cell::Other)
    }

    /// The value of a column of integers that are not negative.
    pub fn number(&self, column: &str) -> Option<u64> {
        match self.cell(column) {
            Cell::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The value of a column of texts.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.cell(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a column of bytes.
    pub fn bytes(&self, column: &str) -> Option<&[u8]> {
        match self.cell(column) {
            Cell::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The value of a column of so many bytes.
    pub fn fixed<const N: usize>(&self, column: &str) -> Option<[u8; N]> {
        self.bytes(column)?.try_into().ok()
    }
}

/// What a placed segment's rows have to be, column by column.
pub fn segment_cells(row: &SegmentRow) -> [(&'static str, Cell); 11] {
    let bytes = |id: &[u8; 16]| Cell::Bytes(id.to_vec());
    let id_span = if row.records > 0 { Cell::Integer(id_span(&row.ids).into()) } else { Cell::Null };
    [
        ("id", bytes(&row.id)),
        ("log_index", Cell::Integer(row.log_index as i64)),
        ("class", Cell::Text(row.class.clone())),
        ("class_epoch", bytes(&row.class_epoch)),
        ("records", Cell::Integer(row.records as i64)),
        ("kinds", Cell::Integer(row.kinds.into())),
        ("id_first", bytes(&row.ids.0)),
        ("id_last", bytes(&row.ids.1)),
        ("id_span", id_span),
        ("time_first", Cell::Integer(row.times.0)),
        ("time_last", Cell::Integer(row.times.1)),
    ]
}

/// The rows of `timeline` that follow from a segment's row: kind, span, first and last event, place in the log.
pub fn timeline_cells(row: &SegmentRow) -> Vec<[i64; 5]> {
    timeline_rows(row)
        .map(|(index, kind, span, first, last): TimelineRow| [kind, span, first, last, index])
        .collect()
}

/// The row of `span` that follows from a segment's ids.
pub fn id_span_cells(row: &SegmentRow) -> Option<[i64; 2]> {
    (row.records > 0).then(|| [IDS, id_span(&row.ids).into()])
}

/// The ranges in a row of `coverage`.
pub fn ranges(bytes: &[u8]) -> Option<RangeSet> {
    coverage::decode_ranges(bytes)
}

impl Catalog {
    /// From here on all reads see the catalog as it is now, whatever an engine does meanwhile.
    pub async fn freeze(&self) -> Result<()> {
        // The pool has one connection, so that this transaction is that of all reads.
        sqlx::query("BEGIN").execute(&self.pool).await.map_err(self.fault())?;
        // A transaction begins to see with its first read.
        self.meta("format").await.map(drop)
    }

    /// All rows of a table, by its primary key.
    pub async fn rows(&self, table: &'static str) -> Result<Vec<RawRow>> {
        let query = match table {
            "meta" => "SELECT * FROM meta ORDER BY name",
            "intent" => "SELECT * FROM intent ORDER BY id",
            "pending_entry" => "SELECT * FROM pending_entry ORDER BY log_index",
            "class_epoch" => "SELECT * FROM class_epoch ORDER BY id",
            "bucket" => "SELECT * FROM bucket ORDER BY bucket",
            "subject" => "SELECT * FROM subject ORDER BY substr(lookup, 1, 8), lookup",
            "coverage" => "SELECT * FROM coverage ORDER BY producer, epoch, class",
            "epoch" => "SELECT * FROM epoch ORDER BY producer, epoch",
            "blob" => "SELECT * FROM blob ORDER BY subject, id",
            "act" => "SELECT * FROM act ORDER BY id",
            "disposed" => "SELECT * FROM disposed ORDER BY class_epoch",
            "disposed_segment" => "SELECT * FROM disposed_segment ORDER BY log_index",
            "hold" => "SELECT * FROM hold ORDER BY id",
            "segment" => "SELECT * FROM segment ORDER BY log_index",
            "timeline" => "SELECT * FROM timeline ORDER BY log_index, kind, span, time_last",
            "span" => "SELECT * FROM span ORDER BY axis, span",
            other => return Err(Error::Request(format!("the catalog has no table `{other}`"))),
        };
        let rows = sqlx::query(query).fetch_all(&self.pool).await.map_err(self.fault())?;
        Ok(rows.iter().map(RawRow::new).collect())
    }

    /// Tables, indexes and the like that differ from those that this program makes: their names, and what is the matter.
    pub async fn schema_differences(&self) -> Result<Vec<(String, &'static str)>> {
        const SCHEMA: &str = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'";
        let read = |rows: Vec<SqliteRow>| -> BTreeMap<String, Cell> {
            let rows = rows.iter().map(RawRow::new);
            rows.filter_map(|row| Some((row.text("name")?.to_owned(), row.cell("sql").clone()))).collect()
        };
        let there = read(sqlx::query(SCHEMA).fetch_all(&self.pool).await.map_err(self.fault())?);
        let memory = SqliteConnectOptions::new().in_memory(true);
        let fresh = super::one_connection().connect_with(memory).await.map_err(self.fault())?;
        let made = sqlx::migrate!("migrations/sqlite").run(&fresh).await;
        made.map_err(|error| Error::CatalogUnusable { path: self.path.clone(), what: error.to_string() })?;
        let expected = read(sqlx::query(SCHEMA).fetch_all(&fresh).await.map_err(self.fault())?);
        fresh.close().await;
        let mut found = Vec::new();
        for (name, sql) in &expected {
            match there.get(name) {
                None => found.push((name.clone(), "is missing")),
                Some(other) if other != sql => {
                    found.push((name.clone(), "is another one than this program makes"))
                }
                Some(_) => {}
            }
        }
        let unknown = there.keys().filter(|name| !expected.contains_key(*name));
        found.extend(unknown.map(|name| (name.clone(), "is not known to this program")));
        Ok(found)
    }
}
