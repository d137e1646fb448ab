//! Our own convention for models over tables (`minutebook.*`), for which nobody else has one (`docs/guides/opentelemetry.md`). Edge: attributes;
//! spans are taken apart elsewhere.

use std::borrow::Cow;

use minutebook_present::json::{Members, Tree};

use super::Content;
use super::attributes::{Attributes, tree};
use crate::exchange::{Version, VersionFrom};
use crate::limits::NESTING_MAX;

pub(super) fn content(attributes: &Attributes<'_>) -> Option<Content> {
    let model = attributes.text("minutebook.model.name")?;
    let mut content = Content::of_model(Some(model), None);
    if let Some(version) = attributes.text("minutebook.model.version") {
        content.version = Version::known(version, VersionFrom::Sender);
    }
    content.artifact = attributes.text("minutebook.model.artifact").and_then(digest);
    content.inputs = side(attributes, "minutebook.inputs", "minutebook.input.");
    content.outputs = side(attributes, "minutebook.outputs", "minutebook.output.");
    content.params = side(attributes, "minutebook.params", "minutebook.param.");
    content.tags = side(attributes, "minutebook.tags", "minutebook.tag.");
    let text = |name: &str| attributes.text(name).map(str::to_owned);
    content.subject = text("minutebook.subject");
    content.actor = text("minutebook.actor");
    content.class = text("minutebook.class");
    Some(content)
}

/// One attribute for each field, or all of them as one JSON object.
fn side(attributes: &Attributes<'_>, whole: &str, each: &str) -> Members<'static> {
    let mut found: Members<'static> = match attributes.json(whole) {
        Some(Tree::Object(mut members)) if members.len() == 1 && members[0].0 == "$map" => {
            match members.remove(0).1 {
                Tree::Object(members) => members,
                _ => Vec::new(),
            }
        }
        Some(Tree::Object(members)) => members,
        _ => Vec::new(),
    };
    for (name, value) in attributes.under(each).filter(|(name, _)| !name.is_empty()) {
        let value = tree(value, NESTING_MAX);
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => found.push((Cow::Owned(name.to_owned()), value)),
        }
    }
    found
}

/// `sha256:` and 64 hex digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?;
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
