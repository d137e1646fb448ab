//! The interface of OpenAI, which many servers speak: chat completions, responses and embeddings, whole or as a stream of events. The names of what
//! is recorded are those that the Python package gives (`docs/python/openai.md`). Edge: bodies; who asked, and when, is the caller's.

mod answer;
mod events;
mod vectors;

use minutebook_present::json::{Problem, Tree};

use crate::exchange::{Exchange, Row, Side};
use crate::foreign::{self, get, text};
pub use answer::Answer;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/responses`
    Responses,
    /// `/v1/embeddings`
    Embeddings,
}

/// What a model sees. All else that is given is a parameter, but for what concerns the connection.
const SEEN: [&str; 5] = ["messages", "input", "instructions", "tools", "functions"];
const CONNECTION: [&str; 2] = ["stream", "stream_options"];

/// Reads a request and what there is of its answer. A call is one decision, but embeddings are one for each text.
///
/// # Errors
/// What is not JSON, or not of the interface; or more texts than are read.
pub fn exchange(
    interface: Interface,
    request: &[u8],
    answer: Option<Answer<'_>>,
) -> Result<Exchange, Problem> {
    let request = Tree::parse(request).map_err(|problem| problem.within("request"))?;
    let Tree::Object(_) = request else { return Err(Problem::new("expected an object").within("request")) };
    let all = foreign::members(&request);
    let (mut seen, mut params) = (Row::new(), Row::new());
    for (name, value) in all {
        if matches!(value, Tree::Null) || CONNECTION.contains(&&*name) {
            continue;
        }
        if SEEN.contains(&&*name) { seen.push((name, value)) } else { params.push((name, value)) }
    }
    let told = answer.map(|answer| answer::read(interface, answer)).transpose();
    let told = told.map_err(|problem| problem.within("answer"))?;
    let (inputs, rows) = match interface {
        Interface::Embeddings => vectors::inputs(&request)?,
        Interface::Chat | Interface::Responses => (vec![seen], 1),
    };
    let mut exchange = Exchange {
        model: text(&request, "model").map(str::to_owned),
        version: None,
        request_id: None,
        params,
        inputs: Side::of_rows(inputs),
        outputs: None,
        failed: false,
    };
    if let Some(told) = told {
        exchange.version = told.model;
        exchange.failed = told.failed;
        let mut outputs = told.rows;
        exchange.outputs = Some(if told.failed {
            Side::same(outputs.into_iter().next().unwrap_or_default())
        } else {
            outputs.resize_with(rows, Row::new);
            Side::of_rows(outputs)
        });
    }
    Ok(exchange)
}

/// Whether a request asks for a stream.
pub fn asks_for_stream(request: &Tree<'_>) -> bool {
    matches!(get(request, "stream"), Some(Tree::Bool(true)))
}

#[cfg(test)]
mod tests;
