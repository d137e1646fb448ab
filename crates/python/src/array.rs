//! numpy's scalars and arrays, torch's tensors. By the names of their types and by the buffer protocol: neither library is linked or
//! imported.

use minutebook_record::value::{Integer, Seconds, Tensor};
use minutebook_record::{Element, FieldType, IntegerType, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::unfit;
use crate::numpy;

/// The scalar or the tensor that this is; `None` when it is neither.
pub fn scalar_or_array(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Option<(FieldType, Value)>> {
    let class = object.get_type();
    let module = class.module()?;
    let module = module.to_cow()?;
    let name = class.name()?;
    let name = name.to_cow()?;
    match (module.as_ref(), name.as_ref()) {
        ("builtins", _) => Ok(None),
        ("numpy" | "numpy.ma", "ndarray") => tensor(object, path).map(Some),
        ("numpy", name) => {
            numpy::learn(object.py());
            scalar(object, name, path).map(Some)
        }
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => {
            let array = object.call_method0("detach")?.call_method0("cpu")?.call_method0("numpy")?;
            tensor(&array, path).map(Some)
        }
        // What pandas has for a missing value, and for a missing time, which is an instance of `datetime`.
        (_, "NAType" | "NaTType") => Ok(Some((FieldType::Null, Value::Null))),
        _ => Ok(None),
    }
}

/// The element of a numpy type.
pub fn element_of(name: &str) -> Option<Element> {
    Some(match name {
        "bool" | "bool_" => Element::Bool,
        "uint8" => Element::U8,
        "uint16" => Element::U16,
        "uint32" => Element::U32,
        "uint64" => Element::U64,
        "int8" => Element::I8,
        "int16" => Element::I16,
        "int32" => Element::I32,
        "int64" => Element::I64,
        "float16" => Element::F16,
        "float32" => Element::F32,
        "float64" => Element::F64,
        _ => return None,
    })
}

/// The type of a field that holds one element.
pub fn field_type_of(element: Element) -> FieldType {
    match element {
        Element::Bool => FieldType::Bool,
        Element::U8 => FieldType::Integer(IntegerType::U8),
        Element::U16 => FieldType::Integer(IntegerType::U16),
        Element::U32 => FieldType::Integer(IntegerType::U32),
        Element::U64 => FieldType::Integer(IntegerType::U64),
        Element::I8 => FieldType::Integer(IntegerType::I8),
        Element::I16 => FieldType::Integer(IntegerType::I16),
        Element::I32 => FieldType::Integer(IntegerType::I32),
        Element::I64 => FieldType::Integer(IntegerType::I64),
        Element::F16 => FieldType::F16,
        Element::F32 => FieldType::F32,
        Element::F64 => FieldType::F64,
    }
}

fn scalar(object: &Bound<'_, PyAny>, name: &str, path: &[&str]) -> PyResult<(FieldType, Value)> {
    match name {
        "datetime64" => return time(object, "datetime64[ns]", path),
        "timedelta64" => return time(object, "timedelta64[ns]", path),
        _ => {}
    }
    // `longlong` and its like are named by the width that they have.
    let dtype = object.getattr("dtype")?.getattr("name")?.extract::<String>()?;
    let item = object.call_method0("item")?;
    let Some(element) = element_of(&dtype) else {
        if let Ok(text) = item.cast::<PyString>() {
            return Ok((FieldType::Text, Value::Text(text.to_cow()?.into_owned())));
        }
        if let Ok(bytes) = item.cast::<PyBytes>() {
            return Ok((FieldType::Bytes, Value::Bytes(bytes.as_bytes().to_vec())));
        }
        return Err(unfit(path, &format!("a `numpy.{dtype}` has no place in a record")));
    };
    let value = match element {
        Element::Bool => Value::Bool(item.extract()?),
        Element::F16 | Element::F32 | Element::F64 => Value::Float(item.extract()?),
        _ => {
            let integer = Integer::new(item.extract::<i128>()?);
            Value::Integer(integer.map_err(|error| unfit(path, &error.to_string()))?)
        }
    };
    Ok((field_type_of(element), value))
}

fn time(object: &Bound<'_, PyAny>, unit: &str, path: &[&str]) -> PyResult<(FieldType, Value)> {
    let counted = object.call_method1("astype", (unit,))?;
    let ns: i64 = counted.call_method1("astype", ("int64",))?.call_method0("item")?.extract()?;
    let is_span = unit.starts_with("time");
    if ns == i64::MIN {
        return Ok((FieldType::Null, Value::Null));
    }
    // A coarse unit far from 1970 does not fit nanoseconds, and numpy wraps it around.
    if !counted.eq(object)? {
        return Err(unfit(path, "a time that nanoseconds of 64 bits do not reach"));
    }
    let seconds = Seconds::from_nanoseconds(ns);
    Ok(match is_span {
        true => (FieldType::Duration, Value::Duration(seconds)),
        false => (FieldType::DateTime, Value::Timestamp(seconds)),
    })
}

/// An array as a tensor, whatever its strides and byte order.
pub fn tensor(array: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<(FieldType, Value)> {
    let dtype = array.getattr("dtype")?;
    let name = dtype.getattr("name")?.extract::<String>()?;
    let Some(element) = element_of(&name) else {
        return Err(unfit(path, &format!("an array of `{name}`; a tensor holds bool, integers or floats")));
    };
    let shape: Vec<u64> = array.getattr("shape")?.extract()?;
    let little = dtype.call_method1("newbyteorder", ("<",))?;
    let array = array.call_method1("astype", (little,))?;
    let bytes = array.call_method1("tobytes", ("C",))?;
    let data = bytes.cast::<PyBytes>()?.as_bytes().to_vec();
    Ok((FieldType::Tensor(element), Value::Tensor(Tensor { element, shape, data })))
}
