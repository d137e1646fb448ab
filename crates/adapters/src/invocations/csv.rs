//! CSV with a header as rows: a column is integers, numbers or text, as all of its cells allow, so that every row of a call has the same types. Edge:
//! cells; what they mean is the model's.

use std::borrow::Cow;

use minutebook_present::json::{Problem, Tree};

use super::bounded;
use crate::exchange::Row;
use crate::foreign::owned;

/// What all cells of a column are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Integer,
    Number,
    Text,
}

/// The rows of a body.
pub(super) fn rows(body: &[u8]) -> Result<Vec<Row>, Problem> {
    let mut reader = csv::ReaderBuilder::new().from_reader(body);
    // Its messages may show cells.
    let broken = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        Problem::new(format!("not CSV in UTF-8 with the same number of cells in each line, at line {line}"))
    };
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let mut records = Vec::new();
    for record in reader.records() {
        records.push(record.map_err(broken)?);
        bounded(records.len())?;
    }
    let types: Vec<Column> = (0..names.len())
        .map(|at| {
            records.iter().filter_map(|record| record.get(at)).map(of_cell).max().unwrap_or(Column::Text)
        })
        .collect();
    let row = |record: &csv::StringRecord| -> Row {
        let cells = record.iter().zip(&types).zip(&names);
        cells.map(|((cell, column), name)| (Cow::Owned(name.clone()), value(cell, *column))).collect()
    };
    Ok(records.iter().map(row).collect())
}

/// The narrowest type that a cell allows; an empty one allows all. A number with a leading zero is text: it is a code.
fn of_cell(cell: &str) -> Column {
    let digits = cell.strip_prefix('-').unwrap_or(cell).as_bytes();
    let is_code = matches!(digits, [b'0', b'0'..=b'9', ..]);
    if cell.is_empty() || (!is_code && cell.parse::<i64>().is_ok_and(|value| value.to_string() == cell)) {
        Column::Integer
    } else if !is_code
        && matches!(digits, [b'0'..=b'9' | b'.', ..])
        && cell.parse::<f64>().is_ok_and(f64::is_finite)
    {
        Column::Number
    } else {
        Column::Text
    }
}

fn value(cell: &str, column: Column) -> Tree<'static> {
    match column {
        _ if cell.is_empty() => Tree::Null,
        Column::Integer => {
            cell.parse::<i64>().map_or_else(|_| owned(cell), |value| Tree::Integer(value.into()))
        }
        Column::Number => cell.parse().map_or_else(|_| owned(cell), Tree::Float),
        Column::Text => owned(cell),
    }
}
