//! A producer: one service that decides, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use minutebook_capture::{
    Clock as _, IntakePublicKey, Level, Producer as Capture, ProducerOptions, SystemClock,
    limits as capture_limits,
};
use minutebook_record::fields::ModelRef;
use minutebook_record::{ClassName, FieldType};
use minutebook_verify::trailfile::{TRAIL_FILE, TrailFile};
use minutebook_verify::{hex, unhex};
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::{TrailError, of_capture};
use crate::layouts::{Constant, Layouts};
use crate::limits::ROOM_LOOK_EVERY;
use crate::model::{Model, Shared};
use crate::redact::{Lifted, Redactions, Spec};
use crate::surroundings::Surroundings;
use crate::{convert, ids, other};

/// What a call does while there is no room.
#[derive(Clone, Copy)]
pub struct Room {
    /// How long it blocks at most.
    block: Option<Duration>,
}

impl Room {
    /// Whether no call blocks.
    pub fn never_waits(self) -> bool {
        self.block.is_none()
    }

    /// Blocks for a while and says whether to try again.
    pub fn waiter(self, py: Python<'_>) -> impl FnMut() -> bool {
        let mut until = None;
        move || {
            let Some(block) = self.block else { return false };
            let now = SystemClock.monotonic_ns();
            let until = *until.get_or_insert(now.saturating_add(block.as_nanos() as u64));
            // Nobody can wake us: the engine is another process, and says that there is room by deleting a file.
            py.detach(|| std::thread::park_timeout(ROOM_LOOK_EVERY));
            now < until
        }
    }
}

/// Context variable, module, what holds, the long way, what takes faults and notes them: see [`Surroundings`].
type Around = (Py<PyAny>, String, Py<PyAny>, Py<PyAny>, Py<PyAny>, Py<PyAny>);

/// One service that decides, for all threads of this process and its children.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Producer {
    capture: Arc<Capture>,
    trail: String,
    room: Room,
}

#[pymethods]
impl Producer {
    #[new]
    #[pyo3(signature = (folder, name, *, spill_bytes=capture_limits::SPILL_BYTES_DEFAULT, part_bytes=capture_limits::PART_BYTES_DEFAULT,
        heartbeat=30.0, full="spill", block=1.0, remote=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        py: Python<'_>,
        folder: &str,
        name: &str,
        spill_bytes: u64,
        part_bytes: u64,
        heartbeat: f64,
        full: &str,
        block: f64,
        remote: Option<(String, String)>,
    ) -> PyResult<Self> {
        let seconds = |name: &str, value: f64| {
            let duration = Duration::try_from_secs_f64(value).ok().filter(|duration| !duration.is_zero());
            duration.ok_or_else(|| PyValueError::new_err(format!("`{name}` is a number of seconds above 0")))
        };
        let block = match full {
            "block" => Some(seconds("block", block)?),
            "spill" | "drop" => None,
            _ => return Err(PyValueError::new_err("`full` is `block`, `spill` or `drop`")),
        };
        let (trail, intake) = match remote {
            Some((trail, key)) => of_remote(&trail, &key)
                .ok_or_else(|| PyValueError::new_err("`remote` is 32 and 64 hex digits"))?,
            None => of_folder(folder)?,
        };
        let intake = IntakePublicKey::from_bytes(intake);
        let mut options = ProducerOptions::new(Path::new(folder).join("spool"), trail, intake, name);
        (options.spill_bytes, options.part_bytes) = (spill_bytes, part_bytes);
        options.heartbeat = seconds("heartbeat", heartbeat)?;
        let capture = py.detach(|| Capture::open(options)).map_err(of_capture)?;
        let trail = hex(&trail);
        Ok(Self { capture: Arc::new(capture), trail, room: Room { block } })
    }

    #[getter]
    fn trail(&self) -> &str {
        &self.trail
    }

    #[pyo3(signature = (name, version, artifact=None, *, params=None, environment=None, tags=None, retention="standard", around=None,
        redact=None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn model(
        &self,
        py: Python<'_>,
        name: &str,
        version: &str,
        artifact: Option<[u8; 32]>,
        params: Option<&Bound<'_, PyAny>>,
        environment: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        retention: &str,
        around: Option<Around>,
        redact: Option<(Vec<Spec<'_>>, Py<PyAny>)>,
    ) -> PyResult<Model> {
        let redactions = redact.map(|(rules, tell)| Redactions::new(rules, tell)).transpose()?;
        let mut encoded = Vec::new();
        ModelRef { name: name.into(), version: version.into(), artifact }.write(&mut encoded);
        let model: Box<[u8]> = encoded.as_slice().into();
        let constant = |section, encoded, field_type| Constant { section, name: None, field_type, encoded };
        let mut constants = vec![constant("model", encoded, FieldType::Model)];
        for (name, given) in [("params", params), ("environment", environment), ("tags", tags)] {
            if let Some(given) = given {
                let mut lifted = Vec::new();
                let mut map = convert::to_dict(given, &[name])?;
                if let Some(redactions) = &redactions {
                    map = redactions.map(&map, name, &mut lifted)?;
                }
                let mut encoded = Vec::new();
                convert::map(&map, &[name])?.write(&mut encoded);
                constants.push(constant(name, encoded, FieldType::Map));
                constants.extend(lifted.into_iter().map(|Lifted { field, encoded }| Constant {
                    section: field.section,
                    name: Some(field.name),
                    field_type: field.field_type,
                    encoded,
                }));
            }
        }
        let layouts = Layouts::new(Arc::clone(&self.capture), constants);
        let class = class_of(retention)?;
        let surroundings = around.map(|(context, module, about, long, fault, note)| Surroundings {
            context,
            // The very object that the interpreter looks modules up with.
            module: PyString::intern(py, &module).unbind(),
            about,
            long,
            fault,
            note,
        });
        let has_params = params.is_some();
        let producer = Arc::clone(&self.capture);
        Ok(Model(Arc::new(Shared {
            producer,
            class,
            model,
            layouts,
            room: self.room,
            has_params,
            surroundings,
            redactions,
        })))
    }

    #[pyo3(signature = (kind, fields, *, links=vec![], model=None, subject=None, actor=None, tags=None, explanation=None, time_ns=None,
        retention="standard"))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn record<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        fields: &Bound<'py, PyAny>,
        links: Vec<String>,
        model: Option<(String, String, Option<[u8; 32]>)>,
        subject: Option<&Bound<'py, PyAny>>,
        actor: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        explanation: Option<&Bound<'py, PyAny>>,
        time_ns: Option<i64>,
        retention: &str,
    ) -> PyResult<Bound<'py, PyString>> {
        let model = model.map(|(name, version, artifact)| ModelRef { name, version, artifact });
        let given = other::Given { kind, fields, links, model, subject, actor, tags, explanation, time_ns };
        let id = other::record(py, &self.capture, &class_of(retention)?, self.room, &given)?;
        Ok(ids::to_python(py, &id))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.capture.flush(Level::Disk)).map_err(of_capture)
    }

    fn heartbeat(&self) -> PyResult<()> {
        self.capture.heartbeat().map_err(of_capture)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.capture.close()).map_err(of_capture)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.capture.status().map_err(of_capture)?;
        let drawn = PyDict::new(py);
        for (class, last) in &status.drawn {
            drawn.set_item(class.as_str(), last)?;
        }
        let found = PyDict::new(py);
        found.set_item("producer", status.producer.to_string())?;
        found.set_item("epoch", status.epoch.get())?;
        found.set_item("drawn", drawn)?;
        found.set_item("lost", status.lost)?;
        found.set_item("in_flight", status.in_flight)?;
        found.set_item("bytes", status.bytes)?;
        found.set_item("parts", status.parts)?;
        found.set_item("full", status.full)?;
        found.set_item("poisoned", status.poisoned)?;
        found.set_item("mapped", status.mapped)?;
        Ok(found)
    }
}

/// Id and intake key of a trail elsewhere.
fn of_remote(trail: &str, key: &str) -> Option<([u8; 16], [u8; 32])> {
    Some((unhex(trail)?, unhex(key)?))
}

/// Those of the trail in a folder.
fn of_folder(folder: &str) -> PyResult<([u8; 16], [u8; 32])> {
    let file = Path::new(folder).join(TRAIL_FILE);
    let bytes = std::fs::read(&file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PyFileNotFoundError::new_err(format!(
            "no trail in `{folder}`: make one with `minutebook init {folder}`"
        )),
        _ => PyOSError::new_err(format!("cannot read `{}`: {error}", file.display())),
    })?;
    let trail = TrailFile::parse(&bytes)
        .map_err(|error| TrailError::new_err(format!("cannot use `{}`: {error}", file.display())))?;
    Ok((trail.id, trail.intake_key))
}

fn class_of(retention: &str) -> PyResult<ClassName> {
    let class = ClassName::new(retention).ok().filter(|class| class.as_str() != "system");
    class.ok_or_else(|| PyValueError::new_err("`retention` is `[a-z][a-z0-9-]{0,31}`, and not `system`"))
}
