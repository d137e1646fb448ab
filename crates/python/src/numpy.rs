//! numpy's types, known by their addresses once a program has imported numpy. It is neither linked nor imported here.

use minutebook_record::{Element, FieldType, cbor};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::array::{element_of, field_type_of};

/// The scalar types that a record has a type for, the usual ones first. Where a platform has two of one width, both.
const SCALARS: [&str; 14] = [
    "float64",
    "float32",
    "int64",
    "bool_",
    "int32",
    "float16",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "longlong",
    "ulonglong",
];

struct Types {
    array: Py<PyType>,
    scalars: Vec<(Py<PyType>, Element)>,
}

static TYPES: PyOnceLock<Option<Types>> = PyOnceLock::new();

/// Gets to know the types. To be called once an object of numpy was seen.
#[cold]
pub fn learn(py: Python<'_>) {
    TYPES.get_or_init(py, || {
        // It is imported, or there would be no such object; what is missing in it is then told by the slow way.
        let numpy = py.import("numpy").ok()?;
        let class = |name: &str| Some(numpy.getattr(name).ok()?.cast_into::<PyType>().ok()?.unbind());
        // Named by the width that it has.
        let element = |class: &Py<PyType>| {
            let name = numpy.getattr("dtype").ok()?.call1((class,)).ok()?.getattr("name").ok()?;
            element_of(&name.extract::<String>().ok()?)
        };
        let scalars =
            SCALARS.iter().filter_map(|name| class(name).and_then(|class| Some((element(&class)?, class))));
        let scalars = scalars.map(|(element, class)| (class, element));
        Some(Types { array: class("ndarray")?, scalars: scalars.collect() })
    });
}

/// The same before one was seen.
pub fn learn_if_imported(py: Python<'_>) {
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
    if modules.and_then(|modules| modules.contains("numpy")).unwrap_or(false) {
        learn(py);
    }
}

/// Whether an object is exactly an array. False also before [`learn`].
#[inline]
pub fn is_array(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object.
    let class = unsafe { ffi::Py_TYPE(object.as_ptr()) };
    TYPES.get(object.py()).and_then(Option::as_ref).is_some_and(|types| types.array.as_ptr() == class.cast())
}

/// Appends a scalar of numpy if it is of this type; else leaves `out` as it is and gives false. `None` for anything else, and before
/// [`learn`].
#[inline]
pub fn put_scalar(value: Borrowed<'_, '_, PyAny>, expected: &FieldType, out: &mut Vec<u8>) -> Option<bool> {
    let types = TYPES.get(value.py()).and_then(Option::as_ref)?;
    let object = value.as_ptr();
    // SAFETY: a live object.
    let class = unsafe { ffi::Py_TYPE(object) }.cast();
    let (_, element) = types.scalars.iter().find(|(scalar, _)| scalar.as_ptr() == class)?;
    if field_type_of(*element) != *expected {
        return Some(false);
    }
    // SAFETY: attached, and a live object; each of these calls sets an exception when it fails, which is cleared below.
    let put = unsafe {
        match element {
            Element::F64 | Element::F16 => {
                let float = ffi::PyFloat_AsDouble(object);
                ffi::PyErr_Occurred().is_null().then(|| cbor::write_float(out, float))
            }
            Element::F32 => {
                let float = ffi::PyFloat_AsDouble(object);
                ffi::PyErr_Occurred().is_null().then(|| cbor::write_float32(out, float as f32))
            }
            Element::Bool => {
                let truth = ffi::PyObject_IsTrue(object);
                (truth >= 0).then(|| cbor::write_bool(out, truth == 1))
            }
            _ => integer(value).map(|integer| match u64::try_from(integer) {
                Ok(integer) => cbor::write_unsigned(out, integer),
                // Below zero, of at most 64 bits.
                Err(_) => cbor::write_signed(out, integer as i64),
            }),
        }
    };
    if put.is_none() {
        // SAFETY: attached.
        unsafe { ffi::PyErr_Clear() };
    }
    put.map(|()| true)
}

/// The integer that a scalar is.
fn integer(value: Borrowed<'_, '_, PyAny>) -> Option<i128> {
    // SAFETY: attached, and a live object; a new reference, or null with an exception.
    let index = unsafe { Bound::from_owned_ptr_or_opt(value.py(), ffi::PyNumber_Index(value.as_ptr())) }?;
    let mut overflow = 0;
    // SAFETY: an `int`, as `PyNumber_Index` promises.
    unsafe {
        let small = ffi::PyLong_AsLongLongAndOverflow(index.as_ptr(), &mut overflow);
        if overflow == 0 {
            return Some(small.into());
        }
        let large = ffi::PyLong_AsUnsignedLongLong(index.as_ptr());
        ffi::PyErr_Occurred().is_null().then(|| large.into())
    }
}
