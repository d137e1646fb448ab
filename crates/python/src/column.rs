//! A column of a batch: a numpy array, an Arrow array or a list, read row by row without Python where it can be.

use minutebook_record::{FieldType, cbor};
use minutebook_sketch::{Feature, Sort};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::array;
use crate::arrow_column::ArrowColumn;
use crate::buffer::Buffer;
use crate::convert;
use crate::encode::{self, Tag};
use crate::errors::unfit;

/// Values of one field, a row after the other.
pub struct Column {
    pub field_type: FieldType,
    pub rows: usize,
    data: Data,
}

enum Data {
    /// A numpy array of numbers.
    Buffer(Buffer),
    Arrow(ArrowColumn),
    /// Values that are encoded already, one behind the other, and where each ends.
    Encoded(Vec<u8>, Vec<usize>),
    /// Python objects of one type, or missing.
    Objects(Vec<Py<PyAny>>, Tag),
}

impl Column {
    /// The column of an object. `path` is the field's, for errors.
    pub fn of(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Self> {
        if let Some(arrow) = ArrowColumn::of(object, path)? {
            return Ok(Self { field_type: arrow.field_type(), rows: arrow.rows(), data: Data::Arrow(arrow) });
        }
        let class = object.get_type();
        if class.module()?.to_cow()?.starts_with("numpy") && class.name()?.to_cow()? == "ndarray" {
            return Self::of_numpy(object, path);
        }
        Self::of_objects(object, path)
    }

    /// A column of encoded values of a type.
    pub fn of_encoded<'a>(field_type: FieldType, values: impl Iterator<Item = &'a Vec<u8>>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for value in values {
            bytes.extend_from_slice(value);
            ends.push(bytes.len());
        }
        Self { field_type, rows: ends.len(), data: Data::Encoded(bytes, ends) }
    }

    fn of_numpy(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Self> {
        if object.getattr("ndim")?.extract::<usize>()? != 1 {
            return Err(unfit(path, "an array of one dimension is asked for"));
        }
        let dtype = object.getattr("dtype")?;
        let name = dtype.getattr("name")?.extract::<String>()?;
        if let Some(element) = array::element_of(&name) {
            let native = if dtype.getattr("isnative")?.extract()? {
                object.clone()
            } else {
                object.call_method1("astype", (dtype.call_method1("newbyteorder", ("=",))?,))?
            };
            let buffer = Buffer::of(&native, element)?;
            let (field_type, rows) = (array::field_type_of(element), buffer.rows());
            return Ok(Self { field_type, rows, data: Data::Buffer(buffer) });
        }
        if name.starts_with("datetime64") || name.starts_with("timedelta64") {
            // As scalars: numpy keeps the unit, which a list of its items would lose.
            let scalars = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            return Self::of_objects(PyList::new(object.py(), scalars)?.as_any(), path);
        }
        Self::of_objects(&object.call_method0("tolist")?, path)
    }

    fn of_objects(object: &Bound<'_, PyAny>, path: &[&str]) -> PyResult<Self> {
        let refused = || {
            let name = object.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
            unfit(path, &format!("an array, an Arrow array or a list of values is asked for, not a `{name}`"))
        };
        if object.cast::<PyString>().is_ok() {
            return Err(refused());
        }
        let items = object.try_iter().map_err(|_| refused())?.collect::<PyResult<Vec<_>>>()?;
        let mut found = FieldType::Null;
        for item in &items {
            let (field_type, _) = convert::value(item, path)?;
            if found == FieldType::Null {
                found = field_type;
            } else if field_type != FieldType::Null && field_type != found {
                return Err(unfit(
                    path,
                    &format!("a column of both `{found}` and `{field_type}`: make it one type"),
                ));
            }
        }
        let tag = Tag::of(&found);
        let objects: Vec<_> = items.into_iter().map(Bound::unbind).collect();
        Ok(Self { field_type: found, rows: objects.len(), data: Data::Objects(objects, tag) })
    }

    /// Whether it is read without Python.
    pub fn is_native(&self) -> bool {
        !matches!(self.data, Data::Objects(..))
    }

    /// Appends the value of a row, below `rows`. `py` is there unless the column is native.
    #[inline]
    pub fn put(
        &self,
        py: Option<Python<'_>>,
        row: usize,
        out: &mut Vec<u8>,
        path: [&str; 2],
    ) -> PyResult<()> {
        match &self.data {
            Data::Buffer(buffer) => buffer.put(row, out),
            Data::Arrow(arrow) => arrow.put(row, out),
            Data::Encoded(bytes, ends) => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before]);
                out.extend_from_slice(&bytes[start..ends[row]]);
            }
            Data::Objects(objects, tag) => {
                let Some(py) = py else { return Err(unfit(&path, "is not read without Python")) };
                let value = objects[row].bind(py).as_borrowed();
                if !encode::put(value, *tag, out, || (path, &self.field_type))? {
                    return Err(unfit(&path, "was changed by another thread while it was read"));
                }
            }
        }
        Ok(())
    }

    /// Counts all rows. `py` is there unless the column is native.
    pub fn count(
        &self,
        py: Option<Python<'_>>,
        section: &str,
        name: &str,
        feature: &mut Feature,
    ) -> PyResult<()> {
        let sort = Sort::of(section, &self.field_type);
        match &self.data {
            Data::Buffer(buffer) => buffer.count(sort, feature),
            Data::Arrow(arrow) => arrow.count(sort, feature),
            Data::Encoded(..) | Data::Objects(..) => {
                let mut encoded = Vec::new();
                for row in 0..self.rows {
                    encoded.clear();
                    self.put(py, row, &mut encoded, [section, name])?;
                    feature.add_encoded(sort, &encoded);
                }
            }
        }
        Ok(())
    }

    /// Appends the text of a row as the one subject.
    pub fn put_subject(&self, py: Option<Python<'_>>, row: usize, out: &mut Vec<u8>) -> PyResult<()> {
        let start = out.len();
        cbor::write_array(out, 1);
        self.put(py, row, out, ["subject", ""])?;
        // A subject that is missing is no subject.
        if out[start + 1] == 0xf6 {
            return Err(unfit(&["subject"], "is missing in a row: give each row one, or leave subjects out"));
        }
        Ok(())
    }
}
