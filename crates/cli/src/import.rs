//! Importing: rows of CSV, JSON lines or Parquet become the same records that `record` reads, by a mapping
//! that says which column is what. Edge: rows and columns; recording them is done elsewhere.

mod captured;
mod csv_file;
mod json_lines;
mod mapping;
mod parquet_file;
mod row;

#[cfg(test)]
mod tests;

pub(crate) use captured::Captured;
pub(crate) use csv_file::CsvFile;
pub(crate) use json_lines::JsonLines;
pub(crate) use mapping::Mapping;
pub(crate) use parquet_file::ParquetFile;
pub(crate) use row::Plan;

use crate::failure::Result;
use minutebook_present::json::{Members, Problem};

/// A column of a file whose columns are the same in every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnType {
    /// Its name.
    pub(crate) name: String,
    /// The type that its values have, as in docs/formats/record.md.
    pub(crate) field_type: String,
}

/// Where rows come from.
pub(crate) trait Rows {
    /// The columns, when they are the same in every row.
    fn columns(&self) -> Option<&[ColumnType]>;

    /// The next row: its number, from 1, and its columns, or what is wrong with it. `None` at the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read any further.
    fn next(&mut self) -> Result<Option<(u64, std::result::Result<Members<'static>, Problem>)>>;
}
