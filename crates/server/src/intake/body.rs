//! The body of a request with records: unpacked within its bound, and read as drafts. Edge: bytes in, drafts or what is wrong with them out; never
//! a value.

use std::borrow::Cow;

use minutebook_adapters::packed::{Packing, Wrong};
use minutebook_present::json::{Draft, DraftReader, Problem as WrongRecord, ReadAt, Tree};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::arrow::{self, Defaults};
use crate::limits::{RECORDS_BYTES_MAX, RECORDS_MAX, WRONG_TOLD};
use crate::problem::Problem;

/// How a body is packed (RFC 9110, section 8.4; RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The body as it was before it was packed. Unpacks no more than it may have.
    pub(crate) fn unpack(self, body: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
        let packing = match self {
            Self::Plain if body.len() > RECORDS_BYTES_MAX => {
                return Err(Problem::too_large(RECORDS_BYTES_MAX));
            }
            Self::Plain => return Ok(Cow::Borrowed(body)),
            Self::Gzip => Packing::Gzip,
            Self::Zstd => Packing::Zstd,
        };
        match packing.unpack(body, RECORDS_BYTES_MAX) {
            Ok(unpacked) if !unpacked.broke_off => Ok(Cow::Owned(unpacked.bytes)),
            Err(Wrong::TooLarge) => Err(Problem::too_large(RECORDS_BYTES_MAX)),
            _ => Err(Problem::request("the body is not packed as `content-encoding` says")),
        }
    }
}

/// How records are written in a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// One object, or an array of them.
    Json,
    /// One object a line; the first of them has this number.
    Lines { first: u64 },
    /// A table, with what holds for its rows.
    Arrow(Defaults),
}

/// The records of a body, or all that is wrong with it, up to a bound.
pub(super) fn drafts(
    form: &Form,
    body: &[u8],
    reader: &mut DraftReader,
    at: ReadAt,
) -> Result<Vec<Draft>, Problem> {
    let mut gathered = Gathered { drafts: Vec::new(), wrong: Vec::new() };
    match form {
        Form::Lines { first } => {
            for (number, line) in (*first..).zip(body.split(|byte| *byte == b'\n')) {
                if let Some(draft) = reader.read_numbered(number, line, at)
                    && !gathered.add("line", number, draft)?
                {
                    break;
                }
            }
        }
        Form::Json => {
            is_json(body)?;
            let wrong = |wrong: WrongRecord| Problem::request(wrong.to_string());
            match Tree::parse(body).map_err(wrong)? {
                Tree::Array(items) => {
                    for (number, item) in (0..).zip(&items) {
                        if !gathered.add("item", number, reader.draft(item, at))? {
                            break;
                        }
                    }
                }
                one => drop(gathered.add("item", 0, reader.draft(&one, at))?),
            }
        }
        Form::Arrow(defaults) => {
            // What a trail adds is passed over as a column; that a row is not readable is for the reader to refuse.
            reader.set_reimport(defaults.reimport);
            let read = arrow::drafts(body, defaults, reader, at, &mut gathered);
            reader.set_reimport(false);
            read?;
        }
    }
    gathered.end(form)
}

/// Refuses what is no JSON, with its line: the reader of records knows columns only.
fn is_json(body: &[u8]) -> Result<(), Problem> {
    let line = |before: &[u8]| before.iter().filter(|byte| **byte == b'\n').count() + 1;
    if let Err(error) = std::str::from_utf8(body) {
        let line = line(&body[..error.valid_up_to()]);
        return Err(Problem::request(format!("the body is not UTF-8, at line {line}")));
    }
    serde_json::from_slice::<IgnoredAny>(body).map(drop).map_err(|error| {
        Problem::request(format!("the body is not JSON, at line {}, column {}", error.line(), error.column()))
    })
}

/// What was read so far.
pub(super) struct Gathered {
    drafts: Vec<Draft>,
    wrong: Vec<Value>,
}

impl Gathered {
    /// Whether to go on.
    pub(super) fn add(
        &mut self,
        place: &str,
        number: u64,
        draft: Result<Draft, WrongRecord>,
    ) -> Result<bool, Problem> {
        match draft {
            // What is wrong already is told; the rest is only looked at.
            Ok(_) if !self.wrong.is_empty() => {}
            Ok(_) if self.drafts.len() == RECORDS_MAX => {
                return Err(Problem::too_many(RECORDS_MAX));
            }
            Ok(draft) => self.drafts.push(draft),
            Err(wrong) => {
                self.drafts.clear();
                let path = Some(wrong.path()).filter(|path| !path.is_empty());
                self.wrong.push(json!({
                    place: number, "path": path, "what": wrong.what(), "to_do": wrong.to_do(),
                }));
            }
        }
        Ok(self.wrong.len() < WRONG_TOLD)
    }

    fn end(self, form: &Form) -> Result<Vec<Draft>, Problem> {
        let Some(first) = self.wrong.first() else { return Ok(self.drafts) };
        let place = ["line", "item", "row"].into_iter().find(|place| !first[*place].is_null());
        let place = place.unwrap_or("line");
        let path = first["path"].as_str().map_or(String::new(), |path| format!(", `{path}`"));
        let what = first["what"].as_str().unwrap_or_default();
        let from = match form {
            Form::Lines { first: from } if *from > 1 => format!(" from line {from} on"),
            _ => String::new(),
        };
        let detail = format!("nothing{from} was recorded: {place} {}{path}: {what}", first[place]);
        Err(Problem::wrong_records(detail, self.wrong))
    }
}

#[cfg(test)]
mod tests;
