//! An Arrow array, by the PyCapsule interface of the Arrow C data interface: pyarrow, Polars, pandas with Arrow columns.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayReader as _, ArrayRef, make_array};
use arrow_schema::{DataType, TimeUnit};
use minutebook_record::{FieldType, IntegerType, Seconds, Value, Zone, cbor};
use minutebook_sketch::{Feature, Sort};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::counter::{count_labels, count_texts, counted_in_runs};
use crate::errors::unfit;

/// Chunks of a column.
pub struct ArrowColumn {
    /// Each with the row that it begins with.
    chunks: Vec<(usize, ArrayRef)>,
    rows: usize,
    field_type: FieldType,
}

impl ArrowColumn {
    /// The column of an object that offers one; `None` for others.
    pub fn of(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Option<Self>> {
        let arrays = if object.hasattr("__arrow_c_array__")? {
            vec![one(object)?]
        } else if object.hasattr("__arrow_c_stream__")? {
            stream(object)?
        } else {
            return Ok(None);
        };
        let first = arrays.first().ok_or_else(|| unfit(path, "a column without a type"))?;
        let field_type = field_type_of(first.data_type()).ok_or_else(|| {
            unfit(path, &format!("an Arrow column of `{}` has no place in a record", first.data_type()))
        })?;
        let mut rows = 0;
        let mut chunks = Vec::with_capacity(arrays.len());
        for array in arrays {
            let array = plain(array)?;
            chunks.push((rows, Arc::clone(&array)));
            rows += array.len();
        }
        Ok(Some(Self { chunks, rows, field_type }))
    }

    pub fn field_type(&self) -> FieldType {
        self.field_type.clone()
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Counts all rows.
    pub fn count(&self, sort: Sort, feature: &mut Feature) {
        for (_, array) in &self.chunks {
            count(array, sort, feature);
        }
    }

    #[inline]
    pub fn put(&self, row: usize, out: &mut Vec<u8>) {
        let chunk = self.chunks.partition_point(|(start, _)| *start <= row) - 1;
        let (start, array) = &self.chunks[chunk];
        put(array, row - start, out);
    }
}

fn foreign(error: impl std::fmt::Display) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(format!("the Arrow data cannot be read: {error}"))
}

fn one(object: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) =
        object.call_method0("__arrow_c_array__")?.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of these names hold these structures (Arrow PyCapsule interface); the array is moved out of its capsule, which then
    // holds a released one.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
    Ok(make_array(data.map_err(foreign)?))
}

fn stream(object: &Bound<'_, PyAny>) -> PyResult<Vec<ArrayRef>> {
    let capsule: Bound<'_, PyCapsule> = object.call_method0("__arrow_c_stream__")?.extract()?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: as above, for a stream.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    let reader = ArrayStreamReader::try_new(stream).map_err(foreign)?;
    let field = Arc::clone(reader.field());
    let mut arrays = reader.collect::<Result<Vec<_>, _>>().map_err(foreign)?;
    if arrays.is_empty() {
        arrays.push(arrow_array::new_empty_array(field.data_type()));
    }
    Ok(arrays)
}

fn field_type_of(data_type: &DataType) -> Option<FieldType> {
    Some(match data_type {
        DataType::Null => FieldType::Null,
        DataType::Boolean => FieldType::Bool,
        DataType::Int8 => FieldType::Integer(IntegerType::I8),
        DataType::Int16 => FieldType::Integer(IntegerType::I16),
        DataType::Int32 => FieldType::Integer(IntegerType::I32),
        DataType::Int64 => FieldType::Integer(IntegerType::I64),
        DataType::UInt8 => FieldType::Integer(IntegerType::U8),
        DataType::UInt16 => FieldType::Integer(IntegerType::U16),
        DataType::UInt32 => FieldType::Integer(IntegerType::U32),
        DataType::UInt64 => FieldType::Integer(IntegerType::U64),
        DataType::Float16 => FieldType::F16,
        DataType::Float32 => FieldType::F32,
        DataType::Float64 => FieldType::F64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => FieldType::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => FieldType::Bytes,
        DataType::Date32 => FieldType::Date,
        DataType::Timestamp(_, None) => FieldType::DateTime,
        DataType::Timestamp(_, Some(zone)) => FieldType::Timestamp(Zone::new(zone).ok()),
        DataType::Duration(_) => FieldType::Duration,
        DataType::Dictionary(_, values) => match field_type_of(values)? {
            FieldType::Text => FieldType::Category,
            other => other,
        },
        _ => return None,
    })
}

/// Strings and binaries of one kind each, so that a row takes one look.
fn plain(array: ArrayRef) -> PyResult<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let values = plain(Arc::clone(dictionary.values()))?;
            Ok(Arc::new(Chosen { keys, array, values }.text()?))
        }
        _ => Ok(array),
    }
}

/// A dictionary of texts.
struct Chosen {
    keys: Vec<usize>,
    array: ArrayRef,
    values: ArrayRef,
}

impl Chosen {
    fn text(&self) -> PyResult<arrow_array::LargeStringArray> {
        let text = |row: usize| -> Option<&str> {
            if self.array.is_null(row) || self.values.is_null(self.keys[row]) {
                return None;
            }
            text_at(&self.values, self.keys[row])
        };
        if !matches!(self.values.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return Err(foreign("a dictionary of other values than text"));
        }
        Ok((0..self.array.len()).map(text).collect())
    }
}

fn text_at(array: &ArrayRef, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

#[inline]
fn of<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

fn count(array: &ArrayRef, sort: Sort, feature: &mut Feature) {
    match array.data_type() {
        DataType::Float64 if array.null_count() == 0 => {
            feature.add_numbers(array.as_primitive::<Float64Type>().values());
        }
        DataType::Float64 => counted_in_runs(array.as_primitive::<Float64Type>().iter().flatten(), feature),
        DataType::Float32 => {
            counted_in_runs(array.as_primitive::<Float32Type>().iter().flatten().map(f64::from), feature);
        }
        DataType::Int64 => integers::<Int64Type>(array, sort, feature),
        DataType::Int32 => integers::<Int32Type>(array, sort, feature),
        DataType::Int16 => integers::<Int16Type>(array, sort, feature),
        DataType::Int8 => integers::<Int8Type>(array, sort, feature),
        DataType::UInt64 => integers::<UInt64Type>(array, sort, feature),
        DataType::UInt32 => integers::<UInt32Type>(array, sort, feature),
        DataType::UInt16 => integers::<UInt16Type>(array, sort, feature),
        DataType::UInt8 => integers::<UInt8Type>(array, sort, feature),
        DataType::Boolean => {
            let values = array.as_boolean();
            let count = values.true_count() as u64;
            feature.add_text("true", count);
            feature.add_text("false", (values.len() - values.null_count()) as u64 - count);
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts =
                (0..array.len()).filter(|row| !array.is_null(*row)).filter_map(|row| text_at(array, row));
            count_texts(texts, feature);
        }
        _ => {
            let mut encoded = Vec::new();
            for row in 0..array.len() {
                encoded.clear();
                put(array, row, &mut encoded);
                feature.add_encoded(sort, &encoded);
            }
        }
    }
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef, sort: Sort, feature: &mut Feature)
where
    T::Native: Into<i128>,
{
    let values = array.as_primitive::<T>().iter().flatten().map(Into::into);
    match sort {
        Sort::Label => count_labels(values, feature),
        _ => counted_in_runs(values.map(|value: i128| value as f64), feature),
    }
}

#[inline]
fn put(array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return cbor::write_null(out);
    }
    match array.data_type() {
        DataType::Float64 => cbor::write_float(out, of::<Float64Type>(array, row)),
        DataType::Float32 => cbor::write_float32(out, of::<Float32Type>(array, row)),
        DataType::Float16 => cbor::write_float(out, of::<Float16Type>(array, row).to_f64()),
        DataType::Int64 => cbor::write_signed(out, of::<Int64Type>(array, row)),
        DataType::Int32 => cbor::write_signed(out, of::<Int32Type>(array, row).into()),
        DataType::Int16 => cbor::write_signed(out, of::<Int16Type>(array, row).into()),
        DataType::Int8 => cbor::write_signed(out, of::<Int8Type>(array, row).into()),
        DataType::UInt64 => cbor::write_unsigned(out, of::<UInt64Type>(array, row)),
        DataType::UInt32 => cbor::write_unsigned(out, of::<UInt32Type>(array, row).into()),
        DataType::UInt16 => cbor::write_unsigned(out, of::<UInt16Type>(array, row).into()),
        DataType::UInt8 => cbor::write_unsigned(out, of::<UInt8Type>(array, row).into()),
        DataType::Boolean => cbor::write_bool(out, array.as_boolean().value(row)),
        DataType::Binary => cbor::write_bytes(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => cbor::write_bytes(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => cbor::write_bytes(out, array.as_binary_view().value(row)),
        DataType::Date32 => Value::Date(of::<Date32Type>(array, row)).write(out),
        DataType::Timestamp(unit, _) => since(array, row, unit).write_timestamp(out),
        DataType::Duration(unit) => since(array, row, unit).write_duration(out),
        _ => match text_at(array, row) {
            Some(text) => cbor::write_text(out, text),
            None => cbor::write_null(out),
        },
    }
}

/// A count of units, exactly.
fn since(array: &ArrayRef, row: usize, unit: &TimeUnit) -> Seconds {
    let data = array.to_data();
    let count = data.buffer::<i64>(0)[row];
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let nanoseconds = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    // INVARIANT: less than a second.
    Seconds::new(count.div_euclid(per_second), nanoseconds as u32).unwrap_or(Seconds::from_nanoseconds(0))
}
