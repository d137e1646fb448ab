//! One output of an explanation, as pages and plots show it: what each feature added, from which base value, and what is left over. Edge:
//! takes a record apart; layout is theirs.

use minutebook_record::fields::{Attributions, ExplanationMeta, Floats, ModelRef, Space};
use minutebook_record::{RecordId, Value};

use crate::json;
use crate::opened::Opened;

/// What a feature added.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The feature, as the explanation calls it.
    pub name: String,
    /// Its attribution; not a number where the explanation has none.
    pub value: f64,
    /// The place of its value in the schema of the record that was decided, when it is an input.
    pub input: Option<usize>,
}

/// An explanation, or one of the outputs that it explains.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The record that holds it.
    pub record: RecordId,
    /// The model's name and version, where the record says them.
    pub model: Option<(String, String)>,
    /// How it was computed.
    pub meta: Option<ExplanationMeta>,
    /// In the order of the record; `None` when it has no attributions, or they are masked.
    pub shares: Option<Vec<Share>>,
    /// The place of the output, from 0.
    pub output: usize,
    /// How many are explained.
    pub outputs: usize,
    /// The base value.
    pub base: Option<f64>,
    /// Base value + sum of the attributions − output.
    pub residual: Option<f64>,
}

/// An output was asked for that is not explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchOutput {
    /// How many there are.
    pub outputs: usize,
    /// Their names, where the explanation has them.
    pub names: Vec<String>,
}

/// The parameter in which an explanation keeps the names of several outputs.
const OUTPUT_NAMES: &str = "outputs";

impl Explained {
    /// The explanation that a record holds, if it does. `decided` is the record that was decided, whose inputs the features are; `of` a place
    /// or name of the output, else the one that the explanation is said to be for, or the first.
    ///
    /// # Errors
    ///
    /// When there is no output `of`.
    pub fn of(record: &Opened, decided: &Opened, of: Option<&str>) -> Result<Option<Self>, NoSuchOutput> {
        let meta = record
            .value(&["explanation", "meta"])
            .and_then(|value| ExplanationMeta::decode(value).ok().flatten());
        let attributions = record
            .value(&["explanation", "attributions"])
            .and_then(|value| Attributions::decode(value).ok().flatten());
        if meta.is_none() && attributions.is_none() {
            return Ok(None);
        }
        let width = attributions
            .as_ref()
            .map_or(1, |attributions| attributions.tensor.shape.get(1).copied().unwrap_or(1));
        let outputs = usize::try_from(width).unwrap_or(1);
        let output = place(meta.as_ref(), outputs, of)?;
        let shares = attributions.map(|attributions| shares(record, decided, &attributions, output));
        let model = |record: &Opened| {
            record.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten())
        };
        Ok(Some(Self {
            record: record.header.id,
            model: model(record).or_else(|| model(decided)).map(|model| (model.name, model.version)),
            shares,
            output,
            outputs,
            base: meta.as_ref().and_then(|meta| nth(meta.base.as_ref(), output)),
            residual: meta.as_ref().and_then(|meta| nth(meta.residual.as_ref(), output)),
            meta,
        }))
    }

    /// Sum of the attributions.
    pub fn sum(&self) -> f64 {
        self.shares.iter().flatten().map(|share| share.value).sum()
    }

    /// What is explained, where that is said: a class by its name or number, or the name of an output.
    pub fn class(&self) -> Option<String> {
        let meta = self.meta.as_ref()?;
        class_name(meta).or_else(|| names(meta, self.outputs).into_iter().nth(self.output))
    }

    /// The space in which it adds up.
    pub fn space(&self) -> Option<Space> {
        self.meta.as_ref().and_then(|meta| meta.space)
    }
}

fn place(meta: Option<&ExplanationMeta>, outputs: usize, of: Option<&str>) -> Result<usize, NoSuchOutput> {
    let class = meta.map(|meta| &meta.class);
    let Some(wanted) = of else {
        return Ok(match class {
            Some(Value::Integer(class)) => {
                usize::try_from(class.get()).ok().filter(|class| *class < outputs).unwrap_or(0)
            }
            _ => 0,
        });
    };
    let names = meta.map_or(Vec::new(), |meta| names(meta, outputs));
    let is_class = outputs == 1 && meta.and_then(class_name).is_some_and(|class| class == wanted);
    let found = match names.iter().position(|name| name == wanted) {
        _ if is_class => Some(0),
        None => wanted.parse().ok().filter(|place| *place < outputs),
        found => found,
    };
    found.ok_or(NoSuchOutput { outputs, names })
}

fn class_name(meta: &ExplanationMeta) -> Option<String> {
    match &meta.class {
        Value::Null => None,
        Value::Text(class) => Some(class.clone()),
        class => Some(json::value(class).to_string()),
    }
}

fn names(meta: &ExplanationMeta, outputs: usize) -> Vec<String> {
    let Some(Value::List(names)) = meta.parameters.get(OUTPUT_NAMES) else { return Vec::new() };
    let names: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if names.len() == outputs { names } else { Vec::new() }
}

fn shares(record: &Opened, decided: &Opened, attributions: &Attributions, output: usize) -> Vec<Share> {
    let features = attributions.features_of(&record.schema).unwrap_or_default();
    let rows = json::attribution_rows(attributions);
    let share = |(place, row): (usize, &Vec<f64>)| {
        let name = features.get(place).map_or_else(|| format!("feature {place}"), json::feature_name);
        Share {
            value: row.get(output).copied().unwrap_or(f64::NAN),
            input: decided.schema.find_parts(&["inputs", &name]),
            name,
        }
    };
    rows.iter().enumerate().map(share).collect()
}

fn nth(floats: Option<&Floats>, output: usize) -> Option<f64> {
    match floats? {
        Floats::One(value) => Some(*value),
        Floats::Each(values) => values.get(output).copied(),
    }
}

/// The weightiest first, at most `most` of them, and the sum of the others with their number. What is no number comes first: somebody should
/// see it.
pub(crate) fn weightiest(shares: &[Share], most: usize) -> (Vec<&Share>, Option<(usize, f64)>) {
    let weight = |share: &&Share| if share.value.is_nan() { f64::INFINITY } else { share.value.abs() };
    let mut order: Vec<&Share> = shares.iter().collect();
    order.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let rest = order.split_off(order.len().min(most));
    let others = (!rest.is_empty()).then(|| (rest.len(), rest.iter().map(|share| share.value).sum()));
    (order, others)
}
