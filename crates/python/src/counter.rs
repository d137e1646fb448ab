//! Counting decisions without a record of each: columns into a window, which becomes a record when its minute is over. Edge: no Python per row
//! where the columns have none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minutebook_capture::{DrawnRange, ShapeDef};
use minutebook_record::{Field, Kind, Path, Schema};
use minutebook_sketch::covers::Run;
use minutebook_sketch::limits::FEATURES_MAX;
use minutebook_sketch::{Feature, Key, Length, Window, duration_path, fields};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::batch::columns;
use crate::column::Column;
use crate::errors::{TrailError, of_capture, unfit};
use crate::limits::{COUNTED_ROWS_MAX, NUMBERS_AT_ONCE};
use crate::model::Shared;
use crate::redact::Redactions;

/// Counts the decisions of a model.
#[pyclass(frozen, module = "minutebook._core")]
pub struct Counter {
    shared: Arc<Shared>,
    counting: Mutex<Option<Counting>>,
}

/// The window of the present minute.
struct Counting {
    /// Whose numbers it counts: a child after a fork draws those of another run.
    run: Run,
    start: i64,
    window: Window,
}

impl Counter {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, counting: Mutex::new(None) }
    }

    /// Makes a record of what was counted.
    fn hand_over(&self, py: Python<'_>, counting: Counting) -> PyResult<()> {
        let Counting { start, mut window, .. } = counting;
        let key = Key { length: Length::Minute, start, model: self.shared.model.clone() };
        for part in window.seal() {
            let (fields, values): (Vec<Field>, Vec<Vec<u8>>) = fields(&key, &part, 0).into_iter().unzip();
            let told = |error: &dyn std::fmt::Display| TrailError::new_err(error.to_string());
            let schema = Schema::new(fields).map_err(|error| told(&error))?;
            let shape = ShapeDef::from_encoded(schema, Vec::new()).map_err(|error| told(&error))?;
            let shape = self.shared.producer.shape_of(shape).map_err(of_capture)?;
            let pending = self.shared.begin().map_err(of_capture)?;
            let mut encoder = pending.record(&shape, Kind::Window);
            values.iter().for_each(|value| {
                encoder.raw(value);
            });
            encoder.finish_or_wait(self.shared.room.waiter(py)).map_err(of_capture)?;
        }
        Ok(())
    }

    /// The window of this moment, and the one that is over by it.
    fn take(&self, drawn: &DrawnRange, start: i64) -> (Counting, Option<Counting>) {
        let run = (drawn.producer.0, drawn.epoch.get(), self.shared.class.to_string());
        let known = self.counting.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What a parent counted before a fork is told by the parent.
        match known.filter(|known| known.run == run) {
            Some(known) if known.start == start => (known, None),
            over => (Counting { run, start, window: Window::default() }, over),
        }
    }
}

/// Columns with their names.
type Named = Vec<(Box<str>, Column)>;

/// The columns of a batch.
struct Batch {
    rows: usize,
    sections: [(&'static str, Named); 2],
}

impl Batch {
    fn read(
        inputs: &Bound<'_, PyAny>,
        outputs: Option<&Bound<'_, PyAny>>,
        redactions: Option<&Redactions>,
    ) -> PyResult<Self> {
        let (inputs, _) = columns(inputs, "inputs", redactions)?;
        let outputs =
            outputs.map(|outputs| columns(outputs, "outputs", redactions)).transpose()?.unwrap_or_default().0;
        let rows = inputs.first().or(outputs.first()).map_or(0, |(_, column)| column.rows);
        let wrong = inputs.iter().chain(&outputs).find(|(_, column)| column.rows != rows);
        if let Some((name, column)) = wrong {
            return Err(unfit(&[name], &format!("{} rows beside columns of {rows}", column.rows)));
        }
        if rows > COUNTED_ROWS_MAX {
            return Err(PyValueError::new_err(format!(
                "{rows} rows; at most {COUNTED_ROWS_MAX} are counted at once"
            )));
        }
        if inputs.len() + outputs.len() > FEATURES_MAX {
            return Err(PyValueError::new_err(format!("more than {FEATURES_MAX} columns are not counted")));
        }
        Ok(Self { rows, sections: [("inputs", inputs), ("outputs", outputs)] })
    }

    fn is_native(&self) -> bool {
        self.sections.iter().flat_map(|(_, columns)| columns).all(|(_, column)| column.is_native())
    }

    /// The features of all rows, before any number is drawn: what cannot be read counts nothing.
    fn count(&self, py: Option<Python<'_>>) -> PyResult<Vec<(Path, Feature)>> {
        let mut counted = Vec::new();
        for (section, columns) in &self.sections {
            for (name, column) in columns {
                let path = Path::new([*section, &**name])
                    .map_err(|error| unfit(&[section, name], &error.to_string()))?;
                let mut feature = Feature::default();
                column.count(py, section, name, &mut feature)?;
                counted.push((path, feature));
            }
        }
        Ok(counted)
    }
}

#[pymethods]
impl Counter {
    /// Counts a decision for each row.
    #[pyo3(signature = (inputs, outputs=None, *, status="ok", duration_ns=None))]
    fn count(
        &self,
        py: Python<'_>,
        inputs: &Bound<'_, PyAny>,
        outputs: Option<&Bound<'_, PyAny>>,
        status: &str,
        duration_ns: Option<u64>,
    ) -> PyResult<()> {
        let batch = Batch::read(inputs, outputs, self.shared.redactions.as_ref())?;
        if batch.rows == 0 {
            return Ok(());
        }
        let rows = batch.rows as u64;
        let counted =
            if batch.is_native() { py.detach(|| batch.count(None)) } else { batch.count(Some(py)) }?;
        let producer = &self.shared.producer;
        let start = producer.now_ns().map_err(of_capture)?.div_euclid(1_000_000_000);
        let start = Length::Minute.start_of(start);
        let drawn = producer.draw_many(&self.shared.class, rows).map_err(of_capture)?;
        let (mut counting, over) = self.take(&drawn, start);
        let mut one = Window { decisions: rows, ..Window::default() };
        one.status.insert(status.into(), rows);
        one.covers.entry(counting.run.clone()).or_default().add(drawn.from, drawn.to);
        one.features = counted.into_iter().collect();
        if let Some(ns) = duration_ns {
            let mut duration = Feature::default();
            (0..rows).step_by(NUMBERS_AT_ONCE).for_each(|at| {
                duration.add_numbers(&vec![ns as f64; (rows - at).min(NUMBERS_AT_ONCE as u64) as usize]);
            });
            one.features.insert(duration_path(), duration);
        }
        py.detach(|| counting.window.merge(one));
        let mut over: Vec<Counting> = over.into_iter().collect();
        let mut place = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            // Another thread counted meanwhile.
            Some(other) if other.run == counting.run && other.start == counting.start => {
                other.window.merge(counting.window);
            }
            place => over.extend(place.replace(counting)),
        }
        // Handing over may wait for room, without the interpreter.
        drop(place);
        over.into_iter().try_for_each(|over| self.hand_over(py, over))
    }

    /// Makes a record of what was counted since the last one.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(counting) = counting else { return Ok(()) };
        let status = self.shared.producer.status().map_err(of_capture)?;
        let is_own = (counting.run.0, counting.run.1) == (status.producer.0, status.epoch.get());
        // What a parent counted before a fork is told by the parent.
        if is_own { self.hand_over(py, counting) } else { Ok(()) }
    }
}

/// Counts numbers, none of which is missing, in runs.
pub fn counted_in_runs(mut values: impl Iterator<Item = f64>, feature: &mut Feature) {
    let mut run = Vec::with_capacity(NUMBERS_AT_ONCE);
    loop {
        run.clear();
        run.extend(values.by_ref().take(NUMBERS_AT_ONCE));
        if run.is_empty() {
            return;
        }
        feature.add_numbers(&run);
    }
}

/// Counts integers that may be classes.
pub fn count_labels(values: impl Iterator<Item = i128>, feature: &mut Feature) {
    let mut counts: HashMap<i128, u64> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
        if counts.len() >= NUMBERS_AT_ONCE {
            counts.drain().for_each(|(value, times)| feature.add_label(value, times));
        }
    }
    counts.into_iter().for_each(|(value, times)| feature.add_label(value, times));
}

/// Counts texts.
pub fn count_texts<'a>(texts: impl Iterator<Item = &'a str>, feature: &mut Feature) {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
        if counts.len() >= NUMBERS_AT_ONCE {
            counts.drain().for_each(|(text, times)| feature.add_text(text, times));
        }
    }
    counts.into_iter().for_each(|(text, times)| feature.add_text(text, times));
}
