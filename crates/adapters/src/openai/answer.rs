//! What a language model's answer comes to as outputs, from a whole answer or from the events of a stream. Edge: a stream that broke off is as far as
//! it came.

use std::borrow::Cow;
use std::collections::BTreeMap;

use minutebook_present::json::{Problem, Tree};

use super::{Interface, events, vectors};
use crate::columns::error_row;
use crate::exchange::Row;
use crate::foreign::{self, get, owned, text};
use crate::limits::{CHOICES_MAX, TOOL_CALLS_MAX};

/// The body of an answer, or as much of it as came.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// They are server-sent events.
    pub is_stream: bool,
}

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Who answered.
    pub(super) model: Option<String>,
    pub(super) rows: Vec<Row>,
    pub(super) failed: bool,
}

pub(super) fn read(interface: Interface, answer: Answer<'_>) -> Result<Told, Problem> {
    if answer.is_stream {
        return Ok(match interface {
            Interface::Responses => response_stream(answer.body),
            Interface::Chat | Interface::Embeddings => chat_stream(answer.body),
        });
    }
    let answer = Tree::parse(answer.body)?;
    if let Some(error) = get(&answer, "error") {
        return Ok(failed(error));
    }
    Ok(match interface {
        Interface::Chat => {
            let mut chat = Chat::default();
            chat.whole(&answer);
            chat.told()
        }
        Interface::Responses => response(&answer),
        Interface::Embeddings => {
            let mut rows = vectors::outputs(&answer);
            // Of several texts it is not known how many tokens each of them has.
            if let ([row], Some(usage)) = (rows.as_mut_slice(), get(&answer, "usage")) {
                tokens(usage, "prompt", "completion", row);
            }
            Told { model: text(&answer, "model").map(str::to_owned), rows, failed: false }
        }
    })
}

fn failed(error: &Tree<'_>) -> Told {
    let row = match text(error, "message") {
        Some(message) => error_row(message),
        None => vec![(Cow::Borrowed("error"), foreign::value(error))],
    };
    Told { model: None, rows: vec![row], failed: true }
}

fn put(row: &mut Row, name: &'static str, value: Option<&Tree<'_>>) {
    if let Some(value) = value {
        set(row, name, foreign::value(value));
    }
}

/// Sets a member; the last word counts.
fn set(row: &mut Row, name: &'static str, value: Tree<'static>) {
    match row.iter_mut().find(|(found, _)| found == name) {
        Some((_, before)) => *before = value,
        None => row.push((Cow::Borrowed(name), value)),
    }
}

/// How many tokens, by the same names for all interfaces.
fn tokens(usage: &Tree<'_>, into: &str, out: &str, row: &mut Row) {
    put(row, "input_tokens", get(usage, &format!("{into}_tokens")));
    put(row, "output_tokens", get(usage, &format!("{out}_tokens")));
    put(row, "total_tokens", get(usage, "total_tokens"));
    let detail = |side: &str, name: &str| {
        get(usage, &format!("{side}_tokens_details"))
            .and_then(|details| get(details, name))
            .cloned()
            .map(Tree::into_owned)
    };
    put(row, "cached_tokens", detail(into, "cached_tokens").as_ref());
    put(row, "reasoning_tokens", detail(out, "reasoning_tokens").as_ref());
}

fn index(tree: &Tree<'_>) -> Option<usize> {
    match get(tree, "index")? {
        Tree::Integer(index) => usize::try_from(index.get()).ok(),
        _ => None,
    }
}

/// A chat completion. One choice stands for itself; of several there is a list.
#[derive(Default)]
struct Chat {
    choices: BTreeMap<usize, Choice>,
    about: Row,
    model: Option<String>,
}

#[derive(Default)]
struct Choice {
    content: Option<String>,
    refusal: Option<String>,
    finish_reason: Option<String>,
    tool_calls: Vec<ToolCall>,
    /// Those of an answer that came at once, as they were.
    whole_calls: Option<Tree<'static>>,
}

#[derive(Default)]
struct ToolCall {
    id: Option<String>,
    name: String,
    arguments: String,
}

impl Chat {
    fn about(&mut self, answer: &Tree<'_>) {
        put(&mut self.about, "response", get(answer, "id"));
        put(&mut self.about, "model", get(answer, "model"));
        if let Some(model) = text(answer, "model") {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = get(answer, "usage") {
            tokens(usage, "prompt", "completion", &mut self.about);
        }
    }

    /// The choice of this number. Those of higher numbers than are read are left out.
    fn choice(&mut self, tree: &Tree<'_>) -> Option<&mut Choice> {
        let at = index(tree).unwrap_or(0);
        (at < CHOICES_MAX).then(|| self.choices.entry(at).or_default())
    }

    fn whole(&mut self, answer: &Tree<'_>) {
        self.about(answer);
        let Some(Tree::Array(choices)) = get(answer, "choices") else { return };
        for found in choices {
            let Some(choice) = self.choice(found) else { continue };
            choice.finish_reason = text(found, "finish_reason").map(str::to_owned);
            if let Some(message) = get(found, "message") {
                choice.content = text(message, "content").map(str::to_owned);
                choice.refusal = text(message, "refusal").map(str::to_owned);
                choice.whole_calls = get(message, "tool_calls").map(foreign::value);
            }
        }
    }

    fn piece(&mut self, chunk: &Tree<'_>) {
        self.about(chunk);
        let Some(Tree::Array(choices)) = get(chunk, "choices") else { return };
        for found in choices {
            let Some(choice) = self.choice(found) else { continue };
            if let Some(reason) = text(found, "finish_reason") {
                choice.finish_reason = Some(reason.to_owned());
            }
            let Some(delta) = get(found, "delta") else { continue };
            for (name, so_far) in [("content", &mut choice.content), ("refusal", &mut choice.refusal)] {
                if let Some(piece) = text(delta, name).filter(|piece| !piece.is_empty()) {
                    so_far.get_or_insert_default().push_str(piece);
                }
            }
            if let Some(Tree::Array(calls)) = get(delta, "tool_calls") {
                calls.iter().for_each(|call| choice.tool_call(call));
            }
        }
    }

    fn outputs(self) -> Row {
        let mut choices: Vec<Row> = self.choices.into_values().map(Choice::row).collect();
        let mut row = match choices.len() {
            1 => choices.swap_remove(0),
            _ => {
                vec![(Cow::Borrowed("choices"), Tree::Array(choices.into_iter().map(Tree::Object).collect()))]
            }
        };
        row.extend(self.about);
        row
    }

    fn told(self) -> Told {
        Told { model: self.model.clone(), rows: vec![self.outputs()], failed: false }
    }
}

impl Choice {
    fn tool_call(&mut self, piece: &Tree<'_>) {
        let at = index(piece).unwrap_or(0);
        if at >= TOOL_CALLS_MAX {
            return;
        }
        if self.tool_calls.len() <= at {
            self.tool_calls.resize_with(at + 1, ToolCall::default);
        }
        let call = &mut self.tool_calls[at];
        if let Some(id) = text(piece, "id") {
            call.id = Some(id.to_owned());
        }
        if let Some(function) = get(piece, "function") {
            call.name.push_str(text(function, "name").unwrap_or_default());
            call.arguments.push_str(text(function, "arguments").unwrap_or_default());
        }
    }

    fn row(self) -> Row {
        let mut row = Row::new();
        let texts =
            [("content", self.content), ("refusal", self.refusal), ("finish_reason", self.finish_reason)];
        row.extend(texts.into_iter().filter_map(|(name, text)| Some((Cow::Borrowed(name), owned(text?)))));
        if let Some(calls) = self.whole_calls {
            row.push((Cow::Borrowed("tool_calls"), calls));
        } else if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.into_iter().map(ToolCall::tree).collect();
            row.push((Cow::Borrowed("tool_calls"), Tree::Array(calls)));
        }
        row
    }
}

impl ToolCall {
    fn tree(self) -> Tree<'static> {
        let function = vec![
            (Cow::Borrowed("name"), owned(self.name)),
            (Cow::Borrowed("arguments"), owned(self.arguments)),
        ];
        let mut call: Row = vec![
            (Cow::Borrowed("type"), owned("function")),
            (Cow::Borrowed("function"), Tree::Object(function)),
        ];
        if let Some(id) = self.id {
            call.push((Cow::Borrowed("id"), owned(id)));
        }
        Tree::Object(call)
    }
}

fn chat_stream(body: &[u8]) -> Told {
    let mut chat = Chat::default();
    let mut complete = false;
    for data in events::data(body) {
        if data == b"[DONE]" {
            complete = true;
        } else if let Ok(chunk) = Tree::parse(&data) {
            if let Some(error) = get(&chunk, "error") {
                return broken(failed(error), chat.outputs());
            }
            chat.piece(&chunk);
        }
    }
    let mut told = chat.told();
    told.rows[0].push((Cow::Borrowed("complete"), Tree::Bool(complete)));
    told
}

/// A stream that ended with an error: that, and what came before it.
fn broken(mut told: Told, so_far: Row) -> Told {
    told.rows[0].extend(so_far);
    told.rows[0].push((Cow::Borrowed("complete"), Tree::Bool(false)));
    told
}

/// An answer of the responses interface.
fn response(answer: &Tree<'_>) -> Told {
    let mut row = Row::new();
    put(&mut row, "response", get(answer, "id"));
    put(&mut row, "model", get(answer, "model"));
    put(&mut row, "response_status", get(answer, "status"));
    let output = get(answer, "output");
    if let Some(output) = output {
        row.push((Cow::Borrowed("text"), owned(output_text(output))));
    }
    put(&mut row, "output", output);
    if let Some(usage) = get(answer, "usage") {
        tokens(usage, "input", "output", &mut row);
    }
    Told { model: text(answer, "model").map(str::to_owned), rows: vec![row], failed: false }
}

/// The text in a response's output, one piece behind the other.
fn output_text(output: &Tree<'_>) -> String {
    let Tree::Array(items) = output else { return String::new() };
    let parts = items
        .iter()
        .filter(|item| text(item, "type") == Some("message"))
        .filter_map(|item| get(item, "content"));
    let parts = parts.filter_map(|content| match content {
        Tree::Array(parts) => Some(parts),
        _ => None,
    });
    parts
        .flatten()
        .filter(|part| text(part, "type") == Some("output_text"))
        .filter_map(|part| text(part, "text"))
        .collect()
}

fn response_stream(body: &[u8]) -> Told {
    const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];
    let (mut text_so_far, mut told, mut model) = (String::new(), None, None);
    for data in events::data(body) {
        let Ok(event) = Tree::parse(&data) else { continue };
        let kind = text(&event, "type").unwrap_or_default();
        if let Some(answer) = get(&event, "response") {
            model = text(answer, "model").map(str::to_owned).or(model);
            if ENDS.contains(&kind) {
                told = Some(response(answer));
            }
        } else if kind == "response.output_text.delta" {
            text_so_far.push_str(text(&event, "delta").unwrap_or_default());
        } else if kind == "error" {
            return broken(failed(&event), vec![(Cow::Borrowed("text"), owned(text_so_far))]);
        }
    }
    let complete = told.is_some();
    let mut told = told.unwrap_or_else(|| Told {
        model,
        rows: vec![vec![(Cow::Borrowed("text"), owned(text_so_far))]],
        failed: false,
    });
    told.rows[0].push((Cow::Borrowed("complete"), Tree::Bool(complete)));
    told
}
