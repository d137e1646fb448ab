//! Shapes that were met before, found again by the fields and the model of a record without building its
//! schema anew. Edge: bounded, and forgetting a shape only costs time.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use minutebook_capture::{ShapeDef, ShapeError};
use minutebook_record::{FieldType, Schema, SchemaError, cbor};

use super::limits::SHAPES_CACHED;
use super::problem::Problem;

/// The fields of one record in order, as the entries of an encoded schema, and the model behind them.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    key: Vec<u8>,
    fields: usize,
    /// Place of the model in the schema and its encoding.
    model: Option<(usize, Vec<u8>)>,
    type_name: String,
}

impl Outline {
    pub(crate) fn clear(&mut self) {
        self.key.clear();
        self.fields = 0;
        self.model = None;
    }

    /// Adds a field.
    pub(crate) fn push(&mut self, path: &[&str], field_type: &FieldType) {
        cbor::write_array(&mut self.key, 2);
        cbor::write_array(&mut self.key, path.len() as u64);
        path.iter().for_each(|part| cbor::write_text(&mut self.key, part));
        self.type_name.clear();
        // Writing to a string does not fail.
        let _ = write!(self.type_name, "{field_type}");
        cbor::write_text(&mut self.key, &self.type_name);
        self.fields += 1;
    }

    /// Bytes of the fields.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len()
    }

    /// Adds the fields of another, which has no model.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.key.extend_from_slice(&other.key);
        self.fields += other.fields;
    }

    /// Adds the model, which is the same in every record of the shape.
    pub(crate) fn push_model(&mut self, encoded: Vec<u8>) {
        self.model = Some((self.fields, encoded));
        self.push(&["model"], &FieldType::Model);
    }

    fn build(&self, entries: &[u8]) -> Result<ShapeDef, Problem> {
        let mut encoded = Vec::with_capacity(entries.len() + 9);
        cbor::write_array(&mut encoded, self.fields as u64);
        encoded.extend_from_slice(entries);
        let schema = Schema::decode(&encoded).map_err(schema_problem)?;
        let constants = self.model.iter().map(|(place, model)| (*place, model.as_slice().into())).collect();
        ShapeDef::from_encoded(schema, constants).map_err(shape_problem)
    }
}

fn schema_problem(error: SchemaError) -> Problem {
    match error {
        SchemaError::Duplicate(path) => Problem::new(format!("field `{path}` is there twice")),
        SchemaError::Fields(_) | SchemaError::Bytes(_) => {
            Problem::new(error.to_string()).remedy("put wide inputs into a `$tensor`, or into a map or list")
        }
        SchemaError::Decode(error) => {
            Problem::new(format!("the name of a field is not allowed: {}", error.fault))
        }
        other => Problem::new(other.to_string()),
    }
}

fn shape_problem(error: ShapeError) -> Problem {
    match error {
        ShapeError::Value(_) => Problem::new("the model does not fit its field").within("model"),
        other => Problem::new(other.to_string()),
    }
}

/// The shapes met before.
#[derive(Default)]
pub(crate) struct Shapes {
    known: HashMap<Box<[u8]>, Arc<ShapeDef>>,
}

impl Shapes {
    /// The shape of an outline.
    ///
    /// # Errors
    ///
    /// Fields that make no schema.
    pub(crate) fn of(&mut self, outline: &mut Outline) -> Result<Arc<ShapeDef>, Problem> {
        let entries = outline.key.len();
        // What stands before is a sequence of whole items, so where it ends is not in doubt.
        if let Some((_, model)) = &outline.model {
            outline.key.extend_from_slice(model);
        }
        if let Some(shape) = self.known.get(outline.key.as_slice()) {
            return Ok(Arc::clone(shape));
        }
        let shape = Arc::new(outline.build(&outline.key[..entries])?);
        if self.known.len() >= SHAPES_CACHED {
            self.known.clear();
        }
        self.known.insert(outline.key.as_slice().into(), Arc::clone(&shape));
        Ok(shape)
    }
}
