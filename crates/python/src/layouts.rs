//! The layouts of a model: found again from record to record, made when a record has other fields than those before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use minutebook_capture::{Producer, ShapeDef};
use minutebook_record::{Field, FieldType, Path, Schema};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::attributions::{COUNTERFACTUALS, REASONS};
use crate::convert;
use crate::errors::{of_capture, unfit};
use crate::layout::{Keys, Layout, Same};
use crate::limits::{LAYOUTS_KEPT, LAYOUTS_TRIED, TYPES_KEPT};
use crate::parts::{Given, Parts};
use crate::redact::LiftedField;

/// What is the same in all records of a model.
pub struct Constant {
    /// The first name of its path.
    pub section: &'static str,
    /// The second, of what was redacted of a map.
    pub name: Option<Box<str>>,
    pub field_type: FieldType,
    pub encoded: Vec<u8>,
}

/// The layouts of one model.
pub struct Layouts {
    producer: Arc<Producer>,
    constants: Vec<Constant>,
    recent: ArcSwap<Vec<Arc<Layout>>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    layouts: HashMap<Fields, Arc<Layout>>,
    /// The last type of each name that was not missing.
    types: HashMap<(&'static str, Box<str>), FieldType>,
}

/// What makes a layout.
#[derive(PartialEq, Eq, Hash, Clone)]
pub struct Fields {
    pub parts: Parts,
    pub inputs: Vec<(Box<str>, FieldType)>,
    pub outputs: Vec<(Box<str>, FieldType)>,
    pub lifted: Vec<LiftedField>,
}

impl Layouts {
    pub fn new(producer: Arc<Producer>, constants: Vec<Constant>) -> Self {
        Self { producer, constants, recent: ArcSwap::default(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layouts that were of use last, the very last one first.
    #[inline]
    pub fn recent(&self) -> Guard<Arc<Vec<Arc<Layout>>>> {
        self.recent.load()
    }

    /// The layout of a record like none of the recent ones.
    #[cold]
    pub fn derive(&self, given: &Given<'_>) -> PyResult<Arc<Layout>> {
        let (inputs, input_names) = section(&given.inputs, "inputs")?;
        let outputs = given.outputs.as_ref().map(|outputs| section(outputs, "outputs")).transpose()?;
        let (outputs, output_names) = outputs.unwrap_or_default();
        let lifted = given.lifted.iter().map(|lifted| lifted.field.clone()).collect();
        self.of(Fields { parts: given.parts(), inputs, outputs, lifted }, &input_names, &output_names)
    }

    /// The layout of these fields, made if need be. No Python code runs while the lock is held.
    pub fn of(
        &self,
        mut fields: Fields,
        inputs: &[Bound<'_, PyString>],
        outputs: &[Bound<'_, PyString>],
    ) -> PyResult<Arc<Layout>> {
        {
            let mut known = self.known();
            known.fill_missing(&mut fields.inputs, "inputs");
            known.fill_missing(&mut fields.outputs, "outputs");
            if let Some(layout) = known.layouts.get(&fields).cloned() {
                drop(known);
                self.put_first(&layout);
                return Ok(layout);
            }
        }
        let shape = self.producer.shape_of(self.shape(&fields)?).map_err(of_capture)?;
        let layout = Arc::new(Layout {
            parts: fields.parts,
            inputs: Keys::new(inputs, &fields.inputs),
            outputs: Keys::new(outputs, &fields.outputs),
            lifted: fields.lifted.clone().into(),
            shape,
            same: Same::default(),
        });
        let mut known = self.known();
        let forgotten = (known.layouts.len() >= LAYOUTS_KEPT).then(|| std::mem::take(&mut known.layouts));
        known.layouts.insert(fields, Arc::clone(&layout));
        drop(known);
        drop(forgotten);
        self.put_first(&layout);
        Ok(layout)
    }

    fn put_first(&self, layout: &Arc<Layout>) {
        self.recent.rcu(|recent| {
            let others = recent.iter().filter(|other| !Arc::ptr_eq(other, layout)).take(LAYOUTS_TRIED - 1);
            std::iter::once(layout).chain(others).cloned().collect::<Vec<_>>()
        });
    }

    /// The order is that in which [`Layout::put`] writes.
    fn shape(&self, fields: &Fields) -> PyResult<ShapeDef> {
        let mut schema = vec![field(&["event"], FieldType::Event)?];
        let mut constants = Vec::new();
        for constant in &self.constants {
            let section = constant.section;
            // What a call gives replaces what the model says.
            if !(section == "params" && fields.parts.params || section == "tags" && fields.parts.tags) {
                constants.push((schema.len(), constant.encoded.as_slice().into()));
                let path: Vec<&str> = std::iter::once(section).chain(constant.name.as_deref()).collect();
                schema.push(field(&path, constant.field_type.clone())?);
            }
        }
        let mut add = |there: bool, path: &[&str], field_type| {
            if there { field(path, field_type).map(|field| schema.push(field)) } else { Ok(()) }
        };
        let parts = &fields.parts;
        add(parts.subject, &["subject"], FieldType::Subject)?;
        add(parts.actor, &["actor"], FieldType::Text)?;
        for (name, field_type) in &fields.inputs {
            add(true, &["inputs", name], field_type.clone())?;
        }
        for (name, field_type) in &fields.outputs {
            add(true, &["outputs", name], field_type.clone())?;
        }
        add(parts.params, &["params"], FieldType::Map)?;
        add(parts.tags, &["tags"], FieldType::Map)?;
        let explanation = parts.explanation;
        let attributions = explanation.field_type(FieldType::Attributions);
        add(explanation.is_there(), &["explanation", "attributions"], attributions)?;
        add(explanation.is_there(), &["explanation", "meta"], FieldType::Explanation)?;
        for (list, name) in [(parts.reasons, REASONS), (parts.counterfactuals, COUNTERFACTUALS)] {
            add(list.is_there(), &["explanation", name], list.field_type(FieldType::List))?;
        }
        for LiftedField { section, name, field_type } in &fields.lifted {
            add(true, &[section, name], field_type.clone())?;
        }
        let schema = Schema::new(schema).map_err(|error| PyValueError::new_err(error.to_string()))?;
        ShapeDef::from_encoded(schema, constants).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

impl Known {
    /// A value that is missing is of the type that its name had before.
    fn fill_missing(&mut self, fields: &mut [(Box<str>, FieldType)], section: &'static str) {
        for (name, field_type) in fields {
            if *field_type != FieldType::Null {
                if self.types.len() < TYPES_KEPT {
                    self.types.insert((section, name.clone()), field_type.clone());
                }
            } else if let Some(before) = self.types.get(&(section, name.clone())) {
                *field_type = before.clone();
            }
        }
    }
}

pub fn field(path: &[&str], field_type: FieldType) -> PyResult<Field> {
    let of_path = Path::new(path.iter().copied()).map_err(|error| unfit(path, &error.to_string()))?;
    Ok(Field { path: of_path, field_type })
}

/// Names and types, and the names as Python has them.
pub type Section<'py> = (Vec<(Box<str>, FieldType)>, Vec<Bound<'py, PyString>>);

/// Names and types of what a dict holds.
pub fn section<'py>(dict: &Bound<'py, PyDict>, section: &'static str) -> PyResult<Section<'py>> {
    let (mut fields, mut names) = (Vec::with_capacity(dict.len()), Vec::with_capacity(dict.len()));
    for (name, value) in dict.iter() {
        let name = name.cast_into::<PyString>().map_err(|_| unfit(&[section], "a name that is not text"))?;
        let text: Box<str> =
            name.to_str().map_err(|_| unfit(&[section], "a name with a lone surrogate"))?.into();
        let (field_type, _) = convert::value(&value, &[section, &text])?;
        fields.push((text, field_type));
        names.push(name);
    }
    Ok((fields, names))
}
