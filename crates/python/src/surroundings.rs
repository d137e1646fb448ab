//! What is around a call that gives nothing but a decision: whether anything has to be added to it, which is done in Python, and what
//! becomes of a fault, which is not to reach a prediction.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// How a model reaches the program around it.
pub struct Surroundings {
    /// A `ContextVar`: while its value is not `None`, calls go the long way.
    pub context: Py<PyAny>,
    /// Modules whose presence sends calls the long way.
    pub module: Py<PyString>,
    /// The long way: takes the call as it was made.
    pub long: Py<PyAny>,
    /// Takes the exception of a call that could not record, and raises it or not.
    pub fault: Py<PyAny>,
}

impl Surroundings {
    /// Whether nothing has to be added to a call. Some 30 ns.
    #[inline]
    pub fn are_plain(&self, py: Python<'_>) -> PyResult<bool> {
        let mut value = std::ptr::null_mut();
        // SAFETY: attached; a `ContextVar` is what was given, and anything else is an error.
        let failed =
            unsafe { ffi::PyContextVar_Get(self.context.as_ptr(), std::ptr::null_mut(), &mut value) } != 0;
        if failed {
            return Err(PyErr::fetch(py));
        }
        // SAFETY: a new reference, or null when the variable is not set.
        let value = unsafe { Bound::from_owned_ptr_or_opt(py, value) };
        Ok(value.is_none_or(|value| value.is_none()) && !self.is_imported())
    }

    /// Whether the module was imported by whoever uses it: we import none.
    fn is_imported(&self) -> bool {
        // SAFETY: attached, as `are_plain` shows; the dict of modules is borrowed and lives as long as the interpreter.
        unsafe {
            let found = ffi::PyDict_GetItemWithError(ffi::PyImport_GetModuleDict(), self.module.as_ptr());
            if found.is_null() && !ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_Clear();
            }
            !found.is_null()
        }
    }
}
