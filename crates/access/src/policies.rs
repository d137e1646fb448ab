//! The text of policies made ready to be evaluated: parsed, named, held against the schema. Edge: says what is wrong with a text; decides nothing.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::OnceLock;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use crate::error::AccessError;
use crate::limits::POLICIES_MAX;
use crate::settings::Settings;

/// What the roles may do when nobody says otherwise.
pub const DEFAULT: &str = include_str!("default.cedar");
const SCHEMA: &str = include_str!("schema.cedarschema");

/// The schema of all policies.
fn schema() -> &'static Schema {
    static READ: OnceLock<Schema> = OnceLock::new();
    // INVARIANT: a text of this crate, which its tests read.
    READ.get_or_init(|| Schema::from_cedarschema_str(SCHEMA).expect("our schema").0)
}

/// The policies that settings put in force.
///
/// # Errors
/// What is wrong with those of the operator, with the line of the settings.
pub fn in_force(settings: &Settings) -> Result<PolicySet, AccessError> {
    let mut all = Vec::new();
    if settings.has_defaults {
        all.extend(named(DEFAULT, 1)?);
    }
    if let Some((text, line)) = &settings.policies {
        let own = named(text, *line)?;
        if own.len() > POLICIES_MAX {
            return Err(AccessError::new(format!("at most {POLICIES_MAX} policies")));
        }
        let mut ids: BTreeSet<PolicyId> = all.iter().map(|policy| policy.id().clone()).collect();
        for policy in &own {
            if !ids.insert(policy.id().clone()) {
                let what = format!("there are two policies with the id `{}`: give each its own", policy.id());
                return Err(AccessError::new(what));
            }
        }
        all.extend(own);
    }
    PolicySet::from_policies(all).map_err(|error| AccessError::new(error.to_string()))
}

/// Policies by their ids, each of which has to have one.
fn named(text: &str, first_line: usize) -> Result<Vec<Policy>, AccessError> {
    let set = PolicySet::from_str(text).map_err(|errors| match errors.iter().next() {
        Some(error) => told(error, text, first_line),
        None => AccessError::at(first_line, errors.to_string()),
    })?;
    if set.templates().next().is_some() {
        return Err(AccessError::at(first_line, "a policy has a slot (`?principal`): name the role instead"));
    }
    let checked = Validator::new(schema().clone()).validate(&set, ValidationMode::Strict);
    if let Some(error) = checked.validation_errors().next() {
        return Err(told(error, text, first_line));
    }
    let named = set.policies().map(|policy| match policy.annotation("id") {
        Some(id) if !id.is_empty() => Ok(policy.new_id(PolicyId::new(id))),
        _ => Err(AccessError::at(
            first_line,
            "a policy has no name, by which answers tell what decided: write `@id(\"…\")` in front of it",
        )),
    });
    named.collect()
}

/// What Cedar says, with the line where it says it of.
fn told<E: Diagnostic>(error: &E, text: &str, first_line: usize) -> AccessError {
    let mut what = error.to_string();
    if let Some(help) = error.help() {
        what = format!("{what} ({help})");
    }
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let lines = offset.map_or(0, |offset| {
        text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
    });
    AccessError::at(first_line + lines, what)
}
