//! What features added over many decisions. Edge: gathers; bounded by how many decisions it is given.

use std::collections::HashMap;

use minutebook_record::Value;

use crate::explained::Explained;
use crate::opened::Opened;

/// A feature in one decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// What it added.
    pub value: f64,
    /// Its own value, when it is an input that is a number.
    pub input: Option<f64>,
}

/// A feature in all decisions.
#[derive(Debug, Clone)]
pub struct Importance {
    /// The feature.
    pub name: String,
    /// Mean magnitude of what it added, over all decisions that are explained: where it is not named it added nothing.
    pub mean: f64,
    /// What it added in each decision that names it, in the order of the decisions.
    pub points: Vec<Point>,
}

/// The attributions of many decisions.
#[derive(Debug, Default)]
pub struct Summary {
    /// Decisions whose attributions are in it.
    pub decisions: u64,
    /// Attributions that are no finite numbers, and are left out.
    pub left_out: u64,
    places: HashMap<String, usize>,
    features: Vec<(String, Vec<Point>)>,
}

impl Summary {
    /// Adds a decision's; without attributions nothing.
    pub fn add(&mut self, explained: &Explained, decided: &Opened) {
        let Some(shares) = explained.shares.as_ref().filter(|shares| !shares.is_empty()) else { return };
        self.decisions += 1;
        for share in shares {
            if !share.value.is_finite() {
                self.left_out += 1;
                continue;
            }
            let place = match self.places.get(&share.name) {
                Some(place) => *place,
                None => {
                    self.places.insert(share.name.clone(), self.features.len());
                    self.features.push((share.name.clone(), Vec::new()));
                    self.features.len() - 1
                }
            };
            let input = share.input.and_then(|place| number(decided, place));
            self.features[place].1.push(Point { value: share.value, input });
        }
    }

    /// The features, those with the largest mean magnitude first, those of the same in the order in which they came.
    pub fn ranked(self) -> Vec<Importance> {
        let decisions = self.decisions.max(1) as f64;
        let importance = |(name, points): (String, Vec<Point>)| {
            // Divided first: the sum of finite numbers need not be finite.
            let mean = points.iter().map(|point| point.value.abs() / decisions).sum();
            Importance { name, mean, points }
        };
        let mut ranked: Vec<_> = self.features.into_iter().map(importance).collect();
        ranked.sort_by(|a, b| b.mean.total_cmp(&a.mean));
        ranked
    }
}

fn number(decided: &Opened, place: usize) -> Option<f64> {
    let field = decided.schema.fields().get(place)?;
    let number = match Value::decode(&field.field_type, decided.value_at(place)?).ok()? {
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Integer(value) => value.get() as f64,
        Value::Float(value) => value,
        Value::Decimal { exponent, mantissa } => mantissa.get() as f64 * 10f64.powi(exponent),
        _ => return None,
    };
    number.is_finite().then_some(number)
}
