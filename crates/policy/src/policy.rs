//! A whole policy: its text with all conditions read, and what it decides about a record. Edge: gives the rule and its rate; the draw is made by
//! whoever asks.

use crate::check::check;
use crate::error::PolicyError;
use crate::evaluate::holds;
use crate::expression::Condition;
use crate::parse::parse;
use crate::shape::{InRecord, ShapePlan, Slot};
use minutebook_record::Schema;
use minutebook_record::cbor::Reader;
use minutebook_verify::sampling::{DEFAULT_RULE, PolicyText, Rule, TextError};

/// A policy whose conditions are ready.
#[derive(Debug, Clone)]
pub struct Policy {
    source: String,
    text: PolicyText,
    /// By table and rule; none for a rule that always decides.
    conditions: Vec<Vec<Option<Condition>>>,
}

/// What is to become of a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'p> {
    /// The rule that decides.
    pub rule: &'p str,
    /// Its rate, in [0, 1].
    pub rate: f64,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it, where, and what to do.
    pub fn parse(source: &str) -> Result<Self, PolicyError> {
        let text = PolicyText::parse(source).map_err(|error| match &error {
            TextError::Content { what, at } => {
                let line = (at.end > 0).then(|| line_of(source, at.start));
                PolicyError { line, what: what.clone(), place: None }
            }
            _ => PolicyError { line: None, what: error.to_string(), place: None },
        })?;
        let mut conditions = Vec::new();
        for table in &text.models {
            let read = |rule: &Rule| {
                let Some(when) = &rule.when else { return Ok(None) };
                let condition = parse(when).and_then(|condition| check(&condition, None).map(|()| condition));
                condition.map(Some).map_err(|fault| {
                    let line = line_of_condition(source, rule);
                    PolicyError::in_condition(line, &rule.name, &table.names.join("`, `"), when, &fault)
                })
            };
            conditions.push(table.rules.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { source: source.to_owned(), text, conditions })
    }

    /// The text that it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the text says.
    pub fn text(&self) -> &PolicyText {
        &self.text
    }

    /// Checks the rules for a model against the schema of its decisions.
    ///
    /// # Errors
    /// The first field that there is not, or that is of another type than the condition takes it for.
    pub fn check(&self, model: &str, schema: &Schema) -> Result<(), PolicyError> {
        for (table, conditions) in self.text.models.iter().zip(&self.conditions) {
            if !table.fits_model(model) {
                continue;
            }
            for (rule, condition) in table.rules.iter().zip(conditions) {
                let (Some(condition), Some(when)) = (condition, &rule.when) else { continue };
                check(condition, Some(schema)).map_err(|fault| {
                    let line = line_of_condition(&self.source, rule);
                    PolicyError::in_condition(line, &rule.name, model, when, &fault)
                })?;
            }
        }
        Ok(())
    }

    /// Finds the fields of all conditions in records of one schema.
    pub fn plan(&self, schema: &Schema) -> ShapePlan {
        let slots = |condition: &Option<Condition>| {
            let paths = condition.iter().flat_map(|condition| &condition.paths);
            paths.map(|path| Slot::find(path, schema)).collect()
        };
        let slots = self.conditions.iter().map(|rules| rules.iter().map(slots).collect()).collect();
        ShapePlan { slots, model: schema.find_parts(&["model"]), event: schema.find_parts(&["event"]) }
    }

    /// What decides about a decision; none when the policy has no rules for its model. `field` gives the encoded value at a place of the schema.
    pub fn decide<'a>(
        &'a self,
        plan: &ShapePlan,
        class: &str,
        field: impl Fn(usize) -> &'a [u8] + Copy,
    ) -> Option<Decision<'a>> {
        let model = plan.model.and_then(|place| {
            let mut reader = Reader::new(field(place));
            reader.array().ok()?;
            reader.text().ok()
        });
        let model = model.unwrap_or_default();
        let fits = |table: &minutebook_verify::sampling::ModelRules| {
            table.fits_class(class) && table.fits_model(model)
        };
        let at = self.text.models.iter().position(fits)?;
        let table = &self.text.models[at];
        if table.rules.is_empty() {
            return None;
        }
        for ((rule, condition), slots) in table.rules.iter().zip(&self.conditions[at]).zip(&plan.slots[at]) {
            let decides = match condition {
                None => true,
                // What is unknown is not true.
                Some(condition) => holds(&condition.root, &InRecord { slots, field }) == Some(true),
            };
            if decides {
                return Some(Decision { rule: &rule.name, rate: rule.rate });
            }
        }
        Some(Decision { rule: DEFAULT_RULE, rate: 1.0 })
    }
}

impl ShapePlan {
    /// Place of the event in the schema.
    pub fn event(&self) -> Option<usize> {
        self.event
    }
}

fn line_of(source: &str, at: usize) -> usize {
    source[..at.min(source.len())].matches('\n').count() + 1
}

/// The line on which a condition's text begins: behind three quotes TOML drops a line break.
fn line_of_condition(source: &str, rule: &Rule) -> usize {
    let line = line_of(source, rule.when_at.start);
    let quoted = source.get(rule.when_at.clone()).unwrap_or_default();
    let begins_below = ["\"\"\"\n", "'''\n"].iter().any(|quotes| quoted.starts_with(quotes));
    line + usize::from(begins_below)
}
