//! Embeddings: a text in, a vector out, a decision for each. Edge: the two lists; parameters and names are next door.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_present::json::{Problem, Tree};
use minutebook_record::Integer;

use crate::exchange::Row;
use crate::foreign::{self, get, object, owned};
use crate::invocations::too_many;
use crate::limits::ROWS_MAX;

/// What is to be embedded, one row each: texts, or lists of tokens.
pub(super) fn inputs(request: &Tree<'_>) -> Result<(Vec<Row>, usize), Problem> {
    let row = |value: &Tree<'_>| -> Row { vec![(Cow::Borrowed("input"), foreign::value(value))] };
    let rows = match get(request, "input") {
        Some(Tree::Array(items)) if !items.iter().all(|item| matches!(item, Tree::Integer(_))) => {
            if items.len() > ROWS_MAX {
                return Err(too_many(items.len()).within("input").within("request"));
            }
            items.iter().map(row).collect()
        }
        Some(one) => vec![row(one)],
        None => return Err(Problem::new("member `input` is missing").within("request")),
    };
    let count = rows.len();
    Ok((rows, count))
}

/// The vectors of an answer, by their numbers.
pub(super) fn outputs(answer: &Tree<'_>) -> Vec<Row> {
    let Some(Tree::Array(items)) = get(answer, "data") else { return Vec::new() };
    let mut rows: Vec<Row> = Vec::with_capacity(items.len().min(ROWS_MAX));
    for (place, item) in items.iter().take(ROWS_MAX).enumerate() {
        let at = match get(item, "index") {
            Some(Tree::Integer(index)) => usize::try_from(index.get()).unwrap_or(place),
            _ => place,
        };
        if at >= ROWS_MAX {
            continue;
        }
        if rows.len() <= at {
            rows.resize_with(at + 1, Row::new);
        }
        if let Some(vector) = get(item, "embedding") {
            rows[at] = vec![(Cow::Borrowed("embedding"), vector_of(vector))];
        }
    }
    rows
}

/// Numbers as a tensor of 64 bits, since it is not known how exact they are; base64 as what it is, 32 bits.
fn vector_of(vector: &Tree<'_>) -> Tree<'static> {
    let tensor = |dtype: &'static str, length: usize, form: &'static str, data: Tree<'static>| {
        object(
            "$tensor",
            Tree::Object(vec![
                (Cow::Borrowed("dtype"), owned(dtype)),
                (Cow::Borrowed("shape"), Tree::Array(vec![Tree::Integer(Integer::from(length as u64))])),
                (Cow::Borrowed(form), data),
            ]),
        )
    };
    match vector {
        Tree::Array(items) if items.iter().all(|item| matches!(item, Tree::Integer(_) | Tree::Float(_))) => {
            let float = |item: &Tree<'_>| match item {
                Tree::Integer(value) => Tree::Float(value.get() as f64),
                other => other.clone().into_owned(),
            };
            tensor("f64", items.len(), "data", Tree::Array(items.iter().map(float).collect()))
        }
        Tree::Text(text) => match BASE64.decode(&**text) {
            Ok(bytes) if bytes.len().is_multiple_of(4) => {
                tensor("f32", bytes.len() / 4, "base64", owned(&**text))
            }
            _ => foreign::value(vector),
        },
        other => foreign::value(other),
    }
}
