//! One rule, and what it leaves of a value or of a column.

use aws_lc_rs::hmac;
use minutebook_record::redaction::{Buckets, HASH_BYTES, KEY_ID_LABEL, Kept, KeyId, Truncation};
use minutebook_record::{FieldType, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::column::Column;
use crate::convert;
use crate::errors::unfit;

/// The encoding of null.
const CBOR_NULL: u8 = 0xf6;

/// What is done to a value.
pub enum Rule {
    Drop,
    Hash(Box<hmac::Key>, KeyId),
    Truncate(Kept),
    Bucket(Buckets),
}

/// What is left of a value, in its place until it is encoded.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Redacted {
    field_type: FieldType,
    value: Value,
}

impl Redacted {
    pub fn dropped() -> Self {
        Self { field_type: FieldType::Dropped, value: Value::Null }
    }

    /// Type and value of what is left.
    pub fn left(&self) -> (FieldType, Value) {
        (self.field_type.clone(), self.value.clone())
    }

    pub fn encoded(&self) -> (FieldType, Vec<u8>) {
        let mut encoded = Vec::new();
        self.value.write(&mut encoded);
        (self.field_type.clone(), encoded)
    }
}

fn key_id(key: &hmac::Key) -> KeyId {
    let tag = hmac::sign(key, KEY_ID_LABEL);
    let mut id = KeyId([0; 4]);
    id.0.copy_from_slice(&tag.as_ref()[..4]);
    id
}

fn hash_of(key: &hmac::Key, value: &Value) -> Vec<u8> {
    let mut encoded = Vec::new();
    value.write(&mut encoded);
    let tag = hmac::sign(key, &encoded);
    debug_assert_eq!(tag.as_ref().len(), HASH_BYTES);
    tag.as_ref().to_vec()
}

/// Whether there is such a redaction.
#[pyfunction]
#[pyo3(name = "check_redaction")]
pub fn check(kind: &str, argument: &Bound<'_, PyAny>) -> PyResult<()> {
    Rule::of(kind, Some(argument)).map(drop)
}

/// The keyed hash of a value, and the id of its key; as a record has them.
#[pyfunction]
#[pyo3(name = "keyed_hash")]
pub fn hash(key: &[u8], value: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, String)> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let (_, value) = convert::value(value, &["value"])?;
    Ok((hash_of(&key, &value), key_id(&key).to_string()))
}

impl Rule {
    /// `drop`, `hash` with a key, `truncate` with a length or a unit, `width` with a number, `edges` with numbers.
    pub fn of(kind: &str, argument: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let refused = || PyValueError::new_err(format!("`{kind}` is no redaction, or not with this"));
        if kind == "drop" {
            return Ok(Self::Drop);
        }
        let argument = argument.ok_or_else(refused)?;
        Ok(match kind {
            "hash" => {
                let key =
                    hmac::Key::new(hmac::HMAC_SHA256, argument.extract::<&[u8]>().map_err(|_| refused())?);
                let id = key_id(&key);
                Self::Hash(Box::new(key), id)
            }
            "truncate" => {
                let kept: Kept = argument.str()?.to_str()?.parse().map_err(|_| refused())?;
                // Whether anything of that kind can be kept is the same for all types that it fits.
                let of = if matches!(kept, Kept::First(_)) { FieldType::Text } else { FieldType::DateTime };
                Truncation::new(kept, of).map_err(|_| refused())?;
                Self::Truncate(kept)
            }
            "width" => Self::Bucket(
                Buckets::of_width(argument.extract().map_err(|_| refused())?).map_err(|_| refused())?,
            ),
            "edges" => {
                let edges: Vec<f64> = argument.extract().map_err(|_| refused())?;
                Self::Bucket(Buckets::of_edges(edges).map_err(|_| refused())?)
            }
            _ => return Err(refused()),
        })
    }

    /// What is left of a value of this type; `None` when the rule does not fit it.
    fn left(&self, field_type: FieldType, value: &Value) -> Option<Redacted> {
        let is_missing = matches!(value, Value::Null);
        Some(match self {
            Self::Drop => Redacted::dropped(),
            Self::Hash(key, id) => {
                let value = if is_missing { Value::Null } else { Value::Bytes(hash_of(key, value)) };
                Redacted { field_type: FieldType::Hashed(*id), value }
            }
            // NaN is what a text is missing as in a column of pandas' objects.
            Self::Truncate(_) if is_missing || matches!(value, Value::Float(float) if float.is_nan()) => {
                Redacted { field_type: FieldType::Null, value: Value::Null }
            }
            Self::Truncate(kept) => {
                let truncation = Truncation::new(*kept, field_type).ok()?;
                let value = truncation.apply(value)?;
                Redacted { field_type: FieldType::Truncated(truncation), value }
            }
            Self::Bucket(buckets) => {
                let value = buckets.apply(value)?;
                Redacted { field_type: FieldType::Bucketed(buckets.clone()), value }
            }
        })
    }

    /// What it does not fit, in a sentence.
    fn misfit(&self, what: &str, path: &[&str], name: &str) -> String {
        let rule = match self {
            Self::Drop => "drop",
            Self::Hash(..) => "keyed_hash",
            Self::Truncate(_) => "truncate",
            Self::Bucket(_) => "bucket",
        };
        let path = path.join(".");
        format!("`redact`: `{path}` is left out: {what} is of type `{name}`, which `{rule}` does not fit")
    }

    /// What is left of a value; nothing when the rule does not fit it, which is told.
    pub fn apply(&self, value: &Bound<'_, PyAny>, path: &[&str], tell: &mut dyn FnMut(String)) -> Redacted {
        if matches!(self, Self::Drop) {
            return Redacted::dropped();
        }
        let left = match convert::value(value, path) {
            Ok((field_type, found)) => {
                let name = field_type.to_string();
                self.left(field_type, &found).ok_or(name)
            }
            // Its text is not told: names within a map are the caller's.
            Err(_) => Err(type_name(value)),
        };
        left.unwrap_or_else(|name| {
            tell(self.misfit("it", path, &name));
            Redacted::dropped()
        })
    }

    /// What is left of a column: of one type; nothing when the rule does not fit a value of it, which is told.
    pub fn column(
        &self,
        column: &Bound<'_, PyAny>,
        path: [&str; 2],
        tell: &mut dyn FnMut(String),
    ) -> PyResult<Column> {
        let rows = column
            .len()
            .map_err(|_| unfit(&path, "an array, an Arrow array or a list of values is asked for"))?;
        let dropped = || Column::of_encoded(FieldType::Dropped, std::iter::repeat_n(&vec![CBOR_NULL], rows));
        if matches!(self, Self::Drop) {
            return Ok(dropped());
        }
        match self.rows_of(column, path) {
            Ok((field_type, values)) if values.len() == rows => {
                Ok(Column::of_encoded(field_type, values.iter()))
            }
            other => {
                let name = other.err().flatten().unwrap_or_else(|| type_name(column));
                tell(self.misfit("a row", &path, &name));
                Ok(dropped())
            }
        }
    }

    /// The encoded values, and their type. Fails with the type of one that the rule does not fit, if it is known.
    fn rows_of(
        &self,
        column: &Bound<'_, PyAny>,
        path: [&str; 2],
    ) -> Result<(FieldType, Vec<Vec<u8>>), Option<String>> {
        let mut found = FieldType::Null;
        let mut take = |field_type: FieldType, value: &Value| {
            let name = field_type.to_string();
            let left = self.left(field_type, value).ok_or_else(|| Some(name.clone()))?;
            if found == FieldType::Null {
                found = left.field_type.clone();
            } else if left.field_type != FieldType::Null && left.field_type != found {
                return Err(Some(name));
            }
            Ok(left.encoded().1)
        };
        let values = match Column::of(column, &path) {
            Ok(read) => {
                let mut encoded = Vec::new();
                (0..read.rows)
                    .map(|row| {
                        encoded.clear();
                        read.put(Some(column.py()), row, &mut encoded, path).map_err(|_| None)?;
                        let value = Value::decode(&read.field_type, &encoded).map_err(|_| None)?;
                        take(read.field_type.clone(), &value)
                    })
                    .collect::<Result<_, _>>()?
            }
            // Values of several types, of which the rule may make one.
            Err(_) if column.cast::<PyString>().is_err() => {
                let mut values = Vec::new();
                for value in column.try_iter().map_err(|_| None)? {
                    let value = value.map_err(|_| None)?;
                    let (field_type, value) =
                        convert::value(&value, &path).map_err(|_| Some(type_name(&value)))?;
                    values.push(take(field_type, &value)?);
                }
                values
            }
            Err(_) => return Err(None),
        };
        Ok((found, values))
    }
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().fully_qualified_name().map_or_else(|_| "object".into(), |name| name.to_string())
}
