//! Parquet, read row by row. Types are those of the file: single floats, small integers, times with and
//! without a zone stay what they are.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_record::{Integer, Seconds};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::Decimal;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::{ColumnType, Rows};
use crate::failure::{Exit, Failure, Result};
use minutebook_present::json::{self, Members, Problem, Tree};

/// A Parquet file.
pub(crate) struct ParquetFile {
    path: PathBuf,
    columns: Vec<ColumnType>,
    rows: RowIter<'static>,
    number: u64,
}

impl ParquetFile {
    /// Opens a file and looks at its schema.
    ///
    /// # Errors
    ///
    /// When it is no Parquet file, or has a column of a type that records do not have.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
        let reader = SerializedFileReader::new(file).map_err(|error| failure(path, &error))?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let mut columns = Vec::new();
        for column in schema.get_fields() {
            let name = column.name().to_owned();
            let field_type = type_of(column).ok_or_else(|| {
                let what = format!("`{}`: column `{name}` has a type that is not read", path.display());
                Failure::input(what, "write the file without it, or with another type")
            })?;
            columns.push(ColumnType { name, field_type });
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            rows: RowIter::from_file_into(Box::new(reader)),
            number: 0,
        })
    }
}

fn failure(path: &Path, error: &ParquetError) -> Failure {
    let what = format!("`{}` cannot be read as Parquet: {error}", path.display());
    Failure::Told { exit: Exit::Input, what, to_do: None }
}

/// The type of the values of a column, as records name it; `None` for what the row reader does not read.
fn type_of(column: &Type) -> Option<String> {
    let info = column.get_basic_info();
    let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    if repeated {
        return readable(column).then(|| "list".into());
    }
    if !column.is_primitive() {
        let list = matches!(info.converted_type(), ConvertedType::LIST);
        return readable(column).then(|| if list { "list".into() } else { "map".into() });
    }
    let name = match (info.logical_type_ref(), info.converted_type(), column.get_physical_type()) {
        (Some(LogicalType::Timestamp(timestamp)), ..) => {
            return Some(if timestamp.is_adjusted_to_u_t_c { "timestamp".into() } else { "datetime".into() });
        }
        // Fixed bytes of these two are not what they look like.
        (Some(LogicalType::Float16), ..) => return None,
        (_, ConvertedType::INTERVAL, _) => return None,
        (_, _, Physical::INT96) => "datetime",
        (_, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS, _) => "timestamp",
        (_, ConvertedType::DECIMAL, _) => "decimal",
        (_, ConvertedType::DATE, _) => "date",
        (_, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS, _) => "text",
        (_, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON, _) => "text",
        (_, ConvertedType::UINT_8, _) => "u8",
        (_, ConvertedType::UINT_16, _) => "u16",
        (_, ConvertedType::UINT_32, _) => "u32",
        (_, ConvertedType::UINT_64, _) => "u64",
        (_, ConvertedType::INT_8, _) => "i8",
        (_, ConvertedType::INT_16, _) => "i16",
        (_, _, Physical::BOOLEAN) => "bool",
        (_, _, Physical::INT32) => "i32",
        (_, _, Physical::INT64) => "i64",
        (_, _, Physical::FLOAT) => "f32",
        (_, _, Physical::DOUBLE) => "f64",
        (_, _, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => "bytes",
    };
    Some(name.to_owned())
}

/// Whether all columns within a nested one can be read.
fn readable(column: &Type) -> bool {
    column.is_primitive()
        || column.get_fields().iter().all(|inner| {
            if inner.is_primitive() {
                let info = inner.get_basic_info();
                !matches!(info.logical_type_ref(), Some(LogicalType::Float16))
                    && info.converted_type() != ConvertedType::INTERVAL
            } else {
                readable(inner)
            }
        })
}

impl Rows for ParquetFile {
    fn columns(&self) -> Option<&[ColumnType]> {
        Some(&self.columns)
    }

    fn next(&mut self) -> Result<Option<(u64, std::result::Result<Members<'static>, Problem>)>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.number += 1;
        let row = row.map_err(|error| failure(&self.path, &error))?;
        let column = |((name, field), column): ((&String, &Field), &ColumnType)| {
            let value = top(field, &column.field_type).map_err(|problem| problem.within(name))?;
            Ok((Cow::Owned(name.clone()), value))
        };
        let members = row.get_column_iter().zip(&self.columns).map(column).collect();
        Ok(Some((self.number, members)))
    }
}

/// A value of a column, with its type where JSON has not just that one.
fn top(field: &Field, field_type: &str) -> std::result::Result<Tree<'static>, Problem> {
    let value = match (field, field_type) {
        // Nanoseconds are plain numbers to the row reader.
        (Field::Long(nanoseconds), "timestamp") => {
            instant("$timestamp", Seconds::from_nanoseconds(*nanoseconds))
        }
        (Field::Long(nanoseconds), "datetime") => {
            instant("$datetime", Seconds::from_nanoseconds(*nanoseconds))
        }
        (Field::TimestampMillis(ms), name) => instant(time_name(name), of_parts(*ms, 1_000)?),
        (Field::TimestampMicros(us), name) => instant(time_name(name), of_parts(*us, 1_000_000)?),
        _ => value(field)?,
    };
    let natural = matches!(field_type, "i64" | "f64" | "bool" | "text" | "list" | "map")
        && !matches!(value, Tree::Null);
    if natural || field_type == "null" {
        return Ok(value);
    }
    let content =
        vec![("type".into(), Tree::Text(Cow::Owned(field_type.to_owned()))), ("value".into(), value)];
    Ok(Tree::Object(vec![("$typed".into(), Tree::Object(content))]))
}

fn time_name(field_type: &str) -> &'static str {
    if field_type == "datetime" { "$datetime" } else { "$timestamp" }
}

fn of_parts(number: i64, parts: i64) -> std::result::Result<Seconds, Problem> {
    let nanoseconds = number.rem_euclid(parts) * (1_000_000_000 / parts);
    Seconds::new(number.div_euclid(parts), nanoseconds as u32)
        .map_err(|error| Problem::new(error.to_string()))
}

fn instant(name: &'static str, at: Seconds) -> Tree<'static> {
    special(name, json::instant_tree(name, at))
}

fn special(name: &'static str, content: Tree<'static>) -> Tree<'static> {
    Tree::Object(vec![(name.into(), content)])
}

fn text(text: impl Into<String>) -> Tree<'static> {
    Tree::Text(Cow::Owned(text.into()))
}

fn value(field: &Field) -> std::result::Result<Tree<'static>, Problem> {
    Ok(match field {
        Field::Null => Tree::Null,
        Field::Bool(value) => Tree::Bool(*value),
        Field::Byte(value) => Tree::Integer((*value).into()),
        Field::Short(value) => Tree::Integer((*value).into()),
        Field::Int(value) => Tree::Integer((*value).into()),
        Field::Long(value) => Tree::Integer((*value).into()),
        Field::UByte(value) => Tree::Integer((*value).into()),
        Field::UShort(value) => Tree::Integer((*value).into()),
        Field::UInt(value) => Tree::Integer((*value).into()),
        Field::ULong(value) => Tree::Integer((*value).into()),
        Field::Float16(value) => Tree::Float(value.to_f64()),
        Field::Float(value) => Tree::Float(f64::from(*value)),
        Field::Double(value) => Tree::Float(*value),
        Field::Decimal(value) => special("$decimal", text(decimal(value)?)),
        Field::Str(value) => text(value.as_str()),
        Field::Bytes(value) => special("$bytes", text(BASE64.encode(value.data()))),
        Field::Date(days) => special("$date", json::date_tree(*days)),
        Field::TimeMillis(ms) => text(time_of_day(i64::from(*ms) * 1_000_000)),
        Field::TimeMicros(us) => text(time_of_day(*us * 1_000)),
        Field::TimestampMillis(ms) => instant("$timestamp", of_parts(*ms, 1_000)?),
        Field::TimestampMicros(us) => instant("$timestamp", of_parts(*us, 1_000_000)?),
        Field::Group(row) => {
            let member = |(name, field): (&String, &Field)| Ok((Cow::Owned(name.clone()), value(field)?));
            map(row.get_column_iter().map(member).collect::<std::result::Result<_, Problem>>()?)
        }
        Field::ListInternal(list) => {
            Tree::Array(list.elements().iter().map(value).collect::<std::result::Result<_, Problem>>()?)
        }
        Field::MapInternal(entries) => {
            let member = |(key, field): &(Field, Field)| match key {
                Field::Str(key) => Ok((Cow::Owned(key.clone()), value(field)?)),
                _ => Err(Problem::new("a map whose keys are not text")),
            };
            map(entries.entries().iter().map(member).collect::<std::result::Result<_, Problem>>()?)
        }
        #[allow(unreachable_patterns, reason = "types that a later reader may know")]
        _ => return Err(Problem::new("a type that is not read")),
    })
}

/// A map, also one with names that begin with `$`.
fn map(members: Members<'static>) -> Tree<'static> {
    if members.iter().any(|(name, _)| name.starts_with('$')) {
        special("$map", Tree::Object(members))
    } else {
        Tree::Object(members)
    }
}

/// Digits of a decimal, of which the mantissa is big-endian.
fn decimal(value: &Decimal) -> std::result::Result<String, Problem> {
    let bytes = value.data();
    if bytes.len() > 16 {
        return Err(Problem::new("a decimal of more than 38 digits"));
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mantissa =
        bytes.iter().fold(if negative { -1i128 } else { 0 }, |all, byte| all << 8 | i128::from(*byte));
    let mantissa =
        Integer::new(mantissa).map_err(|_| Problem::new("a decimal whose digits exceed 64 bits"))?;
    Ok(json::decimal(-value.scale(), mantissa))
}

fn time_of_day(nanoseconds: i64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let fraction = format!("{:09}", nanoseconds % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{:02}:{:02}:{:02}{point}{fraction}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
