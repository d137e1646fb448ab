//! The fast way from a Python value to its bytes, when its type is the one that is expected. Runs for every value of every record on
//! the caller's thread: no allocation, no Python code but for values of rare types.

use minutebook_record::{FieldType, IntegerType, cbor};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert;
use crate::errors::unfit;
use crate::numpy;

/// What a value is expected to be, by how it is checked: a byte, so that those of a record are one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    Float,
    Int,
    Bool,
    Text,
    Other,
}

impl Tag {
    /// The tag of a type.
    pub fn of(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::F64 => Self::Float,
            FieldType::Integer(IntegerType::I64) => Self::Int,
            FieldType::Bool => Self::Bool,
            FieldType::Text => Self::Text,
            _ => Self::Other,
        }
    }
}

/// Appends the value if it is of this type or missing; else leaves `out` as it is and gives false. `field` is asked when the type is a rare one.
#[inline]
pub fn put<'f>(
    value: Borrowed<'_, '_, PyAny>,
    tag: Tag,
    out: &mut Vec<u8>,
    field: impl FnOnce() -> ([&'f str; 2], &'f FieldType),
) -> PyResult<bool> {
    if scalar(value, Some(tag), out) {
        return Ok(true);
    }
    let (path, expected) = field();
    if let Some(put) = numpy::put_scalar(value, expected, out) {
        return Ok(put);
    }
    let (found, value) = convert::value(&value, &path)?;
    if found == FieldType::Null {
        cbor::write_null(out);
        return Ok(true);
    }
    Ok(found == *expected && value.encode(expected, out).is_ok())
}

/// Appends a value of any type, as within lists and maps.
pub fn put_any(value: Borrowed<'_, '_, PyAny>, out: &mut Vec<u8>, path: &[&str]) -> PyResult<()> {
    if !scalar(value, None, out) {
        convert::value(&value, path)?.1.write(out);
    }
    Ok(())
}

/// Appends the value if it is one of the plain types, and of this tag if one is given.
#[inline]
fn scalar(value: Borrowed<'_, '_, PyAny>, tag: Option<Tag>, out: &mut Vec<u8>) -> bool {
    let object = value.as_ptr();
    let is = |wanted: Tag| tag.is_none_or(|tag| tag == wanted);
    // SAFETY: `object` is a live object and we are attached to the interpreter; each call is made for the exact type that it needs.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if class == &raw mut ffi::PyFloat_Type {
            let fits = is(Tag::Float);
            if fits {
                cbor::write_float(out, ffi::PyFloat_AS_DOUBLE(object));
            }
            return fits;
        }
        if class == &raw mut ffi::PyLong_Type {
            let mut overflow = 0;
            let integer = if is(Tag::Int) {
                ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow)
            } else {
                return false;
            };
            if overflow == 0 {
                cbor::write_signed(out, integer);
            }
            return overflow == 0;
        }
        if class == &raw mut ffi::PyUnicode_Type {
            let text = if is(Tag::Text) { text_of(object) } else { None };
            if let Some(text) = text {
                cbor::write_text(out, text);
            }
            return text.is_some();
        }
        if class == &raw mut ffi::PyBool_Type {
            let fits = is(Tag::Bool);
            if fits {
                cbor::write_bool(out, object == ffi::Py_True());
            }
            return fits;
        }
        if object == ffi::Py_None() {
            cbor::write_null(out);
            return true;
        }
    }
    false
}

/// The text of a `str`; `None` when it is not Unicode.
///
/// # Safety
///
/// `object` is a live `str`, and lives as long as the text is used.
#[inline]
pub unsafe fn text_of<'a>(object: *mut ffi::PyObject) -> Option<&'a str> {
    let mut len = 0;
    // SAFETY: as promised; the characters live as long as the object.
    unsafe {
        let start = ffi::PyUnicode_AsUTF8AndSize(object, &mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(start.cast(), len as usize)))
    }
}

/// Whether an object is this text.
#[inline]
pub fn is_text(object: *mut ffi::PyObject, text: &str) -> bool {
    // SAFETY: attached; the type is looked at first.
    unsafe { ffi::PyUnicode_Check(object) != 0 && text_of(object) == Some(text) }
}

/// Appends a mapping with text keys, in the order that its encoding asks for (RFC 8949 §4.2.1).
pub fn put_map(dict: &Bound<'_, PyDict>, out: &mut Vec<u8>, path: &str) -> PyResult<()> {
    const SMALL: usize = 16;
    let count = dict.len();
    if count > SMALL {
        convert::map(dict, &[path])?.write(out);
        return Ok(());
    }
    let mut pairs: [Option<(Bound<'_, PyAny>, Bound<'_, PyAny>)>; SMALL] = [const { None }; SMALL];
    for (place, pair) in pairs.iter_mut().zip(dict.iter()) {
        *place = Some(pair);
    }
    let mut order: [(&str, usize); SMALL] = [("", 0); SMALL];
    for (place, pair) in pairs.iter().enumerate().take(count) {
        let name = pair.as_ref().and_then(|(name, _)| name.cast::<PyString>().ok()?.to_str().ok());
        order[place] = (name.ok_or_else(|| unfit(&[path], "a name that is not text"))?, place);
    }
    order[..count].sort_unstable_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    cbor::write_map(out, count as u64);
    for (name, place) in &order[..count] {
        cbor::write_text(out, name);
        if let Some((_, value)) = &pairs[*place] {
            put_any(value.as_borrowed(), out, &[path, name])?;
        }
    }
    Ok(())
}
