//! A shape: a schema with constants, the values that are the same in every record of the shape, such as the model and its parameters.

use minutebook_record::cbor::{self, Reader};
use minutebook_record::{FieldType, Schema, Value, ValuesError};

use crate::epoch_file::sha256;

/// A schema with constants. Checked when made: each constant fits its field.
#[derive(Debug, PartialEq, Eq)]
pub struct ShapeDef {
    schema: Schema,
    constants: Box<[(usize, Box<[u8]>)]>,
    open: Box<[usize]>,
    encoded: Box<[u8]>,
    digest: [u8; 32],
}

/// Why a shape is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A constant for a place that the schema does not have.
    #[error("constant for place {place} of a schema of {fields} fields")]
    NoSuchPlace {
        /// The place.
        place: usize,
        /// How many the schema has.
        fields: usize,
    },
    /// Two constants for one place.
    #[error("two constants for place {0}")]
    Twice(usize),
    /// A constant that does not fit its field.
    #[error(transparent)]
    Value(#[from] ValuesError),
    /// The encoded shape does not fit a frame.
    #[error("shape of {bytes} bytes, at most {max}")]
    TooLarge {
        /// Encoded bytes.
        bytes: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// Bytes that are not a shape.
    #[error("not a shape: {0}")]
    Malformed(&'static str),
}

impl ShapeDef {
    /// A shape of this schema with these constants, given with their places in any order.
    ///
    /// # Errors
    ///
    /// A place that is not there or occurs twice, or a value that does not fit its field.
    pub fn new(schema: Schema, constants: &[(usize, Value)]) -> Result<Self, ShapeError> {
        let mut encoded = Vec::with_capacity(constants.len());
        for (place, value) in constants {
            let field = schema
                .fields()
                .get(*place)
                .ok_or(ShapeError::NoSuchPlace { place: *place, fields: schema.len() })?;
            let mut bytes = Vec::new();
            if value.encode(&field.field_type, &mut bytes).is_err() {
                // The error of the schema names the field.
                bytes.clear();
                value.write(&mut bytes);
                schema.check_value(*place, &bytes)?;
                return Err(ShapeError::Malformed("constant of another element type"));
            }
            encoded.push((*place, bytes.into_boxed_slice()));
        }
        Self::from_encoded(schema, encoded)
    }

    /// The same from constants that are encoded already, such as a model or an event, which [`Value`] does not have.
    ///
    /// # Errors
    ///
    /// As [`ShapeDef::new`].
    pub fn from_encoded(schema: Schema, mut constants: Vec<(usize, Box<[u8]>)>) -> Result<Self, ShapeError> {
        constants.sort_by_key(|(place, _)| *place);
        if let Some(two) = constants.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(ShapeError::Twice(two[0].0));
        }
        for (place, value) in &constants {
            if *place >= schema.len() {
                return Err(ShapeError::NoSuchPlace { place: *place, fields: schema.len() });
            }
            schema.check_value(*place, value)?;
        }
        let mut encoded = Vec::with_capacity(schema.encoded().len() + 16);
        cbor::write_array(&mut encoded, 2);
        encoded.extend_from_slice(schema.encoded());
        cbor::write_array(&mut encoded, constants.len() as u64);
        for (place, value) in &constants {
            cbor::write_array(&mut encoded, 2);
            cbor::write_unsigned(&mut encoded, *place as u64);
            encoded.extend_from_slice(value);
        }
        let open = (0..schema.len())
            .filter(|place| constants.binary_search_by_key(place, |(constant, _)| *constant).is_err())
            .collect();
        let digest = sha256(&encoded);
        Ok(Self { schema, constants: constants.into(), open, encoded: encoded.into(), digest })
    }

    /// Decodes a shape that fills `bytes`.
    ///
    /// # Errors
    ///
    /// Bytes that are no shape, or constants that do not fit.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShapeError> {
        let malformed = ShapeError::Malformed;
        let mut reader = Reader::new(bytes);
        reader.array_of(2, "a shape").map_err(|_| malformed("array of two"))?;
        let schema = Schema::read(&mut reader).map_err(|_| malformed("schema"))?;
        let count = reader.array().map_err(|_| malformed("constants"))?;
        if count > schema.len() {
            return Err(malformed("more constants than fields"));
        }
        let mut constants: Vec<(usize, Box<[u8]>)> = Vec::with_capacity(count);
        for _ in 0..count {
            reader.array_of(2, "a constant").map_err(|_| malformed("constant"))?;
            let place = reader.unsigned().map_err(|_| malformed("place"))?;
            let place = usize::try_from(place).map_err(|_| malformed("place"))?;
            let field = schema.fields().get(place).ok_or(malformed("place"))?;
            if constants.last().is_some_and(|(before, _)| *before >= place) {
                return Err(malformed("places do not ascend"));
            }
            let len = minutebook_record::check(&field.field_type, reader.rest())
                .map_err(|_| malformed("constant does not fit its field"))?;
            let value = reader.advance(len).map_err(|_| malformed("constant"))?;
            constants.push((place, value.into()));
        }
        reader.finish().map_err(|_| malformed("bytes behind"))?;
        Self::from_encoded(schema, constants)
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Places and encoded values of the constants, places ascending.
    #[must_use]
    pub fn constants(&self) -> &[(usize, Box<[u8]>)] {
        &self.constants
    }

    /// The places whose values a record of this shape brings, ascending.
    #[must_use]
    pub fn open_places(&self) -> &[usize] {
        &self.open
    }

    /// The type of the value for the `n`-th open place.
    #[must_use]
    pub fn open_type(&self, n: usize) -> Option<&FieldType> {
        self.open.get(n).map(|&place| &self.schema.fields()[place].field_type)
    }

    /// `cbor([schema, [[place, value], …]])`, as a frame holds it.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// SHA-256 of [`ShapeDef::encoded`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Finds where the values of the open places end within `values`, checking each. Replaces the content of `ends`.
    ///
    /// # Errors
    ///
    /// A value that does not fit its field, or bytes left over.
    pub fn split(&self, values: &[u8], ends: &mut Vec<usize>) -> Result<(), ValuesError> {
        ends.clear();
        let mut at = 0;
        for &place in &self.open {
            let field_type = &self.schema.fields()[place].field_type;
            let Ok(len) = minutebook_record::check(field_type, &values[at..]) else {
                // Checked again by the schema, whose error names the field.
                self.schema.check_value(place, &values[at..])?;
                return Err(ValuesError::Trailing(0));
            };
            at += len;
            ends.push(at);
        }
        if at == values.len() { Ok(()) } else { Err(ValuesError::Trailing(values.len() - at)) }
    }
}
