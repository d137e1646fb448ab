//! Any Python value as a value of a record and its type (`docs/formats/record.md`, "Where values come from"). The slow way, for what
//! [`crate::encode`] does not know by heart. Edge: refuses what it does not know, with its path and type, and never calls `repr`.

use minutebook_record::value::{Integer, Map, Seconds};
use minutebook_record::{FieldType, Value};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};

use crate::array;
use crate::errors::unfit;
use crate::limits::DEPTH_MAX;
use crate::redact::Redacted;

/// A value with its type. `path` is where it stands, for errors.
pub fn value(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<(FieldType, Value)> {
    at_depth(object, path, 0)
}

/// A mapping with text keys.
pub fn map(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Map> {
    map_at(object, path, 0)
}

fn at_depth(object: &Bound<'_, PyAny>, path: &[&str], depth: usize) -> PyResult<(FieldType, Value)> {
    if object.is_none() {
        return Ok((FieldType::Null, Value::Null));
    }
    if let Ok(redacted) = object.cast_exact::<Redacted>() {
        return Ok(redacted.get().left());
    }
    if let Some(found) = array::scalar_or_array(object, path)? {
        return Ok(found);
    }
    let natural = |value: Value| (value.natural_type(), value);
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(natural(Value::Bool(value.is_true())));
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(natural(Value::Float(value.value())));
    }
    if let Ok(value) = object.cast::<PyInt>() {
        let integer = value.extract::<i128>().ok().and_then(|value| Integer::new(value).ok());
        let integer = integer.ok_or_else(|| {
            unfit(path, "an integer outside of −2^63 … 2^64−1; record it as text or Decimal")
        })?;
        return Ok(natural(Value::Integer(integer)));
    }
    if let Ok(value) = object.cast::<PyString>() {
        let text =
            value.to_str().map_err(|_| unfit(path, "text with a lone surrogate, which is not Unicode"))?;
        return Ok(natural(Value::Text(text.to_owned())));
    }
    if let Ok(value) = object.cast::<PyBytes>() {
        return Ok(natural(Value::Bytes(value.as_bytes().to_vec())));
    }
    if depth >= DEPTH_MAX {
        return Err(unfit(path, "lists and maps within each other, deeper than 16 levels"));
    }
    if let Ok(list) = object.cast::<PyList>() {
        return Ok(natural(Value::List(items(list.iter(), path, depth)?)));
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return Ok(natural(Value::List(items(tuple.iter(), path, depth)?)));
    }
    if object.cast::<PyDict>().is_ok() || object.cast::<PyMapping>().is_ok() {
        return Ok(natural(Value::Map(map_at(object, path, depth)?)));
    }
    if let Some(found) = moment(object, path)? {
        return Ok(found);
    }
    if object.is_instance(types(object.py())?.decimal.bind(object.py()))? {
        return decimal(object, path).map(natural);
    }
    let name = object.get_type().fully_qualified_name()?.to_string();
    Err(unfit(
        path,
        &format!("a `{name}` has no place in a record; give numbers, text, lists, maps or arrays"),
    ))
}

fn items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    path: &[&str],
    depth: usize,
) -> PyResult<Vec<Value>> {
    items.map(|item| at_depth(&item, path, depth + 1).map(|(_, value)| value)).collect()
}

fn map_at(object: &Bound<'_, PyAny>, path: &[&str], depth: usize) -> PyResult<Map> {
    let object = to_dict(object, path)?;
    let mut pairs = Vec::with_capacity(object.len());
    for (key, item) in object.iter() {
        let Ok(key) = key.cast::<PyString>() else {
            return Err(unfit(path, "a key that is not text"));
        };
        let key = key.to_str().map_err(|_| unfit(path, "a key with a lone surrogate"))?.to_owned();
        let mut deeper = path.to_vec();
        deeper.push(&key);
        let (_, value) = at_depth(&item, &deeper, depth + 1)?;
        pairs.push((key, value));
    }
    Map::new(pairs).map_err(|_| unfit(path, "a key that is there twice"))
}

/// A mapping as a `dict`: itself when it is one.
pub fn to_dict<'py>(object: &Bound<'py, PyAny>, path: &[&str]) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = object.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let refused = |_| {
        let name = object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
        unfit(path, &format!("a mapping from names to values is asked for, not a `{name}`"))
    };
    let mapping = object.cast::<PyMapping>().map_err(|error| refused(PyErr::from(error)))?;
    PyDict::from_sequence(mapping.items()?.as_any()).map_err(refused)
}

/// Types of the standard library that are looked for.
struct Types {
    decimal: Py<PyType>,
    datetime: Py<PyType>,
    date: Py<PyType>,
    timedelta: Py<PyType>,
    /// 1970-01-01T00:00, without a zone and in UTC.
    epoch: Py<PyAny>,
    epoch_utc: Py<PyAny>,
}

fn types(py: Python<'_>) -> PyResult<&Types> {
    static TYPES: PyOnceLock<Types> = PyOnceLock::new();
    TYPES.get_or_try_init(py, || {
        let datetime = py.import("datetime")?;
        let class = |name: &str| Ok::<_, PyErr>(datetime.getattr(name)?.cast_into::<PyType>()?);
        let utc = class("timezone")?.getattr("utc")?;
        let epoch = class("datetime")?.call1((1970, 1, 1))?;
        Ok(Types {
            decimal: py.import("decimal")?.getattr("Decimal")?.cast_into::<PyType>()?.unbind(),
            epoch_utc: epoch.call_method1("replace", (1970, 1, 1, 0, 0, 0, 0, utc))?.unbind(),
            epoch: epoch.unbind(),
            datetime: class("datetime")?.unbind(),
            date: class("date")?.unbind(),
            timedelta: class("timedelta")?.unbind(),
        })
    })
}

fn moment(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Option<(FieldType, Value)>> {
    let py = object.py();
    let types = types(py)?;
    if object.is_instance(types.datetime.bind(py))? {
        let zone = object.getattr("tzinfo")?;
        let epoch = if zone.is_none() { &types.epoch } else { &types.epoch_utc };
        let mut since = seconds(&object.sub(epoch.bind(py))?)?;
        // pandas' `Timestamp` counts nanoseconds, and its difference may be of a coarser unit.
        if let Ok(more) = object.getattr("nanosecond")
            && let Ok(more) = more.extract::<u32>()
        {
            let whole = since.nanoseconds() / 1_000 * 1_000;
            since = Seconds::new(since.seconds(), whole + more).map_err(|e| unfit(path, &e.to_string()))?;
        }
        let field_type =
            if zone.is_none() { FieldType::DateTime } else { FieldType::Timestamp(zone_of(&zone)?) };
        return Ok(Some((field_type, Value::Timestamp(since))));
    }
    if object.is_instance(types.date.bind(py))? {
        let ordinal: i32 = object.call_method0("toordinal")?.extract()?;
        const ORDINAL_OF_1970: i32 = 719_163;
        return Ok(Some((FieldType::Date, Value::Date(ordinal - ORDINAL_OF_1970))));
    }
    if object.is_instance(types.timedelta.bind(py))? {
        return Ok(Some((FieldType::Duration, Value::Duration(seconds(object)?))));
    }
    Ok(None)
}

/// A `timedelta`, or pandas' `Timedelta`, exactly.
fn seconds(delta: &Bound<'_, PyAny>) -> PyResult<Seconds> {
    let part = |name: &str| delta.getattr(name)?.extract::<i64>();
    let nanoseconds = part("nanoseconds").unwrap_or(0);
    let seconds = part("days")? * 86_400 + part("seconds")?;
    let fraction = part("microseconds")? * 1_000 + nanoseconds;
    Seconds::new(seconds, u32::try_from(fraction).unwrap_or(0))
        .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
}

/// The IANA name of a zone, if it has one.
fn zone_of(zone: &Bound<'_, PyAny>) -> PyResult<Option<minutebook_record::Zone>> {
    let named = ["key", "zone"].iter().find_map(|name| zone.getattr(*name).ok()?.extract::<String>().ok());
    let name = match named {
        Some(name) => name,
        None => zone.str()?.to_cow()?.into_owned(),
    };
    let is_offset = name.len() > 3 && name.starts_with("UTC");
    Ok(if is_offset { None } else { minutebook_record::Zone::new(&name).ok() })
}

fn decimal(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Value> {
    let parts = object.call_method0("as_tuple")?;
    let exponent = parts.getattr("exponent")?.extract::<i32>();
    let exponent = exponent.map_err(|_| unfit(path, "a Decimal that is not finite; record it as a float"))?;
    let negative = parts.getattr("sign")?.extract::<u8>()? == 1;
    let digits: Vec<u8> = parts.getattr("digits")?.extract()?;
    let too_long = || unfit(path, "a Decimal of more digits than 64 bits hold; record it as text");
    let mut mantissa = 0i128;
    for digit in digits {
        mantissa = mantissa.checked_mul(10).map(|m| m + i128::from(digit)).ok_or_else(too_long)?;
    }
    if negative && mantissa == 0 {
        return Err(unfit(path, "a Decimal of −0, which a record cannot tell from 0"));
    }
    let mantissa = Integer::new(if negative { -mantissa } else { mantissa }).map_err(|_| too_long())?;
    Ok(Value::Decimal { exponent, mantissa })
}
