//! A record shown in part (`docs/formats/record.md`, "Disclosure"): some fields with salt and value, the others as bare digests; the leaf
//! computes either way.

use crate::cbor::{self, MAJOR_ARRAY, Reader};
use crate::check::check;
use crate::commit::{self, LeafHash, Preimage, Salt, Seed};
use crate::error::{DecodeError, DisclosureError, Fault, FieldError, ValuesError};
use crate::header::Header;
use crate::limits::{DISCLOSURE_BYTES_MAX, VALUES_BYTES_MAX};
use crate::path::Path;
use crate::schema::Schema;

const TAG: &str = "minutebook/disclosure/1";

/// One field of a disclosure.
#[derive(Clone, PartialEq, Eq)]
pub enum Disclosed {
    /// It is shown.
    Shown {
        /// Its salt.
        salt: Salt,
        /// Its encoded value.
        value: Box<[u8]>,
    },
    /// It is masked: its digest alone.
    Masked([u8; 32]),
}

/// Tells whether it is shown, not what.
impl std::fmt::Debug for Disclosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shown { .. } => "Shown",
            Self::Masked(_) => "Masked",
        })
    }
}

/// A record, some of its fields masked. Its values fit their types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    header: Header,
    schema: Schema,
    fields: Vec<Disclosed>,
}

impl Disclosure {
    /// Shows a record (`values`: its encoded values, in order) but for the fields at or below the paths of `mask`; paths that the schema does
    /// not have mask nothing. When an input is masked, what explains is masked with it: every field of `explanation` but
    /// `meta`, and every counterfactual. A record that has no inputs itself, such as a later explanation, is treated as if it had all of them.
    ///
    /// # Errors
    ///
    /// When the values do not fit the schema.
    pub fn make<'v>(
        header: &Header,
        schema: &Schema,
        values: impl IntoIterator<Item = &'v [u8]>,
        seed: &Seed,
        mask: &[Path],
    ) -> Result<Self, DisclosureError> {
        let hides_inputs = mask.iter().any(|path| path.first() == "inputs");
        let hides = |field: &Path| mask.iter().any(|path| field.is_within(path));
        let masked = masked_places(schema, hides, hides_inputs);
        let salts = commit::salts(seed, schema.len());
        let mut fields = Vec::with_capacity(schema.len());
        let mut values_bytes = 0;
        for value in values {
            let place = fields.len();
            schema.check_value(place, value)?;
            values_bytes += value.len();
            fields.push(if masked[place] {
                Disclosed::Masked(commit::field_digest(&salts[place], value))
            } else {
                Disclosed::Shown { salt: salts[place], value: value.into() }
            });
        }
        if fields.len() != schema.len() {
            return Err(ValuesError::Count { fields: schema.len(), values: fields.len() }.into());
        }
        if values_bytes > VALUES_BYTES_MAX {
            return Err(ValuesError::TooLarge.into());
        }
        Ok(Self { header: *header, schema: schema.clone(), fields })
    }

    /// The record's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The record's schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Each field, in the order of the schema.
    pub fn fields(&self) -> &[Disclosed] {
        &self.fields
    }

    /// The fields that are shown: place in the schema and encoded value.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.fields.iter().enumerate().filter_map(|(place, field)| match field {
            Disclosed::Shown { value, .. } => Some((place, &**value)),
            Disclosed::Masked(_) => None,
        })
    }

    /// A field that is shown although it betrays an input that is masked. [`Disclosure::make`] leaves none; another's disclosure may have one.
    pub fn betraying(&self) -> Option<&Path> {
        let fields = || self.schema.fields().iter().zip(&self.fields);
        let masked = |field: &Disclosed| matches!(field, Disclosed::Masked(_));
        if !fields().any(|(field, disclosed)| field.path.first() == "inputs" && masked(disclosed)) {
            return None;
        }
        fields()
            .find(|(field, disclosed)| betrays_inputs(&field.path) && !masked(disclosed))
            .map(|(field, _)| &field.path)
    }

    /// What the leaf is the hash of, computed from what is shown and the digests of what is not.
    pub fn preimage(&self) -> Preimage {
        let digests: Vec<_> = self
            .fields
            .iter()
            .map(|field| match field {
                Disclosed::Shown { salt, value } => commit::field_digest(salt, value),
                Disclosed::Masked(digest) => *digest,
            })
            .collect();
        let commitment = commit::commitment(&digests);
        Preimage { header: self.header, schema: self.schema.digest(), commitment }
    }

    /// The leaf. What is shown is true of the record whose proof holds this leaf.
    pub fn leaf(&self) -> LeafHash {
        self.preimage().leaf()
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::write_array(&mut out, 4);
        cbor::write_text(&mut out, TAG);
        self.header.write(&mut out);
        out.extend_from_slice(self.schema.encoded());
        cbor::write_array(&mut out, self.fields.len() as u64);
        for field in &self.fields {
            match field {
                Disclosed::Shown { salt, value } => {
                    cbor::write_array(&mut out, 2);
                    cbor::write_bytes(&mut out, salt);
                    out.extend_from_slice(value);
                }
                Disclosed::Masked(digest) => cbor::write_bytes(&mut out, digest),
            }
        }
        out
    }

    /// Decodes a disclosure that fills `bytes` and checks all of it but the leaf, which is for the caller to compare with a proof. One that
    /// shows what betrays a masked input is accepted, and says so ([`Disclosure::betraying`]).
    ///
    /// # Errors
    ///
    /// What is malformed, or a value that does not fit its type.
    pub fn decode(bytes: &[u8]) -> Result<Self, DisclosureError> {
        if bytes.len() > DISCLOSURE_BYTES_MAX {
            let fault = Fault::TooLarge { what: "a disclosure", max: DISCLOSURE_BYTES_MAX };
            return Err(DecodeError { at: DISCLOSURE_BYTES_MAX, fault }.into());
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(4, "a disclosure of four parts")?;
        let at = reader.position();
        if reader.text()? != TAG {
            return Err(DecodeError { at, fault: Fault::Content("not a disclosure") }.into());
        }
        let header = Header::read(&mut reader)?;
        let schema = Schema::read(&mut reader)?;
        let entries = reader.array()?;
        if entries != schema.len() {
            return Err(DisclosureError::Count { fields: schema.len(), entries });
        }
        let mut fields = Vec::with_capacity(entries);
        let mut values_bytes = 0;
        for field in schema.fields() {
            if reader.major() != Some(MAJOR_ARRAY) {
                fields.push(Disclosed::Masked(reader.bytes_of()?));
                continue;
            }
            reader.array_of(2, "a salt and a value")?;
            let salt = reader.bytes_of()?;
            let length = check(&field.field_type, reader.rest()).map_err(|source| {
                let (path, field_type) = (field.path.clone(), field.field_type.clone());
                ValuesError::from(Box::new(FieldError { path, field_type, source }))
            })?;
            values_bytes += length;
            fields.push(Disclosed::Shown { salt, value: reader.advance(length)?.into() });
        }
        reader.finish()?;
        if values_bytes > VALUES_BYTES_MAX {
            return Err(ValuesError::TooLarge.into());
        }
        Ok(Self { header, schema, fields })
    }
}

/// Which fields of a schema are masked: those that `hides` names, and with any input whatever betrays inputs (see [`Disclosure::make`]). A record
/// that has no inputs of its own is treated as if one were masked when `hides_inputs` says so.
pub fn masked_places(schema: &Schema, hides: impl Fn(&Path) -> bool, hides_inputs: bool) -> Vec<bool> {
    let mut masked: Vec<bool> = schema.fields().iter().map(|field| hides(&field.path)).collect();
    let inputs = || schema.fields().iter().zip(&masked).filter(|(field, _)| field.path.first() == "inputs");
    let input_is_masked = match inputs().next() {
        Some(_) => inputs().any(|(_, masked)| *masked),
        None => hides_inputs,
    };
    if input_is_masked {
        for (field, masked) in schema.fields().iter().zip(&mut masked) {
            *masked |= betrays_inputs(&field.path);
        }
    }
    masked
}

/// Whether a field lets one compute back an input: one attribution, a reason or a counterfactual is enough. Of an explanation only how it was
/// made does not.
fn betrays_inputs(path: &Path) -> bool {
    match path.first() {
        "explanation" => !path.is(&["explanation", "meta"]),
        first => first == "counterfactual",
    }
}
