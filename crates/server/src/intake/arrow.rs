//! Decisions as an Arrow IPC stream: a row becomes a draft, as a line of JSON does. Edge: bytes that somebody sent, whatever they are, to
//! drafts or to what is wrong with them; lengths and places in them are looked at before anything is done with them.

mod batch;
mod column;
mod layout;
mod stream;
mod value;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use arrow_ipc::MessageHeader;
use axum::http::StatusCode;
use minutebook_present::json::{Draft, DraftReader, Problem as Wrong, ReadAt};
use serde_json::{Value, json};

use self::batch::{Array, Batch, Dictionaries, TOO_LARGE};
use self::column::Column;
use self::layout::Layout;
use self::stream::{Stream, broken};
use super::body::Gathered;
use crate::limits::{DICTIONARY_PARTS_MAX, RECORDS_BYTES_MAX, RECORDS_HELD_BYTES_MAX, RECORDS_MAX};
use crate::problem::Problem;

/// What holds for the rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Defaults {
    /// For rows that do not say theirs.
    pub(crate) model: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) artifact: Option<String>,
    /// Columns that a trail adds to its answers are passed over.
    pub(crate) reimport: bool,
}

impl Defaults {
    /// All of it as one text, by which one request is told from another.
    pub(crate) fn said(&self) -> String {
        json!(["arrow", self.model, self.version, self.artifact, self.reimport]).to_string()
    }
}

/// Adds the drafts of a stream's rows, or what is wrong with them.
///
/// # Errors
/// What is wrong with the stream as a whole, or with its columns.
pub(super) fn drafts(
    body: &[u8],
    defaults: &Defaults,
    reader: &mut DraftReader,
    at: ReadAt,
    gathered: &mut Gathered,
) -> Result<(), Problem> {
    let mut stream = Stream::new(body);
    let first = stream.next()?.ok_or_else(|| broken("it has no schema", 0))?;
    let schema =
        first.message.header_as_schema().ok_or_else(|| broken("it does not begin with a schema", 0))?;
    let columns = column::columns(schema).map_err(|wrong| wrong_columns(&wrong))?;
    let encoded = encoded_columns(&columns).map_err(|wrong| wrong_columns(&[wrong]))?;
    let layout = Layout::new(&columns, defaults).map_err(|wrong| wrong_columns(&wrong))?;
    let mut rows = Rows { layout, defaults, held: 0, shapes: HashSet::new(), count: 0 };
    let (mut dictionaries, mut left) = (Dictionaries::new(), RECORDS_BYTES_MAX);
    while let Some(part) = stream.next()? {
        let wrong = |wrong: Wrong| of_buffers(&wrong, part.at);
        match part.message.header_type() {
            MessageHeader::RecordBatch => {
                let torn = || broken("a message is none", part.at);
                let record_batch = part.message.header_as_record_batch().ok_or_else(torn)?;
                let length = usize::try_from(record_batch.length()).map_err(|_| torn())?;
                let mut batch =
                    Batch::new(record_batch, part.body, &dictionaries, &mut left).map_err(wrong)?;
                let mut arrays = Vec::with_capacity(columns.len());
                for column in &columns {
                    let array =
                        batch.array(column).map_err(|error| wrong(column::named(error, &column.name)))?;
                    if array.len != length {
                        return Err(broken("a column has other rows than its batch", part.at));
                    }
                    arrays.push(array);
                }
                if !batch.is_over() {
                    return Err(broken("a batch has more than its columns", part.at));
                }
                if !rows.add(&arrays, length, reader, at, gathered)? {
                    break;
                }
            }
            MessageHeader::DictionaryBatch => {
                let torn = || broken("a message is none", part.at);
                let dictionary = part.message.header_as_dictionary_batch().ok_or_else(torn)?;
                let data = dictionary.data().ok_or_else(torn)?;
                let column = encoded.get(&dictionary.id());
                let column = column.ok_or_else(|| broken("a dictionary is of no column", part.at))?;
                let mut batch = Batch::new(data, part.body, &dictionaries, &mut left).map_err(wrong)?;
                let array = batch.array_of_labels(column).map_err(wrong)?;
                if !batch.is_over() {
                    return Err(broken("a batch has more than its columns", part.at));
                }
                let mut parts = match dictionary.isDelta() {
                    true => {
                        dictionaries.remove(&dictionary.id()).map(Rc::unwrap_or_clone).unwrap_or_default()
                    }
                    false => Vec::new(),
                };
                if parts.len() == DICTIONARY_PARTS_MAX {
                    return Err(broken("a dictionary comes in too many parts", part.at));
                }
                parts.push(Rc::new(array));
                dictionaries.insert(dictionary.id(), Rc::new(parts));
            }
            MessageHeader::NONE => {}
            _ => return Err(broken("a message is neither of rows nor of a dictionary", part.at)),
        }
    }
    Ok(())
}

/// The columns that are written as places in a dictionary, by its id.
fn encoded_columns(columns: &[Column]) -> Result<HashMap<i64, &Column>, Wrong> {
    let (mut encoded, mut wrong) = (HashMap::new(), None);
    columns.iter().for_each(|column| {
        column.each(&mut |column| {
            let Some(labels) = column.labels else { return };
            let other: &Column = encoded.entry(labels.id).or_insert(column);
            if (&other.sort, &other.children) != (&column.sort, &column.children) {
                let what = "it shares a dictionary with a column of another type";
                wrong = Some(column::named(Wrong::new(what), &column.name));
            }
        });
    });
    wrong.map_or(Ok(encoded), Err)
}

/// What rows have become, and what that takes.
struct Rows<'c> {
    layout: Layout<'c>,
    defaults: &'c Defaults,
    /// Bytes of drafts and of their shapes.
    held: usize,
    shapes: HashSet<usize>,
    count: usize,
}

impl Rows<'_> {
    /// Adds the rows of a batch: whether to go on.
    fn add(
        &mut self,
        arrays: &[Array<'_>],
        length: usize,
        reader: &mut DraftReader,
        at: ReadAt,
        gathered: &mut Gathered,
    ) -> Result<bool, Problem> {
        // A batch without columns says how many rows it has, and no more.
        if length > RECORDS_MAX - self.count {
            return Err(Problem::too_many(RECORDS_MAX));
        }
        for row in 0..length {
            let draft = self.layout.draft(arrays, row, self.defaults, reader, at);
            if let Ok(draft) = &draft {
                self.hold(draft)?;
            }
            let number = (self.count + row) as u64;
            if !gathered.add("row", number, draft)? {
                return Ok(false);
            }
        }
        self.count += length;
        Ok(true)
    }

    /// Counts what a draft takes: a label of some bytes may be a megabyte, and stand in each row.
    fn hold(&mut self, draft: &Draft) -> Result<(), Problem> {
        self.held += draft.bytes() + size_of_val(draft.shape.open_places());
        if self.shapes.insert(Arc::as_ptr(&draft.shape).addr()) {
            self.held += 3 * draft.shape.encoded().len();
        }
        if self.held <= RECORDS_HELD_BYTES_MAX {
            return Ok(());
        }
        let detail = "the rows take too much room as records: send them in several requests";
        Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail))
    }
}

fn of_buffers(wrong: &Wrong, at: usize) -> Problem {
    if wrong.what() == TOO_LARGE {
        return Problem::too_large(RECORDS_BYTES_MAX);
    }
    let what = wrong.to_do().map_or(wrong.to_string(), |to_do| format!("{wrong} ({to_do})"));
    broken(&what, at)
}

fn wrong_columns(wrong: &[Wrong]) -> Problem {
    let error = |wrong: &Wrong| -> Value {
        json!({ "column": wrong.path(), "path": wrong.path(), "what": wrong.what(), "to_do": wrong.to_do() })
    };
    let detail = wrong.first().map_or(String::new(), |first| format!("nothing was recorded: column {first}"));
    Problem::wrong_records(detail, wrong.iter().take(crate::limits::WRONG_TOLD).map(error).collect())
}

#[cfg(test)]
mod tests;
