//! Where the fields of a policy stand in the records of one shape: found once for each shape. Edge: places only; values come from the record.

use crate::evaluate::Fields;
use crate::expression::FieldPath;
use crate::value::{Value, skip};
use minutebook_record::cbor::Reader;
use minutebook_record::{FieldType, Schema};

/// Where each field of a policy's conditions stands.
#[derive(Debug, Clone)]
pub struct ShapePlan {
    /// By table, rule and field.
    pub(crate) slots: Vec<Vec<Vec<Option<Slot>>>>,
    /// By table and rule: the field that its rate depends on.
    pub(crate) strata: Vec<Vec<Option<Slot>>>,
    pub(crate) model: Option<usize>,
    /// Place of the event in the schema.
    pub(crate) event: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Slot {
    place: usize,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    /// The value, or what these keys lead to in it.
    Value(Vec<String>),
    /// So many items into an array, such as the status of an event.
    Item { before: usize, is_duration: bool },
}

impl Slot {
    pub(crate) fn find(path: &FieldPath, schema: &Schema) -> Option<Self> {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        let item = |name: &str, before, is_duration| {
            Some(Self { place: schema.find_parts(&[name])?, part: Part::Item { before, is_duration } })
        };
        match parts[..] {
            ["event", "duration"] => item("event", 2, true),
            ["event", "status"] => item("event", 3, false),
            ["model", "name"] => item("model", 0, false),
            ["model", "version"] => item("model", 1, false),
            _ => {
                let (place, depth) = place_of(schema, &path.parts)?;
                let is_map = schema.fields()[place].field_type == FieldType::Map;
                (depth == parts.len() || is_map)
                    .then(|| Self { place, part: Part::Value(path.parts[depth..].to_vec()) })
            }
        }
    }

    /// A reader at the value, which is not null.
    fn reader<'a>(&self, field: &impl Fn(usize) -> &'a [u8]) -> Option<Reader<'a>> {
        let mut reader = Reader::new(field(self.place));
        match &self.part {
            Part::Value(keys) => {
                for key in keys {
                    let pairs = reader.map().ok()?;
                    let found = (0..pairs).any(|_| match reader.text() {
                        Ok(name) if name == key => true,
                        Ok(_) => skip(&mut reader).is_none(),
                        Err(_) => true,
                    });
                    if !found {
                        return None;
                    }
                }
            }
            Part::Item { before, .. } => {
                reader.array().ok()?;
                for _ in 0..*before {
                    skip(&mut reader)?;
                }
            }
        }
        (!reader.clone().take_null()).then_some(reader)
    }
}

/// The place of the longest path of the schema that these parts begin with, and how many parts it has.
pub(crate) fn place_of(schema: &Schema, parts: &[String]) -> Option<(usize, usize)> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    (1..=parts.len()).rev().find_map(|depth| Some((schema.find_parts(&parts[..depth])?, depth)))
}

/// The fields of one condition in one record.
pub(crate) struct InRecord<'s, F> {
    pub(crate) slots: &'s [Option<Slot>],
    pub(crate) field: F,
}

impl<'a, F: Fn(usize) -> &'a [u8]> InRecord<'_, F> {
    /// The value of a field; `None` when it is missing, or of a type that is not compared.
    pub(crate) fn value_at(&self, field: usize) -> Option<Value<'a>> {
        let slot = self.slots[field].as_ref()?;
        let value = Value::read(&mut slot.reader(&self.field)?)?;
        match (&slot.part, value) {
            (Part::Item { is_duration: true, .. }, Value::Integer(ns)) => Some(Value::Duration(ns)),
            (_, value) => Some(value),
        }
    }
}

impl<'a, F: Fn(usize) -> &'a [u8]> Fields<'a> for InRecord<'_, F> {
    fn value(&self, field: usize) -> Option<Value<'a>> {
        self.value_at(field)
    }

    fn has(&self, field: usize) -> bool {
        self.slots[field].as_ref().is_some_and(|slot| slot.reader(&self.field).is_some())
    }
}
