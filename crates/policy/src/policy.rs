//! A whole policy: its text with all conditions read, and what it decides about a record. Edge: gives the rule and its rate; the draw is made by
//! whoever asks.

use crate::check::check;
use crate::error::{PolicyError, line_of};
use crate::evaluate::holds;
use crate::expression::Condition;
use crate::parse::parse;
use crate::shape::{InRecord, ShapePlan, Slot};
use crate::strata::{Strata, StrataFault};
use minutebook_record::Schema;
use minutebook_record::cbor::Reader;
use minutebook_verify::sampling::{DEFAULT_RULE, Keep, PolicyText, Rule, TextError};

/// A policy whose conditions are ready.
#[derive(Debug, Clone)]
pub struct Policy {
    source: String,
    text: PolicyText,
    /// By table and rule.
    rules: Vec<Vec<Ready>>,
}

/// A rule that was read.
#[derive(Debug, Clone)]
struct Ready {
    /// None: it always decides.
    condition: Option<Condition>,
    keep: ReadyKeep,
}

#[derive(Debug, Clone)]
enum ReadyKeep {
    Share(Share),
    ByValue(Strata),
}

/// What is to become of a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'p> {
    /// The rule that decides.
    pub rule: &'p str,
    /// How many of such are kept.
    pub share: Share,
    /// Table and rule.
    pub(crate) at: (usize, usize),
}

/// How many of the decisions are kept about which a rule decides as about this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// This part, in [0, 1], by the draw.
    Rate(f64),
    /// The first so many in each second.
    PerSecond(u32),
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it, where, and what to do.
    pub fn parse(source: &str) -> Result<Self, PolicyError> {
        let text = PolicyText::parse(source).map_err(|error| match &error {
            TextError::Content { what, at } if at.end > 0 => {
                PolicyError::in_text(source, at.clone(), what.clone())
            }
            _ => PolicyError { line: None, what: error.to_string(), place: None },
        })?;
        let mut rules = Vec::new();
        for table in &text.models {
            let model = table.names.join("`, `");
            let read = |rule: &Rule| Ready::read(source, &model, rule);
            rules.push(table.rules.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { source: source.to_owned(), text, rules })
    }

    /// The text that it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the text says.
    pub fn text(&self) -> &PolicyText {
        &self.text
    }

    /// Whether a rule keeps so many per second, so that what becomes of a decision depends on those before.
    pub fn counts(&self) -> bool {
        let mut rules = self.rules.iter().flatten();
        rules.any(|rule| matches!(rule.keep, ReadyKeep::Share(Share::PerSecond(_))))
    }

    /// Checks the rules for a model against the schema of its decisions.
    ///
    /// # Errors
    /// The first field that there is not, or that is of another type than the rule takes it for.
    pub fn check(&self, model: &str, schema: &Schema) -> Result<(), PolicyError> {
        for (table, ready) in self.text.models.iter().zip(&self.rules) {
            if !table.fits_model(model) {
                continue;
            }
            for (rule, ready) in table.rules.iter().zip(ready) {
                if let (Some(condition), Some(when)) = (&ready.condition, &rule.when) {
                    check(condition, Some(schema)).map_err(|fault| {
                        let line = line_of_condition(&self.source, rule);
                        PolicyError::in_condition(line, &rule.name, model, when, &fault)
                    })?;
                }
                if let (ReadyKeep::ByValue(strata), Keep::ByValue(rates)) = (&ready.keep, &rule.keep) {
                    strata
                        .check(rates, schema)
                        .map_err(|fault| fault.told(&self.source, rates, &rule.name, model))?;
                }
            }
        }
        Ok(())
    }

    /// Finds the fields of all conditions in records of one schema.
    pub fn plan(&self, schema: &Schema) -> ShapePlan {
        let slots = |rule: &Ready| {
            let paths = rule.condition.iter().flat_map(|condition| &condition.paths);
            paths.map(|path| Slot::find(path, schema)).collect()
        };
        let strata = |rule: &Ready| match &rule.keep {
            ReadyKeep::ByValue(strata) => strata.slot(schema),
            ReadyKeep::Share(_) => None,
        };
        let slots = self.rules.iter().map(|rules| rules.iter().map(slots).collect()).collect();
        let strata = self.rules.iter().map(|rules| rules.iter().map(strata).collect()).collect();
        ShapePlan {
            slots,
            strata,
            model: schema.find_parts(&["model"]),
            event: schema.find_parts(&["event"]),
        }
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
        for (place, (rule, ready)) in table.rules.iter().zip(&self.rules[at]).enumerate() {
            let decides = match &ready.condition {
                None => true,
                // What is unknown is not true.
                Some(condition) => {
                    let slots = &plan.slots[at][place];
                    holds(&condition.root, &InRecord { slots, field }) == Some(true)
                }
            };
            if decides {
                let share = match &ready.keep {
                    ReadyKeep::Share(share) => *share,
                    ReadyKeep::ByValue(strata) => Share::Rate(strata.rate(&plan.strata[at][place], field)),
                };
                return Some(Decision { rule: &rule.name, share, at: (at, place) });
            }
        }
        Some(Decision { rule: DEFAULT_RULE, share: Share::Rate(1.0), at: (at, table.rules.len()) })
    }
}

impl Ready {
    fn read(source: &str, model: &str, rule: &Rule) -> Result<Self, PolicyError> {
        let condition = match &rule.when {
            None => None,
            Some(when) => {
                let condition = parse(when).and_then(|condition| check(&condition, None).map(|()| condition));
                Some(condition.map_err(|fault| {
                    let line = line_of_condition(source, rule);
                    PolicyError::in_condition(line, &rule.name, model, when, &fault)
                })?)
            }
        };
        let keep = match &rule.keep {
            Keep::Rate(rate) => ReadyKeep::Share(Share::Rate(*rate)),
            Keep::PerSecond(count) => ReadyKeep::Share(Share::PerSecond(*count)),
            Keep::ByValue(rates) => {
                let strata = Strata::read(rates).map_err(StrataFault::Field);
                ReadyKeep::ByValue(strata.map_err(|fault| fault.told(source, rates, &rule.name, model))?)
            }
        };
        Ok(Self { condition, keep })
    }
}

impl ShapePlan {
    /// Place of the event in the schema.
    pub fn event(&self) -> Option<usize> {
        self.event
    }
}

/// The line on which a condition's text begins: behind three quotes TOML drops a line break.
fn line_of_condition(source: &str, rule: &Rule) -> usize {
    let line = line_of(source, rule.when_at.start);
    let quoted = source.get(rule.when_at.clone()).unwrap_or_default();
    let begins_below = ["\"\"\"\n", "'''\n"].iter().any(|quotes| quoted.starts_with(quotes));
    line + usize::from(begins_below)
}
