//! What a call finds around it and was not given: the context's subject, actor, tags and trace, the current OpenTelemetry span; and what
//! becomes of a fault, which is not to reach a prediction.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How a producer reaches the program around it.
#[derive(Default)]
pub struct Surroundings {
    /// A `ContextVar` whose value is a dict or `None`.
    pub context: Option<Py<PyAny>>,
    /// Gives trace and span as a pair, or `None`. Called when OpenTelemetry is imported, for calls that were given no trace.
    pub span: Option<Py<PyAny>>,
    /// Takes the exception of a call that could not record, and raises it or not.
    pub fault: Option<Py<PyAny>>,
}

/// What a context says.
#[derive(Default)]
pub struct Around<'py> {
    pub subject: Option<Bound<'py, PyAny>>,
    pub actor: Option<Bound<'py, PyAny>>,
    pub tags: Option<Bound<'py, PyAny>>,
    pub trace: Option<[u8; 16]>,
    pub span: Option<[u8; 8]>,
}

impl Surroundings {
    /// What is around the call. Some 30 ns when there is nothing.
    #[inline]
    pub fn look<'py>(&self, py: Python<'py>, has_trace: bool) -> PyResult<Around<'py>> {
        let mut around = Around::default();
        if let Some(context) = self.context(py)? {
            around.read(&context)?;
        }
        if !has_trace
            && around.trace.is_none()
            && let Some(span) = &self.span
            && is_imported(py, pyo3::intern!(py, "opentelemetry.trace"))
        {
            let found = span.bind(py).call0()?;
            if !found.is_none() {
                let (trace, span) = found.extract()?;
                (around.trace, around.span) = (Some(trace), Some(span));
            }
        }
        Ok(around)
    }

    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(variable) = &self.context else { return Ok(None) };
        let mut value = std::ptr::null_mut();
        // SAFETY: attached; a `ContextVar` is what was given, and anything else is an error.
        let failed =
            unsafe { ffi::PyContextVar_Get(variable.as_ptr(), std::ptr::null_mut(), &mut value) } != 0;
        if failed {
            return Err(PyErr::fetch(py));
        }
        // SAFETY: a new reference, or null when the variable is not set.
        let value = unsafe { Bound::from_owned_ptr_or_opt(py, value) };
        Ok(value.filter(|value| !value.is_none()).map(|value| value.cast_into::<PyDict>()).transpose()?)
    }

    /// What becomes of an error: raised, unless somebody takes it.
    #[cold]
    pub fn settle<'py>(&self, py: Python<'py>, error: PyErr) -> PyResult<()> {
        match &self.fault {
            Some(fault) => fault.bind(py).call1((error,)).map(|_| ()),
            None => Err(error),
        }
    }
}

impl<'py> Around<'py> {
    #[cold]
    fn read(&mut self, context: &Bound<'py, PyDict>) -> PyResult<()> {
        let part = |name: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
            Ok(context.get_item(name)?.filter(|value| !value.is_none()))
        };
        self.subject = part("subject")?;
        self.actor = part("actor")?;
        self.tags = part("tags")?;
        self.trace = part("trace")?.map(|trace| trace.extract()).transpose()?;
        self.span = part("span")?.map(|span| span.extract()).transpose()?;
        Ok(())
    }
}

/// Whether a module was imported by whoever uses it: we import none.
fn is_imported(py: Python<'_>, name: &Bound<'_, pyo3::types::PyString>) -> bool {
    // SAFETY: attached; the dict of modules is borrowed and lives as long as the interpreter.
    unsafe {
        let modules = ffi::PyImport_GetModuleDict();
        let found = ffi::PyDict_GetItemWithError(modules, name.as_ptr());
        if found.is_null() && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
        }
        let _ = py;
        !found.is_null()
    }
}
