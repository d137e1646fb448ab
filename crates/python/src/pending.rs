//! A decision with its number and without its record.

use std::sync::{Arc, Mutex, PoisonError};

use minutebook_capture::{LostReason, Pending as Drawn, Producer};
use minutebook_record::RecordId;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::ids;
use crate::model::{Ended, Shared, event_of};
use crate::parts::{Arguments, Given};

/// Between the beginning of a decision and its record.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Pending {
    shared: Arc<Shared>,
    id: RecordId,
    drawn: Mutex<State>,
}

enum State {
    Open(Option<Drawn<Arc<Producer>>>),
    Done,
}

impl Pending {
    /// `drawn` is missing when no number could be drawn, which was told then.
    pub fn new(shared: Arc<Shared>, id: RecordId, drawn: Option<Drawn<Arc<Producer>>>) -> Self {
        Self { shared, id, drawn: Mutex::new(State::Open(drawn)) }
    }

    fn take(&self) -> PyResult<Option<Drawn<Arc<Producer>>>> {
        let mut state = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Done) {
            State::Open(drawn) => Ok(drawn),
            State::Done => Err(PyRuntimeError::new_err("the decision was recorded already, or given up")),
        }
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
        let Some(drawn) = self.take()? else { return Ok(()) };
        let shared = &*self.shared;
        // Now, not after the walk over the values: it is how long the model took.
        let duration_ns = Some(drawn.elapsed_ns());
        let arguments = Arguments { inputs, outputs, subject, actor, params, tags, explanation };
        let recorded = shared.surroundings.look(py, trace.is_some()).and_then(|around| {
            let (trace, span) = (trace.or(around.trace), span.or(around.span));
            let ended = Ended { status, time_ns: None, duration_ns, trace, span };
            let given = Given::new(&arguments.within(&around))?;
            let event = event_of(drawn.event(), &ended);
            shared.hand_over(py, drawn, &given, &event)
        });
        recorded.or_else(|error| shared.surroundings.settle(py, error))
    }

    fn lose(&self) -> PyResult<()> {
        if let Some(drawn) = self.take()? {
            drawn.lose(LostReason::Dropped);
        }
        Ok(())
    }
}
