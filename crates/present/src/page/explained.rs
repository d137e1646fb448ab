//! The explanation of a decision: attributions as bars, the largest first, and what they add up to; reasons in words; counterfactuals.

use std::fmt::Write;

use minutebook_record::fields::{Attributions, ExplanationMeta, Floats};
use minutebook_record::{Field, Map, Value};

use super::bars::Scale;
use super::{Look, bold, dim, hanging, words};
use crate::json;
use crate::opened::Opened;
use crate::reasons::{self, COUNTERFACTUALS, REASONS, Reason};

/// Features that are shown one by one; the rest is summed up.
const FEATURES_SHOWN: usize = 20;

/// Columns of the bars where nothing limits them.
const BAR_COLUMNS: usize = 41;

/// Appends the explanation, if there is one.
pub(super) fn explanation(out: &mut String, look: &Look, record: &Opened) {
    let meta = record
        .value(&["explanation", "meta"])
        .and_then(|value| ExplanationMeta::decode(value).ok().flatten());
    let attributions = record
        .value(&["explanation", "attributions"])
        .and_then(|value| Attributions::decode(value).ok().flatten());
    if meta.is_none() && attributions.is_none() {
        return;
    }
    let outputs = attributions
        .as_ref()
        .map_or(1, |attributions| attributions.tensor.shape.get(1).copied().unwrap_or(1));
    let outputs = usize::try_from(outputs).unwrap_or(1);
    let output = explained_output(meta.as_ref(), outputs);
    out.push('\n');
    headline(out, look, meta.as_ref(), (output, outputs));
    if let Some(attributions) = &attributions {
        bars(out, look, record, attributions, meta.as_ref(), output);
    } else if record.schema.fields().iter().any(left_out) {
        let _ = writeln!(out, "  attributions left out at the source: they betray what was redacted");
    }
}

/// Whether a field has a section of its own here.
pub(super) fn has_section(record: &Opened, path: &[&str]) -> bool {
    match path {
        ["explanation", REASONS] => reasons::reasons(record).is_some(),
        ["explanation", COUNTERFACTUALS] => reasons::counterfactuals(record).is_some(),
        _ => false,
    }
}

/// Appends the principal reasons, numbered as they weigh.
pub(super) fn reasons(out: &mut String, look: &Look, record: &Opened) {
    let lines = reasons::reasons(record).unwrap_or_default();
    numbered(out, look, "reasons", lines.iter().map(|reason| in_words(look, reason)));
}

fn in_words(look: &Look, reason: &Reason) -> String {
    let features: Vec<_> = reason.features.iter().map(|feature| words::shown(look, feature)).collect();
    let (features, added) = (features.join(" + "), signed(reason.attribution));
    let code = reason.code.as_ref().map_or(String::new(), |code| format!("{}: ", words::shown(look, code)));
    match &reason.text {
        Some(text) => format!("{code}{} ({features} {added})", words::shown(look, text)),
        None => format!("{code}{features} ({added}), without words"),
    }
}

/// Appends what would have made the answer another, with what the inputs are instead.
pub(super) fn counterfactuals(out: &mut String, look: &Look, record: &Opened) {
    let all = reasons::counterfactuals(record).unwrap_or_default();
    numbered(out, look, "counterfactuals", all.iter().map(|one| changes(look, record, one)));
}

fn changes(look: &Look, record: &Opened, counterfactual: &Map) -> String {
    let mut parts = Vec::new();
    for (feature, value) in counterfactual.iter() {
        let told = words::of_value(look, value, &value.natural_type());
        let told = format!("{} {told}", words::shown(look, feature));
        match input(look, record, feature) {
            Some((input, _)) if is_same(&input, value) => {}
            Some((_, input)) => parts.push(format!("{told} instead of {input}")),
            None => parts.push(told),
        }
    }
    if parts.is_empty() { "the inputs as they are".into() } else { parts.join(", ") }
}

/// The input of this name, and as it is shown.
fn input(look: &Look, record: &Opened, feature: &str) -> Option<(Value, String)> {
    let place = record.schema.find_parts(&["inputs", feature])?;
    let (field_type, encoded) = (&record.schema.fields()[place].field_type, record.value_at(place)?);
    Some((Value::decode(field_type, encoded).ok()?, words::value(look, field_type, encoded)))
}

/// Libraries give whole numbers as floats.
fn is_same(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Integer(value) => Some(value.get() as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    };
    a == b || number(a).is_some_and(|a| number(b) == Some(a))
}

fn numbered(out: &mut String, look: &Look, title: &str, lines: impl Iterator<Item = String>) {
    for (line, number) in lines.zip(1..) {
        if number == 1 {
            out.push_str(&format!("\n{}\n", bold(title)));
        }
        let first = format!("  {number}. ");
        hanging(out, &first, &" ".repeat(first.len()), look.prose_columns(), &line);
    }
}

fn left_out(field: &Field) -> bool {
    field.path.is(&["explanation", "attributions"]) && field.field_type.is_redacted()
}

/// Which output is shown when there are several: the one that the explanation is said to be for, else the
/// first.
fn explained_output(meta: Option<&ExplanationMeta>, outputs: usize) -> usize {
    match meta.map(|meta| &meta.class) {
        Some(Value::Integer(class)) => {
            usize::try_from(class.get()).ok().filter(|class| *class < outputs).unwrap_or(0)
        }
        _ => 0,
    }
}

fn headline(
    out: &mut String,
    look: &Look,
    meta: Option<&ExplanationMeta>,
    (output, outputs): (usize, usize),
) {
    let mut parts = Vec::new();
    if let Some(meta) = meta {
        parts.push(words::shown(look, &meta.method));
        if !meta.library.is_empty() {
            parts.push(words::shown(look, &meta.library));
        }
        if let Some(space) = meta.space {
            parts.push(format!("in {}", space.name()));
        }
        match &meta.class {
            Value::Null => {}
            Value::Text(class) => parts.push(format!("for {}", words::shown(look, class))),
            class => parts.push(format!("for {}", words::shown(look, &json::value(class).to_string()))),
        }
        if meta.when == minutebook_record::fields::When::Later {
            parts.push("computed later".into());
        }
    }
    if outputs > 1 {
        parts.push(format!("output {output} of 0 to {}", outputs - 1));
    }
    out.push_str(&bold("explanation"));
    if !parts.is_empty() {
        out.push_str(&dim(&format!("  {}", parts.join(", "))));
    }
    out.push('\n');
}

fn bars(
    out: &mut String,
    look: &Look,
    record: &Opened,
    attributions: &Attributions,
    meta: Option<&ExplanationMeta>,
    output: usize,
) {
    let values: Vec<f64> = json::attribution_rows(attributions)
        .iter()
        .map(|row| row.get(output).copied().unwrap_or(f64::NAN))
        .collect();
    let features = attributions.features_of(&record.schema).unwrap_or_default();
    let name = |place: usize| match features.get(place) {
        Some(feature) => words::shown(look, &json::feature_name(feature)),
        None => format!("feature {place}"),
    };
    let mut order: Vec<usize> = (0..values.len()).collect();
    // A number that is none comes first: somebody should see it.
    let magnitude =
        |place: &usize| if values[*place].is_nan() { f64::INFINITY } else { values[*place].abs() };
    order.sort_by(|a, b| magnitude(b).total_cmp(&magnitude(a)));
    let (shown, rest) = order.split_at(order.len().min(FEATURES_SHOWN));
    let mut rows: Vec<(String, String, Option<f64>)> =
        shown.iter().map(|place| (name(*place), signed(values[*place]), Some(values[*place]))).collect();
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|place| values[*place]).sum();
        rows.push((
            words::counted(rest.len() as u64, "other feature", "other features"),
            signed(sum),
            Some(sum),
        ));
    }
    let bar_rows = rows.len();
    let sum: f64 = values.iter().sum();
    rows.push(("sum".into(), signed(sum), None));
    let base = meta.and_then(|meta| nth(meta.base.as_ref(), output));
    if let Some(base) = base {
        rows.push(("base value".into(), signed(base), None));
        rows.push(("base value + sum".into(), signed(base + sum), None));
    }
    if let Some(residual) = meta.and_then(|meta| nth(meta.residual.as_ref(), output)) {
        rows.push(("residual".into(), signed(residual), None));
    }
    let names = rows.iter().map(|(name, ..)| words::width(name)).max().unwrap_or(0);
    let names = names.min(look.width.map_or(usize::MAX, |width| width / 2));
    let numbers = rows.iter().map(|(_, number, _)| number.len()).max().unwrap_or(0);
    let room = look
        .width
        .map_or(BAR_COLUMNS, |width| width.saturating_sub(names + numbers + 6).clamp(10, BAR_COLUMNS));
    let scale = Scale::new(rows.iter().filter_map(|(.., value)| *value), room);
    for (place, (name, number, value)) in rows.iter().enumerate() {
        if place == bar_rows {
            let rule = if look.unicode { "─" } else { "-" };
            out.push_str(&format!("  {}\n", dim(&rule.repeat(names + 2 + numbers))));
        }
        let name = words::cut(look, name, names);
        let padding = " ".repeat(names - words::width(&name));
        let bar = value.map_or(String::new(), |value| format!("  {}", scale.bar(look, value)));
        out.push_str(&format!("  {}{padding}  {number:>numbers$}{bar}\n", dim(&name)));
    }
}

fn nth(floats: Option<&Floats>, output: usize) -> Option<f64> {
    match floats? {
        Floats::One(value) => Some(*value),
        Floats::Each(values) => values.get(output).copied(),
    }
}

fn signed(value: f64) -> String {
    let text = words::rounded(value);
    if value > 0.0 { format!("+{text}") } else { text }
}
