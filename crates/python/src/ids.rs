//! Record ids as text, one or many.

use minutebook_capture::{Clock as _, Random as _, SystemClock, SystemRandom};
use minutebook_record::RecordId;
use pyo3::exceptions::{PyIndexError, PyOSError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice, PyString};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The 36 characters of an id.
pub fn text_of(id: &RecordId) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (place, byte) in id.as_bytes().iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// An id as a `str`.
pub fn to_python<'py>(py: Python<'py>, id: &RecordId) -> Bound<'py, PyString> {
    let text = text_of(id);
    const ASCII_MAX: u32 = 127;
    // SAFETY: attached. A fresh `str` of so many ASCII characters, which nobody else has seen, is filled with such; a failure to make it, which
    // is for lack of memory, panics.
    unsafe {
        let made = ffi::PyUnicode_New(text.len() as isize, ASCII_MAX);
        let made = Bound::from_owned_ptr(py, made).cast_into_unchecked::<PyString>();
        ffi::PyUnicode_DATA(made.as_ptr()).cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        made
    }
}

/// An id of a text.
pub fn from_text(text: &str) -> PyResult<RecordId> {
    text.parse().map_err(|_| {
        pyo3::exceptions::PyValueError::new_err("not the id of a record: a UUIDv7 as text is asked for")
    })
}

/// The ids of a batch.
#[pyclass(frozen, sequence, module = "minutebook._core")]
pub struct Ids(Vec<RecordId>);

impl Ids {
    /// These.
    pub fn new(ids: Vec<RecordId>) -> Self {
        Self(ids)
    }
}

#[pymethods]
impl Ids {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(self.0.len() as isize)?;
            let places = (0..range.slicelength).map(|n| range.start + n as isize * range.step);
            let ids = places.filter_map(|place| self.0.get(place as usize)).map(|id| to_python(py, id));
            return Ok(PyList::new(py, ids.collect::<Vec<_>>())?.into_any());
        }
        let place: isize =
            index.extract().map_err(|_| PyTypeError::new_err("an index is an integer or a slice"))?;
        let place = if place < 0 { place + self.0.len() as isize } else { place };
        let id = usize::try_from(place).ok().and_then(|place| self.0.get(place));
        id.map(|id| to_python(py, id).into_any()).ok_or_else(|| PyIndexError::new_err("there are fewer ids"))
    }

    fn __repr__(&self) -> String {
        format!("<{} record ids>", self.0.len())
    }
}

/// A fresh UUIDv7.
pub fn fresh() -> PyResult<RecordId> {
    let mut random = [0; 10];
    SystemRandom.fill(&mut random).map_err(|error| PyOSError::new_err(error.to_string()))?;
    let ms = u64::try_from(SystemClock.wall_ns() / 1_000_000).unwrap_or(0);
    Ok(RecordId::from_parts(ms, random))
}

/// The same as text.
#[pyfunction]
pub fn random_id(py: Python<'_>) -> PyResult<Bound<'_, PyString>> {
    Ok(to_python(py, &fresh()?))
}
