//! Tables: columns as wide as they need, and where a terminal is too narrow, the columns that may be cut give
//! way. Edge: cells are one line each.

use super::{Look, dim, words};

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    pub(super) title: &'a str,
    pub(super) right: bool,
    /// Columns that it keeps at least when others need room; as wide as it is when `None`.
    pub(super) least: Option<usize>,
}

impl<'a> Column<'a> {
    pub(super) const fn left(title: &'a str) -> Self {
        Self { title, right: false, least: None }
    }

    pub(super) const fn right(title: &'a str) -> Self {
        Self { title, right: true, least: None }
    }

    pub(super) const fn cut_to(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }
}

/// A text and how it is painted.
pub(super) type Cell = (String, fn(&str) -> String);

const GAP: &str = "  ";

/// Widths of the columns for these cells: what they need, less what the terminal lacks.
pub(super) fn widths(look: &Look, columns: &[Column<'_>], rows: &[Vec<String>], indent: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| words::width(column.title)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(words::width(cell));
        }
    }
    let Some(terminal) = look.width else { return widths };
    let taken =
        |widths: &[usize]| indent + widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
    // The widest that may gives way first.
    while let Some(excess) = taken(&widths).checked_sub(terminal).filter(|excess| *excess > 0) {
        let spare =
            |place: usize| columns[place].least.map_or(0, |least| widths[place].saturating_sub(least));
        let widest = (0..widths.len()).filter(|place| spare(*place) > 0).max_by_key(|place| widths[*place]);
        let Some(widest) = widest else { break };
        widths[widest] -= spare(widest).min(excess.div_ceil(2));
    }
    widths
}

/// Appends one line of cells, each with how it is painted.
pub(super) fn line(out: &mut String, look: &Look, columns: &[Column<'_>], widths: &[usize], cells: &[Cell]) {
    let last = cells.len().saturating_sub(1);
    for (place, ((cell, paint), (column, width))) in cells.iter().zip(columns.iter().zip(widths)).enumerate()
    {
        let cell = words::cut(look, cell, *width);
        let padding = " ".repeat(width - words::width(&cell));
        if place > 0 {
            out.push_str(GAP);
        }
        if column.right {
            out.push_str(&padding);
        }
        out.push_str(&paint(&cell));
        if !column.right && place < last {
            out.push_str(&padding);
        }
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}

/// Appends the titles.
pub(super) fn titles(out: &mut String, look: &Look, columns: &[Column<'_>], widths: &[usize]) {
    let paint: fn(&str) -> String = dim;
    let cells: Vec<_> = columns.iter().map(|column| (column.title.to_owned(), paint)).collect();
    line(out, look, columns, widths, &cells);
}

/// Appends a whole table behind an indent.
pub(super) fn whole(
    out: &mut String,
    look: &Look,
    indent: &str,
    columns: &[Column<'_>],
    rows: &[Vec<String>],
) {
    let widths = widths(look, columns, rows, indent.len());
    out.push_str(indent);
    titles(out, look, columns, &widths);
    let plain: fn(&str) -> String = str::to_owned;
    for row in rows {
        out.push_str(indent);
        let cells: Vec<_> = row.iter().map(|cell| (cell.clone(), plain)).collect();
        line(out, look, columns, &widths, &cells);
    }
}

/// Appends names and values, the values aligned; a value that is too long goes on below itself.
pub(super) fn pairs(out: &mut String, look: &Look, indent: &str, pairs: &[(String, String)]) {
    let widest = pairs.iter().map(|(name, _)| words::width(name)).max().unwrap_or(0);
    // One very long name must not push all values out of sight.
    let widest = widest.min(look.width.map_or(usize::MAX, |width| width / 2));
    for (name, value) in pairs {
        let name = words::cut(look, name, widest);
        let padding = " ".repeat(widest - words::width(&name));
        out.push_str(indent);
        out.push_str(&dim(&name));
        out.push_str(&padding);
        out.push_str(GAP);
        let column = indent.len() + widest + GAP.len();
        let room = look.width.map_or(usize::MAX, |width| width.saturating_sub(column).max(20));
        broken(out, value, room, column);
        out.push('\n');
    }
}

/// Appends a value, broken wherever its line is full: its characters stay as they are.
fn broken(out: &mut String, value: &str, room: usize, column: usize) {
    let mut used = 0;
    for c in value.chars() {
        let width = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + width > room {
            out.push('\n');
            out.push_str(&" ".repeat(column));
            used = 0;
        }
        out.push(c);
        used += width;
    }
    while out.ends_with(' ') {
        out.pop();
    }
}
