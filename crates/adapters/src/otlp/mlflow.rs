//! MLflow's tracing (`mlflow.spanType`, `mlflow.spanInputs`), whose attributes are JSON as text. Edge: attributes; spans are taken apart elsewhere.

use std::borrow::Cow;

use minutebook_present::json::Tree;

use super::Content;
use super::attributes::{Attributes, parsed_any};
use crate::exchange::Row;
use crate::foreign;

/// Types of spans in which a model is asked; in the others (`CHAIN`, `AGENT`, `TOOL`, `RETRIEVER`, `PARSER` …) something around it works.
const TYPES: [&str; 4] = ["CHAT_MODEL", "LLM", "EMBEDDING", "RERANKER"];

pub(super) fn content(attributes: &Attributes<'_>) -> Option<Content> {
    let read = |name: &str| attributes.text(name).map(parsed_any);
    let text = |name: &str| match read(name)? {
        Tree::Text(text) => Some(text.into_owned()),
        _ => None,
    };
    let span_type = text("mlflow.spanType")?;
    if !TYPES.contains(&span_type.as_str()) {
        return None;
    }
    let (inputs, outputs) = (read("mlflow.spanInputs"), read("mlflow.spanOutputs"));
    let named = |side: &Option<Tree<'static>>| {
        side.as_ref().and_then(|side| foreign::text(side, "model")).map(str::to_owned)
    };
    let model = text("mlflow.llm.model").or_else(|| named(&inputs));
    let mut content = Content::of_model(model.as_deref(), named(&outputs).as_deref());
    content.provider = text("mlflow.llm.provider");
    content.inputs = inputs.map(row).unwrap_or_default();
    content.outputs = outputs.map(row).unwrap_or_default();
    if let Some(Tree::Object(counts)) = read("mlflow.chat.tokenUsage") {
        let missing = |name: &str| content.outputs.iter().all(|(found, _)| found != name);
        let counts: Row = counts.into_iter().filter(|(name, _)| missing(name) && name != "$map").collect();
        content.outputs.extend(counts);
    }
    if let Some(tools) = read("mlflow.chat.tools")
        && content.inputs.iter().all(|(name, _)| name != "tools")
    {
        content.inputs.push((Cow::Borrowed("tools"), tools));
    }
    content.params.push((Cow::Borrowed("operation"), foreign::owned(span_type.to_ascii_lowercase())));
    Some(content)
}

/// The members of an object, else one value.
fn row(value: Tree<'static>) -> Row {
    match value {
        Tree::Object(mut members) if members.len() == 1 && members[0].0 == "$map" => {
            match members.remove(0).1 {
                Tree::Object(members) => members,
                other => vec![(Cow::Borrowed("value"), other)],
            }
        }
        Tree::Object(members) => members,
        Tree::Null => Row::new(),
        other => vec![(Cow::Borrowed("value"), other)],
    }
}
