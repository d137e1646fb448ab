//! A numpy array of numbers, by the buffer protocol (PEP 3118): of any stride, and kept alive while it is read.

use std::mem::MaybeUninit;

use minutebook_record::{Element, cbor};
use minutebook_sketch::{Feature, Sort};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::counter::{count_labels, counted_in_runs};

/// A view of one dimension in native byte order.
pub struct Buffer {
    view: Box<ffi::Py_buffer>,
    element: Element,
    rows: usize,
    stride: isize,
}

// SAFETY: the memory is not moved or freed before the view is released; it is read only. That another thread writes to it meanwhile is
// the caller's affair, as with numpy itself.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub fn of(array: &Bound<'_, PyAny>, element: Element) -> PyResult<Self> {
        let view = view_of(array, ffi::PyBUF_STRIDES)?;
        // SAFETY: with strides asked for, shape and strides are there, one for each dimension; the caller gives one dimension.
        let (rows, stride) = unsafe { (*view.shape as usize, *view.strides) };
        let buffer = Self { view, element, rows, stride };
        if buffer.view.ndim != 1 || buffer.view.itemsize != size_of_element(element) {
            return Err(pyo3::exceptions::PyBufferError::new_err("the array is not what its dtype says"));
        }
        Ok(buffer)
    }

    /// The one row of an array of shape `(1, n)`, or of shape `(1,)`, which is a row of one value. `None` for any other array, and for
    /// values that are no native numbers.
    pub fn of_row(array: &Bound<'_, PyAny>) -> Option<Self> {
        let view = view_of(array, ffi::PyBUF_RECORDS_RO).ok()?;
        let mut buffer = Self { view, element: Element::Bool, rows: 0, stride: 0 };
        let view = &buffer.view;
        // SAFETY: with a format asked for it is there, and ends with a zero.
        let format = unsafe { std::ffi::CStr::from_ptr(view.format) };
        buffer.element = element_of(format.to_bytes())?;
        // SAFETY: with strides asked for, shape and strides are there, one for each dimension.
        let dimension = |n: usize| unsafe { (*view.shape.add(n), *view.strides.add(n)) };
        let (rows, stride) = match view.ndim {
            1 => dimension(0),
            2 if dimension(0).0 == 1 => dimension(1),
            _ => return None,
        };
        if view.itemsize != size_of_element(buffer.element) || (view.ndim == 1 && rows != 1) {
            return None;
        }
        (buffer.rows, buffer.stride) = (rows as usize, stride);
        Some(buffer)
    }

    /// Whether it is a row of a table, and not the one value of a list.
    pub fn is_of_table(&self) -> bool {
        self.view.ndim == 2
    }

    pub fn element(&self) -> Element {
        self.element
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    fn read<T: Copy>(&self, row: usize) -> T {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: within the rows; the element is of this size, and may lie anywhere.
        unsafe { self.view.buf.cast::<u8>().offset(row as isize * self.stride).cast::<T>().read_unaligned() }
    }

    /// Counts all rows.
    pub fn count(&self, sort: Sort, feature: &mut Feature) {
        match self.element {
            Element::Bool => {
                let count = (0..self.rows).filter(|row| self.read::<u8>(*row) != 0).count() as u64;
                feature.add_text("true", count);
                feature.add_text("false", self.rows as u64 - count);
            }
            Element::F64 => self.count_as(feature, |value: f64| value),
            Element::F32 => self.count_as(feature, |value: f32| f64::from(value)),
            Element::F16 => self.count_as(feature, half),
            Element::I64 => self.count_integers(sort, feature, |value: i64| value.into()),
            Element::I32 => self.count_integers(sort, feature, |value: i32| value.into()),
            Element::I16 => self.count_integers(sort, feature, |value: i16| value.into()),
            Element::I8 => self.count_integers(sort, feature, |value: i8| value.into()),
            Element::U64 => self.count_integers(sort, feature, |value: u64| value.into()),
            Element::U32 => self.count_integers(sort, feature, |value: u32| value.into()),
            Element::U16 => self.count_integers(sort, feature, |value: u16| value.into()),
            Element::U8 => self.count_integers(sort, feature, |value: u8| value.into()),
        }
    }

    fn count_as<T: Copy>(&self, feature: &mut Feature, number: impl Fn(T) -> f64) {
        counted_in_runs((0..self.rows).map(|row| number(self.read(row))), feature);
    }

    fn count_integers<T: Copy>(&self, sort: Sort, feature: &mut Feature, integer: impl Fn(T) -> i128) {
        match sort {
            Sort::Label => count_labels((0..self.rows).map(|row| integer(self.read(row))), feature),
            _ => self.count_as(feature, |value| integer(value) as f64),
        }
    }

    #[inline]
    pub fn put(&self, row: usize, out: &mut Vec<u8>) {
        match self.element {
            Element::F64 => cbor::write_float(out, self.read(row)),
            Element::F32 => cbor::write_float32(out, self.read(row)),
            Element::F16 => cbor::write_float(out, half(self.read(row))),
            Element::I64 => cbor::write_signed(out, self.read(row)),
            Element::I32 => cbor::write_signed(out, self.read::<i32>(row).into()),
            Element::I16 => cbor::write_signed(out, self.read::<i16>(row).into()),
            Element::I8 => cbor::write_signed(out, self.read::<i8>(row).into()),
            Element::U64 => cbor::write_unsigned(out, self.read(row)),
            Element::U32 => cbor::write_unsigned(out, self.read::<u32>(row).into()),
            Element::U16 => cbor::write_unsigned(out, self.read::<u16>(row).into()),
            Element::U8 => cbor::write_unsigned(out, self.read::<u8>(row).into()),
            Element::Bool => cbor::write_bool(out, self.read::<u8>(row) != 0),
        }
    }
}

/// The memory of an object. To be released.
#[inline]
fn view_of(array: &Bound<'_, PyAny>, flags: std::ffi::c_int) -> PyResult<Box<ffi::Py_buffer>> {
    let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::uninit());
    // SAFETY: attached, a live object, and room for the view.
    if unsafe { ffi::PyObject_GetBuffer(array.as_ptr(), view.as_mut_ptr(), flags) } != 0 {
        return Err(PyErr::fetch(array.py()));
    }
    // SAFETY: filled by the call that succeeded.
    Ok(unsafe { view.assume_init() })
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: releasing needs the interpreter, and is done once.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(&mut *self.view) });
    }
}

/// The element that a format (PEP 3118) of one native number names.
fn element_of(format: &[u8]) -> Option<Element> {
    let is_64 = size_of::<std::ffi::c_long>() == 8;
    Some(match format {
        b"d" => Element::F64,
        b"f" => Element::F32,
        b"e" => Element::F16,
        b"?" => Element::Bool,
        b"l" => {
            if is_64 {
                Element::I64
            } else {
                Element::I32
            }
        }
        b"L" => {
            if is_64 {
                Element::U64
            } else {
                Element::U32
            }
        }
        b"q" => Element::I64,
        b"Q" => Element::U64,
        b"i" => Element::I32,
        b"I" => Element::U32,
        b"h" => Element::I16,
        b"H" => Element::U16,
        b"b" => Element::I8,
        b"B" => Element::U8,
        _ => return None,
    })
}

fn size_of_element(element: Element) -> isize {
    match element {
        Element::Bool | Element::U8 | Element::I8 => 1,
        Element::U16 | Element::I16 | Element::F16 => 2,
        Element::U32 | Element::I32 | Element::F32 => 4,
        Element::U64 | Element::I64 | Element::F64 => 8,
    }
}

/// A half float (IEEE 754 binary16).
pub fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}
