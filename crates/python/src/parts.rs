//! What a caller gives for one decision, taken apart once.

use minutebook_record::cbor;
use minutebook_record::limits::{SUBJECT_BYTES_MAX, SUBJECTS_MAX};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::attributions::{Told, has_lists};
use crate::convert::to_dict;
use crate::errors::unfit;
use crate::redact::Lifted;

/// Which optional fields a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Parts {
    pub subject: bool,
    pub actor: bool,
    pub params: bool,
    pub tags: bool,
    pub explanation: Told,
    pub reasons: Told,
    pub counterfactuals: Told,
}

/// The content of a decision.
pub struct Given<'py> {
    pub inputs: Bound<'py, PyDict>,
    pub outputs: Option<Bound<'py, PyDict>>,
    pub subject: Option<Bound<'py, PyAny>>,
    pub actor: Option<Bound<'py, PyAny>>,
    pub params: Option<Bound<'py, PyDict>>,
    pub tags: Option<Bound<'py, PyDict>>,
    pub explanation: Option<Bound<'py, PyDict>>,
    /// Attributions, reasons and counterfactuals.
    pub told: [Told; 3],
    /// What was redacted of parameters and tags.
    pub lifted: Vec<Lifted>,
}

/// The same as Python handed it over.
pub struct Arguments<'a, 'py> {
    pub inputs: &'a Bound<'py, PyAny>,
    pub outputs: Option<&'a Bound<'py, PyAny>>,
    pub subject: Option<&'a Bound<'py, PyAny>>,
    pub actor: Option<&'a Bound<'py, PyAny>>,
    pub params: Option<&'a Bound<'py, PyAny>>,
    pub tags: Option<&'a Bound<'py, PyAny>>,
    pub explanation: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Given<'py> {
    pub fn new(given: &Arguments<'_, 'py>) -> PyResult<Self> {
        let dict =
            |given: Option<&Bound<'py, PyAny>>, name| given.map(|given| to_dict(given, &[name])).transpose();
        let explanation = dict(given.explanation, "explanation")?;
        let told = match &explanation {
            Some(explanation) => {
                let [reasons, counterfactuals] = has_lists(explanation)?;
                [Told::Yes, reasons, counterfactuals]
            }
            None => Default::default(),
        };
        Ok(Self {
            told,
            lifted: Vec::new(),
            inputs: to_dict(given.inputs, &["inputs"])?,
            outputs: dict(given.outputs, "outputs")?,
            subject: given.subject.cloned(),
            actor: given.actor.cloned(),
            params: dict(given.params, "params")?,
            tags: dict(given.tags, "tags")?,
            explanation,
        })
    }

    pub fn parts(&self) -> Parts {
        let [explanation, reasons, counterfactuals] = self.told;
        Parts {
            subject: self.subject.is_some(),
            actor: self.actor.is_some(),
            params: self.params.is_some(),
            tags: self.tags.is_some(),
            explanation,
            reasons,
            counterfactuals,
        }
    }
}

/// Appends the subjects: one text, or several.
pub fn put_subject(subject: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    if let Ok(one) = subject.cast::<PyString>() {
        cbor::write_array(out, 1);
        return put_one(one, out);
    }
    let refused = || unfit(&["subject"], "a text, or a list of texts is asked for");
    let several: Vec<Bound<'_, PyString>> = subject.extract().map_err(|_| refused())?;
    if several.is_empty() || several.len() > SUBJECTS_MAX {
        return Err(unfit(&["subject"], &format!("1 to {SUBJECTS_MAX} subjects are asked for")));
    }
    cbor::write_array(out, several.len() as u64);
    several.iter().try_for_each(|one| put_one(one, out))
}

fn put_one(subject: &Bound<'_, PyString>, out: &mut Vec<u8>) -> PyResult<()> {
    put_subject_text(subject.to_str().map_err(|_| unfit(&["subject"], "text that is not Unicode"))?, out)
}

/// Appends one subject.
pub fn put_subject_text(text: &str, out: &mut Vec<u8>) -> PyResult<()> {
    if text.len() > SUBJECT_BYTES_MAX {
        return Err(unfit(&["subject"], &format!("longer than {SUBJECT_BYTES_MAX} bytes")));
    }
    cbor::write_text(out, text);
    Ok(())
}

/// Appends a text.
pub fn put_text(text: &Bound<'_, PyAny>, out: &mut Vec<u8>, path: &str) -> PyResult<()> {
    let text = text.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
    cbor::write_text(out, text.ok_or_else(|| unfit(&[path], "a text is asked for"))?);
    Ok(())
}
