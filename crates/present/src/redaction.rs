//! What was redacted at the source, in words: of a type, and of a value that is left.

use minutebook_record::redaction::{Buckets, Kept};
use minutebook_record::{FieldType, Value};
use minutebook_verify::hex;

/// What the type says was done; `None` for a field that holds what the decision saw.
pub fn of_type(field_type: &FieldType) -> Option<String> {
    Some(match field_type {
        FieldType::Dropped => "left out at the source".into(),
        FieldType::Hashed(key) => format!("hashed with key {key}"),
        FieldType::Truncated(truncation) => match (truncation.kept(), truncation.of()) {
            (Kept::First(1), FieldType::Bytes) => "first byte".into(),
            (Kept::First(length), FieldType::Bytes) => format!("first {length} bytes"),
            (Kept::First(1), _) => "first character".into(),
            (Kept::First(length), _) => format!("first {length} characters"),
            (Kept::Unit(unit), _) => format!("to the {}", unit.name()),
        },
        FieldType::Bucketed(Buckets::Width(width)) => format!("in buckets of {}", width.get()),
        FieldType::Bucketed(Buckets::Edges(edges)) => {
            let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
            format!("in buckets from {}", edges.join(", "))
        }
        _ => return None,
    })
}

/// What is left of a value, where it is not shown as other values are: `null` says that the value was missing.
pub(crate) fn of_value(field_type: &FieldType, value: &Value) -> Option<String> {
    match (field_type, value) {
        (FieldType::Dropped, _) => of_type(field_type),
        (FieldType::Hashed(_), Value::Bytes(hash)) => Some(hex(hash)),
        (FieldType::Bucketed(buckets), Value::Float(lower)) => {
            let upper = buckets.upper(*lower)?;
            Some(match (*lower == f64::NEG_INFINITY, upper == f64::INFINITY) {
                (true, _) => format!("below {upper}"),
                (_, true) => format!("{lower} and above"),
                _ => format!("{lower} to {upper}"),
            })
        }
        _ => None,
    }
}

/// What was done to a value, for those that do not show it themselves.
pub(crate) fn beside(field_type: &FieldType) -> Option<String> {
    match field_type {
        FieldType::Hashed(_) | FieldType::Truncated(_) => of_type(field_type),
        _ => None,
    }
}
