//! Explanations beside what was redacted: attributions, reasons and counterfactuals betray what they are about, and are left out with it.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyTuple};

use super::{Redacted, Redactions, Section};
use crate::attributions::{COUNTERFACTUALS, REASONS};

const ATTRIBUTIONS: &str = "attributions";

/// Parts that are kept of an explanation whose attributions are left out: how it was made, and nothing that was computed.
const KEPT: [&str; 7] = ["method", "library", "seed", "background", "space", "when", "duration_ns"];

/// What stands in the place of a part that was left out.
fn left_out(py: Python<'_>) -> PyResult<Bound<'_, Redacted>> {
    Bound::new(py, Redacted::dropped())
}

/// Whether a part was left out.
pub fn is_left_out(part: &Bound<'_, PyAny>) -> bool {
    part.cast_exact::<Redacted>().is_ok()
}

impl Redactions {
    /// What is left of an explanation of a decision with these inputs and outputs.
    pub fn explanation<'py>(
        &self,
        explanation: &Bound<'py, PyDict>,
        inputs: &Bound<'py, PyDict>,
        outputs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        if self.inputs.is_empty() && self.outputs.is_empty() {
            return Ok(explanation.clone());
        }
        let py = explanation.py();
        let part = |name: &str| explanation.get_item(name).map(|part| part.filter(|part| !part.is_none()));
        let Some(attributions) = part(ATTRIBUTIONS)? else {
            // Refused, as it is without rules.
            return Ok(explanation.clone());
        };
        let (clean, _) = names(inputs, &self.inputs);
        let (clean_outputs, has_all) =
            outputs.map_or_else(Default::default, |outputs| names(outputs, &self.outputs));
        // An input by its own name: a term such as `age <= 35` says what its input was.
        let is_clean = |name: &String| clean.contains(name);
        // What they add up to is the output, so that it would be told with them.
        let output_is_whole = outputs.is_none() || has_all;
        if !output_is_whole || !features(&attributions).is_ok_and(|names| names.iter().all(is_clean)) {
            let left = PyDict::new(py);
            for name in KEPT {
                if let Some(value) = explanation.get_item(name)? {
                    left.set_item(name, value)?;
                }
            }
            left.set_item(ATTRIBUTIONS, left_out(py)?)?;
            for name in [REASONS, COUNTERFACTUALS] {
                if part(name)?.is_some() {
                    left.set_item(name, left_out(py)?)?;
                }
            }
            return Ok(left);
        }
        let left = explanation.copy()?;
        if part(REASONS)?.is_some_and(|part| !of_reasons(&part).is_ok_and(|names| names.iter().all(is_clean)))
        {
            left.set_item(REASONS, left_out(py)?)?;
        }
        let is_in_row = |name: &String| clean.contains(name) || clean_outputs.contains(name);
        if part(COUNTERFACTUALS)?
            .is_some_and(|part| !of_rows(&part).is_ok_and(|names| names.iter().all(is_in_row)))
        {
            left.set_item(COUNTERFACTUALS, left_out(py)?)?;
        }
        Ok(left)
    }
}

/// The names of a dict that have no rule, and whether these are all.
fn names(dict: &Bound<'_, PyDict>, section: &Section) -> (HashSet<String>, bool) {
    let (mut clean, mut is_all) = (HashSet::new(), true);
    for name in dict.keys() {
        match name.extract::<String>() {
            Ok(name) if section.rule(&name).is_none() => {
                clean.insert(name);
            }
            _ => is_all = false,
        }
    }
    (clean, is_all)
}

fn keys(mapping: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    mapping.cast::<PyMapping>()?.keys()?.extract()
}

fn features(attributions: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match attributions.cast::<PyTuple>() {
        Ok(pair) => pair.get_item(0)?.extract(),
        Err(_) => keys(attributions),
    }
}

fn of_reasons(reasons: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let mut all = Vec::new();
    for reason in reasons.try_iter()? {
        all.extend(reason?.get_item("features")?.extract::<Vec<String>>()?);
    }
    Ok(all)
}

fn of_rows(counterfactuals: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let mut all = Vec::new();
    for row in counterfactuals.cast::<PyList>()?.iter() {
        all.extend(keys(&row)?);
    }
    Ok(all)
}
