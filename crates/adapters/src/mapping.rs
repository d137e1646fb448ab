//! Mapping files: where in the requests and answers of any JSON API model, inputs and outputs are (`docs/guides/proxy.md`). Edge: reads the file's
//! text and bodies; which paths are asked is told by whoever answers them.

mod file;
mod path;

use std::borrow::Cow;
use std::sync::Arc;

use minutebook_present::json::{Members, Problem, Tree};

use crate::exchange::{Exchange, Row, Side, Version, VersionFrom};
use crate::foreign;
use crate::invocations::too_many;
use crate::limits::{MAPPED_CALLS_MAX, ROWS_MAX};
use file::{Fields, Place};

/// A mapping file that was read.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    calls: Vec<Arc<MappedCall>>,
}

/// One call of it.
#[derive(Debug, Clone)]
pub struct MappedCall(file::CallTable);

/// What a mapped call says.
#[derive(Debug, Clone)]
pub struct Read {
    /// Request and answer.
    pub exchange: Exchange,
    /// The model's version, where the mapping has it.
    pub version: Option<Version>,
    /// Whom each row is about; empty when the mapping does not say.
    pub subjects: Vec<Option<String>>,
}

/// Where a call's parts were found beside its bodies.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The path that was asked.
    pub path: &'a str,
    /// The value of a header of the request, by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<String>,
}

impl Mapping {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: file::File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.call.len() > MAPPED_CALLS_MAX {
            return Err(format!("{} calls, and at most {MAPPED_CALLS_MAX} are read", file.call.len()));
        }
        for (at, call) in file.call.iter().enumerate() {
            call.check().map_err(|what| format!("call {at}, from 0: {what}"))?;
        }
        Ok(Self { calls: file.call.into_iter().map(|call| Arc::new(MappedCall(call))).collect() })
    }

    /// The first call of this method and path.
    pub fn find(&self, method: &str, path: &str) -> Option<&Arc<MappedCall>> {
        self.calls
            .iter()
            .find(|call| call.0.method.eq_ignore_ascii_case(method) && path::matches(&call.0.path, path))
    }

    /// How many calls it tells about.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether it tells about none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl MappedCall {
    /// The retention class of its decisions, when it is not the standard one.
    pub fn class(&self) -> Option<&str> {
        self.0.class.as_deref()
    }

    /// The name of its model where that is the same in all calls.
    pub fn model(&self) -> Option<&str> {
        match &self.0.model {
            Place::Constant(name) => Some(name),
            _ => None,
        }
    }

    /// Whether its calls may be several decisions.
    pub fn has_rows(&self) -> bool {
        self.0.rows.is_some()
    }

    /// Reads a request and, when there is one, its answer.
    ///
    /// # Errors
    /// What is not JSON, or is not where the mapping says; or more rows than are read.
    pub fn read(&self, around: Around<'_>, request: &[u8], answer: Option<&[u8]>) -> Result<Read, Problem> {
        let request = Tree::parse(request).map_err(|problem| problem.within("request"))?;
        let answer = answer.map(Tree::parse).transpose().map_err(|problem| problem.within("answer"))?;
        let bodies = Bodies { call: &self.0, around, request: &request, answer: answer.as_ref() };
        let asked = rows(&request, self.0.rows.as_deref()).map_err(|problem| problem.within("request"))?;
        let inputs: Vec<Row> = asked.iter().map(|row| fields(row, &self.0.inputs)).collect();
        let outputs = answer.as_ref().map(|answer| self.outputs(answer, asked.len()));
        let version = self.0.version.as_ref().and_then(|place| {
            let from = match place {
                Place::Constant(_) => VersionFrom::Settings,
                Place::Answer(_) => VersionFrom::Answer,
                Place::Request(_) | Place::Path(_) | Place::Header(_) => VersionFrom::Request,
            };
            bodies.find(place).map(|text| Version::known(text, from))
        });
        let subjects = match &self.0.subject {
            None => Vec::new(),
            Some(Place::Request(pointer)) => asked
                .iter()
                .map(|row| at(row, pointer).or_else(|| at(&request, pointer)).and_then(plain))
                .collect(),
            Some(place) => vec![bodies.find(place); asked.len()],
        };
        let params = self.0.params.as_ref().map(|pointers| fields(&request, pointers)).unwrap_or_default();
        let exchange = Exchange {
            model: bodies.find(&self.0.model),
            version: version.as_ref().map(|version| version.text.clone()),
            request_id: None,
            params,
            inputs: Side::of_rows(inputs),
            outputs,
            failed: false,
        };
        Ok(Read { exchange, version, subjects })
    }

    /// What came out, row by row. Answers that are not one for each row stand in the first one.
    fn outputs(&self, answer: &Tree<'_>, count: usize) -> Side {
        let whole = |answer: &Tree<'_>| {
            let mut all = vec![Row::new(); count.max(1)];
            all[0] = fields(answer, &self.0.outputs);
            Side::of_rows(all)
        };
        match self.0.answer_rows.as_deref().map(|pointer| at(answer, pointer)) {
            Some(Some(Tree::Array(items))) if items.len() == count => {
                Side::of_rows(items.iter().map(|item| fields(item, &self.0.outputs)).collect())
            }
            _ => whole(answer),
        }
    }
}

struct Bodies<'a> {
    call: &'a file::CallTable,
    around: Around<'a>,
    request: &'a Tree<'a>,
    answer: Option<&'a Tree<'a>>,
}

impl Bodies<'_> {
    /// The text at a place; empty text is none.
    fn find(&self, place: &Place) -> Option<String> {
        let found = match place {
            Place::Constant(text) => Some(text.clone()),
            Place::Request(pointer) => at(self.request, pointer).and_then(plain),
            Place::Answer(pointer) => self.answer.and_then(|answer| at(answer, pointer)).and_then(plain),
            Place::Path(name) => path::part(&self.call.path, self.around.path, name).map(str::to_owned),
            Place::Header(name) => (self.around.header)(name),
        };
        found.filter(|text| !text.is_empty())
    }
}

/// Text as it is, numbers and truth values as they are written.
fn plain(tree: &Tree<'_>) -> Option<String> {
    match tree {
        Tree::Text(text) => Some(text.to_string()),
        Tree::Integer(_) | Tree::Float(_) | Tree::Bool(_) => serde_json::to_string(tree).ok(),
        _ => None,
    }
}

/// The rows of a request: the items of the array at this place, or the request itself.
fn rows<'t, 'a>(request: &'t Tree<'a>, pointer: Option<&str>) -> Result<Vec<&'t Tree<'a>>, Problem> {
    let Some(pointer) = pointer else { return Ok(vec![request]) };
    match at(request, pointer) {
        Some(Tree::Array(items)) if items.len() > ROWS_MAX => Err(too_many(items.len())),
        Some(Tree::Array(items)) => Ok(items.iter().collect()),
        _ => Err(Problem::new(format!("no array at `{pointer}`, where the mapping has its rows"))),
    }
}

/// The value that a JSON pointer names (RFC 6901). Of a name that is there twice, the last one.
fn at<'t, 'a>(tree: &'t Tree<'a>, pointer: &str) -> Option<&'t Tree<'a>> {
    let mut found = tree;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        found = match found {
            Tree::Object(members) => &members.iter().rev().find(|(member, _)| **member == name)?.1,
            Tree::Array(items) => {
                let is_number =
                    name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
                items.get(name.parse::<usize>().ok().filter(|_| is_number)?)?
            }
            _ => return None,
        };
    }
    Some(found)
}

/// The fields of a row, of those that are there.
fn fields(row: &Tree<'_>, wanted: &Fields) -> Members<'static> {
    match wanted {
        Fields::All(pointer) => match at(row, pointer) {
            Some(object @ Tree::Object(_)) => foreign::members(object),
            Some(other) => vec![(Cow::Borrowed("value"), foreign::value(other))],
            None => Members::new(),
        },
        Fields::Named(named) => named
            .iter()
            .filter_map(|(name, pointer)| Some((Cow::Owned(name.clone()), foreign::value(at(row, pointer)?))))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
