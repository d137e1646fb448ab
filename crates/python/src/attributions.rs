//! An explanation as the fields that hold it: `explanation / attributions` and `explanation / meta`, and beside them, where they are given,
//! `explanation / reasons` and `explanation / counterfactuals`.

use minutebook_record::fields::{Space, When};
use minutebook_record::value::Value;
use minutebook_record::{FieldType, Integer, cbor};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{ffi, intern};

use crate::encode;
use crate::errors::unfit;
use crate::layout::Keys;
use crate::{array, convert, redact};

const PATH: &str = "explanation";
pub const REASONS: &str = "reasons";
pub const COUNTERFACTUALS: &str = "counterfactuals";
/// Tags and types of the encoding (RFC 8746).
const TAG_ARRAY: u64 = 40;
const TAG_F64: u64 = 86;
/// Features whose numbers are gathered on the stack.
const FEATURES_SMALL: usize = 64;

/// The parts of an explanation.
#[derive(Clone, Copy)]
enum Part {
    Attributions,
    Method,
    Library,
    Parameters,
    Seed,
    Background,
    Space,
    Of,
    Base,
    Residual,
    When,
    Duration,
    Reasons,
    Counterfactuals,
}

impl Part {
    const ALL: [Self; 14] = [
        Self::Attributions,
        Self::Method,
        Self::Library,
        Self::Parameters,
        Self::Seed,
        Self::Background,
        Self::Space,
        Self::Of,
        Self::Base,
        Self::Residual,
        Self::When,
        Self::Duration,
        Self::Reasons,
        Self::Counterfactuals,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Attributions => "attributions",
            Self::Method => "method",
            Self::Library => "library",
            Self::Parameters => "parameters",
            Self::Seed => "seed",
            Self::Background => "background",
            Self::Space => "space",
            Self::Of => "of",
            Self::Base => "base",
            Self::Residual => "residual",
            Self::When => "when",
            Self::Duration => "duration_ns",
            Self::Reasons => REASONS,
            Self::Counterfactuals => COUNTERFACTUALS,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name().len() == name.len() && part.name() == name)
    }
}

fn fault(name: &str, what: &str) -> PyErr {
    unfit(&[PATH, name], what)
}

/// Appends the attributions. `inputs` are the features of the record, in the order of its schema.
pub fn put_attributions(explanation: &Bound<'_, PyDict>, inputs: &Keys, out: &mut Vec<u8>) -> PyResult<()> {
    let given = explanation.get_item(pyo3::intern!(explanation.py(), "attributions"))?;
    let given = given.ok_or_else(|| fault("attributions", "is missing"))?;
    if redact::is_left_out(&given) {
        cbor::write_null(out);
        return Ok(());
    }
    if let Ok(pair) = given.cast::<PyTuple>() {
        return put_array(pair, inputs, out);
    }
    let dict = convert::to_dict(&given, &[PATH, "attributions"])?;
    cbor::write_array(out, 2);
    let number = |value: &Bound<'_, PyAny>| -> PyResult<f64> {
        value.extract().map_err(|_| fault("attributions", "a number for each feature is asked for"))
    };
    let mut small = [0u8; FEATURES_SMALL * 8];
    let mut large = Vec::new();
    let count = dict.len();
    let data: &mut [u8] = if count <= FEATURES_SMALL {
        &mut small[..count * 8]
    } else {
        large.resize(count * 8, 0);
        &mut large
    };
    if in_order(&dict, inputs, data) {
        cbor::write_null(out);
    } else if dict.len() == inputs.len()
        && let Some(values) = by_name(&dict, inputs)?
    {
        cbor::write_null(out);
        for (place, value) in data.chunks_exact_mut(8).zip(&values) {
            place.copy_from_slice(&number(value)?.to_le_bytes());
        }
    } else {
        cbor::write_array(out, dict.len() as u64);
        for ((name, value), place) in dict.iter().zip(data.chunks_exact_mut(8)) {
            put_name(&name, out)?;
            place.copy_from_slice(&number(&value)?.to_le_bytes());
        }
    }
    cbor::write_tag(out, TAG_ARRAY);
    cbor::write_array(out, 2);
    cbor::write_array(out, 1);
    cbor::write_unsigned(out, (data.len() / 8) as u64);
    cbor::write_tag(out, TAG_F64);
    cbor::write_bytes(out, data);
    Ok(())
}

fn put_name(name: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let name = name.cast::<PyString>().map_err(|_| fault("attributions", "a feature that is not text"))?;
    let name = name.to_str().map_err(|_| fault("attributions", "a feature with a lone surrogate"))?;
    cbor::write_text(out, name);
    Ok(())
}

/// The common case: plain floats under the very names of the inputs, in their order. Else `data` holds nothing of use.
fn in_order(dict: &Bound<'_, PyDict>, inputs: &Keys, data: &mut [u8]) -> bool {
    if dict.len() != inputs.len() {
        return false;
    }
    let mut places = data.chunks_exact_mut(8);
    let mut number = 0;
    let (mut at, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: attached, a live dict, no Python code runs while we walk; names and values are borrowed from it and used at once.
    pyo3::sync::critical_section::with_critical_section(dict, || unsafe {
        while ffi::PyDict_Next(dict.as_ptr(), &mut at, &mut name, &mut value) != 0 {
            let Some(place) = places.next() else { return false };
            if !inputs.is_named(number, name) || ffi::Py_TYPE(value) != &raw mut ffi::PyFloat_Type {
                return false;
            }
            place.copy_from_slice(&ffi::PyFloat_AS_DOUBLE(value).to_le_bytes());
            number += 1;
        }
        true
    })
}

/// The values in the order of the inputs, when there is one for each.
fn by_name<'py>(dict: &Bound<'py, PyDict>, inputs: &Keys) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let mut values = Vec::with_capacity(inputs.len());
    for name in inputs.names() {
        match dict.get_item(name)? {
            Some(value) => values.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(values))
}

/// Features and an array: of one dimension, or (features, outputs).
fn put_array(pair: &Bound<'_, PyTuple>, inputs: &Keys, out: &mut Vec<u8>) -> PyResult<()> {
    let (names, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair
        .extract()
        .map_err(|_| fault("attributions", "a mapping, or features and an array are asked for"))?;
    let names: Vec<Bound<'_, PyString>> =
        names.extract().map_err(|_| fault("attributions", "the features are to be a list of texts"))?;
    let (field_type, value) = array::tensor(&array, &[PATH, "attributions"])?;
    let (FieldType::Tensor(_), Value::Tensor(tensor)) = (field_type, value) else {
        return Err(fault("attributions", "an array is asked for"));
    };
    if !matches!(tensor.shape.len(), 1 | 2) || tensor.shape[0] != names.len() as u64 {
        return Err(fault(
            "attributions",
            "an array of a number for each feature, or of a row for each (features, outputs), is asked for",
        ));
    }
    cbor::write_array(out, 2);
    let same = names.len() == inputs.len()
        && names.iter().enumerate().all(|(place, name)| inputs.is_named(place, name.as_ptr()));
    if same {
        cbor::write_null(out);
    } else {
        cbor::write_array(out, names.len() as u64);
        names.iter().try_for_each(|name| put_name(name, out))?;
    }
    tensor.write(out);
    Ok(())
}

/// The parts of an explanation, taken from its dict in one pass.
#[derive(Default)]
struct Given<'py>([Option<Bound<'py, PyAny>>; Part::ALL.len()]);

impl<'py> Given<'py> {
    fn of(explanation: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut given = Self::default();
        for (name, value) in explanation.iter() {
            let part = name.cast::<PyString>().ok().and_then(|name| Part::named(name.to_str().ok()?));
            let part = part.ok_or_else(|| {
                let name = name.extract::<String>().unwrap_or_default();
                let parts = Part::ALL.map(Part::name).join(", ");
                fault(&name, &format!("is no part of an explanation; there are {parts}"))
            })?;
            given.0[part as usize] = Some(value).filter(|value| !value.is_none());
        }
        Ok(given)
    }

    fn take(&self, part: Part) -> Option<&Bound<'py, PyAny>> {
        self.0[part as usize].as_ref()
    }

    /// Appends a part, or null when it is not given.
    fn put(
        &self,
        part: Part,
        out: &mut Vec<u8>,
        put: impl FnOnce(&Bound<'py, PyAny>, &mut Vec<u8>) -> Option<()>,
        asked_for: &str,
    ) -> PyResult<()> {
        match self.take(part) {
            Some(value) => {
                put(value, out).ok_or_else(|| fault(part.name(), &format!("{asked_for} is asked for")))
            }
            None => {
                cbor::write_null(out);
                Ok(())
            }
        }
    }
}

fn put_words(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Option<()> {
    cbor::write_text(out, value.cast::<PyString>().ok()?.to_str().ok()?);
    Some(())
}

fn put_floats(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> Option<()> {
    if let Ok(one) = value.extract() {
        cbor::write_float(out, one);
        return Some(());
    }
    let each: Vec<f64> = match value.call_method0("tolist") {
        Ok(list) => list.extract().ok()?,
        Err(_) => value.extract().ok()?,
    };
    cbor::write_array(out, each.len() as u64);
    each.iter().for_each(|one| cbor::write_float(out, *one));
    Some(())
}

/// Appends how the explanation was made: the eleven parts of `explanation / meta` (`docs/formats/record.md`, "Fields").
pub fn put_meta(explanation: &Bound<'_, PyDict>, out: &mut Vec<u8>) -> PyResult<()> {
    let given = Given::of(explanation)?;
    cbor::write_array(out, 11);
    given.take(Part::Method).ok_or_else(|| fault("method", "is missing"))?;
    given.put(Part::Method, out, put_words, "a text")?;
    match given.take(Part::Library) {
        Some(_) => given.put(Part::Library, out, put_words, "a text")?,
        None => cbor::write_text(out, ""),
    }
    match given.take(Part::Parameters) {
        Some(map) => convert::map(map, &[PATH, "parameters"])?.write(out),
        None => cbor::write_map(out, 0),
    }
    let seed = |seed: &Bound<'_, PyAny>, out: &mut Vec<u8>| {
        cbor::write_integer(out, Integer::new(seed.extract().ok()?).ok()?);
        Some(())
    };
    given.put(Part::Seed, out, seed, "an integer of 64 bits")?;
    let digest = |digest: &Bound<'_, PyAny>, out: &mut Vec<u8>| {
        cbor::write_bytes(out, &digest.extract::<[u8; 32]>().ok()?);
        Some(())
    };
    given.put(Part::Background, out, digest, "a SHA-256 of 32 bytes")?;
    let space = |space: &Bound<'_, PyAny>, out: &mut Vec<u8>| {
        Space::from_name(space.cast::<PyString>().ok()?.to_str().ok()?)?;
        put_words(space, out)
    };
    given.put(Part::Space, out, space, "`raw`, `log-odds` or `probability`")?;
    match given.take(Part::Of) {
        Some(class) => encode::put_any(class.as_borrowed(), out, &[PATH, "of"])?,
        None => cbor::write_null(out),
    }
    given.put(Part::Base, out, put_floats, "a number or a list of numbers")?;
    given.put(Part::Residual, out, put_floats, "a number or a list of numbers")?;
    let when = |when: &Bound<'_, PyAny>, out: &mut Vec<u8>| {
        let name = when.cast::<PyString>().ok()?.to_str().ok()?;
        [When::Inline, When::Later].iter().find(|when| when.name() == name)?;
        put_words(when, out)
    };
    match given.take(Part::When) {
        Some(_) => given.put(Part::When, out, when, "`inline` or `later`")?,
        None => cbor::write_text(out, When::Inline.name()),
    }
    let duration = |ns: &Bound<'_, PyAny>, out: &mut Vec<u8>| {
        cbor::write_unsigned(out, ns.extract().ok()?);
        Some(())
    };
    given.put(Part::Duration, out, duration, "a whole number of nanoseconds")
}

/// Whether a record has a part of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Told {
    #[default]
    No,
    Yes,
    /// It betrays what was redacted.
    LeftOut,
}

/// Whether there are reasons, and counterfactuals.
pub fn has_lists(explanation: &Bound<'_, PyDict>) -> PyResult<[Told; 2]> {
    // Interned: asked for each record that is explained.
    let py = explanation.py();
    Ok([Told::of(explanation, intern!(py, REASONS))?, Told::of(explanation, intern!(py, COUNTERFACTUALS))?])
}

impl Told {
    /// What a part of an explanation is.
    pub fn of(explanation: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> PyResult<Self> {
        Ok(match explanation.get_item(name)? {
            Some(part) if redact::is_left_out(&part) => Self::LeftOut,
            Some(part) if !part.is_none() => Self::Yes,
            _ => Self::No,
        })
    }

    /// What the attributions are; those that are missing are refused where they are written.
    pub fn of_attributions(explanation: &Bound<'_, PyDict>) -> PyResult<Self> {
        let found = Self::of(explanation, intern!(explanation.py(), "attributions"))?;
        Ok(if found == Self::LeftOut { found } else { Self::Yes })
    }

    pub fn is_there(self) -> bool {
        self != Self::No
    }

    /// The type of the part's field.
    pub fn field_type(self, whole: FieldType) -> FieldType {
        if self == Self::LeftOut { FieldType::Dropped } else { whole }
    }
}

/// Appends a list beside the attributions, which is given.
pub fn put_list(explanation: &Bound<'_, PyDict>, name: &'static str, out: &mut Vec<u8>) -> PyResult<()> {
    let path = [PATH, name];
    let list = explanation.get_item(name)?.ok_or_else(|| fault(name, "is missing"))?;
    if redact::is_left_out(&list) {
        cbor::write_null(out);
        return Ok(());
    }
    let (FieldType::List, value) = convert::value(&list, &path)? else {
        return Err(fault(name, "a list is asked for"));
    };
    value.encode(&FieldType::List, out).map_err(|error| unfit(&path, &error.to_string()))
}
