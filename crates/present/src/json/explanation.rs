//! `explanation`: attributions, how they were computed, and what stands beside them. Edge: does not add anything up; what is given is
//! what is stored.

use minutebook_record::fields::{Attributions, ExplanationMeta, Feature, Floats, Space, When};
use minutebook_record::{Element, FieldType, Map, Tensor, Value, cbor};

use super::member::{
    array, float, integer, members, object, optional, required, sha256, text, twice, unsigned,
};
use super::problem::{Problem, Within};
use super::tree::Tree;
use super::value;
use crate::reasons::{COUNTERFACTUALS, REASONS, Reason};

pub(crate) struct Explanation {
    pub(crate) attributions: Option<Attributions>,
    pub(crate) meta: ExplanationMeta,
    /// Encoded lists.
    pub(crate) reasons: Option<Vec<u8>>,
    pub(crate) counterfactuals: Option<Vec<u8>>,
}

const MEMBERS: [&str; 14] = [
    "attributions",
    "method",
    "library",
    "parameters",
    "seed",
    "background",
    "space",
    "class",
    "base",
    "residual",
    "when",
    "duration_ns",
    REASONS,
    COUNTERFACTUALS,
];

/// Reads the object; `inputs` is the record's, whose order the attributions take when they are for exactly
/// these.
pub(crate) fn read(tree: &Tree<'_>, inputs: Option<&Tree<'_>>) -> Result<Explanation, Problem> {
    let [
        attributions,
        method,
        library,
        parameters,
        seed,
        background,
        space,
        class,
        base,
        residual,
        when,
        duration,
        reasons,
        counterfactuals,
    ] = members(tree, &MEMBERS)?;
    let method = text(required(method, "method")?).within("method")?.to_owned();
    let meta = ExplanationMeta {
        method,
        library: optional(library, "library", text)?.unwrap_or_default().to_owned(),
        parameters: optional(parameters, "parameters", read_map)?.unwrap_or_default(),
        seed: optional(seed, "seed", integer)?,
        background: optional(background, "background", sha256)?,
        space: optional(space, "space", read_space)?,
        class: optional(class, "class", read_value)?.unwrap_or(Value::Null),
        base: optional(base, "base", read_floats)?,
        residual: optional(residual, "residual", read_floats)?,
        when: optional(when, "when", read_when)?.unwrap_or(When::Inline),
        duration_ns: optional(duration, "duration_ns", unsigned)?,
    };
    let attributions = optional(attributions, "attributions", |tree| read_attributions(tree, inputs))?;
    Ok(Explanation {
        attributions,
        meta,
        reasons: optional(reasons, REASONS, read_reasons)?,
        counterfactuals: optional(counterfactuals, COUNTERFACTUALS, read_counterfactuals)?,
    })
}

fn read_reasons(tree: &Tree<'_>) -> Result<Vec<u8>, Problem> {
    let items = array(tree)?;
    let each = |(place, item)| read_reason(item).within_item(place).map(|reason| reason.to_value());
    let reasons = items.iter().enumerate().map(each).collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    Value::List(reasons).write(&mut out);
    Ok(out)
}

fn read_reason(tree: &Tree<'_>) -> Result<Reason, Problem> {
    let [features, attribution, words, code] = members(tree, &["features", "attribution", "text", "code"])?;
    let features = array(required(features, "features")?).within("features")?;
    let each = |(place, item)| text(item).within_item(place).map(str::to_owned);
    Ok(Reason {
        features: features.iter().enumerate().map(each).collect::<Result<_, _>>().within("features")?,
        attribution: float(required(attribution, "attribution")?).within("attribution")?,
        text: optional(words, "text", text)?.map(str::to_owned),
        code: optional(code, "code", text)?.map(str::to_owned),
    })
}

fn read_counterfactuals(tree: &Tree<'_>) -> Result<Vec<u8>, Problem> {
    let items = array(tree)?;
    let mut out = Vec::new();
    cbor::write_array(&mut out, items.len() as u64);
    for (place, item) in items.iter().enumerate() {
        value::write_map_field(item, &mut out).within_item(place)?;
    }
    Ok(out)
}

fn read_space(tree: &Tree<'_>) -> Result<Space, Problem> {
    Space::from_name(text(tree)?).ok_or_else(|| Problem::new("expected `raw`, `log-odds` or `probability`"))
}

fn read_when(tree: &Tree<'_>) -> Result<When, Problem> {
    match text(tree)? {
        "inline" => Ok(When::Inline),
        "later" => Ok(When::Later),
        _ => Err(Problem::new("expected `inline` or `later`")),
    }
}

fn read_floats(tree: &Tree<'_>) -> Result<Floats, Problem> {
    match tree {
        Tree::Array(items) => {
            let each = |(place, item)| float(item).within_item(place);
            items.iter().enumerate().map(each).collect::<Result<_, _>>().map(Floats::Each)
        }
        one => float(one).map(Floats::One),
    }
}

fn read_value(tree: &Tree<'_>) -> Result<Value, Problem> {
    let mut encoded = Vec::new();
    let field_type = value::write_field(tree, &mut encoded)?;
    decode(&field_type, &encoded)
}

fn read_map(tree: &Tree<'_>) -> Result<Map, Problem> {
    let mut encoded = Vec::new();
    value::write_map_field(tree, &mut encoded)?;
    match decode(&FieldType::Map, &encoded)? {
        Value::Map(map) => Ok(map),
        _ => Err(Problem::new("expected an object")),
    }
}

fn decode(field_type: &FieldType, encoded: &[u8]) -> Result<Value, Problem> {
    Value::decode(field_type, encoded).map_err(|error| Problem::new(error.fault.to_string()))
}

fn read_attributions(tree: &Tree<'_>, inputs: Option<&Tree<'_>>) -> Result<Attributions, Problem> {
    let given = named(tree)?;
    let order = match inputs {
        Some(Tree::Object(inputs)) => in_order_of(&given, inputs.iter().map(|(name, _)| &**name)),
        _ => None,
    };
    let features = match order {
        Some(_) => None,
        None => Some(given.iter().map(|(name, _)| Feature::Name((*name).to_owned())).collect()),
    };
    let ordered = order.unwrap_or_else(|| (0..given.len()).collect());
    let width = match given.first() {
        Some((_, Tree::Array(row))) => Some(row.len()),
        _ => None,
    };
    let mut data = Vec::with_capacity(8 * given.len());
    for place in ordered {
        let (name, value) = given[place];
        write_row(value, width, &mut data).within(name)?;
    }
    let shape = [given.len() as u64].into_iter().chain(width.map(|width| width as u64)).collect();
    Ok(Attributions { features, tensor: Tensor { element: Element::F64, shape, data } })
}

fn write_row(value: &Tree<'_>, width: Option<usize>, data: &mut Vec<u8>) -> Result<(), Problem> {
    match (value, width) {
        (Tree::Array(row), Some(width)) if row.len() == width => {
            for (place, item) in row.iter().enumerate() {
                data.extend_from_slice(&float(item).within_item(place)?.to_le_bytes());
            }
            Ok(())
        }
        (Tree::Array(_), _) | (_, Some(_)) => {
            Err(Problem::new("every feature has a number, or each as many as the first"))
        }
        (one, None) => {
            data.extend_from_slice(&float(one)?.to_le_bytes());
            Ok(())
        }
    }
}

/// Name and value of each attribution: of an object, or of an array of pairs, in which a name may be there
/// twice.
fn named<'t>(tree: &'t Tree<'_>) -> Result<Vec<(&'t str, &'t Tree<'t>)>, Problem> {
    if let Tree::Array(items) = tree {
        let pair = |(place, item): (usize, &'t Tree<'_>)| match array(item).within_item(place)? {
            [name, value] => Ok((text(name).within_item(0).within_item(place)?, value)),
            _ => Err(Problem::new("expected a name and a value").within_item(place)),
        };
        return items.iter().enumerate().map(pair).collect();
    }
    let given: Vec<(&str, &Tree<'_>)> = object(tree)?.iter().map(|(name, value)| (&**name, value)).collect();
    let mut names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(twice().within(two[0])),
        None => Ok(given),
    }
}

/// For each of `names` the place among `given`, when the two have exactly the same names.
fn in_order_of<'n>(
    given: &[(&str, &Tree<'_>)],
    names: impl Iterator<Item = &'n str> + Clone,
) -> Option<Vec<usize>> {
    // As a rule they come in the same order.
    if given.iter().map(|(name, _)| *name).eq(names.clone()) {
        return Some((0..given.len()).collect());
    }
    let mut sorted: Vec<(&str, usize)> =
        given.iter().zip(0..).map(|((name, _), place)| (*name, place)).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|two| two[0].0 == two[1].0) {
        return None;
    }
    let places: Option<Vec<usize>> = names
        .map(|name| sorted.binary_search_by_key(&name, |(name, _)| name).ok().map(|found| sorted[found].1))
        .collect();
    places.filter(|places| places.len() == given.len())
}
