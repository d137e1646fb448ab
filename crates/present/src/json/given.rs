//! Members of a record whose values are encoded already, such as those of a table's columns. Edge: where they come from is for others; that they fit
//! their fields is looked at with the whole record.

use minutebook_record::FieldType;

use super::shapes::Outline;

/// Fields of one member in order, the same for many records.
#[derive(Debug, Default)]
pub struct Fields {
    outline: Outline,
}

impl Fields {
    /// The fields of `inputs` or `outputs`, by name and type.
    pub fn new<'n>(member: &str, fields: impl IntoIterator<Item = (&'n str, FieldType)>) -> Self {
        let mut outline = Outline::default();
        fields.into_iter().for_each(|(name, field_type)| outline.push(&[member, name], &field_type));
        Self { outline }
    }

    /// Bytes that they take in memory.
    pub fn bytes(&self) -> usize {
        self.outline.bytes()
    }
}

/// Members of one record: values one behind the other, in deterministic CBOR.
#[derive(Debug, Default, Clone, Copy)]
pub struct Given<'a> {
    /// A map.
    pub params: Option<&'a [u8]>,
    /// A value for each field.
    pub inputs: Option<(&'a Fields, &'a [u8])>,
    /// A value for each field.
    pub outputs: Option<(&'a Fields, &'a [u8])>,
    /// A map.
    pub tags: Option<&'a [u8]>,
    /// A map.
    pub environment: Option<&'a [u8]>,
}

pub(super) fn push_map(name: &str, map: Option<&[u8]>, outline: &mut Outline, values: &mut Vec<u8>) {
    if let Some(map) = map {
        outline.push(&[name], &FieldType::Map);
        values.extend_from_slice(map);
    }
}

pub(super) fn push_fields(given: Option<(&Fields, &[u8])>, outline: &mut Outline, values: &mut Vec<u8>) {
    if let Some((fields, encoded)) = given {
        outline.extend(&fields.outline);
        values.extend_from_slice(encoded);
    }
}
