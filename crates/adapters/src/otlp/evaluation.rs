//! The event `gen_ai.evaluation.result`: what something thinks of an answer. It becomes a note with the trace and span of what it is about. Edge:
//! attributes.

use std::borrow::Cow;

use minutebook_present::json::{Members, Tree};

use super::attributes::Attributes;
use crate::exchange::hex;
use crate::foreign::owned;

pub(super) const EVENT: &str = "gen_ai.evaluation.result";

/// What is kept of it, under which name.
const KEPT: [(&str, &str); 6] = [
    ("gen_ai.evaluation.name", "evaluation"),
    ("gen_ai.evaluation.score.value", "score"),
    ("gen_ai.evaluation.score.label", "label"),
    ("gen_ai.evaluation.explanation", "explanation"),
    ("gen_ai.response.id", "response"),
    ("error.type", "error"),
];

pub(super) fn record(
    attributes: &Attributes<'_>,
    environment: Members<'static>,
    (trace, span): (Option<[u8; 16]>, Option<[u8; 8]>),
    time_ns: Option<i64>,
) -> Tree<'static> {
    let note: Members<'static> = KEPT
        .iter()
        .filter_map(|(name, kept)| Some((Cow::Borrowed(*kept), attributes.value(name)?)))
        .collect();
    let mut record: Members<'static> = vec![
        (Cow::Borrowed("kind"), Tree::Text("note".into())),
        (Cow::Borrowed("note"), Tree::Object(note)),
        (Cow::Borrowed("environment"), Tree::Object(environment)),
    ];
    record.extend(trace.map(|id| (Cow::Borrowed("trace"), owned(hex(&id)))));
    record.extend(span.map(|id| (Cow::Borrowed("span"), owned(hex(&id)))));
    record.extend(time_ns.map(|ns| (Cow::Borrowed("time"), Tree::Integer(ns.into()))));
    Tree::Object(record)
}
