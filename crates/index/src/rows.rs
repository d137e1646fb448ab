//! Rows as JSON, as CSV and as an Arrow stream. Edge: one value after the other; where they go is the caller's.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, SchemaRef};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The media type of an Arrow stream.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// A row as an object: instants as RFC 3339, floats that JSON has no number for as their names, nulls as null.
///
/// # Errors
/// When a value has no text.
pub fn json(rows: &RecordBatch) -> Result<Vec<Map<String, Value>>> {
    let mut objects: Vec<Map<String, Value>> = vec![Map::new(); rows.num_rows()];
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        for (row, object) in objects.iter_mut().enumerate() {
            object.insert(field.name().clone(), value(column, row)?);
        }
    }
    Ok(objects)
}

/// The texts of a column, as far as it is there and of texts.
pub fn texts_of<'r>(rows: &'r RecordBatch, column: &str) -> impl Iterator<Item = &'r str> {
    let texts = rows.column_by_name(column).and_then(|texts| texts.as_string_opt::<i32>());
    texts.into_iter().flat_map(|texts| texts.iter()).flatten()
}

fn value(column: &ArrayRef, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            serde_json::Number::from_f64(value).map_or_else(|| float_name(value).into(), Value::Number)
        }
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|at| value(&items, at)).collect::<Result<_>>()?)
        }
        _ => text(column, row)?.into(),
    })
}

fn float_name(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// A value as text; nothing for null.
///
/// # Errors
/// When it has none.
pub fn text(column: &ArrayRef, row: usize) -> Result<String> {
    if column.is_null(row) {
        return Ok(String::new());
    }
    match column.data_type() {
        DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, Some(_)) => {
            let ns = column.as_primitive::<TimestampNanosecondType>().value(row);
            Ok(Timestamp::from_nanosecond(ns.into()).map(|at| at.to_string()).unwrap_or_default())
        }
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            Ok(if value.is_finite() { value.to_string() } else { float_name(value).into() })
        }
        DataType::List(_) => Ok(value(column, row)?.to_string()),
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options).map_err(internal)?;
            Ok(formatter.value(row).try_to_string().map_err(internal)?)
        }
    }
}

/// A line of CSV with the names of the columns.
pub fn csv_header(schema: &SchemaRef) -> String {
    line(schema.fields().iter().map(|field| field.name().clone()))
}

/// Rows as lines of CSV (RFC 4180): null is nothing, text that could be mistaken stands in quotes.
///
/// # Errors
/// When a value has no text.
pub fn csv(rows: &RecordBatch) -> Result<String> {
    let mut lines = String::new();
    for row in 0..rows.num_rows() {
        let cells = rows.columns().iter().map(|column| text(column, row)).collect::<Result<Vec<_>>>()?;
        lines.push_str(&line(cells.into_iter()));
    }
    Ok(lines)
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cell = |cell: String| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    let mut line = cells.map(cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// An Arrow IPC stream that is written piece by piece.
pub struct ArrowStream(StreamWriter<Vec<u8>>);

impl ArrowStream {
    /// A stream of rows of a schema.
    ///
    /// # Errors
    /// When the schema cannot be written.
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        StreamWriter::try_new(Vec::new(), schema).map(Self).map_err(internal)
    }

    /// The bytes of more rows, with those of the schema when they are the first.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<Vec<u8>> {
        self.0.write(rows).map_err(internal)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// The bytes of the schema alone, when there are no rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self) -> Result<Vec<u8>> {
        self.0.flush().map_err(internal)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// The bytes of the end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.0.finish().map_err(internal)?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::Query(error.to_string())
}
