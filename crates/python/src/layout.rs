//! A layout: which fields a model's record has, in which order and of which types, so that a dict of the same names is walked once and
//! written as it is walked.

use minutebook_capture::Shape;
use minutebook_record::FieldType;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{ffi, intern};

use crate::attributions::{COUNTERFACTUALS, REASONS, put_attributions, put_list, put_meta};
use crate::encode::{self, Tag, is_text};
use crate::parts::{Given, Parts, put_subject, put_text};
use crate::redact::LiftedField;
use crate::remembered::Remembered;

/// The names in a dict and what stands there, in order. What is looked at for every record lies close together.
#[derive(Default)]
pub struct Keys {
    names: Box<[Py<PyString>]>,
    tags: Box<[Tag]>,
    fields: Box<[(Box<str>, FieldType)]>,
}

impl Keys {
    pub fn new(names: &[Bound<'_, PyString>], fields: &[(Box<str>, FieldType)]) -> Self {
        Self {
            names: names.iter().map(|name| name.clone().unbind()).collect(),
            tags: fields.iter().map(|(_, field_type)| Tag::of(field_type)).collect(),
            fields: fields.into(),
        }
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn names(&self) -> &[Py<PyString>] {
        &self.names
    }

    /// Whether this object is the name at a place. Most often it is the very same object, since Python shares the names of a program.
    #[inline]
    pub fn is_named(&self, place: usize, object: *mut ffi::PyObject) -> bool {
        match self.names.get(place) {
            Some(name) => object == name.as_ptr() || is_text(object, &self.fields[place].0),
            None => false,
        }
    }

    /// Appends the value of a place if it is of its type.
    #[inline]
    fn put(
        &self,
        place: usize,
        value: Borrowed<'_, '_, PyAny>,
        section: &str,
        out: &mut Vec<u8>,
    ) -> PyResult<bool> {
        let field = || ([section, &*self.fields[place].0], &self.fields[place].1);
        encode::put(value, self.tags[place], out, field)
    }
}

/// The fields of a record.
pub struct Layout {
    pub parts: Parts,
    pub inputs: Keys,
    pub outputs: Keys,
    /// What was redacted of parameters and tags: the rest of the fields.
    pub lifted: Box<[LiftedField]>,
    pub shape: Shape,
    pub same: Same,
}

/// What is mostly the same from record to record.
#[derive(Default)]
pub struct Same {
    params: Remembered,
    meta: Remembered,
}

impl Layout {
    /// Values that a record brings, the event left out.
    pub fn values(&self) -> usize {
        self.shape.def().open_places().len() - 1
    }

    /// Appends the values if they are of this layout; else gives false and leaves `out` with what is of no use.
    pub fn put(&self, given: &Given<'_>, out: &mut Vec<u8>) -> PyResult<bool> {
        if given.parts() != self.parts || given.inputs.len() != self.inputs.len() {
            return Ok(false);
        }
        if !given.lifted.iter().map(|lifted| &lifted.field).eq(&self.lifted) {
            return Ok(false);
        }
        if let Some(subject) = &given.subject {
            put_subject(subject, out)?;
        }
        if let Some(actor) = &given.actor {
            put_text(actor, out, "actor")?;
        }
        if !put_section(&given.inputs, &self.inputs, "inputs", out)? {
            return Ok(false);
        }
        match &given.outputs {
            Some(outputs) if !put_section(outputs, &self.outputs, "outputs", out)? => return Ok(false),
            None if self.outputs.len() > 0 => return Ok(false),
            _ => {}
        }
        if let Some(params) = &given.params {
            self.same.params.put(params, None, out, |out| encode::put_map(params, out, "params"))?;
        }
        if let Some(tags) = &given.tags {
            encode::put_map(tags, out, "tags")?;
        }
        if let Some(explanation) = &given.explanation {
            put_attributions(explanation, &self.inputs, out)?;
            let but = intern!(explanation.py(), "attributions");
            self.same.meta.put(explanation, Some(but), out, |out| put_meta(explanation, out))?;
            if self.parts.reasons.is_there() {
                put_list(explanation, REASONS, out)?;
            }
            if self.parts.counterfactuals.is_there() {
                put_list(explanation, COUNTERFACTUALS, out)?;
            }
        }
        given.lifted.iter().for_each(|lifted| out.extend_from_slice(&lifted.encoded));
        Ok(true)
    }
}

/// Appends the values of a dict if it has these names and types, in this order; else gives false.
#[inline]
pub fn put_section(
    dict: &Bound<'_, PyDict>,
    keys: &Keys,
    section: &str,
    out: &mut Vec<u8>,
) -> PyResult<bool> {
    let py = dict.py();
    let mut place = 0;
    let (mut at, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    pyo3::sync::critical_section::with_critical_section(dict, || {
        // SAFETY: attached, and a live dict. A value of a rare type may run Python code, which may change the dict: the walk stays within
        // memory then (CPython's promise), and what it finds may not be this layout, which is what is checked.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut at, &mut name, &mut value) } != 0 {
            if !keys.is_named(place, name) {
                return Ok(false);
            }
            // SAFETY: borrowed from the dict; a reference is held while it is used.
            let value = unsafe { Bound::from_borrowed_ptr(py, value) };
            if !keys.put(place, value.as_borrowed(), section, out)? {
                return Ok(false);
            }
            place += 1;
        }
        Ok(place == keys.len())
    })
}
