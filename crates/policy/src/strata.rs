//! Rates that depend on the value of a field: the field as a condition would name it, and the rate of a value. Edge: finds the field in a schema
//! once, as conditions do; what the rates are is read in `minutebook_verify::sampling`.

use crate::error::{Fault, PolicyError};
use crate::expression::{FieldPath, Node};
use crate::parse::parse;
use crate::shape::{InRecord, Slot, place_of};
use crate::value::Value;
use minutebook_record::{FieldType, Schema};
use minutebook_verify::sampling::RatesByValue;
use std::collections::HashMap;
use std::ops::Range;

/// The rates of one rule, ready to be looked up.
#[derive(Debug, Clone)]
pub(crate) struct Strata {
    path: FieldPath,
    /// By the text of a value, and by what that text is as another kind of value.
    texts: HashMap<String, f64>,
    integers: HashMap<i128, f64>,
    bools: [Option<f64>; 2],
    others: f64,
}

const WANTED: &str = "a rate can depend on a text, a category, true or false, or an integer";

impl Strata {
    /// Of what a rule says.
    pub(crate) fn read(rates: &RatesByValue) -> Result<Self, Fault> {
        let alone = "`by` names one field: `by = \"inputs.region\"`";
        if rates.by.trim().is_empty() {
            return Err(Fault::new(0..rates.by.len(), alone));
        }
        let parsed = parse(&rates.by)?;
        let (Node::Field(_), [path]) = (&parsed.root.node, &parsed.paths[..]) else {
            return Err(Fault::new(parsed.root.at, alone));
        };
        if path.parts == ["event", "duration"] {
            return Err(Fault::new(path.at.clone(), format!("this is a time: {WANTED}")));
        }
        let rate = |text: &str| rates.values.iter().find(|known| known.value == text).map(|known| known.rate);
        Ok(Self {
            path: path.clone(),
            texts: rates.values.iter().map(|known| (known.value.clone(), known.rate)).collect(),
            integers: rates
                .values
                .iter()
                .filter_map(|known| Some((integer(&known.value)?, known.rate)))
                .collect(),
            bools: [rate("false"), rate("true")],
            others: rates.others,
        })
    }

    /// Checks the field, and that it can have the values, against a schema. Fails with a fault of `by`, or with one at a place of the whole text.
    pub(crate) fn check(&self, rates: &RatesByValue, schema: &Schema) -> Result<(), StrataFault> {
        let types = crate::check::type_of_field(&self.path, Some(schema)).map_err(StrataFault::Field)?;
        let Some((place, depth)) = place_of(schema, &self.path.parts) else { return Ok(()) };
        if depth < self.path.parts.len() || types == crate::check::Type::Text {
            return Ok(());
        }
        let field_type = &schema.fields()[place].field_type;
        let (fits, wanted): (fn(&str) -> bool, _) = match field_type {
            FieldType::Bool => (|text| matches!(text, "true" | "false"), "it is `true` or `false`"),
            FieldType::Integer(_) => (|text| integer(text).is_some(), "it is an integer: write it as `3`"),
            FieldType::Null => return Ok(()),
            other => {
                let what = format!("`{}` is of type `{other}`: {WANTED}", self.path.shown());
                return Err(StrataFault::Field(Fault::new(self.path.at.clone(), what)));
            }
        };
        match rates.values.iter().find(|known| !fits(&known.value)) {
            Some(known) => {
                let what = format!("`{}` is never `{}`: {wanted}", self.path.shown(), known.value);
                Err(StrataFault::Value(known.at.clone(), what))
            }
            None => Ok(()),
        }
    }

    /// Where the field stands in records of a schema.
    pub(crate) fn slot(&self, schema: &Schema) -> Option<Slot> {
        Slot::find(&self.path, schema)
    }

    /// The rate for a record.
    pub(crate) fn rate<'a>(&self, slot: &Option<Slot>, field: impl Fn(usize) -> &'a [u8]) -> f64 {
        let known = match (InRecord { slots: std::slice::from_ref(slot), field }).value_at(0) {
            Some(Value::Text(text)) => self.texts.get(text).copied(),
            Some(Value::Integer(integer)) => self.integers.get(&integer).copied(),
            Some(Value::Bool(bool)) => self.bools[usize::from(bool)],
            _ => None,
        };
        known.unwrap_or(self.others)
    }
}

/// What is wrong with rates by value, and where.
pub(crate) enum StrataFault {
    /// The field: a place in `by`.
    Field(Fault),
    /// A value: a place in the policy's text.
    Value(Range<usize>, String),
}

impl StrataFault {
    pub(crate) fn told(self, source: &str, rates: &RatesByValue, rule: &str, model: &str) -> PolicyError {
        match self {
            Self::Field(fault) => {
                let line = crate::error::line_of(source, rates.by_at.start);
                PolicyError::in_condition(line, rule, model, &rates.by, &fault)
            }
            Self::Value(at, what) => {
                PolicyError::in_text(source, at, format!("rule `{rule}` of `{model}`: {what}"))
            }
        }
    }
}

/// An integer as one writes it: `7`, not `007`.
fn integer(text: &str) -> Option<i128> {
    text.parse().ok().filter(|integer: &i128| integer.to_string() == text)
}
