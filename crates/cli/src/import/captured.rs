//! Lines of captures: each may make no record, or several, and the end some more. Edge: lines; what they say is in `minutebook-adapters`.

use std::path::Path;

use minutebook_adapters::captures::{Captures, Form, Settings};
use minutebook_present::json::{Problem, Tree};

use super::JsonLines;
use crate::failure::Result;

/// A file of captures.
pub(crate) struct Captured {
    lines: JsonLines,
    captures: Option<Captures>,
    line: u64,
}

/// The records of a line with its number, or what is wrong with it.
pub(crate) type OfLine = (u64, std::result::Result<Vec<Tree<'static>>, Problem>);

impl Captured {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path, form: Form, settings: Settings) -> Result<Self> {
        Ok(Self { lines: JsonLines::open(path)?, captures: Some(Captures::new(form, settings)), line: 0 })
    }

    /// The next line that has records or is wrong; those that wait for others come behind the last line. `None` at the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read any further.
    pub(crate) fn next(&mut self) -> Result<Option<OfLine>> {
        let Some(captures) = &mut self.captures else { return Ok(None) };
        while let Some((number, line)) = self.lines.line()? {
            self.line = number;
            let found = match line {
                None => Err(Problem::new("the line is too long")),
                Some(line) if line.trim_ascii().is_empty() => continue,
                Some(line) => captures.read(&line),
            };
            if !matches!(&found, Ok(records) if records.is_empty()) {
                return Ok(Some((number, found)));
            }
        }
        let left = captures.end();
        self.captures = None;
        Ok(Some((self.line, Ok(left))))
    }
}
