//! A model as its decisions are recorded.

use std::sync::Arc;

use minutebook_capture::{CaptureError, Encoder, EventRef, Pending as Drawn, Producer};
use minutebook_record::{ClassName, Kind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::batch::{self, PendingBatch};
use crate::errors::of_capture;
use crate::ids::{self, Ids};
use crate::layout::Layout;
use crate::layouts::Layouts;
use crate::parts::{Arguments, Given};
use crate::pending::Pending;
use crate::producer::Room;
use crate::surroundings::Surroundings;

/// What a model's calls share.
pub struct Shared {
    pub producer: Arc<Producer>,
    pub class: ClassName,
    pub layouts: Layouts,
    pub room: Room,
    pub surroundings: Arc<Surroundings>,
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
        let shared = &*self.0;
        let drawn = match Producer::begin_with(&*shared.producer, &shared.class) {
            Ok(drawn) => drawn,
            Err(error) => {
                shared.surroundings.settle(py, of_capture(error))?;
                return ids::random_id(py);
            }
        };
        let id = drawn.id();
        let arguments = Arguments { inputs, outputs, subject, actor, params, tags, explanation };
        let recorded = shared.surroundings.look(py, trace.is_some()).and_then(|around| {
            let ended = Ended {
                status,
                time_ns,
                duration_ns,
                trace: trace.or(around.trace),
                span: span.or(around.span),
            };
            let given = Given::new(&arguments.within(&around))?;
            // It was made already: how long it took only the caller knows.
            let mut event = drawn.event();
            event.duration_ns = None;
            shared.hand_over(py, drawn, &given, &event_of(event, &ended))
        });
        if let Err(error) = recorded {
            shared.surroundings.settle(py, error)?;
        }
        Ok(ids::to_python(py, &id))
    }

    fn begin(&self, py: Python<'_>) -> PyResult<Pending> {
        match self.0.begin() {
            Ok(drawn) => Ok(Pending::new(Arc::clone(&self.0), drawn.id(), Some(drawn))),
            Err(error) => {
                self.0.surroundings.settle(py, of_capture(error))?;
                Ok(Pending::new(Arc::clone(&self.0), ids::fresh()?, None))
            }
        }
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

    fn begin_batch(&self, py: Python<'_>, rows: usize) -> PyResult<PendingBatch> {
        PendingBatch::begin(py, Arc::clone(&self.0), rows)
    }
}
