//! `explanation / attributions` and `explanation / meta`.

use super::{checked, read_or_null, write_or_null};
use crate::cbor::{self, Item, MAJOR_ARRAY, Reader};
use crate::error::{DecodeError, Fault};
use crate::field_type::FieldType;
use crate::path::Path;
use crate::schema::Schema;
use crate::value::{Integer, Map, Tensor, Value, read};

/// What an attribution is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// A feature by its name, as the explainer calls it.
    Name(String),
    /// A field by its path.
    Path(Path),
}

/// The field `explanation / attributions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributions {
    /// What they are for; `None`: the `inputs` fields in the order of the schema.
    pub features: Option<Vec<Feature>>,
    /// One number for each feature, or a row of one for each output.
    pub tensor: Tensor,
}

impl Attributions {
    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 2);
        write_or_null(out, self.features.as_ref(), |out, features| {
            cbor::write_array(out, features.len() as u64);
            for feature in features {
                match feature {
                    Feature::Name(name) => cbor::write_text(out, name),
                    Feature::Path(path) => path.write(out),
                }
            }
        });
        self.tensor.write(out);
    }

    /// Decodes a field of type `attributions` that fills `bytes`; `None` for null.
    ///
    /// # Errors
    ///
    /// As [`crate::check`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(mut reader) = checked(&FieldType::Attributions, bytes)? else { return Ok(None) };
        let reader = &mut reader;
        reader.array()?;
        let features = read_or_null(reader, |reader| {
            let feature = |reader: &mut Reader<'_>| match reader.major() {
                Some(MAJOR_ARRAY) => Path::read(reader).map(Feature::Path),
                _ => reader.text().map(|name| Feature::Name(name.to_owned())),
            };
            (0..reader.array()?).map(|_| feature(reader)).collect()
        })?;
        reader.tag()?;
        Ok(Some(Self { features, tensor: read::tensor(reader)? }))
    }

    /// What the attributions are for, in order. `None` when they are for the inputs and the schema has another number of these.
    pub fn features_of(&self, schema: &Schema) -> Option<Vec<Feature>> {
        if let Some(features) = &self.features {
            return Some(features.clone());
        }
        let inputs = schema.fields().iter().filter(|field| field.path.first() == "inputs");
        let inputs: Vec<_> = inputs.map(|field| Feature::Path(field.path.clone())).collect();
        (self.tensor.shape.first() == Some(&(inputs.len() as u64))).then_some(inputs)
    }
}

/// The space in which attributions add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// The model's own output.
    Raw,
    /// Logarithm of the odds.
    LogOdds,
    /// Probability.
    Probability,
}

impl Space {
    /// Its text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::LogOdds => "log-odds",
            Self::Probability => "probability",
        }
    }

    /// The space of a text.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Raw, Self::LogOdds, Self::Probability].into_iter().find(|space| space.name() == name)
    }
}

/// When an explanation was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// With the decision.
    Inline,
    /// Afterwards.
    Later,
}

impl When {
    /// Its text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Later => "later",
        }
    }
}

/// One number, or one for each output.
#[derive(Debug, Clone, PartialEq)]
pub enum Floats {
    /// One.
    One(f64),
    /// One for each output.
    Each(Vec<f64>),
}

impl Floats {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(value) => cbor::write_float(out, *value),
            Self::Each(values) => {
                cbor::write_array(out, values.len() as u64);
                values.iter().for_each(|value| cbor::write_float(out, *value));
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.position();
        match reader.item()? {
            Item::Float(value) => Ok(Self::One(value)),
            Item::Array(count) => {
                (0..count).map(|_| reader.float64()).collect::<Result<_, _>>().map(Self::Each)
            }
            _ => Err(DecodeError { at, fault: Fault::Expected("a float or an array of floats") }),
        }
    }
}

/// The field `explanation / meta`: how the attributions were computed.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationMeta {
    /// Method.
    pub method: String,
    /// Name and version of the library.
    pub library: String,
    /// Parameters of the method.
    pub parameters: Map,
    /// Seed of its randomness.
    pub seed: Option<Integer>,
    /// SHA-256 of the background data.
    pub background: Option<[u8; 32]>,
    /// Space in which the attributions add up.
    pub space: Option<Space>,
    /// The output that is explained.
    pub class: Value,
    /// The base value.
    pub base: Option<Floats>,
    /// Base value + sum of the attributions − output.
    pub residual: Option<Floats>,
    /// With the decision or later.
    pub when: When,
    /// How long it took, in ns.
    pub duration_ns: Option<u64>,
}

impl ExplanationMeta {
    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 11);
        cbor::write_text(out, &self.method);
        cbor::write_text(out, &self.library);
        self.parameters.write(out);
        write_or_null(out, self.seed, cbor::write_integer);
        write_or_null(out, self.background, |out, digest| cbor::write_bytes(out, &digest));
        write_or_null(out, self.space, |out, space| cbor::write_text(out, space.name()));
        self.class.write(out);
        write_or_null(out, self.base.as_ref(), |out, floats| floats.write(out));
        write_or_null(out, self.residual.as_ref(), |out, floats| floats.write(out));
        cbor::write_text(out, self.when.name());
        write_or_null(out, self.duration_ns, cbor::write_unsigned);
    }

    /// Decodes a field of type `explanation` that fills `bytes`; `None` for null.
    ///
    /// # Errors
    ///
    /// As [`crate::check`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(mut reader) = checked(&FieldType::Explanation, bytes)? else { return Ok(None) };
        let reader = &mut reader;
        reader.array()?;
        Ok(Some(Self {
            method: reader.text()?.to_owned(),
            library: reader.text()?.to_owned(),
            parameters: read::map(reader, 1)?,
            seed: read_or_null(reader, Reader::integer)?,
            background: read_or_null(reader, Reader::bytes_of)?,
            space: read_or_null(reader, |reader| reader.text().map(Space::from_name))?.flatten(),
            class: read::any(reader, 1)?,
            base: read_or_null(reader, Floats::read)?,
            residual: read_or_null(reader, Floats::read)?,
            when: if reader.text()? == When::Later.name() { When::Later } else { When::Inline },
            duration_ns: read_or_null(reader, Reader::unsigned)?,
        }))
    }
}
