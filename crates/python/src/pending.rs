//! A decision with its number and without its record.

use std::sync::{Arc, Mutex, PoisonError};

use minutebook_capture::{LostReason, Pending as Drawn, Producer};
use minutebook_record::RecordId;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::ids;
use crate::model::{Ended, Shared, event_of};
use crate::parts::Arguments;

/// Between the beginning of a decision and its record.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Pending {
    shared: Arc<Shared>,
    id: RecordId,
    drawn: Mutex<Option<Drawn<Arc<Producer>>>>,
}

impl Pending {
    pub fn new(shared: Arc<Shared>, drawn: Drawn<Arc<Producer>>) -> Self {
        Self { shared, id: drawn.id(), drawn: Mutex::new(Some(drawn)) }
    }

    fn take(&self) -> PyResult<Drawn<Arc<Producer>>> {
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner).take();
        drawn.ok_or_else(|| PyRuntimeError::new_err("the decision was recorded already, or given up"))
    }
}

#[pymethods]
impl Pending {
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        ids::to_python(py, &self.id)
    }

    #[pyo3(signature = (inputs, outputs=None, *, subject=None, actor=None, params=None, tags=None, explanation=None, status="ok",
        trace=None, span=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn finish<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyAny>,
        outputs: Option<&Bound<'py, PyAny>>,
        subject: Option<&Bound<'py, PyAny>>,
        actor: Option<&Bound<'py, PyAny>>,
        params: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        explanation: Option<&Bound<'py, PyAny>>,
        status: &str,
        trace: Option<[u8; 16]>,
        span: Option<[u8; 8]>,
    ) -> PyResult<()> {
        let drawn = self.take()?;
        // Now, not after the walk over the values: it is how long the model took.
        let duration_ns = Some(drawn.elapsed_ns());
        let arguments = Arguments { inputs, outputs, subject, actor, params, tags, explanation };
        let given = self.shared.given(&arguments)?;
        let event = event_of(drawn.event(), &Ended { status, time_ns: None, duration_ns, trace, span });
        self.shared.hand_over(py, drawn, &given, &event)
    }

    fn lose(&self) -> PyResult<()> {
        self.take()?.lose(LostReason::Dropped);
        Ok(())
    }
}
