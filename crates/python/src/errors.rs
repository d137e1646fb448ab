//! What goes wrong, as Python's exceptions. The one place that translates.

use minutebook_capture::{Advice, CaptureError};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;

create_exception!(minutebook, TrailError, PyException);
create_exception!(minutebook, SpoolFull, TrailError);
create_exception!(minutebook, FieldError, PyTypeError);

/// A fault of the capture.
pub fn of_capture(error: CaptureError) -> PyErr {
    match &error {
        CaptureError::Full { .. } => SpoolFull::new_err(error.to_string()),
        CaptureError::TooLarge { .. } => {
            PyValueError::new_err(format!("{error}: put large content elsewhere and record its digest"))
        }
        _ if error.advice() == Advice::Fix => PyValueError::new_err(error.to_string()),
        _ => TrailError::new_err(error.to_string()),
    }
}

/// A value that no record takes.
pub fn unfit(path: &[&str], what: &str) -> PyErr {
    FieldError::new_err(format!("`{}`: {what}", path.join("/")))
}
