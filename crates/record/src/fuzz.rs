//! What must hold of every decoder on any bytes: no panic, and what is accepted is written again as the same bytes.

use crate::check::{check, check_any};
use crate::commit::Preimage;
use crate::disclosure::{Disclosed, Disclosure};
use crate::field_type::{Element, FieldType, IntegerType};
use crate::fields::{Attributions, Event, ExplanationMeta, ModelRef, Subjects};
use crate::header::Header;
use crate::redaction::KeyId;
use crate::schema::Schema;
use crate::value::Value;

const TYPES: [FieldType; 25] = [
    FieldType::Null,
    FieldType::Bool,
    FieldType::Integer(IntegerType::I8),
    FieldType::Integer(IntegerType::U64),
    FieldType::F16,
    FieldType::F32,
    FieldType::F64,
    FieldType::Decimal,
    FieldType::Text,
    FieldType::Bytes,
    FieldType::Timestamp(None),
    FieldType::Date,
    FieldType::Duration,
    FieldType::List,
    FieldType::Map,
    FieldType::Tensor(Element::Bool),
    FieldType::Tensor(Element::F32),
    FieldType::Blob,
    FieldType::Event,
    FieldType::Model,
    FieldType::Attributions,
    FieldType::Explanation,
    FieldType::Subject,
    FieldType::Dropped,
    FieldType::Hashed(KeyId([0; 4])),
];

/// Gives `data` to every decoder.
///
/// # Panics
///
/// When one of them accepts what it would not write.
pub fn fuzz_decoders(data: &[u8]) {
    let mut out = Vec::new();
    if let Ok(header) = Header::decode(data) {
        header.write(&mut out);
        assert_eq!(out, data, "header");
    }
    if let Ok(preimage) = Preimage::decode(data) {
        out.clear();
        preimage.write(&mut out);
        assert_eq!(out, data, "preimage");
    }
    if let Ok(schema) = Schema::decode(data) {
        assert_eq!(schema.encoded(), data, "schema");
        for (place, field) in schema.fields().iter().enumerate() {
            assert_eq!(schema.find(&field.path), Some(place), "path");
            assert_eq!(field.field_type.to_string().parse().as_ref(), Ok(&field.field_type), "type");
        }
    }
    if let Ok(disclosure) = Disclosure::decode(data) {
        assert_eq!(disclosure.encode(), data, "disclosure");
        let shown =
            disclosure.fields().iter().filter(|field| matches!(field, Disclosed::Shown { .. })).count();
        assert_eq!(disclosure.shown().count(), shown, "shown fields");
        let _ = (disclosure.leaf(), disclosure.betraying());
    }
    for field_type in &TYPES {
        fuzz_value(field_type, data);
    }
    if let Ok(length) = check_any(data) {
        assert!(length <= data.len(), "length of any value");
    }
    let _ = Event::time_of(data);
}

/// A value of this type at the start of `data`.
pub(crate) fn fuzz_value(field_type: &FieldType, data: &[u8]) {
    let Ok(length) = check(field_type, data) else { return };
    let data = &data[..length];
    assert_eq!(check(field_type, data), Ok(length), "{field_type}: what follows does not matter");
    assert_eq!(check_any(data), Ok(length), "{field_type}: a value of a type is a value");
    let mut out = Vec::new();
    let value = Value::decode(field_type, data).expect("checked");
    value.encode(field_type, &mut out).expect("decoded");
    assert_eq!(out, data, "{field_type}");
    out.clear();
    let known = match field_type {
        FieldType::Event => Event::decode(data).expect("checked").map(|event| event.write(&mut out)),
        FieldType::Model => ModelRef::decode(data).expect("checked").map(|model| model.write(&mut out)),
        FieldType::Attributions => {
            Attributions::decode(data).expect("checked").map(|found| found.write(&mut out))
        }
        FieldType::Explanation => {
            ExplanationMeta::decode(data).expect("checked").map(|meta| meta.write(&mut out))
        }
        FieldType::Subject => {
            Subjects::decode(data).expect("checked").map(|subjects| subjects.write(&mut out))
        }
        _ => None,
    };
    if known.is_some() {
        assert_eq!(out, data, "{field_type} as its own type");
    }
}
