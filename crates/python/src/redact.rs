//! Redaction at the source: what a model's rules leave of values, before anything is encoded. Edge: nothing of a redacted value goes on from
//! here but what its rule leaves of it, also when the rule does not fit the value, and in no error.

mod explained;
mod rule;

pub use explained::is_left_out;
pub use rule::{Redacted, check, hash};

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use minutebook_record::FieldType;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::attributions::{Told, has_lists};
use crate::column::Column;
use crate::errors::unfit;
use crate::parts::Given;
use rule::Rule;

/// The name that stands for all others of its section.
const ALL: &str = "*";

/// The rules of a model.
pub struct Redactions {
    inputs: Section,
    outputs: Section,
    params: Section,
    tags: Section,
    environment: Section,
    /// Takes what somebody should know, as text; raises nothing.
    tell: Py<PyAny>,
}

/// The rules of one section.
#[derive(Default)]
struct Section {
    named: Vec<Named>,
    others: Option<Rule>,
    /// Whether somebody looked if the names are those of decisions.
    is_looked_at: AtomicBool,
}

struct Named {
    name: Py<PyString>,
    text: Box<str>,
    rule: Rule,
}

/// A rule as Python gives it: section, name, and what [`Rule::of`] takes.
pub type Spec<'py> = (String, Bound<'py, PyString>, String, Option<Bound<'py, PyAny>>);

/// What was redacted of a map, and is a field of its own below it.
#[derive(Debug, Clone)]
pub struct Lifted {
    pub field: LiftedField,
    pub encoded: Vec<u8>,
}

/// Its field: section, name and type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiftedField {
    pub section: &'static str,
    pub name: Box<str>,
    pub field_type: FieldType,
}

impl Redactions {
    /// These rules.
    ///
    /// # Errors
    ///
    /// ValueError for a rule that there is not; the package has looked before.
    pub fn new(specs: Vec<Spec<'_>>, tell: Py<PyAny>) -> PyResult<Self> {
        let mut made: HashMap<String, Section> = HashMap::new();
        for (section, name, kind, argument) in specs {
            let rule = Rule::of(&kind, argument.as_ref())?;
            let of = made.entry(section).or_default();
            let text: Box<str> = name.to_str()?.into();
            if &*text == ALL {
                of.others = Some(rule);
            } else {
                of.named.push(Named { name: name.unbind(), text, rule });
            }
        }
        let mut take = |name: &str| made.remove(name).unwrap_or_default();
        let (inputs, outputs) = (take("inputs"), take("outputs"));
        let (params, tags, environment) = (take("params"), take("tags"), take("environment"));
        match made.keys().next() {
            None => Ok(Self { inputs, outputs, params, tags, environment, tell }),
            Some(other) => Err(PyValueError::new_err(format!("`{other}` is not redacted"))),
        }
    }

    /// What is left of a decision.
    pub fn apply<'py>(&self, given: &mut Given<'py>) -> PyResult<()> {
        if let Some(explanation) = &mut given.explanation {
            *explanation = self.explanation(explanation, &given.inputs, given.outputs.as_ref())?;
            let [reasons, counterfactuals] = has_lists(explanation)?;
            given.told = [Told::of_attributions(explanation)?, reasons, counterfactuals];
        }
        given.inputs = self.dict(&given.inputs, "inputs")?;
        if let Some(outputs) = &mut given.outputs {
            *outputs = self.dict(outputs, "outputs")?;
        }
        let mut lifted = Vec::new();
        for (section, map) in [("params", &mut given.params), ("tags", &mut given.tags)] {
            if let Some(map) = map {
                *map = self.map(map, section, &mut lifted)?;
            }
        }
        given.lifted = lifted;
        Ok(())
    }

    /// A mapping of inputs or outputs with what is left of its values.
    fn dict<'py>(&self, dict: &Bound<'py, PyDict>, name: &'static str) -> PyResult<Bound<'py, PyDict>> {
        let (py, section) = (dict.py(), self.section(name));
        if section.is_empty() {
            return Ok(dict.clone());
        }
        if !dict.is_empty() {
            self.look_for_names(py, name, |name| dict.contains(name))?;
        }
        // A copy: the caller's own stays as it is.
        let copy = dict.copy()?;
        section.each(dict, |key, text, rule| {
            let value = dict.get_item(key)?.unwrap_or_else(|| py.None().into_bound(py));
            let left = rule.apply(&value, &[name, text], &mut |told| self.tell(py, &told));
            copy.set_item(key, Bound::new(py, left)?)
        })?;
        Ok(copy)
    }

    /// A map without what is redacted of it, which is added to `lifted`.
    pub fn map<'py>(
        &self,
        map: &Bound<'py, PyDict>,
        name: &'static str,
        lifted: &mut Vec<Lifted>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = map.py();
        let section = self.section(name);
        if section.is_empty() {
            return Ok(map.clone());
        }
        let copy = map.copy()?;
        section.each(map, |key, text, rule| {
            let Some(value) = copy.get_item(key)? else { return Ok(()) };
            copy.del_item(key)?;
            let (field_type, encoded) =
                rule.apply(&value, &[name, text], &mut |told| self.tell(py, &told)).encoded();
            lifted.push(Lifted {
                field: LiftedField { section: name, name: text.into(), field_type },
                encoded,
            });
            Ok(())
        })?;
        Ok(copy)
    }

    /// A column of a batch with what is left of its values; `None` when it is not redacted.
    pub fn column(
        &self,
        column: &Bound<'_, PyAny>,
        section: &'static str,
        name: &Bound<'_, PyString>,
    ) -> PyResult<Option<Column>> {
        let text = name.to_str().map_err(|_| unfit(&[section], "a name with a lone surrogate"))?;
        let Some(rule) = self.section(section).rule(text) else { return Ok(None) };
        rule.column(column, [section, text], &mut |told| self.tell(column.py(), &told)).map(Some)
    }

    /// Tells of rules that fit no column of the first batch.
    pub fn look_for_columns(
        &self,
        py: Python<'_>,
        section: &'static str,
        names: &[Bound<'_, PyString>],
    ) -> PyResult<()> {
        let has = |wanted: &Bound<'_, PyString>| {
            Ok(names.iter().any(|name| name.to_str().ok() == wanted.to_str().ok()))
        };
        if names.is_empty() { Ok(()) } else { self.look_for_names(py, section, has) }
    }

    /// Tells of rules whose names the first decision does not have: one that is mistyped would let everything through.
    fn look_for_names<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        has: impl Fn(&Bound<'py, PyString>) -> PyResult<bool>,
    ) -> PyResult<()> {
        let section = self.section(name);
        if section.is_looked_at.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        for named in &section.named {
            if !has(named.name.bind(py))? {
                let text = &named.text;
                self.tell(
                    py,
                    &format!(
                        "`redact`: `{name}.{text}` is nothing that the first decision has: check the name"
                    ),
                );
            }
        }
        Ok(())
    }

    fn section(&self, name: &str) -> &Section {
        match name {
            "inputs" => &self.inputs,
            "outputs" => &self.outputs,
            "params" => &self.params,
            "tags" => &self.tags,
            _ => &self.environment,
        }
    }

    fn tell(&self, py: Python<'_>, what: &str) {
        // What is redacted stays so, whether somebody hears of it or not.
        let _ = self.tell.bind(py).call1((what,));
    }

    pub fn visit(&self, visit: &pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        visit.call(&self.tell)
    }
}

impl Section {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.others.is_none()
    }

    fn rule(&self, name: &str) -> Option<&Rule> {
        let named = self.named.iter().find(|named| &*named.text == name);
        named.map(|named| &named.rule).or(self.others.as_ref())
    }

    /// Each name of a dict that has a rule. Names that are no text are left for whoever reads the dict to refuse.
    fn each<'py>(
        &self,
        dict: &Bound<'py, PyDict>,
        mut take: impl FnMut(&Bound<'py, PyString>, &str, &Rule) -> PyResult<()>,
    ) -> PyResult<()> {
        let py = dict.py();
        if self.others.is_none() {
            return self.named.iter().try_for_each(|named| {
                let name = named.name.bind(py);
                if dict.contains(name)? { take(name, &named.text, &named.rule) } else { Ok(()) }
            });
        }
        for name in dict.keys() {
            let Ok(name) = name.cast::<PyString>() else { continue };
            let Ok(text) = name.to_str() else { continue };
            if let Some(rule) = self.rule(text) {
                take(name, text, rule)?;
            }
        }
        Ok(())
    }
}
