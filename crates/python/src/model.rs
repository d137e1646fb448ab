//! A model as its decisions are recorded.

use std::sync::Arc;

use minutebook_capture::{CaptureError, Encoder, EventRef, Pending as Drawn, Producer};
use minutebook_record::{ClassName, Kind};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::batch::{self, PendingBatch};
use crate::convert::to_dict;
use crate::counter::Counter;
use crate::errors::of_capture;
use crate::ids::{self, Ids};
use crate::layout::Layout;
use crate::layouts::Layouts;
use crate::parts::{Arguments, Given};
use crate::pending::Pending;
use crate::producer::Room;
use crate::redact::Redactions;
use crate::surroundings::Surroundings;

/// What a model's calls share.
pub struct Shared {
    pub producer: Arc<Producer>,
    pub class: ClassName,
    /// The encoded field `model`.
    pub model: Box<[u8]>,
    pub layouts: Layouts,
    pub room: Room,
    /// Whether the model has parameters that each of its records says.
    pub has_params: bool,
    pub surroundings: Option<Surroundings>,
    pub redactions: Option<Redactions>,
}

/// A model of a producer.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Model(pub Arc<Shared>);

/// How a call ended, as its event says it.
#[derive(Default, Clone, Copy)]
pub struct Ended<'a> {
    pub status: &'a str,
    pub time_ns: Option<i64>,
    pub duration_ns: Option<u64>,
    pub trace: Option<[u8; 16]>,
    pub span: Option<[u8; 8]>,
}

impl Shared {
    /// Draws a number.
    pub fn begin(&self) -> Result<Drawn<Arc<Producer>>, CaptureError> {
        Producer::begin_with(Arc::clone(&self.producer), &self.class)
    }

    /// Records a decision that was made already.
    #[inline]
    fn record<'py>(
        &self,
        py: Python<'py>,
        arguments: &Arguments<'_, 'py>,
        ended: &Ended<'_>,
    ) -> PyResult<Bound<'py, PyString>> {
        let drawn = Producer::begin_with(&*self.producer, &self.class).map_err(of_capture)?;
        let id = drawn.id();
        let given = self.given(arguments)?;
        // How long it took only the caller knows.
        let event = event_of(drawn.begun(), ended);
        self.hand_over(py, drawn, &given, &event)?;
        Ok(ids::to_python(py, &id))
    }

    /// What is recorded of a decision.
    #[inline]
    pub fn given<'py>(&self, arguments: &Arguments<'_, 'py>) -> PyResult<Given<'py>> {
        let mut given = Given::new(arguments)?;
        if let Some(redactions) = &self.redactions {
            redactions.apply(&mut given)?;
        }
        Ok(given)
    }

    /// Hands a decision over. What cannot be recorded has its number told as lost.
    #[inline]
    pub fn hand_over(
        &self,
        py: Python<'_>,
        drawn: Drawn<impl std::ops::Deref<Target = Producer>>,
        given: &Given<'_>,
        event: &EventRef<'_>,
    ) -> PyResult<()> {
        let recent = self.layouts.recent();
        let (first, new);
        let mut tried = recent.iter();
        let layout = match tried.next() {
            Some(layout) => layout,
            None => {
                first = self.layouts.derive(given)?;
                &first
            }
        };
        let mut encoder = drawn.record(&layout.shape, Kind::Decision);
        let fits = |layout: &Layout, encoder: &mut Encoder<'_, _>| {
            encoder.event(event).put_all(layout.values(), |out| layout.put(given, out))
        };
        let mut done = fits(layout, &mut encoder)?;
        while !done && let Some(layout) = tried.next() {
            encoder.restart(&layout.shape);
            done = fits(layout, &mut encoder)?;
        }
        if !done {
            new = self.layouts.derive(given)?;
            encoder.restart(&new.shape);
            if !fits(&new, &mut encoder)? {
                return Err(PyValueError::new_err(
                    "the record was changed by another thread while it was read",
                ));
            }
        }
        encoder.finish_or_wait(self.room.waiter(py)).map_err(of_capture).map(|_| ())
    }
}

/// The event of a decision, where what the caller says goes before what was measured.
pub fn event_of<'a>(drawn: EventRef<'a>, ended: &Ended<'a>) -> EventRef<'a> {
    let mut event = EventRef { status: ended.status, trace: ended.trace, span: ended.span, ..drawn };
    if let Some(time_ns) = ended.time_ns {
        (event.time_ns, event.clock_error_ns) = (time_ns, None);
    }
    if ended.duration_ns.is_some() {
        event.duration_ns = ended.duration_ns;
    }
    event
}

#[pymethods]
impl Model {
    #[pyo3(signature = (inputs, outputs=None, *, subject=None, actor=None, params=None, tags=None, explanation=None, status="ok",
        time_ns=None, duration_ns=None, trace=None, span=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn record<'py>(
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
        time_ns: Option<i64>,
        duration_ns: Option<u64>,
        trace: Option<[u8; 16]>,
        span: Option<[u8; 8]>,
    ) -> PyResult<Bound<'py, PyString>> {
        let arguments = Arguments { inputs, outputs, subject, actor, params, tags, explanation };
        self.0.record(py, &arguments, &Ended { status, time_ns, duration_ns, trace, span })
    }

    #[pyo3(signature = (inputs, outputs=None, *, subject=None, actor=None, params=None, tags=None, explanation=None, status="ok",
        time_ns=None, duration_ns=None, level=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn call<'py>(
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
        time_ns: Option<i64>,
        duration_ns: Option<u64>,
        level: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(around) = &self.0.surroundings else {
            return Err(PyTypeError::new_err("the model was made without what is around it"));
        };
        let is_dict = |given: Option<&Bound<'py, PyAny>>| {
            given.is_none_or(|given| given.is_exact_instance_of::<PyDict>())
        };
        let mut is_plain = level.is_none() && tags.is_none() && is_dict(Some(inputs)) && is_dict(explanation);
        is_plain &= params.is_none() || !self.0.has_params;
        let about = if is_plain { around.about(py)? } else { None };
        let Some(about) = about else {
            let given = PyDict::new(py);
            given.set_item("subject", subject)?;
            given.set_item("actor", actor)?;
            given.set_item("params", params)?;
            given.set_item("tags", tags)?;
            given.set_item("explanation", explanation)?;
            given.set_item("status", status)?;
            given.set_item("time_ns", time_ns)?;
            given.set_item("duration_ns", duration_ns)?;
            given.set_item("level", level)?;
            return around.long.bind(py).call((inputs, outputs), Some(&given)).map(Some);
        };
        let subject = subject.or(about.subject.as_ref());
        let actor = actor.or(about.actor.as_ref());
        let arguments = Arguments { inputs, outputs, subject, actor, params, tags, explanation };
        let ended = Ended { status, time_ns, duration_ns, trace: about.trace, span: about.span };
        match self.0.record(py, &arguments, &ended) {
            Ok(id) => Ok(Some(id.into_any())),
            Err(error) => around.fault.bind(py).call1((error,)).map(|_| None),
        }
    }

    /// For the garbage collector: what the long way is a method of holds this model.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(redactions) = &self.0.redactions {
            redactions.visit(&visit)?;
        }
        match &self.0.surroundings {
            Some(around) => {
                visit.call(&around.about)?;
                visit.call(&around.long)?;
                visit.call(&around.fault)?;
                visit.call(&around.note)
            }
            None => Ok(()),
        }
    }

    fn left_of_explanation<'py>(
        &self,
        explanation: &Bound<'py, PyDict>,
        inputs: &Bound<'py, PyAny>,
        outputs: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let Some(redactions) = &self.0.redactions else { return Ok(explanation.clone()) };
        let outputs = outputs.map(|outputs| to_dict(outputs, &["outputs"])).transpose()?;
        redactions.explanation(explanation, &to_dict(inputs, &["inputs"])?, outputs.as_ref())
    }

    fn begin(&self) -> PyResult<Pending> {
        Ok(Pending::new(Arc::clone(&self.0), self.0.begin().map_err(of_capture)?))
    }

    #[pyo3(signature = (inputs, outputs=None, *, subject=None, actor=None, params=None, tags=None, status="ok", time_ns=None,
        duration_ns=None, trace=None, span=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn record_batch<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyAny>,
        outputs: Option<&Bound<'py, PyAny>>,
        subject: Option<&Bound<'py, PyAny>>,
        actor: Option<&Bound<'py, PyAny>>,
        params: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        status: &str,
        time_ns: Option<i64>,
        duration_ns: Option<u64>,
        trace: Option<[u8; 16]>,
        span: Option<[u8; 8]>,
    ) -> PyResult<Ids> {
        let given = batch::Columns { inputs, outputs, subject, actor, params, tags };
        let ended = Ended { status, time_ns, duration_ns, trace, span };
        batch::record(py, &self.0, &given, &ended, None)
    }

    fn counter(&self) -> Counter {
        Counter::new(Arc::clone(&self.0))
    }

    fn begin_batch(&self, rows: usize) -> PyResult<PendingBatch> {
        PendingBatch::begin(Arc::clone(&self.0), rows)
    }
}
