//! Inputs to begin from that are in the repository already: vectors of the formats. Edge: reads files of this repository.

use std::path::Path;

use serde_json::Value;

/// A file of `docs/formats/vectors`.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors").join(name);
    std::fs::read(&path).expect("a vector of a format")
}

/// What a file of vectors has as hex digits, at any depth: the encodings.
pub(crate) fn hex_of(name: &str) -> Vec<Vec<u8>> {
    let json: Value = serde_json::from_slice(&vector(name)).expect("vectors are JSON");
    let mut found = Vec::new();
    gather(&json, &mut found);
    found.sort();
    found.dedup();
    found
}

fn gather(json: &Value, found: &mut Vec<Vec<u8>>) {
    match json {
        Value::String(text) => found.extend(unhex(text).filter(|bytes| !bytes.is_empty())),
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(members) => members.values().for_each(|value| gather(value, found)),
        _ => {}
    }
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Two parts of an input, with [`BETWEEN`] in the middle.
pub(crate) fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, BETWEEN, second].concat()
}

/// What divides the parts of an input: such as a request and its answer.
pub(crate) const BETWEEN: &[u8] = b"\n---\n";

/// An input up to [`BETWEEN`] and from there on.
pub(crate) fn parts(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    match data.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        Some(at) => (&data[..at], Some(&data[at + BETWEEN.len()..])),
        None => (data, None),
    }
}
