//! Records made field by field, for tests that care what stands where.

use crate::fixture::{class, encode};
use minutebook_capture::{Pending, Producer, ShapeDef};
use minutebook_record::fields::Event;
use minutebook_record::{Field, FieldType, Kind, Path, RecordId, Schema, Value};

/// A record before it is handed over.
#[derive(Clone)]
pub struct Slots {
    pub kind: Kind,
    pub class: &'static str,
    /// Path, type, encoded value, and whether it is a constant of the shape.
    pub fields: Vec<(Vec<String>, FieldType, Vec<u8>, bool)>,
}

impl Slots {
    pub fn new(kind: Kind) -> Self {
        Self { kind, class: "standard", fields: Vec::new() }
    }

    /// A value of the record itself.
    pub fn with(mut self, path: &[&str], field_type: FieldType, value: Vec<u8>) -> Self {
        self.fields.push((path.iter().map(|part| (*part).to_owned()).collect(), field_type, value, false));
        self
    }

    /// A value that the shape has.
    pub fn constant(mut self, path: &[&str], field_type: FieldType, value: Vec<u8>) -> Self {
        self = self.with(path, field_type, value);
        self.fields.last_mut().unwrap().3 = true;
        self
    }

    pub fn text(self, path: &[&str], text: &str) -> Self {
        self.with(path, FieldType::Text, encode(&Value::Text(text.into())))
    }

    pub fn event(self, event: &Event) -> Self {
        let mut bytes = Vec::new();
        event.write(&mut bytes);
        self.with(&["event"], FieldType::Event, bytes)
    }

    pub fn hand_over(&self, producer: &Producer) -> RecordId {
        self.finish(producer, producer.begin(&class(self.class)).unwrap())
    }

    /// The record of a decision that was begun.
    pub fn finish(&self, producer: &Producer, pending: Pending<&Producer>) -> RecordId {
        let fields = self.fields.iter().map(|(path, field_type, ..)| Field {
            path: Path::new(path.iter().map(String::as_str)).unwrap(),
            field_type: field_type.clone(),
        });
        let schema = Schema::new(fields.collect()).unwrap();
        let constants = self.fields.iter().enumerate().filter(|(_, field)| field.3);
        let constants = constants.map(|(place, field)| (place, field.2.clone().into_boxed_slice())).collect();
        let shape = producer.shape_of(ShapeDef::from_encoded(schema, constants).unwrap()).unwrap();
        let mut encoder = pending.record(&shape, self.kind);
        for (.., value, _) in self.fields.iter().filter(|field| !field.3) {
            encoder.raw(value);
        }
        encoder.finish().unwrap()
    }
}

/// An event at a time, about other records.
pub fn event(time_ns: i64, links: Vec<RecordId>) -> Event {
    Event {
        time_ns,
        clock_error_ns: None,
        duration_ns: None,
        status: "ok".into(),
        trace: None,
        span: None,
        batch: None,
        kept: None,
        links,
    }
}
