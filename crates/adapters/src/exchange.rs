//! One call of a model, as its request and answer told it, and the records that it becomes: one for each row. Edge: whatever the wire form was; how
//! a form is read is in a file of its own.

use std::borrow::Cow;

use minutebook_present::json::{Members, Tree};
use minutebook_record::Integer;

use crate::columns::Columns;
use crate::foreign::{object, owned};
use crate::limits::CALL_BYTES_MAX;

/// What request and answer say.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The model's name, where they have it.
    pub model: Option<String>,
    /// The model's version, where they have it.
    pub version: Option<String>,
    /// What the client calls the request.
    pub request_id: Option<String>,
    /// Parameters of the request.
    pub params: Members<'static>,
    /// What went in.
    pub inputs: Side,
    /// What came out, as many rows as went in; nothing when no answer is known.
    pub outputs: Option<Side>,
    /// The answer is an error: what came out is what it said.
    pub failed: bool,
}

/// A row: names and values, as `inputs` and `outputs` of a record have them.
pub type Row = Members<'static>;

/// One side of a call, row by row.
#[derive(Debug, Clone)]
pub struct Side(pub(crate) Content);

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Rows(Vec<Row>),
    Columns(Columns),
    /// The same in every row.
    Same(Row),
}

impl Side {
    /// These rows, in order.
    pub fn of_rows(rows: Vec<Row>) -> Self {
        Self(Content::Rows(rows))
    }

    /// What belongs to each row alike, such as the text of an error.
    pub fn same(row: Row) -> Self {
        Self(Content::Same(row))
    }

    /// How many rows there are; `None` when it is the same in each.
    pub fn rows(&self) -> Option<usize> {
        match &self.0 {
            Content::Rows(rows) => Some(rows.len()),
            Content::Columns(columns) => Some(columns.rows()),
            Content::Same(_) => None,
        }
    }

    /// The row of this number, from 0; nothing is in those that are not there.
    pub fn row(&self, at: usize) -> Row {
        match &self.0 {
            Content::Rows(rows) => rows.get(at).cloned().unwrap_or_default(),
            Content::Columns(columns) => columns.row(at),
            Content::Same(row) => row.clone(),
        }
    }
}

/// Where the version of a model is known from; it stands in the record as `environment.version_from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionFrom {
    /// The answer names it.
    Answer,
    /// The request names it, in its path or its body.
    Request,
    /// Whoever sends the record names it, beside what the model was asked.
    Sender,
    /// It is the last one that the trail knew as deployed at that time.
    Deployment,
    /// It is the last one that the trail knew of at that time.
    Model,
    /// The one who set up the intake said so.
    Settings,
    /// It is not known.
    Nowhere,
}

impl VersionFrom {
    /// As it stands in the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Request => "request",
            Self::Sender => "sender",
            Self::Deployment => "deployment record",
            Self::Model => "model record",
            Self::Settings => "settings",
            Self::Nowhere => "unknown",
        }
    }
}

/// The version of a model, and where it is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The version; `unknown` when it is not.
    pub text: String,
    /// Where it is known from.
    pub from: VersionFrom,
}

impl Version {
    /// A version that is not known.
    pub fn unknown() -> Self {
        Self { text: "unknown".to_owned(), from: VersionFrom::Nowhere }
    }

    /// A version that is known.
    pub fn known(text: impl Into<String>, from: VersionFrom) -> Self {
        Self { text: text.into(), from }
    }
}

/// What is known of a call beside what request and answer say.
#[derive(Debug, Clone)]
pub struct Call {
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub version: Version,
    /// The digest of the model's artifact, where it is known.
    pub artifact: Option<[u8; 32]>,
    /// Tells the rows of this call from those of others.
    pub id: [u8; 16],
    /// When it began, in ns since 1970; when that is not known, the time of recording counts.
    pub time_ns: Option<i64>,
    /// How long it took.
    pub duration_ns: Option<u64>,
    /// `ok`, or what went wrong; when absent, what the exchange says: `ok`, `error` for an answer that is one, or `no answer`.
    pub status: Option<String>,
    /// The trace that it belongs to.
    pub trace: Option<[u8; 16]>,
    /// The span within that trace.
    pub span: Option<[u8; 8]>,
    /// Whom it is about.
    pub subject: Option<String>,
    /// On whose behalf it was.
    pub actor: Option<String>,
    /// The retention class, when it is not the standard one.
    pub class: Option<String>,
    /// Tags.
    pub tags: Members<'static>,
    /// What is known of where it ran and how it came in; `version_from` is added.
    pub environment: Members<'static>,
}

impl Call {
    /// A call of which nothing else is known.
    pub fn new(model: impl Into<String>, version: Version, id: [u8; 16]) -> Self {
        Self {
            model: model.into(),
            version,
            artifact: None,
            id,
            time_ns: None,
            duration_ns: None,
            status: None,
            trace: None,
            span: None,
            subject: None,
            actor: None,
            class: None,
            tags: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Whether what all rows have in common is so long that their records together would take more than [`CALL_BYTES_MAX`].
    pub fn is_too_large(&self, exchange: &Exchange) -> bool {
        let rows = exchange.inputs.rows().unwrap_or(1);
        let same = |side: &Side| match &side.0 {
            Content::Same(row) => members_bytes(row),
            Content::Rows(_) | Content::Columns(_) => 0,
        };
        let outputs = exchange.outputs.as_ref().map_or(0, same);
        let names = self.model.len() + self.version.text.len();
        let [subject, actor, status] =
            [&self.subject, &self.actor, &self.status].map(|text| text.as_ref().map_or(0, String::len));
        let maps = [&exchange.params, &self.tags, &self.environment].map(members_bytes);
        let common = outputs + names + subject + actor + status + maps.iter().sum::<usize>();
        rows > 1 && common.saturating_mul(rows) > CALL_BYTES_MAX
    }

    /// The records of an exchange, one for each row, made as they are asked for. Where [`Call::is_too_large`], they are better not made.
    pub fn records<'c>(&'c self, exchange: &'c Exchange) -> impl Iterator<Item = Tree<'static>> + 'c {
        let rows = exchange.inputs.rows().unwrap_or(1);
        (0..rows).map(move |row| self.record(exchange, row, rows))
    }

    fn record(&self, exchange: &Exchange, row: usize, rows: usize) -> Tree<'static> {
        let mut record: Members<'static> = Vec::with_capacity(14);
        let mut set = |name: &'static str, value: Tree<'static>| record.push((Cow::Borrowed(name), value));
        if let Some(class) = &self.class {
            set("class", owned(class));
        }
        set("model", self.model());
        if !exchange.params.is_empty() {
            set("params", map(&exchange.params));
        }
        set("inputs", Tree::Object(exchange.inputs.row(row)));
        if let Some(outputs) = &exchange.outputs {
            set("outputs", Tree::Object(outputs.row(row)));
        }
        if let Some(subject) = &self.subject {
            set("subject", owned(subject));
        }
        if let Some(actor) = &self.actor {
            set("actor", owned(actor));
        }
        if let Some(time) = self.time_ns {
            set("time", Tree::Integer(time.into()));
        }
        if let Some(duration) = self.duration_ns {
            set("duration_ns", Tree::Integer(duration.into()));
        }
        set("status", owned(self.status(exchange)));
        if let Some(trace) = self.trace {
            set("trace", owned(hex(&trace)));
        }
        if let Some(span) = self.span {
            set("span", owned(hex(&span)));
        }
        if rows > 1 {
            set("batch", self.batch(row, rows));
        }
        if !self.tags.is_empty() {
            set("tags", map(&self.tags));
        }
        let mut environment = self.environment.clone();
        environment.push((Cow::Borrowed("version_from"), Tree::Text(self.version.from.word().into())));
        set("environment", map(&environment));
        Tree::Object(record)
    }

    fn model(&self) -> Tree<'static> {
        let mut model: Members<'static> = vec![
            (Cow::Borrowed("name"), owned(&self.model)),
            (Cow::Borrowed("version"), owned(&self.version.text)),
        ];
        if let Some(artifact) = &self.artifact {
            model.push((Cow::Borrowed("artifact"), owned(format!("sha256:{}", hex(artifact)))));
        }
        Tree::Object(model)
    }

    fn status(&self, exchange: &Exchange) -> &str {
        match &self.status {
            Some(status) => status,
            None if exchange.failed => "error",
            None if exchange.outputs.is_none() => "no answer",
            None => "ok",
        }
    }

    fn batch(&self, row: usize, rows: usize) -> Tree<'static> {
        let number = |value: usize| Tree::Integer(Integer::from(value as u64));
        Tree::Object(vec![
            (Cow::Borrowed("call"), owned(hex(&self.id))),
            (Cow::Borrowed("row"), number(row)),
            (Cow::Borrowed("rows"), number(rows)),
        ])
    }
}

/// Bytes of members, about.
fn members_bytes(members: &Members<'static>) -> usize {
    members.iter().map(|(name, value)| name.len() + tree_bytes(value)).sum()
}

fn tree_bytes(tree: &Tree<'_>) -> usize {
    size_of::<Tree<'_>>()
        + match tree {
            Tree::Text(text) => text.len(),
            Tree::Array(items) => items.iter().map(tree_bytes).sum(),
            Tree::Object(members) => members.iter().map(|(name, value)| name.len() + tree_bytes(value)).sum(),
            Tree::Null | Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_) => 0,
        }
}

/// A map, whatever its names.
fn map(members: &Members<'static>) -> Tree<'static> {
    let content = Tree::Object(members.clone());
    if members.iter().any(|(name, _)| name.starts_with('$')) { object("$map", content) } else { content }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
        .collect()
}
