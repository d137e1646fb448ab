//! A mapping file as it is written. Edge: its form; what is found with it is in `mapping`.

use std::collections::BTreeMap;

use minutebook_record::ClassName;
use serde::Deserialize;

use super::path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) call: Vec<CallTable>,
}

/// One `[[call]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallTable {
    pub(super) path: String,
    #[serde(default = "post")]
    pub(super) method: String,
    pub(super) model: Place,
    pub(super) version: Option<Place>,
    pub(super) inputs: Fields,
    pub(super) outputs: Fields,
    pub(super) params: Option<Fields>,
    /// The array of the request whose items are rows; inputs are found within each.
    pub(super) rows: Option<String>,
    /// The same of the answer.
    pub(super) answer_rows: Option<String>,
    pub(super) subject: Option<Place>,
    pub(super) class: Option<String>,
}

/// Where a text is.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Where")]
pub(super) enum Place {
    Constant(String),
    Request(String),
    Answer(String),
    Path(String),
    Header(String),
}

/// The same as it is written: a text that is the same in all calls, or a table with one member.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Where {
    Constant(String),
    In(In),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    request: Option<String>,
    answer: Option<String>,
    path: Option<String>,
    header: Option<String>,
}

impl TryFrom<Where> for Place {
    type Error = String;

    fn try_from(place: Where) -> Result<Self, String> {
        match place {
            Where::Constant(text) => Ok(Self::Constant(text)),
            Where::In(In { request: Some(pointer), answer: None, path: None, header: None }) => {
                Ok(Self::Request(pointer))
            }
            Where::In(In { request: None, answer: Some(pointer), path: None, header: None }) => {
                Ok(Self::Answer(pointer))
            }
            Where::In(In { request: None, answer: None, path: Some(name), header: None }) => {
                Ok(Self::Path(name))
            }
            Where::In(In { request: None, answer: None, path: None, header: Some(name) }) => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            Where::In(_) => Err("has one of `request`, `answer`, `path`, `header`".to_owned()),
        }
    }
}

/// Where fields are: all members of the object that a pointer names, or a pointer for each.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Fields {
    All(String),
    Named(BTreeMap<String, String>),
}

fn post() -> String {
    "POST".to_owned()
}

impl CallTable {
    pub(super) fn check(&self) -> Result<(), String> {
        path::check(&self.path)?;
        if let Some(class) = &self.class {
            match ClassName::new(class) {
                Ok(class) if class.as_str() != "system" => {}
                Ok(_) => return Err("the class `system` is the engine's own".to_owned()),
                Err(error) => return Err(format!("`class`: {error}")),
            }
        }
        let mut pointers: Vec<&str> =
            [&self.rows, &self.answer_rows].into_iter().flatten().map(String::as_str).collect();
        for fields in [Some(&self.inputs), Some(&self.outputs), self.params.as_ref()].into_iter().flatten() {
            match fields {
                Fields::All(pointer) => pointers.push(pointer),
                Fields::Named(named) => pointers.extend(named.values().map(String::as_str)),
            }
        }
        for place in [Some(&self.model), self.version.as_ref(), self.subject.as_ref()].into_iter().flatten() {
            match place {
                Place::Request(pointer) | Place::Answer(pointer) => pointers.push(pointer),
                Place::Path(name) if path::part(&self.path, &self.path, name).is_none() => {
                    return Err(format!("`path` has no part `{{{name}}}`"));
                }
                _ => {}
            }
        }
        match pointers.into_iter().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            Some(pointer) => {
                Err(format!("`{pointer}` is no JSON pointer: it begins with `/`, or is empty for the whole"))
            }
            None if self.answer_rows.is_some() && self.rows.is_none() => {
                Err("`answer_rows` without `rows`: say where the rows of the request are".to_owned())
            }
            None => Ok(()),
        }
    }
}
