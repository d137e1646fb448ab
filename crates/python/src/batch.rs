//! A decision for each row of a batch: columns in, no Python per row.

use std::sync::{Arc, Mutex, PoisonError};

use minutebook_capture::{EventRef, LostReason, Pending as Drawn, Producer, Random as _, SystemRandom};
use minutebook_record::fields::Batch;
use minutebook_record::{Kind, RecordId};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::column::Column;
use crate::convert::to_dict;
use crate::encode;
use crate::errors::{TrailError, of_capture, unfit};
use crate::ids::Ids;
use crate::layout::Layout;
use crate::layouts::Fields;
use crate::limits::BATCH_ROWS_MAX;
use crate::model::{Ended, Shared, event_of};
use crate::parts::{Parts, put_subject, put_text};
use crate::redact::Redactions;

type Numbers = Vec<Drawn<Arc<Producer>>>;

/// What Python gives for a batch.
pub struct Columns<'a, 'py> {
    pub inputs: &'a Bound<'py, PyAny>,
    pub outputs: Option<&'a Bound<'py, PyAny>>,
    pub subject: Option<&'a Bound<'py, PyAny>>,
    pub actor: Option<&'a Bound<'py, PyAny>>,
    pub params: Option<&'a Bound<'py, PyAny>>,
    pub tags: Option<&'a Bound<'py, PyAny>>,
}

/// The columns, ready to be read.
struct Rows {
    rows: usize,
    inputs: Vec<(Box<str>, Column)>,
    outputs: Vec<(Box<str>, Column)>,
    subject: Option<Subject>,
    /// Encoded values that all rows share: the actor, and behind the columns parameters and tags.
    actor: Vec<u8>,
    behind: Vec<u8>,
}

enum Subject {
    All(Vec<u8>),
    Each(Column),
}

/// Records a batch. `drawn` are its numbers, if they were drawn before.
pub fn record(
    py: Python<'_>,
    shared: &Shared,
    given: &Columns<'_, '_>,
    ended: &Ended<'_>,
    drawn: Option<Numbers>,
) -> PyResult<Ids> {
    let lose =
        |drawn: Option<Numbers>| drawn.into_iter().flatten().for_each(|one| one.lose(LostReason::Dropped));
    let (rows, layout) = match read(shared, given) {
        Ok(read) => read,
        Err(error) => {
            lose(drawn);
            return Err(error);
        }
    };
    if let Some(numbers) = &drawn
        && numbers.len() != rows.rows
    {
        let (given, begun) = (rows.rows, numbers.len());
        lose(drawn);
        return Err(PyValueError::new_err(format!("{given} rows for a batch that was begun with {begun}")));
    }
    let mut call = [0; 16];
    SystemRandom.fill(&mut call).map_err(|error| TrailError::new_err(error.to_string()))?;
    let work = |py: Option<Python<'_>>| hand_over(py, shared, &rows, &layout, ended, drawn, call);
    if rows.is_native() && shared.room.never_waits() { py.detach(|| work(None)) } else { work(Some(py)) }
}

fn read(shared: &Shared, given: &Columns<'_, '_>) -> PyResult<(Rows, Arc<Layout>)> {
    let redactions = shared.redactions.as_ref();
    let (inputs, input_names) = columns(given.inputs, "inputs", redactions)?;
    let (outputs, output_names) = match given.outputs {
        Some(outputs) => columns(outputs, "outputs", redactions)?,
        None => Default::default(),
    };
    let rows = inputs.first().or(outputs.first()).map_or(0, |(_, column)| column.rows);
    let subject = match given.subject {
        Some(subject) if subject.cast::<PyString>().is_ok() => {
            let mut encoded = Vec::new();
            put_subject(subject, &mut encoded)?;
            Some(Subject::All(encoded))
        }
        Some(subject) => {
            let column = Column::of(subject, &["subject"])?;
            if !matches!(column.field_type.to_string().as_str(), "text" | "category") && column.rows > 0 {
                return Err(unfit(&["subject"], "a text, or a column of texts is asked for"));
            }
            Some(Subject::Each(column))
        }
        None => None,
    };
    let each = match &subject {
        Some(Subject::Each(column)) => Some(("subject", column.rows)),
        _ => None,
    };
    let named = inputs.iter().chain(&outputs).map(|(name, column)| (&**name, column.rows));
    if let Some((name, length)) = named.chain(each).find(|(_, length)| *length != rows) {
        return Err(unfit(&[name], &format!("{length} rows beside columns of {rows}")));
    }
    if rows > BATCH_ROWS_MAX {
        return Err(PyValueError::new_err(format!("{rows} rows; a batch has at most {BATCH_ROWS_MAX}")));
    }
    let (mut actor, mut behind) = (Vec::new(), Vec::new());
    if let Some(text) = given.actor {
        put_text(text, &mut actor, "actor")?;
    }
    let mut lifted = Vec::new();
    for (name, map) in [("params", given.params), ("tags", given.tags)] {
        if let Some(map) = map {
            let mut map = to_dict(map, &[name])?;
            if let Some(redactions) = redactions {
                map = redactions.map(&map, name, &mut lifted)?;
            }
            encode::put_map(&map, &mut behind, name)?;
        }
    }
    lifted.iter().for_each(|lifted| behind.extend_from_slice(&lifted.encoded));
    let lifted = lifted.into_iter().map(|lifted| lifted.field).collect();
    let types = |columns: &[(Box<str>, Column)]| {
        columns.iter().map(|(name, column)| (name.clone(), column.field_type.clone())).collect()
    };
    let parts = Parts {
        subject: subject.is_some(),
        actor: given.actor.is_some(),
        params: given.params.is_some(),
        tags: given.tags.is_some(),
        ..Parts::default()
    };
    let fields = Fields { parts, inputs: types(&inputs), outputs: types(&outputs), lifted };
    let layout = shared.layouts.of(fields, &input_names, &output_names)?;
    Ok((Rows { rows, inputs, outputs, subject, actor, behind }, layout))
}

type Named<'py> = (Vec<(Box<str>, Column)>, Vec<Bound<'py, PyString>>);

pub fn columns<'py>(
    given: &Bound<'py, PyAny>,
    section: &'static str,
    redactions: Option<&Redactions>,
) -> PyResult<Named<'py>> {
    let (mut columns, mut names) = (Vec::new(), Vec::new());
    for pair in given.try_iter().map_err(|_| unfit(&[section], "pairs of name and column are asked for"))? {
        let (name, column): (Bound<'py, PyString>, Bound<'py, PyAny>) =
            pair?.extract().map_err(|_| unfit(&[section], "pairs of name and column are asked for"))?;
        let text: Box<str> =
            name.to_str().map_err(|_| unfit(&[section], "a name with a lone surrogate"))?.into();
        let redacted = match redactions {
            Some(redactions) => redactions.column(&column, section, &name)?,
            None => None,
        };
        let column = match redacted {
            Some(redacted) => redacted,
            None => Column::of(&column, &[section, &text])?,
        };
        columns.push((text, column));
        names.push(name);
    }
    if let Some(redactions) = redactions {
        redactions.look_for_columns(given.py(), section, &names)?;
    }
    Ok((columns, names))
}

impl Rows {
    fn is_native(&self) -> bool {
        let subject = !matches!(&self.subject, Some(Subject::Each(column)) if !column.is_native());
        subject && self.inputs.iter().chain(&self.outputs).all(|(_, column)| column.is_native())
    }

    /// Appends the values of a row, in the order of [`Layout::put`].
    #[inline]
    fn put(&self, py: Option<Python<'_>>, row: usize, out: &mut Vec<u8>) -> PyResult<()> {
        match &self.subject {
            Some(Subject::All(encoded)) => out.extend_from_slice(encoded),
            Some(Subject::Each(column)) => column.put_subject(py, row, out)?,
            None => {}
        }
        out.extend_from_slice(&self.actor);
        for (name, column) in &self.inputs {
            column.put(py, row, out, ["inputs", name])?;
        }
        for (name, column) in &self.outputs {
            column.put(py, row, out, ["outputs", name])?;
        }
        out.extend_from_slice(&self.behind);
        Ok(())
    }
}

/// Hands the rows over. Each has its own number, so that what fails in one is told of that one; the first error is raised at the end.
fn hand_over(
    py: Option<Python<'_>>,
    shared: &Shared,
    rows: &Rows,
    layout: &Layout,
    ended: &Ended<'_>,
    drawn: Option<Numbers>,
    call: [u8; 16],
) -> PyResult<Ids> {
    let duration = drawn.as_ref().and_then(|drawn| drawn.first()).map(Drawn::elapsed_ns);
    let mut drawn = drawn.map(Vec::into_iter);
    let mut ids: Vec<RecordId> = Vec::with_capacity(rows.rows);
    let mut first_error = None;
    for row in 0..rows.rows {
        let one = match drawn.as_mut().and_then(Iterator::next) {
            Some(one) => one,
            None => shared.begin().map_err(of_capture)?,
        };
        ids.push(one.id());
        let mut event = event_of(EventRef { duration_ns: duration, ..one.begun() }, ended);
        event.batch = Some(Batch { call, row: row as u64, rows: rows.rows as u64 });
        let mut encoder = one.record(&layout.shape, Kind::Decision);
        encoder.event(&event);
        // A row that fails drops its encoder, which tells its number as lost.
        let put = encoder.put_all(layout.values(), |out| rows.put(py, row, out).map(|()| true));
        let handed_over = put.and_then(|_| {
            let handed_over = match py {
                Some(py) => encoder.finish_or_wait(shared.room.waiter(py)),
                None => encoder.finish(),
            };
            handed_over.map_err(of_capture)
        });
        if let Err(error) = handed_over {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or_else(|| Ok(Ids::new(ids)), Err)
}

/// Decisions with their numbers, one for each row of a call that is under way.
#[pyclass(frozen, module = "minutebook._core")]
pub struct PendingBatch {
    shared: Arc<Shared>,
    ids: Vec<RecordId>,
    drawn: Mutex<Option<Numbers>>,
}

impl PendingBatch {
    pub fn begin(shared: Arc<Shared>, rows: usize) -> PyResult<Self> {
        if rows > BATCH_ROWS_MAX {
            return Err(PyValueError::new_err(format!("{rows} rows; a batch has at most {BATCH_ROWS_MAX}")));
        }
        let drawn = (0..rows).map(|_| shared.begin()).collect::<Result<Numbers, _>>().map_err(of_capture)?;
        let ids = drawn.iter().map(Drawn::id).collect();
        Ok(Self { shared, ids, drawn: Mutex::new(Some(drawn)) })
    }

    fn take(&self) -> PyResult<Numbers> {
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner).take();
        drawn.ok_or_else(|| PyRuntimeError::new_err("the batch was recorded already, or given up"))
    }
}

#[pymethods]
impl PendingBatch {
    #[getter]
    fn ids(&self) -> Ids {
        Ids::new(self.ids.clone())
    }

    #[pyo3(signature = (inputs, outputs=None, *, subject=None, actor=None, params=None, tags=None, status="ok", trace=None, span=None))]
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
        status: &str,
        trace: Option<[u8; 16]>,
        span: Option<[u8; 8]>,
    ) -> PyResult<()> {
        let given = Columns { inputs, outputs, subject, actor, params, tags };
        let ended = Ended { status, time_ns: None, duration_ns: None, trace, span };
        record(py, &self.shared, &given, &ended, Some(self.take()?)).map(|_| ())
    }

    fn lose(&self) -> PyResult<()> {
        self.take()?.into_iter().for_each(|one| one.lose(LostReason::Dropped));
        Ok(())
    }
}
