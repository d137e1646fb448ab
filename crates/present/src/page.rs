//! What people see: records, lists and reports as text. Edge: turns values into text with styles in it;
//! whoever prints it decides whether the styles are shown. Nothing from a record reaches the terminal without
//! its control characters being escaped.

mod bars;
mod explain;
mod explained;
mod listing;
mod moment;
mod receipt;
mod record;
mod report;
mod rows;
mod stats;
mod table;
mod words;

#[cfg(test)]
mod tests;

pub use explain::{explanations, importance};
pub use listing::Listing;
pub use moment::{duration, seconds_utc};
pub use receipt::{receipt, receipt_record};
pub use record::record;
pub use report::{Verification, checkup, finding_json, report, report_json};
pub use rows::rows;
pub use stats::stats;
pub(crate) use words::brief as brief_value;
pub use words::{bytes, count, printable};

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;

/// How text is laid out.
#[derive(Debug, Clone)]
pub struct Look {
    /// Columns to fill; `None` when nobody limits them, as in a file.
    pub width: Option<usize>,
    /// Whether characters beyond ASCII can be shown.
    pub unicode: bool,
    /// The zone that times are shown in.
    pub zone: TimeZone,
}

/// Columns of running text, also where a terminal is wider: longer lines are hard to read.
const PROSE_COLUMNS: usize = 92;

impl Look {
    fn prose_columns(&self) -> usize {
        self.width.map_or(PROSE_COLUMNS, |width| width.min(PROSE_COLUMNS))
    }

    fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    fn times(&self) -> &'static str {
        if self.unicode { "×" } else { "x" }
    }

    /// Characters of our own wording, for a terminal that has only ASCII.
    fn plain(&self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        text.replace('…', "...").replace('–', "-").replace('×', "x").replace('µ', "u")
    }
}

/// Text with a style around it.
fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}

fn bold(text: &str) -> String {
    paint(Style::new().bold(), text)
}

fn dim(text: &str) -> String {
    paint(Style::new().dimmed(), text)
}

fn coloured(colour: AnsiColor, text: &str) -> String {
    paint(Style::new().fg_color(Some(colour.into())), text)
}

/// Appends running text, broken into lines of at most `columns`, each behind `indent`.
fn prose(out: &mut String, indent: &str, columns: usize, text: &str) {
    hanging(out, indent, indent, columns, text);
}

/// The same with another beginning of the first line.
fn hanging(out: &mut String, first: &str, indent: &str, columns: usize, text: &str) {
    let mut line = first.to_owned();
    // Styles take no room.
    let mut used = words::width(&anstream::adapter::strip_str(first).to_string());
    let mut empty = true;
    for word in text.split_whitespace() {
        let width = words::width(word);
        if !empty && used + 1 + width > columns {
            out.push_str(line.trim_end());
            out.push('\n');
            indent.clone_into(&mut line);
            used = words::width(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += width;
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
