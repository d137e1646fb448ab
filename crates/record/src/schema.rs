//! The schema of a record (`docs/formats/record.md`, "Schema"): which fields it has, in which order, of which types.

use crate::cbor::{self, Reader};
use crate::check::check;
use crate::error::{DecodeError, Fault, FieldError, SchemaError, ValuesError};
use crate::field_type::FieldType;
use crate::limits::{FIELDS_MAX, SCHEMA_BYTES_MAX, VALUES_BYTES_MAX};
use crate::path::Path;

/// SHA-256 of an encoded schema, by which it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaDigest(pub [u8; 32]);

/// One field: where it is and of what type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The path, which no other field of the schema has.
    pub path: Path,
    /// The type of its values.
    pub field_type: FieldType,
}

/// An ordered list of fields. Checked when made; its encoding and digest are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Box<[Field]>,
    /// Places in the order of their paths.
    by_path: Box<[u16]>,
    encoded: Box<[u8]>,
    digest: SchemaDigest,
}

impl Schema {
    /// A schema of these fields, in this order.
    ///
    /// # Errors
    ///
    /// Two fields of one path, a limit, or a system field that has another type than its own.
    pub fn new(fields: Vec<Field>) -> Result<Self, SchemaError> {
        if fields.len() > FIELDS_MAX {
            return Err(SchemaError::Fields(fields.len()));
        }
        if let Some(field) = fields.iter().find(|field| !type_is_allowed(&field.path, &field.field_type)) {
            return Err(SchemaError::Type { path: field.path.clone(), field_type: field.field_type.clone() });
        }
        let mut by_path: Box<[u16]> = (0..fields.len() as u16).collect();
        by_path.sort_unstable_by(|a, b| fields[usize::from(*a)].path.cmp(&fields[usize::from(*b)].path));
        for pair in by_path.windows(2) {
            let path = &fields[usize::from(pair[0])].path;
            if *path == fields[usize::from(pair[1])].path {
                return Err(SchemaError::Duplicate(path.clone()));
            }
        }
        let mut encoded = Vec::new();
        cbor::write_array(&mut encoded, fields.len() as u64);
        for field in &fields {
            cbor::write_array(&mut encoded, 2);
            field.path.write(&mut encoded);
            cbor::write_text(&mut encoded, &field.field_type.to_string());
        }
        if encoded.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::Bytes(encoded.len()));
        }
        let digest = SchemaDigest(minutebook_sha256::digest(&encoded));
        Ok(Self { fields: fields.into(), by_path, encoded: encoded.into(), digest })
    }

    /// Decodes a schema that fills `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Schema::new`], and bytes that are not deterministic or follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        let mut reader = Reader::new(bytes);
        let schema = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(schema)
    }

    /// Reads a schema as the next item.
    ///
    /// # Errors
    ///
    /// As [`Schema::decode`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, SchemaError> {
        let count = reader.array()?;
        if count > FIELDS_MAX {
            return Err(SchemaError::Fields(count));
        }
        let mut fields = Vec::with_capacity(count);
        for place in 0..count {
            reader.array_of(2, "a path and a type")?;
            let path = Path::read(reader)?;
            let field_type =
                reader.text()?.parse().map_err(|source| SchemaError::UnknownType { place, source })?;
            fields.push(Field { path, field_type });
        }
        Self::new(fields)
    }

    /// The encoding.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// SHA-256 of the encoding.
    pub fn digest(&self) -> SchemaDigest {
        self.digest
    }

    /// The fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The place of a field, from 0.
    pub fn find(&self, path: &Path) -> Option<usize> {
        self.by_path
            .binary_search_by(|place| self.fields[usize::from(*place)].path.cmp(path))
            .ok()
            .map(|found| usize::from(self.by_path[found]))
    }

    /// The place of the field of these texts, from 0.
    pub fn find_parts(&self, parts: &[&str]) -> Option<usize> {
        self.by_path
            .binary_search_by(|place| {
                self.fields[usize::from(*place)].path.parts().cmp(parts.iter().copied())
            })
            .ok()
            .map(|found| usize::from(self.by_path[found]))
    }

    /// Checks the value of one field, which fills `value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it. [`ValuesError::Count`] when there is no such place.
    pub fn check_value(&self, place: usize, value: &[u8]) -> Result<(), ValuesError> {
        let field =
            self.fields.get(place).ok_or(ValuesError::Count { fields: self.len(), values: place + 1 })?;
        match check(&field.field_type, value) {
            Ok(length) if length == value.len() => Ok(()),
            Ok(at) => Err(field_error(field, DecodeError { at, fault: Fault::Trailing })),
            Err(source) => Err(field_error(field, source)),
        }
    }

    /// Finds where the values end that stand one behind the other in `values`, one for each field, checking each against its type.
    /// Replaces the content of `ends`.
    ///
    /// # Errors
    ///
    /// A value that does not fit its field, bytes left over, or more than [`VALUES_BYTES_MAX`].
    pub fn split(&self, values: &[u8], ends: &mut Vec<usize>) -> Result<(), ValuesError> {
        ends.clear();
        if values.len() > VALUES_BYTES_MAX {
            return Err(ValuesError::TooLarge);
        }
        let mut at = 0;
        for field in &self.fields {
            at += check(&field.field_type, &values[at..]).map_err(|source| field_error(field, source))?;
            ends.push(at);
        }
        if at == values.len() { Ok(()) } else { Err(ValuesError::Trailing(values.len() - at)) }
    }
}

#[cold]
fn field_error(field: &Field, source: DecodeError) -> ValuesError {
    let error = FieldError { path: field.path.clone(), field_type: field.field_type.clone(), source };
    Box::new(error).into()
}

/// A system field has its own type, and the types of system fields stand nowhere else: whoever reads one by its path or by its type finds
/// all of them.
fn type_is_allowed(path: &Path, field_type: &FieldType) -> bool {
    use FieldType as T;
    let own = if path.is(&["event"]) {
        T::Event
    } else if path.is(&["model"]) {
        T::Model
    } else if path.is(&["params"]) || path.is(&["environment"]) || path.is(&["tags"]) {
        T::Map
    } else if path.is(&["explanation", "attributions"]) {
        // Attributions betray what they are about, so that they may be left out with it.
        if *field_type == T::Dropped {
            return true;
        }
        T::Attributions
    } else if path.is(&["explanation", "meta"]) {
        T::Explanation
    } else if path.is(&["subject"]) {
        T::Subject
    } else if path.is(&["actor"]) {
        T::Text
    } else {
        return !matches!(field_type, T::Event | T::Model | T::Attributions | T::Explanation | T::Subject);
    };
    *field_type == own
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.fields.iter().map(|field| (&field.path, &field.field_type))).finish()
    }
}
