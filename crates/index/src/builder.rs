//! Values in, columns out: a builder that widens as values need it. Edge: knows values; which record they are from is `projection`'s.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
    TimestampNanosecondBuilder,
};
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field};
use minutebook_present::json;
use minutebook_record::{FieldType, Seconds, Value};

use crate::column::{ColumnType, UTC};

/// The largest integer up to which every one is a float exactly.
const EXACT_MAX: i64 = 1 << 53;

/// One value of a column.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Missing.
    Null,
    /// False or true.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// JSON.
    Json(&'a str),
    /// An instant, ns since 1970.
    Timestamp(i64),
    /// A naive local time.
    DateTime(i64),
    /// Days since 1970.
    Date(i32),
    /// Text of what is of no type here.
    Other(&'a str),
}

enum Values {
    Empty,
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Timestamp(TimestampNanosecondBuilder),
    Date(Date32Builder),
    Texts(ListBuilder<StringBuilder>),
    Hidden(BinaryBuilder),
}

/// A column that is being filled.
pub struct ColumnBuilder {
    kind: ColumnType,
    values: Values,
    rows: usize,
}

impl ColumnBuilder {
    /// A column that begins with this type; [`ColumnType::Empty`] takes that of its first value.
    pub fn new(kind: ColumnType) -> Self {
        Self { kind, values: Values::of(kind), rows: 0 }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fills up with nulls to so many rows.
    pub fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.rows);
        if missing > 0 {
            self.values.nulls(missing);
            self.rows = rows;
        }
    }

    /// Appends a value.
    pub fn push(&mut self, cell: Cell<'_>) {
        let needed = cell.kind();
        if needed != ColumnType::Empty {
            let wanted = self.kind.with(needed);
            if wanted != self.kind {
                self.widen(wanted);
            }
        }
        self.rows += 1;
        match (&mut self.values, cell) {
            (Values::Empty, _) => {}
            (values, Cell::Null) => values.nulls(1),
            (Values::Bool(column), Cell::Bool(value)) => column.append_value(value),
            (Values::Int(column), Cell::Int(value)) => column.append_value(value),
            (Values::Float(column), Cell::Float(value)) => column.append_value(value),
            (Values::Float(column), Cell::Int(value)) => column.append_value(value as f64),
            (Values::Timestamp(column), Cell::Timestamp(value) | Cell::DateTime(value)) => {
                column.append_value(value);
            }
            (Values::Date(column), Cell::Date(value)) => column.append_value(value),
            (Values::Text(column), Cell::Text(value) | Cell::Json(value) | Cell::Other(value)) => {
                column.append_value(value);
            }
            (Values::Text(column), other) => column.append_value(text_of(other)),
            // INVARIANT: the column was widened to hold what is pushed.
            (_, other) => unreachable!("{:?} in a column of {:?}", other.kind(), self.kind),
        }
    }

    /// Appends several texts as one row.
    pub fn push_texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        if self.kind == ColumnType::Empty {
            self.widen(ColumnType::Texts);
        }
        if let Values::Texts(column) = &mut self.values {
            texts.into_iter().for_each(|text| column.values().append_value(text));
            column.append(true);
            self.rows += 1;
        }
    }

    /// Appends bytes that nobody sees.
    pub fn push_hidden(&mut self, bytes: &[u8]) {
        if let Values::Hidden(column) = &mut self.values {
            column.append_value(bytes);
            self.rows += 1;
        }
    }

    /// The column, which is then empty and of the type that it began with.
    pub fn finish(&mut self, rows: usize, first: ColumnType) -> (ArrayRef, ColumnType) {
        self.pad(rows);
        let kind = self.kind;
        let array = self.values.finish(kind, rows);
        *self = Self::new(first);
        (array, kind)
    }

    fn widen(&mut self, wanted: ColumnType) {
        let same_form = std::mem::discriminant(&Values::of(wanted)) == std::mem::discriminant(&self.values)
            && !matches!(self.values, Values::Timestamp(_));
        if !same_form {
            let before = self.values.finish(self.kind, self.rows);
            self.values = Values::from(before, wanted, self.rows);
        }
        self.kind = wanted;
    }
}

impl Cell<'_> {
    fn kind(&self) -> ColumnType {
        match self {
            Self::Null => ColumnType::Empty,
            Self::Bool(_) => ColumnType::Bool,
            Self::Int(value) if (-EXACT_MAX..=EXACT_MAX).contains(value) => ColumnType::Int,
            Self::Int(_) => ColumnType::WideInt,
            Self::Float(_) => ColumnType::Float,
            Self::Text(_) => ColumnType::Text,
            Self::Json(_) => ColumnType::Json,
            Self::Timestamp(_) => ColumnType::Timestamp,
            Self::DateTime(_) => ColumnType::DateTime,
            Self::Date(_) => ColumnType::Date,
            Self::Other(_) => ColumnType::Mixed,
        }
    }
}

impl Values {
    fn of(kind: ColumnType) -> Self {
        use ColumnType as T;
        match kind {
            T::Empty => Self::Empty,
            T::Bool => Self::Bool(BooleanBuilder::new()),
            T::Int | T::WideInt => Self::Int(Int64Builder::new()),
            T::Float => Self::Float(Float64Builder::new()),
            T::Text | T::Json | T::Mixed => Self::Text(StringBuilder::new()),
            T::Timestamp | T::DateTime => Self::Timestamp(TimestampNanosecondBuilder::new()),
            T::Date => Self::Date(Date32Builder::new()),
            T::Texts => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(Field::new(
                "item",
                DataType::Utf8,
                false,
            ))),
            T::Hidden => Self::Hidden(BinaryBuilder::new()),
        }
    }

    /// A builder of another type that has the values of an array.
    fn from(array: ArrayRef, kind: ColumnType, rows: usize) -> Self {
        let mut values = Self::of(kind);
        if array.null_count() == rows {
            values.nulls(rows);
            return values;
        }
        // INVARIANT: only to floats and to text is widened what has values, and arrow casts both.
        let array = cast(&array, &kind.stored()).expect("a cast to a wider type");
        match &mut values {
            Self::Float(column) => {
                array
                    .as_any()
                    .downcast_ref::<arrow_array::Float64Array>()
                    .into_iter()
                    .flatten()
                    .for_each(|value| column.append_option(value));
            }
            Self::Text(column) => {
                array
                    .as_any()
                    .downcast_ref::<StringArray>()
                    .into_iter()
                    .flatten()
                    .for_each(|value| column.append_option(value));
            }
            Self::Int(column) => {
                array
                    .as_any()
                    .downcast_ref::<Int64Array>()
                    .into_iter()
                    .flatten()
                    .for_each(|value| column.append_option(value));
            }
            _ => {}
        }
        values
    }

    fn nulls(&mut self, count: usize) {
        match self {
            Self::Empty => {}
            Self::Bool(column) => column.append_nulls(count),
            Self::Int(column) => column.append_nulls(count),
            Self::Float(column) => column.append_nulls(count),
            Self::Text(column) => (0..count).for_each(|_| column.append_null()),
            Self::Timestamp(column) => column.append_nulls(count),
            Self::Date(column) => column.append_nulls(count),
            Self::Texts(column) => (0..count).for_each(|_| column.append(false)),
            Self::Hidden(column) => (0..count).for_each(|_| column.append_null()),
        }
    }

    fn finish(&mut self, kind: ColumnType, rows: usize) -> ArrayRef {
        match self {
            Self::Empty => Arc::new(StringArray::new_null(rows)),
            Self::Bool(column) => Arc::new(column.finish()),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Text(column) => Arc::new(column.finish()),
            Self::Timestamp(column) => {
                let zone = (kind == ColumnType::Timestamp).then_some(UTC);
                Arc::new(column.finish().with_timezone_opt(zone))
            }
            Self::Date(column) => Arc::new(column.finish()),
            Self::Texts(column) => Arc::new(column.finish()),
            Self::Hidden(column) => Arc::new(column.finish()),
        }
    }
}

/// The text of a value in a column of several types: what arrow's cast of its column gives, so that all files of a table agree.
fn text_of(cell: Cell<'_>) -> String {
    let mut one = ColumnBuilder::new(ColumnType::Empty);
    one.push(cell);
    let (array, _) = one.finish(1, ColumnType::Empty);
    let text = cast(&array, &DataType::Utf8).ok();
    let text = text.as_ref().and_then(|text| text.as_any().downcast_ref::<StringArray>());
    text.map(|text| text.value(0).to_owned()).unwrap_or_default()
}

/// Hands a decoded value over as a cell.
pub fn with_cell(value: &Value, field_type: &FieldType, give: &mut dyn FnMut(Cell<'_>)) {
    match value {
        Value::Null => give(Cell::Null),
        Value::Bool(value) => give(Cell::Bool(*value)),
        Value::Integer(value) => match i64::try_from(value.get()) {
            Ok(value) => give(Cell::Int(value)),
            Err(_) => give(Cell::Other(&value.to_string())),
        },
        Value::Float(value) => give(Cell::Float(*value)),
        Value::Decimal { exponent, mantissa } => give(Cell::Other(&json::decimal(*exponent, *mantissa))),
        Value::Text(text) => give(Cell::Text(text)),
        Value::Bytes(bytes) => give(Cell::Text(&minutebook_verify::hex(bytes))),
        Value::Timestamp(at) => match (nanoseconds(*at), field_type) {
            (Some(ns), FieldType::DateTime) => give(Cell::DateTime(ns)),
            (Some(ns), _) => give(Cell::Timestamp(ns)),
            // Before 1677 or after 2262: its own text.
            (None, _) => give(Cell::Other(&json::field_value(field_type, &encoded(value)).to_string())),
        },
        Value::Date(days) => give(Cell::Date(*days)),
        Value::Duration(span) => match nanoseconds(*span) {
            Some(ns) => give(Cell::Int(ns)),
            None => give(Cell::Other(&format!("{}", span.seconds()))),
        },
        Value::List(_) | Value::Map(_) | Value::Tensor(_) | Value::Blob(_) => {
            give(Cell::Json(&json_text(field_type, &encoded(value))));
        }
    }
}

/// An encoded value as JSON, without what says its type.
pub fn json_text(field_type: &FieldType, encoded: &[u8]) -> String {
    let mut json = json::field_value(field_type, encoded);
    while let Some(object) = json.as_object_mut()
        && object.len() == 1
        && let Some(inner) = object.get_mut("$typed").and_then(|typed| typed.get_mut("value"))
    {
        json = inner.take();
    }
    json.to_string()
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A value that was decoded encodes again.
    let _ = value.encode(&value.natural_type(), &mut bytes);
    bytes
}

fn nanoseconds(at: Seconds) -> Option<i64> {
    at.seconds().checked_mul(1_000_000_000)?.checked_add(at.nanoseconds().into())
}
