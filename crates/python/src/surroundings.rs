//! What is around a call: whom it is about, as the program says in a context variable, and what becomes of a fault, which is not to reach
//! a prediction.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// How a model reaches the program around it.
pub struct Surroundings {
    /// A `ContextVar`: `None`, or what holds as `_context.About`.
    pub context: Py<PyAny>,
    /// While a module of this name is imported, what holds is asked of `about`.
    pub module: Py<PyString>,
    /// Gives what holds, the current span included.
    pub about: Py<PyAny>,
    /// The long way: takes the call as it was made.
    pub long: Py<PyAny>,
    /// Takes the exception of a call that could not record, and raises it or not.
    pub fault: Py<PyAny>,
    /// Takes the exception of one that could not record while the model's own is under way, with what is to be said. Raises nothing.
    pub note: Py<PyAny>,
}

/// What holds around a call.
#[derive(Default)]
pub struct About<'py> {
    pub subject: Option<Bound<'py, PyAny>>,
    pub actor: Option<Bound<'py, PyAny>>,
    pub trace: Option<[u8; 16]>,
    pub span: Option<[u8; 8]>,
}

impl Surroundings {
    /// What holds; `None` when there is more than subject, actor and trace, which only the long way knows how to add. Some 30 ns when
    /// nothing does.
    #[inline]
    pub fn about<'py>(&self, py: Python<'py>) -> PyResult<Option<About<'py>>> {
        let mut value = value_of(self.context.bind(py))?.filter(|value| !value.is_none());
        if self.is_imported() {
            value = Some(self.about.bind(py).call0()?).filter(|value| !value.is_none());
        }
        value.map_or(Ok(Some(About::default())), |value| About::of(&value))
    }

    /// Whether the module was imported by whoever uses it: we import none.
    fn is_imported(&self) -> bool {
        // SAFETY: attached, as `about` shows; the dict of modules is borrowed and lives as long as the interpreter.
        unsafe {
            let found = ffi::PyDict_GetItemWithError(ffi::PyImport_GetModuleDict(), self.module.as_ptr());
            if found.is_null() && !ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_Clear();
            }
            !found.is_null()
        }
    }
}

/// The value of a `ContextVar`; `None` when it is not set.
#[inline]
pub fn value_of<'py>(variable: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut value = std::ptr::null_mut();
    // SAFETY: attached, and a live object; one that is no `ContextVar` is an error.
    let failed = unsafe { ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &mut value) } != 0;
    if failed {
        return Err(PyErr::fetch(variable.py()));
    }
    // SAFETY: a new reference, or null when the variable is not set.
    Ok(unsafe { Bound::from_owned_ptr_or_opt(variable.py(), value) })
}

impl<'py> About<'py> {
    /// From `_context.About`: subject, actor, tags, trace, span, ids.
    fn of(value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let tuple = value.cast::<PyTuple>()?;
        let item = |place| Ok::<_, PyErr>(Some(tuple.get_item(place)?).filter(|item| !item.is_none()));
        if item(2)?.is_some() || item(5)?.is_some() {
            return Ok(None);
        }
        let trace = item(3)?.map(|trace| trace.extract()).transpose()?;
        let span = item(4)?.map(|span| span.extract()).transpose()?;
        Ok(Some(Self { subject: item(0)?, actor: item(1)?, trace, span }))
    }
}
