//! The fields of a `window` record, as the engine and a producer that counts by itself write them. Edge: no id, no number.

use crate::encoding::SealedWindow;
use crate::window::Key;
use minutebook_record::cbor;
use minutebook_record::fields::Event;
use minutebook_record::{Field, FieldType, IntegerType, Path};

/// An encoded value and its type.
type Typed = (FieldType, Vec<u8>);

/// The fields with their encoded values. `through`: all that was placed in the log's entries below is in it.
pub fn fields(key: &Key, part: &SealedWindow, through: u64) -> Vec<(Field, Vec<u8>)> {
    let mut event = Vec::new();
    Event::at(key.start.saturating_mul(1_000_000_000)).write(&mut event);
    let number = |value: u64| {
        let mut out = Vec::new();
        cbor::write_unsigned(&mut out, value);
        (FieldType::Integer(IntegerType::U64), out)
    };
    let all: [(&[&str], Typed); 9] = [
        (&["event"], (FieldType::Event, event)),
        (&["model"], (FieldType::Model, key.model.to_vec())),
        (&["window", "length"], number(key.length.seconds())),
        (&["window", "through"], number(through)),
        (&["window", "decisions"], number(part.decisions)),
        (&["window", "status"], (FieldType::Map, part.status.clone())),
        (&["window", "rules"], (FieldType::Map, part.rules.clone())),
        (&["window", "covers"], (FieldType::List, part.covers.clone())),
        (&["window", "features"], (FieldType::List, part.features.clone())),
    ];
    let field = |(path, (field_type, value)): (&[&str], _)| {
        // INVARIANT: one or two short texts.
        let path = Path::new(path.iter().copied()).expect("a path of a window");
        (Field { path, field_type }, value)
    };
    all.into_iter().map(field).collect()
}
