//! What a model server was sent and what it answered, when nothing says in which form: Open Inference Protocol v2, KServe's first version, or any
//! other. Edge: nothing is refused; what is of no form that is known is kept whole.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_present::json::{Members, Tree};
use serde::de::IgnoredAny;

use crate::exchange::{Exchange, Row, Side};
use crate::foreign::{self, object, owned};
use crate::limits::{COLUMNS_MAX, ROWS_MAX};
use crate::oip;

/// Reads a request and its answer, of which one may be unknown.
pub fn exchange(request: Option<&[u8]>, answer: Option<&[u8]>) -> Exchange {
    if let Some(bytes) = request {
        let body = |bytes| oip::Body { bytes, json_bytes: json_bytes(bytes) };
        if let Ok(found) = oip::exchange(body(bytes), answer.map(body)) {
            return found;
        }
    }
    let request = request.map(content);
    let answer = answer.map(content);
    let known = request.as_ref().and_then(|request| instances(request, answer.as_ref()));
    known.unwrap_or_else(|| whole(request.as_ref(), answer.as_ref()))
}

/// How much of a body is JSON when something stands behind it (the binary tensor extension), and its header with that is not known.
fn json_bytes(bytes: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let first = values.next();
    first.is_some_and(|first| first.is_ok()).then(|| values.byte_offset())
}

/// A body.
enum Content<'a> {
    Json(Tree<'a>),
    /// No JSON: text or bytes, as a value.
    Other(Tree<'static>),
}

fn content(bytes: &[u8]) -> Content<'_> {
    match (Tree::parse(bytes), std::str::from_utf8(bytes)) {
        (Ok(tree), _) => Content::Json(tree),
        (_, Ok(text)) => Content::Other(owned(text)),
        _ => Content::Other(object("$bytes", owned(BASE64.encode(bytes)))),
    }
}

impl<'a> Content<'a> {
    fn json(&self) -> Option<&Tree<'a>> {
        match self {
            Self::Json(tree) => Some(tree),
            Self::Other(_) => None,
        }
    }

    /// All of it as a row.
    fn row(&self) -> Row {
        match self {
            Self::Json(tree @ Tree::Object(_)) => foreign::members(tree),
            Self::Json(tree) => vec![(Cow::Borrowed("body"), foreign::value(tree))],
            Self::Other(value) => vec![(Cow::Borrowed("body"), value.clone())],
        }
    }
}

/// KServe's first version: `instances`, and a prediction for each.
fn instances(request: &Content<'_>, answer: Option<&Content<'_>>) -> Option<Exchange> {
    let Some(Tree::Array(instances)) = foreign::get(request.json()?, "instances") else { return None };
    if instances.is_empty() || instances.len() > ROWS_MAX {
        return None;
    }
    let outputs = match answer {
        None => None,
        Some(answer) => {
            match (foreign::get(answer.json()?, "predictions"), foreign::get(answer.json()?, "error")) {
                (Some(Tree::Array(predictions)), _) if predictions.len() == instances.len() => {
                    Some((Side::of_rows(predictions.iter().map(|one| row(one, "y")).collect()), false))
                }
                (None, Some(error)) => {
                    Some((Side::same(vec![(Cow::Borrowed("error"), foreign::value(error))]), true))
                }
                // Predictions that are not those of the rows: the call is recorded whole.
                _ => return None,
            }
        }
    };
    let mut params = foreign::get(request.json()?, "parameters").map(foreign::members).unwrap_or_default();
    if let Some(signature) = foreign::get(request.json()?, "signature_name") {
        params.push((Cow::Borrowed("signature_name"), foreign::value(signature)));
    }
    Some(Exchange {
        failed: outputs.as_ref().is_some_and(|(_, failed)| *failed),
        outputs: outputs.map(|(side, _)| side),
        params,
        inputs: Side::of_rows(instances.iter().map(|one| row(one, "x")).collect()),
        ..nothing()
    })
}

/// One of several rows: the members of an object, the places of a short array of single values, or one field.
pub(crate) fn row(value: &Tree<'_>, name: &'static str) -> Row {
    let is_single = |item: &Tree<'_>| !matches!(item, Tree::Array(_) | Tree::Object(_));
    match value {
        Tree::Object(_) => foreign::members(value),
        Tree::Array(items) if (1..=COLUMNS_MAX).contains(&items.len()) && items.iter().all(is_single) => {
            let named = |(place, item): (usize, &Tree<'_>)| {
                (Cow::Owned(format!("{name}{place}")), foreign::value(item))
            };
            items.iter().enumerate().map(named).collect()
        }
        one => vec![(Cow::Borrowed(name), foreign::value(one))],
    }
}

/// The members of both as they are.
fn whole(request: Option<&Content<'_>>, answer: Option<&Content<'_>>) -> Exchange {
    let json = answer.and_then(Content::json);
    let is_error = |members: &Members<'_>| members.len() == 1 && members[0].0 == "error";
    Exchange {
        model: json.and_then(|answer| named(answer, &["model_name", "model"])),
        version: json.and_then(|answer| named(answer, &["model_version"])),
        inputs: Side::of_rows(vec![request.map(Content::row).unwrap_or_default()]),
        outputs: answer.map(|answer| Side::of_rows(vec![answer.row()])),
        failed: matches!(json, Some(Tree::Object(members)) if is_error(members)),
        ..nothing()
    }
}

fn named(answer: &Tree<'_>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| foreign::text(answer, name));
    found.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn nothing() -> Exchange {
    Exchange {
        model: None,
        version: None,
        request_id: None,
        params: Vec::new(),
        inputs: Side::of_rows(Vec::new()),
        outputs: None,
        failed: false,
    }
}

/// What stands in place of content that is larger than a record may be: how long request and answer were.
pub fn too_large(request: Option<usize>, answer: Option<usize>) -> Exchange {
    let length = |bytes: usize| vec![(Cow::Borrowed("body_bytes"), Tree::Integer((bytes as u64).into()))];
    Exchange {
        inputs: Side::of_rows(vec![request.map(length).unwrap_or_default()]),
        outputs: answer.map(|answer| Side::of_rows(vec![length(answer)])),
        ..nothing()
    }
}

#[cfg(test)]
mod tests;
