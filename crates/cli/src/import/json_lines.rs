//! Lines of JSON whose members are columns.

use std::path::Path;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{ColumnType, Rows};
use crate::failure::{Exit, Failure, Result};
use crate::lines::{self, Batch, Line};
use minutebook_present::json::{Members, Problem, Tree};

/// A file of JSON objects, one a line.
pub(crate) struct JsonLines {
    lines: mpsc::Receiver<Batch>,
    batch: std::vec::IntoIter<Line>,
}

impl JsonLines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { lines: lines::read_ahead(Some(path))?, batch: Vec::new().into_iter() })
    }

    /// The next line with its number; nothing in place of one that is too long.
    pub(super) fn line(&mut self) -> Result<Option<Line>> {
        loop {
            if let Some(line) = self.batch.next() {
                return Ok(Some(line));
            }
            // Within the runtime, other work goes on while this thread waits.
            let received = match Handle::try_current() {
                Ok(handle) => tokio::task::block_in_place(|| handle.block_on(self.lines.recv())),
                Err(_) => self.lines.blocking_recv(),
            };
            match received {
                None => return Ok(None),
                Some(Ok(batch)) => self.batch = batch.into_iter(),
                Some(Err(error)) => {
                    let what = format!("cannot read the input: {error}");
                    return Err(Failure::Told { exit: Exit::Io, what, to_do: None });
                }
            }
        }
    }
}

impl Rows for JsonLines {
    fn columns(&self) -> Option<&[ColumnType]> {
        None
    }

    fn next(&mut self) -> Result<Option<(u64, std::result::Result<Members<'static>, Problem>)>> {
        loop {
            let Some((number, line)) = self.line()? else { return Ok(None) };
            let Some(line) = line else {
                return Ok(Some((number, Err(Problem::new("the line is too long")))));
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row = Tree::parse(&line).and_then(|tree| match tree.into_owned() {
                Tree::Object(members) => Ok(members),
                _ => Err(Problem::new("not an object")
                    .remedy("write one JSON object a line, a member for each column")),
            });
            return Ok(Some((number, row)));
        }
    }
}
