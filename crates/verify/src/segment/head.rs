//! The head of a segment: schemas, and shapes with the values that many records share.

use super::{SectionName, SegmentError};
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{Schema, check_any};
use std::sync::Arc;

/// A schema with values that all records of the shape share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Which of the head's schemas.
    pub schema: u16,
    /// Place in the schema and encoded value, ascending by place.
    pub constants: Vec<(u32, Vec<u8>)>,
}

/// All schemas and shapes of a segment.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Without duplicates.
    pub schemas: Vec<Arc<Schema>>,
    /// In the order that bodies number them in.
    pub shapes: Vec<Shape>,
}

impl Head {
    /// The content of the head section.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::write_array(&mut out, 2);
        cbor::write_array(&mut out, self.schemas.len() as u64);
        for schema in &self.schemas {
            out.extend_from_slice(schema.encoded());
        }
        cbor::write_array(&mut out, self.shapes.len() as u64);
        for shape in &self.shapes {
            cbor::write_array(&mut out, 2);
            cbor::write_unsigned(&mut out, u64::from(shape.schema));
            cbor::write_array(&mut out, shape.constants.len() as u64);
            for (place, value) in &shape.constants {
                cbor::write_array(&mut out, 2);
                cbor::write_unsigned(&mut out, u64::from(*place));
                out.extend_from_slice(value);
            }
        }
        out
    }

    /// Reads a head strictly; constants fit their types.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let malformed = |what| SegmentError::Content(SectionName::Head, what);
        let mut reader = Reader::new(bytes);
        reader.array_of(2, "head").map_err(|_| malformed("not a pair"))?;
        let mut head = Self::default();
        for _ in 0..reader.array().map_err(|_| malformed("schemas"))? {
            head.schemas.push(Arc::new(Schema::read(&mut reader).map_err(|_| malformed("a schema"))?));
        }
        for _ in 0..reader.array().map_err(|_| malformed("shapes"))? {
            reader.array_of(2, "shape").map_err(|_| malformed("a shape"))?;
            let last =
                (head.schemas.len() as u64).checked_sub(1).ok_or(malformed("a shape without a schema"))?;
            let schema = reader.unsigned_up_to(last, "schema").map_err(|_| malformed("a shape's schema"))?;
            let mut constants: Vec<(u32, Vec<u8>)> = Vec::new();
            for _ in 0..reader.array().map_err(|_| malformed("a shape's constants"))? {
                reader.array_of(2, "constant").map_err(|_| malformed("a constant"))?;
                let place =
                    reader.unsigned_up_to(u64::from(u32::MAX), "place").map_err(|_| malformed("a place"))?;
                let length = check_any(reader.rest()).map_err(|_| malformed("a constant's value"))?;
                let value = reader.advance(length).map_err(|_| malformed("a constant's value"))?;
                head.schemas[schema as usize]
                    .check_value(place as usize, value)
                    .map_err(|_| malformed("a constant that does not fit its field"))?;
                if constants.last().is_some_and(|(before, _)| u64::from(*before) >= place) {
                    return Err(malformed("constants out of order"));
                }
                constants.push((place as u32, value.to_vec()));
            }
            head.shapes.push(Shape { schema: schema as u16, constants });
        }
        reader.finish().map_err(|_| malformed("bytes follow its end"))?;
        Ok(head)
    }

    /// Splits a body's values into the encoded fields of the schema, constants put in. Replaces the content of `fields`.
    ///
    /// # Errors
    /// What is wrong, without the value.
    pub fn fields<'a>(
        &'a self,
        shape: u64,
        mut values: &'a [u8],
        fields: &mut Vec<&'a [u8]>,
    ) -> Result<&'a Arc<Schema>, &'static str> {
        fields.clear();
        let shape = usize::try_from(shape)
            .ok()
            .and_then(|at| self.shapes.get(at))
            .ok_or("names a shape that is not there")?;
        let schema = &self.schemas[usize::from(shape.schema)];
        let mut constants = shape.constants.iter().peekable();
        for (place, field) in schema.fields().iter().enumerate() {
            if let Some((_, value)) = constants.next_if(|(at, _)| *at as usize == place) {
                fields.push(value);
                continue;
            }
            let length = minutebook_record::check(&field.field_type, values)
                .map_err(|_| "has a value that does not fit its field")?;
            let (value, rest) = values.split_at(length);
            fields.push(value);
            values = rest;
        }
        if values.is_empty() { Ok(schema) } else { Err("has bytes behind its last value") }
    }
}
