//! Values, numbers and sizes in words. Edge: one value at a time; where it stands on a page is decided
//! elsewhere.

use std::borrow::Cow;

use minutebook_record::{FieldType, Tensor, Value};
use minutebook_verify::hex;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Look;
use crate::{json, redaction};

/// Columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` of a text; what is cut is marked.
pub(super) fn cut(look: &Look, text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    let room = columns.saturating_sub(ellipsis.len().min(width(ellipsis)));
    let mut used = 0;
    let fits = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= room
    });
    let mut kept: String = fits.collect();
    kept.push_str(ellipsis);
    kept
}

/// A text from outside, so that it cannot steer a terminal: control characters, and those that turn the
/// direction of writing, are escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    let unsafe_ = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(unsafe_) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unsafe_(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// A text from outside as `look` can show it.
pub(super) fn shown(look: &Look, text: &str) -> String {
    let text = printable(text);
    if look.unicode || text.is_ascii() {
        return text.into_owned();
    }
    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `1,000 records`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A size as people say it.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} {}", UNITS[0]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// Elements of a tensor or bytes that are shown before it is cut.
const ELEMENTS_SHOWN: usize = 8;

/// The value of a field in one line.
pub(super) fn value(look: &Look, field_type: &FieldType, encoded: &[u8]) -> String {
    match Value::decode(field_type, encoded) {
        Ok(value) => {
            let text = of_value(look, &value, field_type);
            match redaction::beside(field_type) {
                Some(done) if !matches!(value, Value::Null) => format!("{text} ({done})"),
                _ => text,
            }
        }
        Err(_) => format!("unreadable, {}", bytes(encoded.len() as u64)),
    }
}

/// A value by itself in one line, as a field of this type has it.
pub(super) fn of_value(look: &Look, value: &Value, field_type: &FieldType) -> String {
    if let Some(text) = redaction::of_value(field_type, value) {
        return text;
    }
    let field_type = match field_type {
        FieldType::Truncated(truncation) => truncation.of(),
        other => other,
    };
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) if *field_type == FieldType::F32 => float_of(*value as f32),
        Value::Float(value) => float(*value),
        Value::Decimal { exponent, mantissa } => json::decimal(*exponent, *mantissa),
        Value::Text(text) => quoted_if_needed(look, text),
        Value::Bytes(content) => {
            let rest = if content.len() > ELEMENTS_SHOWN { look.ellipsis() } else { "" };
            let shown = &content[..content.len().min(ELEMENTS_SHOWN)];
            format!("{}: {}{rest}", bytes(content.len() as u64), hex(shown)).trim_end_matches(": ").to_owned()
        }
        Value::Tensor(tensor) => of_tensor(look, tensor),
        Value::Blob(blob) => {
            let media_type = shown(look, &blob.media_type);
            format!("{media_type}, {}, sha256:{}", bytes(blob.length), hex(&blob.digest))
        }
        Value::Timestamp(_) | Value::Date(_) | Value::Duration(_) => plain_time(value, field_type),
        Value::List(_) | Value::Map(_) => shown(look, &json::value(value).to_string()),
    }
}

/// The text within the one member of a time's JSON.
fn plain_time(value: &Value, field_type: &FieldType) -> String {
    let json = json::value(value);
    let inner = json.as_object().and_then(|object| object.values().next()).cloned().unwrap_or(json);
    let text = inner.as_str().map_or_else(|| inner.to_string(), str::to_owned);
    match field_type {
        FieldType::DateTime => text.trim_end_matches('Z').to_owned(),
        FieldType::Timestamp(Some(zone)) => format!("{text} ({})", zone.name()),
        _ => text,
    }
}

/// Text as it is, but in quotes where it could be taken for something else or its ends could not be seen.
fn quoted_if_needed(look: &Look, text: &str) -> String {
    let doubtful = text.is_empty()
        || text.trim() != text
        || matches!(text, "null" | "true" | "false" | "NaN")
        || text.parse::<f64>().is_ok()
        || printable(text) != text;
    if doubtful { format!("\"{}\"", shown(look, text).replace('"', "\\\"")) } else { shown(look, text) }
}

fn of_tensor(look: &Look, tensor: &Tensor) -> String {
    let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    let shape = shape.join(&format!(" {} ", look.times()));
    let head =
        format!("{} tensor {}", tensor.element.name(), if shape.is_empty() { "of one" } else { &shape });
    let shown: Vec<String> =
        json::elements(tensor).take(ELEMENTS_SHOWN + 1).map(|one| one.json().to_string()).collect();
    if shown.len() > ELEMENTS_SHOWN { head } else { format!("{head}: {}", shown.join(", ")) }
}

/// The shortest digits that give the float again; always told apart from an integer.
pub(super) fn float(value: f64) -> String {
    if value.is_finite() { json::float(value).to_string() } else { json::float_name(value).to_owned() }
}

fn float_of(value: f32) -> String {
    let text = value.to_string();
    match text.parse() {
        Ok(wide) => float(wide),
        Err(_) => text,
    }
}

/// A float for comparing at a glance: six significant digits, no more than needed.
pub(super) fn rounded(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return float(value);
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{value:.4e}");
    }
    let digits = (5.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The value of a field in few columns, for tables.
pub(crate) fn brief(look: &Look, field_type: &FieldType, encoded: &[u8]) -> String {
    match Value::decode(field_type, encoded) {
        Ok(Value::Float(value)) if !field_type.is_redacted() => rounded(value),
        Ok(Value::Tensor(tensor)) => format!("{} tensor", tensor.element.name()),
        Ok(Value::Blob(_)) => "blob".into(),
        Ok(value) => cut(look, &of_value(look, &value, field_type), 24),
        Err(_) => "unreadable".into(),
    }
}
