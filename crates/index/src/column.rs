//! What a column holds, and what becomes of it when two records say it differently. Edge: types only; values are in `builder`.

use arrow_schema::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

/// What the values of a column are. Widening never loses a value: integers become floats while each of them is a float exactly, and
/// everything else that does not fit becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Nulls only, so far.
    Empty,
    /// False and true.
    Bool,
    /// Integers whose magnitude is at most 2^53: floats exactly.
    Int,
    /// Integers of 64 bits.
    WideInt,
    /// Floats of 64 bits.
    Float,
    /// Text.
    Text,
    /// Lists, tensors, references to blobs: JSON.
    Json,
    /// Instants, ns since 1970.
    Timestamp,
    /// Naive local times, as if they were UTC.
    DateTime,
    /// Days.
    Date,
    /// Values of several of these, decimal fractions, and integers beyond 64 bits with a sign: their text.
    Mixed,
    /// Texts of which a row has several.
    Texts,
    /// Numbers of the engine's own that nobody sees.
    Hidden,
}

/// The zone in which instants are shown.
pub const UTC: &str = "UTC";

impl ColumnType {
    /// The type that holds the values of both.
    pub fn with(self, other: Self) -> Self {
        use ColumnType as T;
        match (self, other) {
            (a, b) if a == b => a,
            (T::Empty, one) | (one, T::Empty) => one,
            (T::Int, T::WideInt) | (T::WideInt, T::Int) => T::WideInt,
            (T::Int, T::Float) | (T::Float, T::Int) => T::Float,
            _ => T::Mixed,
        }
    }

    /// How it is stored.
    pub fn stored(self) -> DataType {
        match self {
            Self::Text | Self::Json | Self::Mixed | Self::Empty => DataType::Utf8,
            other => other.shown(),
        }
    }

    /// How a query sees it.
    pub fn shown(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int | Self::WideInt => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
            Self::DateTime => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Date => DataType::Date32,
            Self::Text | Self::Json | Self::Mixed | Self::Empty => DataType::Utf8View,
            Self::Texts => DataType::new_list(DataType::Utf8, false),
            Self::Hidden => DataType::Binary,
        }
    }

    /// Whether its text has to be read as a number before it is compared with one.
    pub fn is_mixed(self) -> bool {
        matches!(self, Self::Mixed | Self::Empty)
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Bool => "boolean",
            Self::Int | Self::WideInt => "integer",
            Self::Float => "float",
            Self::Text => "text",
            Self::Json => "json",
            Self::Timestamp => "timestamp",
            Self::DateTime => "datetime",
            Self::Date => "date",
            Self::Mixed => "mixed",
            Self::Texts => "texts",
            Self::Hidden => "hidden",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, such as `inputs.age`.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

impl Column {
    /// As it is stored.
    pub fn stored(&self) -> Field {
        Field::new(&self.name, self.kind.stored(), true)
    }

    /// As a query sees it.
    pub fn shown(&self) -> Field {
        Field::new(&self.name, self.kind.shown(), true)
    }
}

/// Adds the columns of a batch to those of its table.
pub fn merge(columns: &mut Vec<Column>, more: &[Column]) {
    for column in more {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => known.kind = known.kind.with(column.kind),
            None => columns.push(column.clone()),
        }
    }
}
