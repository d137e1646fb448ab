//! The attributes of a span, an event or a resource: looked up by name, and which of them nobody asked for. Edge: values as OTLP has them become
//! values of records.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_present::json::{Members, Tree};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

use crate::foreign::{self, object, owned};
use crate::limits::NESTING_MAX;
use crate::print::Print;

/// Attributes by name; of one that is there twice the last counts.
pub(super) struct Attributes<'a> {
    values: BTreeMap<&'a str, &'a Value>,
    /// Those that were looked at.
    used: RefCell<BTreeSet<&'a str>>,
}

/// Attributes that are never kept, by a part of their names.
const SECRET: [&str; 4] = ["authorization", "api_key", "api-key", "cookie"];

/// Attributes that say what a record says elsewhere.
const SAID_ELSEWHERE: [&str; 8] = [
    "mlflow.traceRequestId",
    "mlflow.experimentId",
    "mlflow.spanFunctionName",
    "mlflow.spanLogLevel",
    "event.name",
    "input.mime_type",
    "output.mime_type",
    "mlflow.message.format",
];

impl<'a> Attributes<'a> {
    pub(super) fn new(attributes: &'a [KeyValue]) -> Self {
        let mut found = Self { values: BTreeMap::new(), used: RefCell::default() };
        found.extend(attributes);
        found
    }

    pub(super) fn extend(&mut self, attributes: &'a [KeyValue]) {
        let present = attributes
            .iter()
            .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_ref()?.value.as_ref()?)));
        self.values.extend(present);
    }

    /// The members of a log record's body, which hold what attributes may hold too.
    pub(super) fn extend_from_body(&mut self, body: Option<&'a AnyValue>) {
        if let Some(Value::KvlistValue(members)) = body.and_then(|body| body.value.as_ref()) {
            self.extend(&members.values);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.values.get_key_value(name)?;
        self.used.borrow_mut().insert(name);
        Some(value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Value::StringValue(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A value; a text that is JSON as what it says.
    pub(super) fn json(&self, name: &str) -> Option<Tree<'static>> {
        Some(match self.get(name)? {
            Value::StringValue(text) => parsed(text),
            value => tree(value, NESTING_MAX),
        })
    }

    /// A value as it stands.
    pub(super) fn value(&self, name: &str) -> Option<Tree<'static>> {
        self.get(name).map(|value| tree(value, NESTING_MAX))
    }

    /// Values whose names begin so, by what follows.
    pub(super) fn under<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'a str, &'a Value)> + 's {
        let from = self.values.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix)).map(move |(name, value)| {
            self.used.borrow_mut().insert(name);
            (&name[prefix.len()..], *value)
        })
    }

    /// What was taken apart into names with points and numbers, put together again: `.0.message.role` becomes a list of objects.
    pub(super) fn gathered(&self, prefix: &str) -> Option<Tree<'static>> {
        let mut root = Node::default();
        let mut is_empty = true;
        for (name, value) in self.under(prefix) {
            root.put(name, value, NESTING_MAX);
            is_empty = false;
        }
        (!is_empty).then(|| root.into_tree())
    }

    /// Those that nobody asked for.
    pub(super) fn rest(&self) -> Members<'static> {
        let used = self.used.borrow();
        let is_kept = |name: &str| {
            let lower = name.to_ascii_lowercase();
            !used.contains(name)
                && !SAID_ELSEWHERE.contains(&name)
                && !SECRET.iter().any(|secret| lower.contains(secret))
        };
        let left = self.values.iter().filter(|(name, _)| is_kept(name));
        left.map(|(name, value)| (Cow::Owned((*name).to_owned()), tree(value, NESTING_MAX - 1))).collect()
    }

    /// Tells two sets of attributes apart.
    pub(super) fn print(&self) -> [u8; 16] {
        let add = |print: Print, (name, value): (_, &&Value)| {
            print.text(name).bytes(&AnyValue { value: Some((**value).clone()) }.encode_to_vec())
        };
        self.values.iter().map(|(name, value)| (*name, value)).fold(Print::of("attributes"), add).id()
    }
}

/// A text that is a JSON object or array as what it says, any other as it stands.
pub(super) fn parsed(text: &str) -> Tree<'static> {
    match Tree::parse(text.as_bytes()) {
        Ok(tree @ (Tree::Object(_) | Tree::Array(_))) => foreign::value(&tree),
        _ => owned(text),
    }
}

/// A text that was written as JSON, whatever it is.
pub(super) fn parsed_any(text: &str) -> Tree<'static> {
    Tree::parse(text.as_bytes()).map_or_else(|_| owned(text), |tree| foreign::value(&tree))
}

pub(super) fn tree(value: &Value, left: usize) -> Tree<'static> {
    let inner =
        |any: &AnyValue| any.value.as_ref().map_or(Tree::Null, |value| tree(value, left.saturating_sub(1)));
    match value {
        Value::StringValue(text) => owned(text.as_str()),
        Value::BoolValue(value) => Tree::Bool(*value),
        Value::IntValue(value) => Tree::Integer((*value).into()),
        Value::DoubleValue(value) => foreign::float(*value),
        Value::BytesValue(bytes) => object("$bytes", owned(BASE64.encode(bytes))),
        Value::ArrayValue(_) | Value::KvlistValue(_) if left == 0 => owned("nested too deeply"),
        Value::ArrayValue(array) => Tree::Array(array.values.iter().map(inner).collect()),
        Value::KvlistValue(list) => {
            let members: BTreeMap<&str, Tree<'static>> = list
                .values
                .iter()
                .map(|pair| (pair.key.as_str(), pair.value.as_ref().map_or(Tree::Null, inner)))
                .collect();
            let is_special = members.keys().any(|name| name.starts_with('$'));
            let members =
                members.into_iter().map(|(name, value)| (Cow::Owned(name.to_owned()), value)).collect();
            let members = Tree::Object(members);
            if is_special { object("$map", members) } else { members }
        }
        // An index into texts that only profiles have.
        Value::StringValueStrindex(_) => Tree::Null,
    }
}

/// A place in what is put together.
#[derive(Default)]
struct Node<'a> {
    value: Option<&'a Value>,
    inner: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn put(&mut self, name: &'a str, value: &'a Value, left: usize) {
        match name.split_once('.') {
            Some((first, rest)) if left > 1 => {
                self.inner.entry(first).or_default().put(rest, value, left - 1)
            }
            _ => self.inner.entry(name).or_default().value = Some(value),
        }
    }

    fn into_tree(self) -> Tree<'static> {
        if self.inner.is_empty() {
            return self.value.map_or(Tree::Null, |value| tree(value, NESTING_MAX / 2));
        }
        let number = |name: &str| name.parse::<u32>().ok();
        if self.inner.keys().all(|name| number(name).is_some()) {
            let mut items: Vec<_> =
                self.inner.into_iter().map(|(name, node)| (number(name), node.into_tree())).collect();
            items.sort_by_key(|(place, _)| *place);
            return Tree::Array(items.into_iter().map(|(_, item)| item).collect());
        }
        let members = self.inner.into_iter();
        let members = members.map(|(name, node)| (Cow::Owned(name.to_owned()), node.into_tree())).collect();
        foreign::value(&Tree::Object(members))
    }
}
