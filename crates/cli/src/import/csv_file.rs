//! CSV. Types are found by reading the whole file first, so that a column has one type in all rows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, StringRecordsIntoIter};
use minutebook_record::Integer;

use super::row::Plan;
use super::{ColumnType, Rows};
use crate::failure::{Exit, Failure, Result};
use minutebook_present::json::{Members, Problem, Tree};

/// A file of comma-separated values.
pub(crate) struct CsvFile {
    path: PathBuf,
    columns: Vec<ColumnType>,
    readings: Vec<Reading>,
    rows: StringRecordsIntoIter<File>,
    number: u64,
}

/// How the cells of a column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading {
    /// As text, whatever it is for.
    Raw,
    /// As a value of a type that JSON has.
    Plain(Guess),
    /// As a value of a declared type.
    Declared(String),
}

/// What all cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    /// Nothing but empty cells.
    Empty,
    Bool,
    Integer,
    Float,
    Text,
}

impl CsvFile {
    /// Opens a file, and reads it once to find the types of its columns.
    ///
    /// # Errors
    ///
    /// When it cannot be read, has no header, or a name in it twice.
    pub(crate) fn open(path: &Path, delimiter: u8, plan: &Plan) -> Result<Self> {
        let names = header(path, delimiter)?;
        let declared = plan.declared();
        let readings = readings(path, delimiter, &names, &declared, plan)?;
        let columns = names.iter().zip(&readings).map(|(name, reading)| ColumnType {
            name: name.clone(),
            field_type: match reading {
                Reading::Raw => "text".into(),
                Reading::Plain(guess) => guess.type_name().into(),
                Reading::Declared(name) => name.clone(),
            },
        });
        let columns = columns.collect();
        let rows = open(path, delimiter)?.into_records();
        Ok(Self { path: path.to_owned(), columns, readings, rows, number: 0 })
    }
}

fn open(path: &Path, delimiter: u8) -> Result<Reader<File>> {
    let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(ReaderBuilder::new().delimiter(delimiter).from_reader(file))
}

fn header(path: &Path, delimiter: u8) -> Result<Vec<String>> {
    let mut reader = open(path, delimiter)?;
    let header = reader.headers().map_err(|error| failure(path, &error))?;
    let names: Vec<String> = header.iter().map(str::to_owned).collect();
    let wrong = |what: String| {
        Failure::input(format!("`{}`: {what}", path.display()), "the first row names the columns")
    };
    if names.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(wrong(format!("two columns are called `{}`", two[0]))),
        None => Ok(names),
    }
}

/// How each column is read: as its role or its declared type says, else as all its cells allow.
fn readings(
    path: &Path,
    delimiter: u8,
    names: &[String],
    declared: &HashMap<String, String>,
    plan: &Plan,
) -> Result<Vec<Reading>> {
    let mut readings: Vec<Reading> = names
        .iter()
        .map(|name| match declared.get(name) {
            _ if !plan.role(name).is_value() => Reading::Raw,
            Some(field_type) => Reading::Declared(field_type.clone()),
            None => Reading::Plain(Guess::Empty),
        })
        .collect();
    if !readings.iter().any(|reading| matches!(reading, Reading::Plain(_))) {
        return Ok(readings);
    }
    let mut reader = open(path, delimiter)?;
    let mut row = StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(readings),
            // Told with its number when the rows are read.
            Err(error) if !error.is_io_error() => continue,
            Err(error) => return Err(failure(path, &error)),
        }
        for (reading, cell) in readings.iter_mut().zip(&row) {
            if let Reading::Plain(guess) = reading {
                *guess = guess.joined(cell);
            }
        }
    }
}

fn failure(path: &Path, error: &csv::Error) -> Failure {
    let exit = if error.is_io_error() { Exit::Io } else { Exit::Input };
    Failure::Told { exit, what: format!("`{}`: {}", path.display(), reason(error)), to_do: None }
}

/// The library's words, but for the cells that some of its messages show.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".into(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells, and the first row has {expected_len}")
        }
        _ => "it is malformed".into(),
    }
}

impl Guess {
    fn type_name(self) -> &'static str {
        match self {
            Self::Empty => "null",
            Self::Bool => "bool",
            Self::Integer => "i64",
            Self::Float => "f64",
            Self::Text => "text",
        }
    }

    /// What the column is with one more cell.
    fn joined(self, cell: &str) -> Self {
        if cell.is_empty() || self == Self::Text {
            return self;
        }
        let this = of_cell(cell);
        match (self, this) {
            (Self::Empty, this) => this,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (before, this) if before == this => this,
            _ => Self::Text,
        }
    }
}

/// What one cell is. A number with a leading zero or a plus is an identifier, not a number.
fn of_cell(cell: &str) -> Guess {
    if boolean(cell).is_some() {
        return Guess::Bool;
    }
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits {
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        return if !leading_zero && cell.parse::<i64>().is_ok() { Guess::Integer } else { Guess::Text };
    }
    if float(cell).is_some() { Guess::Float } else { Guess::Text }
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn float(cell: &str) -> Option<f64> {
    match cell {
        "NaN" | "nan" => return Some(f64::NAN),
        "inf" | "Infinity" => return Some(f64::INFINITY),
        "-inf" | "-Infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if !begins || leading_zero {
        return None;
    }
    cell.parse().ok().filter(|value: &f64| value.is_finite())
}

impl Rows for CsvFile {
    fn columns(&self) -> Option<&[ColumnType]> {
        Some(&self.columns)
    }

    fn next(&mut self) -> Result<Option<(u64, std::result::Result<Members<'static>, Problem>)>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.number += 1;
        let row = match row {
            Ok(row) => row,
            Err(error) if error.is_io_error() => return Err(failure(&self.path, &error)),
            Err(error) => return Ok(Some((self.number, Err(Problem::new(reason(&error)))))),
        };
        let cell = |(cell, (column, reading)): (&str, (&ColumnType, &Reading))| {
            let value = read(cell, reading).map_err(|problem| problem.within(&column.name))?;
            Ok((Cow::Owned(column.name.clone()), value))
        };
        let members = row.iter().zip(self.columns.iter().zip(&self.readings)).map(cell).collect();
        Ok(Some((self.number, members)))
    }
}

fn typed(field_type: &str, value: Tree<'static>) -> Tree<'static> {
    let content =
        vec![("type".into(), Tree::Text(Cow::Owned(field_type.to_owned()))), ("value".into(), value)];
    Tree::Object(vec![("$typed".into(), Tree::Object(content))])
}

fn read(cell: &str, reading: &Reading) -> std::result::Result<Tree<'static>, Problem> {
    let text = || Tree::Text(Cow::Owned(cell.to_owned()));
    match reading {
        Reading::Raw if cell.is_empty() => Ok(Tree::Null),
        Reading::Raw => Ok(text()),
        // A column has one type, also where it is empty.
        Reading::Plain(Guess::Empty) => Ok(Tree::Null),
        Reading::Plain(guess) if cell.is_empty() => Ok(typed(guess.type_name(), Tree::Null)),
        Reading::Plain(Guess::Text) => Ok(text()),
        Reading::Plain(guess) => {
            plain(cell, *guess).ok_or_else(|| Problem::new("the file changed while it was read"))
        }
        Reading::Declared(name) => declared(cell, name),
    }
}

fn plain(cell: &str, guess: Guess) -> Option<Tree<'static>> {
    match guess {
        Guess::Empty | Guess::Text => Some(Tree::Text(Cow::Owned(cell.to_owned()))),
        Guess::Bool => boolean(cell).map(Tree::Bool),
        Guess::Integer => cell.parse::<i64>().ok().map(|value| Tree::Integer(value.into())),
        Guess::Float => float(cell).map(Tree::Float),
    }
}

/// A cell as a value of a declared type. What does not fit is told by the check of the whole record.
fn declared(cell: &str, name: &str) -> std::result::Result<Tree<'static>, Problem> {
    let text = || Tree::Text(Cow::Owned(cell.to_owned()));
    if cell.is_empty() && name != "text" && name != "category" {
        return Ok(typed(name, Tree::Null));
    }
    let special = |name: &'static str| Tree::Object(vec![(name.into(), text())]);
    let value = match name {
        "bool" => Tree::Bool(boolean(cell).ok_or_else(|| Problem::new("not true or false"))?),
        "f16" | "f32" | "f64" => Tree::Float(float(cell).ok_or_else(|| Problem::new("not a number"))?),
        "decimal" => special("$decimal"),
        "date" => special("$date"),
        "duration" => special("$duration"),
        "bytes" => special("$bytes"),
        "list" | "map" => json(cell)?,
        _ if is_integer(name) => {
            let value: Option<i128> = cell.parse().ok();
            let value = value.and_then(|value| Integer::new(value).ok());
            Tree::Integer(value.ok_or_else(|| Problem::new("not an integer of 64 bits"))?)
        }
        _ => text(),
    };
    Ok(typed(name, value))
}

fn is_integer(name: &str) -> bool {
    matches!(name, "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64")
}

fn json(cell: &str) -> std::result::Result<Tree<'static>, Problem> {
    Tree::parse(cell.as_bytes()).map(Tree::into_owned)
}
