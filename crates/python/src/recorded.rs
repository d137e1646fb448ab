//! A call that is recorded without Python on the way: one row of an array goes in, arrays of one row come out. Whatever else a call is, it
//! goes the long way, which is `_wrap/call.py`; both record the same.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use minutebook_capture::{Pending as Drawn, Producer};
use minutebook_record::{Element, FieldType, Kind};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::array::field_type_of;
use crate::buffer::Buffer;
use crate::convert::to_dict;
use crate::errors::of_capture;
use crate::layout::{Layout, put_section};
use crate::layouts::{Fields, Section, section};
use crate::model::{Ended, Model, Shared, event_of};
use crate::numpy;
use crate::parts::{Parts, put_subject, put_text};
use crate::surroundings::{About, Surroundings, value_of};

/// A method whose calls are recorded.
#[pyclass(frozen, dict, module = "minutebook._core")]
pub struct RecordedCall {
    shared: Arc<Shared>,
    method: Py<PyAny>,
    /// Takes the calls that are not for us, as they were made.
    long: Py<PyAny>,
    /// The name of the first parameter, which is what the model sees.
    keyword: Py<PyString>,
    /// What the model sees is a dict that holds one array.
    is_fed: bool,
    /// Columns that a row may have.
    widths: (usize, usize),
    /// Columns that an array of the answer may have.
    answer_width: usize,
    /// Gives the names of the columns of an array, for their number.
    names: Py<PyAny>,
    /// Gives the names of the columns of an array of the answer, for its place if they are several, and the number of columns: 0 when it has
    /// one dimension.
    answer_names: Py<PyAny>,
    /// Makes a mapping of any answer.
    answer: Py<PyAny>,
    /// A `ContextVar` with the models whose calls are under way.
    active: Py<PyAny>,
    /// A tuple with this model.
    own: Py<PyTuple>,
    /// How the last call was written.
    plan: ArcSwapOption<Plan>,
}

/// How calls alike are written.
struct Plan {
    parts: Parts,
    inputs: Columns,
    outputs: Outputs<Columns>,
    layout: Arc<Layout>,
}

/// Numbers of one type.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Columns {
    element: Element,
    /// 0 for a single value.
    width: usize,
}

/// What a model answered.
enum Outputs<T> {
    /// It failed.
    None,
    /// One array, as most do.
    Array(T),
    Arrays(Vec<T>),
    /// Anything else, as a dict.
    Dict,
}

/// What the model saw, as it was when it was asked: it may work in place.
struct Row {
    columns: Columns,
    encoded: Vec<u8>,
}

impl Columns {
    fn of(row: &Buffer) -> Self {
        Self { element: row.element(), width: if row.is_of_table() { row.rows() } else { 0 } }
    }

    /// The fields of these columns.
    fn fields(&self, names: &[Bound<'_, PyString>]) -> PyResult<Vec<(Box<str>, FieldType)>> {
        let field_type = field_type_of(self.element);
        names.iter().map(|name| Ok((name.to_str()?.into(), field_type.clone()))).collect()
    }
}

impl Outputs<Columns> {
    fn are(&self, given: &Outputs<Buffer>) -> bool {
        match (self, given) {
            (Self::None, Outputs::None) | (Self::Dict, Outputs::Dict) => true,
            (Self::Array(columns), Outputs::Array(row)) => *columns == Columns::of(row),
            (Self::Arrays(columns), Outputs::Arrays(rows)) => {
                columns.len() == rows.len()
                    && columns.iter().zip(rows).all(|(columns, row)| *columns == Columns::of(row))
            }
            _ => false,
        }
    }
}

impl Outputs<Buffer> {
    fn columns(&self) -> Outputs<Columns> {
        match self {
            Self::None => Outputs::None,
            Self::Array(row) => Outputs::Array(Columns::of(row)),
            Self::Arrays(rows) => Outputs::Arrays(rows.iter().map(Columns::of).collect()),
            Self::Dict => Outputs::Dict,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut put = |row: &Buffer| (0..row.rows()).for_each(|place| row.put(place, out));
        match self {
            Self::Array(row) => put(row),
            Self::Arrays(rows) => rows.iter().for_each(put),
            Self::None | Self::Dict => {}
        }
    }
}

/// What a call has for its record.
struct Content<'a, 'py> {
    row: &'a Row,
    about: &'a About<'py>,
    outputs: Outputs<Buffer>,
    /// The outputs, when they are no arrays.
    dict: Option<Bound<'py, PyDict>>,
}

impl Content<'_, '_> {
    fn parts(&self) -> Parts {
        Parts { subject: self.about.subject.is_some(), actor: self.about.actor.is_some(), ..Parts::default() }
    }

    fn fits(&self, plan: &Plan) -> bool {
        self.row.columns == plan.inputs && self.parts() == plan.parts && plan.outputs.are(&self.outputs)
    }

    /// Appends the values, in the order of [`Layout::put`].
    fn put(&self, plan: &Plan, out: &mut Vec<u8>) -> PyResult<bool> {
        if let Some(subject) = &self.about.subject {
            put_subject(subject, out)?;
        }
        if let Some(actor) = &self.about.actor {
            put_text(actor, out, "actor")?;
        }
        out.extend_from_slice(&self.row.encoded);
        self.outputs.put(out);
        self.dict.as_ref().map_or(Ok(true), |dict| put_section(dict, &plan.layout.outputs, "outputs", out))
    }
}

impl RecordedCall {
    fn around(&self) -> PyResult<&Surroundings> {
        let around = self.shared.surroundings.as_ref();
        around.ok_or_else(|| PyTypeError::new_err("the model was made without what is around it"))
    }

    /// What a call asks about, if it is one row of numbers.
    fn row_of<'py>(&self, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> Option<Row> {
        let py = args.py();
        let first = args.get_borrowed_item(0).ok().map(Borrowed::to_owned);
        let mut given = first.or_else(|| kwargs?.get_item(self.keyword.bind(py)).ok()?)?;
        if self.is_fed {
            let feed = given.cast_exact::<PyDict>().ok().filter(|feed| feed.len() == 1)?;
            given = feed.values().get_item(0).ok()?;
        }
        if !numpy::is_array(&given) {
            return None;
        }
        let (min, max) = self.widths;
        let row =
            Buffer::of_row(&given).filter(|row| row.is_of_table() && (min..=max).contains(&row.rows()))?;
        let mut encoded = Vec::with_capacity(row.rows() * 9);
        (0..row.rows()).for_each(|place| row.put(place, &mut encoded));
        Some(Row { columns: Columns::of(&row), encoded })
    }

    fn outputs_of(&self, result: &Bound<'_, PyAny>) -> Outputs<Buffer> {
        let row = |array: &Bound<'_, PyAny>| {
            let row = if numpy::is_array(array) { Buffer::of_row(array) } else { None };
            row.filter(|row| row.rows() <= self.answer_width)
        };
        if let Ok(list) = result.cast_exact::<PyList>() {
            let of_table = |row: &Buffer| self.is_fed || row.is_of_table();
            let rows: Option<Vec<_>> = list.iter().map(|array| row(&array).filter(of_table)).collect();
            return rows.filter(|rows| !rows.is_empty()).map_or(Outputs::Dict, Outputs::Arrays);
        }
        row(result).map_or(Outputs::Dict, Outputs::Array)
    }

    /// How a call like this one is written, made if need be.
    #[cold]
    fn make_plan<'py>(&self, py: Python<'py>, content: &Content<'_, 'py>) -> PyResult<Arc<Plan>> {
        let list = |names: Bound<'py, PyAny>, wanted: usize| -> PyResult<Vec<Bound<'py, PyString>>> {
            let names: Vec<Bound<'py, PyString>> = names.extract()?;
            if names.len() != wanted {
                return Err(PyValueError::new_err(format!("{} names for {wanted} columns", names.len())));
            }
            Ok(names)
        };
        let width = content.row.columns.width;
        let input_names = list(self.names.bind(py).call1((width,))?, width)?;
        let of_array = |place: Option<usize>, columns: Columns| -> PyResult<Section<'py>> {
            let names =
                list(self.answer_names.bind(py).call1((place, columns.width))?, columns.width.max(1))?;
            Ok((columns.fields(&names)?, names))
        };
        let outputs = content.outputs.columns();
        let (output_fields, output_names) = match (&outputs, &content.dict) {
            (Outputs::Array(columns), _) => of_array(None, *columns)?,
            (Outputs::Arrays(arrays), _) => {
                let mut all = Section::default();
                for (place, columns) in arrays.iter().enumerate() {
                    let (fields, names) = of_array(Some(place), *columns)?;
                    all.0.extend(fields);
                    all.1.extend(names);
                }
                all
            }
            (_, Some(dict)) => section(dict, "outputs")?,
            (_, None) => Section::default(),
        };
        let inputs = content.row.columns;
        let fields = Fields {
            parts: content.parts(),
            inputs: inputs.fields(&input_names)?,
            outputs: output_fields,
            lifted: Vec::new(),
        };
        let layout = self.shared.layouts.of(fields, &input_names, &output_names)?;
        let plan = Arc::new(Plan { parts: content.parts(), inputs, outputs, layout });
        self.plan.store(Some(Arc::clone(&plan)));
        Ok(plan)
    }

    /// Hands the record over. What cannot be recorded has its number told as lost.
    fn hand_over<'py>(
        &self,
        py: Python<'py>,
        drawn: Drawn<&Producer>,
        row: &Row,
        about: &About<'py>,
        answered: Result<&Bound<'py, PyAny>, &str>,
    ) -> PyResult<()> {
        // Now, not after the walk over the values: it is how long the model took.
        let ended = drawn.event();
        let status = answered.err().unwrap_or("ok");
        let ended =
            event_of(ended, &Ended { status, trace: about.trace, span: about.span, ..Ended::default() });
        let outputs = answered.map_or(Outputs::None, |result| self.outputs_of(result));
        let dict = match (&outputs, answered) {
            (Outputs::Dict, Ok(result)) => {
                Some(to_dict(&self.answer.bind(py).call1((result,))?, &["outputs"])?)
            }
            _ => None,
        };
        let content = Content { row, about, outputs, dict };
        let known = self.plan.load();
        let (made, other);
        let plan = match &*known {
            Some(plan) if content.fits(plan) => plan,
            _ => {
                made = self.make_plan(py, &content)?;
                &made
            }
        };
        let mut encoder = drawn.record(&plan.layout.shape, Kind::Decision);
        if !encoder.event(&ended).put_all(plan.layout.values(), |out| content.put(plan, out))? {
            // A dict with other names or types than the last one.
            other = self.make_plan(py, &content)?;
            encoder.restart(&other.layout.shape);
            if !encoder.event(&ended).put_all(other.layout.values(), |out| content.put(&other, out))? {
                return Err(PyValueError::new_err(
                    "the answer was changed by another thread while it was read",
                ));
            }
        }
        encoder.finish_or_wait(self.shared.room.waiter(py)).map_err(of_capture).map(|_| ())
    }

    /// Marks this model as being asked; `None` when it is already. Gives the token that takes it back.
    fn enter<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let own = self.own.bind(py);
        let outer = value_of(self.active.bind(py))?;
        let inner = match &outer {
            Some(outer) if outer.len()? > 0 => {
                if outer.contains(own.get_borrowed_item(0)?)? {
                    return Ok(None);
                }
                outer.add(own)?
            }
            _ => own.clone().into_any(),
        };
        // SAFETY: attached, and live objects; a new reference, or null with an exception.
        unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyContextVar_Set(self.active.as_ptr(), inner.as_ptr()))
        }
        .map(Some)
    }

    fn leave(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<()> {
        // SAFETY: attached, and live objects.
        match unsafe { ffi::PyContextVar_Reset(self.active.as_ptr(), token.as_ptr()) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    }
}

#[pymethods]
impl RecordedCall {
    #[new]
    #[pyo3(signature = (model, method, long, *, keyword, is_fed, widths, answer_width, names, answer_names, answer, active, own))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        model: &Bound<'_, Model>,
        method: Py<PyAny>,
        long: Py<PyAny>,
        keyword: &str,
        is_fed: bool,
        widths: (usize, usize),
        answer_width: usize,
        names: Py<PyAny>,
        answer_names: Py<PyAny>,
        answer: Py<PyAny>,
        active: Py<PyAny>,
        own: Py<PyTuple>,
    ) -> PyResult<Self> {
        if model.get().0.redactions.is_some() {
            return Err(PyTypeError::new_err("what is redacted is recorded the long way"));
        }
        numpy::learn_if_imported(model.py());
        let keyword = PyString::intern(model.py(), keyword).unbind();
        let shared = Arc::clone(&model.get().0);
        let plan = ArcSwapOption::empty();
        Ok(Self {
            shared,
            method,
            long,
            keyword,
            is_fed,
            widths,
            answer_width,
            names,
            answer_names,
            answer,
            active,
            own,
            plan,
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let around = self.around()?;
        // What goes wrong on the way to it goes wrong on the long way, too, which knows what to do then.
        let (row, about) = match (self.row_of(args, kwargs), around.about(py)) {
            (Some(row), Ok(Some(about))) => (row, about),
            _ => return self.long.bind(py).call(args, kwargs),
        };
        let method = self.method.bind(py);
        let Some(token) = self.enter(py)? else { return method.call(args, kwargs) };
        let drawn = match Producer::begin_with(&*self.shared.producer, &self.shared.class) {
            Ok(drawn) => Some(drawn),
            Err(error) => {
                if let Err(error) = around.fault.bind(py).call1((of_capture(error),)) {
                    self.leave(py, &token)?;
                    return Err(error);
                }
                None
            }
        };
        let result = method.call(args, kwargs);
        self.leave(py, &token)?;
        let Some(drawn) = drawn else { return result };
        match result {
            Ok(result) => {
                if let Err(error) = self.hand_over(py, drawn, &row, &about, Ok(&result)) {
                    around.fault.bind(py).call1((error,))?;
                }
                Ok(result)
            }
            Err(error) => {
                let class = error.get_type(py).name().map(|name| name.to_string_lossy().into_owned());
                let status = class.as_deref().unwrap_or("Exception");
                if let Err(fault) = self.hand_over(py, drawn, &row, &about, Err(status)) {
                    // The model's own exception is under way, and must arrive.
                    let _ = around.note.bind(py).call1((fault, "not recorded"));
                }
                Err(error)
            }
        }
    }

    /// For the garbage collector: a stand-in holds this, and what this holds holds the stand-in's model.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for held in [&self.method, &self.long, &self.names, &self.answer_names, &self.answer, &self.active] {
            visit.call(held)?;
        }
        visit.call(&self.own)
    }
}
