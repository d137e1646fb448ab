//! OpenTelemetry's conventions for generative AI (`gen_ai.*`), and the older ones that took messages apart. Edge: attributes; spans and events are
//! taken apart elsewhere.

use std::borrow::Cow;

use minutebook_present::json::Members;

use super::Content;
use super::attributes::{Attributes, tree};
use crate::exchange::Row;
use crate::limits::NESTING_MAX;

/// The event that has the content of a call.
pub(super) const DETAILS_EVENT: &str = "gen_ai.client.inference.operation.details";

/// Operations in which a model is asked. In others (`execute_tool`, `invoke_agent`, `create_agent`, `retrieval` …) something around it works, and
/// the spans of the models that it asks are there beside.
const OPERATIONS: [&str; 4] = ["chat", "text_completion", "generate_content", "embeddings"];

/// Attributes that are no parameters although they are called like some.
const NOT_PARAMETERS: [&str; 1] = ["model"];

pub(super) fn content(attributes: &Attributes<'_>) -> Option<Content> {
    let is_decision = match attributes.text("gen_ai.operation.name") {
        Some(operation) => OPERATIONS.contains(&operation),
        None => attributes.text("gen_ai.request.model").is_some(),
    };
    if !is_decision {
        return None;
    }
    let (asked, answered) =
        (attributes.text("gen_ai.request.model"), attributes.text("gen_ai.response.model"));
    let mut content = Content::of_model(asked, answered);
    content.provider =
        attributes.text("gen_ai.provider.name").or(attributes.text("gen_ai.system")).map(str::to_owned);
    content.params = params(attributes);
    content.inputs = inputs(attributes);
    content.outputs = outputs(attributes);
    Some(content)
}

fn params(attributes: &Attributes<'_>) -> Members<'static> {
    let mut found: Members<'static> = attributes
        .under("gen_ai.request.")
        .filter(|(name, _)| !NOT_PARAMETERS.contains(name))
        .map(|(name, value)| (Cow::Owned(name.to_owned()), tree(value, NESTING_MAX)))
        .collect();
    for (name, kept) in [("gen_ai.operation.name", "operation"), ("gen_ai.output.type", "output_type")] {
        if let Some(value) = attributes.value(name) {
            found.push((Cow::Borrowed(kept), value));
        }
    }
    found
}

fn inputs(attributes: &Attributes<'_>) -> Row {
    let mut found = Row::new();
    let messages = attributes.json("gen_ai.input.messages").or_else(|| attributes.gathered("gen_ai.prompt."));
    found.extend(messages.map(|messages| (Cow::Borrowed("messages"), messages)));
    for (name, kept) in [
        ("gen_ai.system_instructions", "instructions"),
        ("gen_ai.tool.definitions", "tools"),
        ("gen_ai.prompt", "prompt"),
    ] {
        found.extend(attributes.json(name).map(|value| (Cow::Borrowed(kept), value)));
    }
    found
}

fn outputs(attributes: &Attributes<'_>) -> Row {
    let mut found = Row::new();
    let messages =
        attributes.json("gen_ai.output.messages").or_else(|| attributes.gathered("gen_ai.completion."));
    found.extend(messages.map(|messages| (Cow::Borrowed("messages"), messages)));
    for (name, kept) in [
        ("gen_ai.completion", "completion"),
        ("gen_ai.response.finish_reasons", "finish_reasons"),
        ("gen_ai.response.model", "model"),
        ("gen_ai.response.id", "response"),
    ] {
        found.extend(attributes.json(name).map(|value| (Cow::Borrowed(kept), value)));
    }
    // `input_tokens`, `output_tokens` and whatever else was counted.
    let usage = attributes.under("gen_ai.usage.");
    found.extend(usage.map(|(name, value)| (Cow::Owned(name.to_owned()), tree(value, NESTING_MAX))));
    found
}
