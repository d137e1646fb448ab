//! Rows of a search or of SQL as a table. Edge: texts in; what is too wide for the terminal is cut.

use super::Look;
use super::table::{Column, whole};
use super::words::printable;

/// Columns that a cell keeps when others need room.
const LEAST: usize = 8;

/// A table of rows, each of as many cells as there are titles; what is numbers throughout stands to the right.
pub fn rows(look: &Look, titles: &[String], rows: &[Vec<String>]) -> String {
    let is_number = |place: usize| {
        let mut cells = rows.iter().map(|row| row[place].as_str()).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    };
    let titles: Vec<String> = titles.iter().map(|title| printable(title).into_owned()).collect();
    let columns: Vec<Column<'_>> = titles
        .iter()
        .enumerate()
        .map(|(place, title)| {
            let least = LEAST.max(title.chars().count().min(2 * LEAST));
            if is_number(place) { Column::right(title) } else { Column::left(title).cut_to(least) }
        })
        .collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell).into_owned()).collect()).collect();
    let mut out = String::new();
    whole(&mut out, look, "", &columns, &cells);
    out
}
