//! A layout: which fields a model's record has, in which order and of which types, so that a dict of the same names is walked once and
//! written as it is walked.

use minutebook_capture::Shape;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::attributions::{is_text, put_attributions, put_meta};
use crate::encode::{self, Tag};
use crate::parts::{Given, Parts, put_subject, put_text};

/// A name in a dict, and what stands there.
pub struct Key {
    name: Py<PyString>,
    text: Box<str>,
    tag: Tag,
}

impl Key {
    pub fn new(name: &Bound<'_, PyString>, text: &str, tag: Tag) -> Self {
        Self { name: name.clone().unbind(), text: text.into(), tag }
    }

    pub fn name(&self) -> &Py<PyString> {
        &self.name
    }

    /// Whether this object is the name. Most often it is the very same object, since Python shares the names of a program.
    #[inline]
    pub fn is_named(&self, object: *mut ffi::PyObject) -> bool {
        object == self.name.as_ptr() || is_text(object, &self.text)
    }
}

/// The fields of a record.
pub struct Layout {
    pub parts: Parts,
    pub inputs: Vec<Key>,
    pub outputs: Vec<Key>,
    pub shape: Shape,
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
            None if !self.outputs.is_empty() => return Ok(false),
            _ => {}
        }
        if let Some(params) = &given.params {
            encode::put_map(params, out, "params")?;
        }
        if let Some(tags) = &given.tags {
            encode::put_map(tags, out, "tags")?;
        }
        if let Some(explanation) = &given.explanation {
            put_attributions(explanation, &self.inputs, out)?;
            put_meta(explanation, out)?;
        }
        Ok(true)
    }
}

#[inline]
fn put_section(dict: &Bound<'_, PyDict>, keys: &[Key], section: &str, out: &mut Vec<u8>) -> PyResult<bool> {
    let py = dict.py();
    let mut keys = keys.iter();
    let (mut at, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    pyo3::sync::critical_section::with_critical_section(dict, || {
        // SAFETY: attached, and a live dict. A value of a rare type may run Python code, which may change the dict: the walk stays within
        // memory then (CPython's promise), and what it finds may not be this layout, which is what is checked.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut at, &mut name, &mut value) } != 0 {
            let Some(key) = keys.next() else { return Ok(false) };
            if !key.is_named(name) {
                return Ok(false);
            }
            // SAFETY: borrowed from the dict; a reference is held while it is used.
            let value = unsafe { Bound::from_borrowed_ptr(py, value) };
            if !encode::put(value.as_borrowed(), &key.tag, out, || [section, &key.text])? {
                return Ok(false);
            }
        }
        Ok(keys.next().is_none())
    })
}
