//! The conventions of OpenInference (`openinference.span.kind`, `llm.*`, `input.value`). Edge: attributes; spans are taken apart elsewhere.

use std::borrow::Cow;

use minutebook_present::json::{Members, Tree};

use super::Content;
use super::attributes::Attributes;
use crate::exchange::Row;
use crate::foreign;

/// Kinds of spans in which a model is asked; in the others (`CHAIN`, `AGENT`, `TOOL`, `RETRIEVER` …) something around it works.
const KINDS: [&str; 4] = ["LLM", "EMBEDDING", "RERANKER", "GUARDRAIL"];

pub(super) fn content(attributes: &Attributes<'_>) -> Option<Content> {
    let kind = attributes.text("openinference.span.kind")?.to_ascii_uppercase();
    if !KINDS.contains(&kind.as_str()) {
        return None;
    }
    let named = ["llm.model_name", "embedding.model_name", "reranker.model_name"];
    let model = named.iter().find_map(|name| attributes.text(name));
    let mut content = Content::of_model(model, None);
    content.provider = attributes.text("llm.provider").or(attributes.text("llm.system")).map(str::to_owned);
    content.params = params(attributes);
    content.params.push((Cow::Borrowed("operation"), foreign::owned(kind.to_ascii_lowercase())));
    content.inputs = inputs(attributes);
    content.outputs = outputs(attributes);
    Some(content)
}

fn params(attributes: &Attributes<'_>) -> Members<'static> {
    let named = ["llm.invocation_parameters", "embedding.invocation_parameters"];
    match named.iter().find_map(|name| attributes.json(name)) {
        Some(Tree::Object(members)) => members.into_iter().filter(|(name, _)| name != "$map").collect(),
        _ => Vec::new(),
    }
}

/// A list of `{"message": {…}}` as a list of messages.
fn messages(attributes: &Attributes<'_>, prefix: &str) -> Option<Tree<'static>> {
    let unwrapped = |item: Tree<'static>| match item {
        Tree::Object(mut members) if members.len() == 1 && members[0].0 == "message" => members.remove(0).1,
        other => other,
    };
    Some(match attributes.gathered(prefix)? {
        Tree::Array(items) => Tree::Array(items.into_iter().map(unwrapped).collect()),
        other => other,
    })
}

/// What `input.value` or `output.value` has: the members of an object, else one value.
fn whole(attributes: &Attributes<'_>, name: &str) -> Row {
    match attributes.json(name) {
        Some(Tree::Object(members)) if members.iter().all(|(name, _)| name != "$map") => members,
        Some(value) => vec![(Cow::Borrowed("value"), value)],
        None => Row::new(),
    }
}

fn inputs(attributes: &Attributes<'_>) -> Row {
    let mut found = Row::new();
    let value = whole(attributes, "input.value");
    found.extend(messages(attributes, "llm.input_messages.").map(|list| (Cow::Borrowed("messages"), list)));
    found.extend(attributes.gathered("llm.prompts.").map(|list| (Cow::Borrowed("prompts"), list)));
    found.extend(attributes.gathered("llm.tools.").map(|list| (Cow::Borrowed("tools"), list)));
    if found.is_empty() {
        found = value;
    }
    found
}

fn outputs(attributes: &Attributes<'_>) -> Row {
    let mut found = Row::new();
    let value = whole(attributes, "output.value");
    found.extend(messages(attributes, "llm.output_messages.").map(|list| (Cow::Borrowed("messages"), list)));
    found
        .extend(attributes.gathered("embedding.embeddings.").map(|list| (Cow::Borrowed("embeddings"), list)));
    if found.is_empty() {
        found = value;
    }
    for (name, kept) in [
        ("llm.finish_reason", "finish_reason"),
        ("llm.token_count.prompt", "input_tokens"),
        ("llm.token_count.completion", "output_tokens"),
        ("llm.token_count.total", "total_tokens"),
    ] {
        if found.iter().all(|(name, _)| name != kept) {
            found.extend(attributes.value(name).map(|value| (Cow::Borrowed(kept), value)));
        }
    }
    found
}
