//! The explanation of a decision: attributions as bars, the largest first, and what they add up to; reasons in words; counterfactuals.

use std::fmt::Write;

use minutebook_record::fields::When;
use minutebook_record::{Map, Value};

use super::bars::Scale;
use super::{Look, bold, dim, hanging, words};
use crate::explained::{Explained, Share, weightiest};
use crate::opened::Opened;
use crate::reasons::{self, COUNTERFACTUALS, REASONS, Reason};

/// Features that are shown one by one; the rest is summed up.
const FEATURES_SHOWN: usize = 20;

/// Columns of the bars where nothing limits them.
const BAR_COLUMNS: usize = 41;

/// Appends the explanation, if there is one.
pub(super) fn explanation(out: &mut String, look: &Look, record: &Opened) {
    let Ok(Some(explained)) = Explained::of(record, record, None) else { return };
    out.push('\n');
    headline(out, look, &explained);
    if explained.shares.is_none() {
        let _ = writeln!(out, "  {}", without_attributions(record));
    }
    bars(out, look, &explained, FEATURES_SHOWN, &|share| words::shown(look, &share.name));
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

/// Why an explanation has no bars.
pub(super) fn without_attributions(record: &Opened) -> &'static str {
    match record.schema.find_parts(&["explanation", "attributions"]) {
        Some(place) if record.schema.fields()[place].field_type.is_redacted() => {
            "attributions left out at the source: they betray what was redacted"
        }
        Some(_) => "attributions masked",
        None => "without attributions",
    }
}

/// Appends what it is and how it was computed.
pub(super) fn headline(out: &mut String, look: &Look, explained: &Explained) {
    let mut parts = Vec::new();
    if let Some(meta) = &explained.meta {
        parts.push(words::shown(look, &meta.method));
        if !meta.library.is_empty() {
            parts.push(words::shown(look, &meta.library));
        }
    }
    parts.extend(explained.space().map(|space| format!("in {}", space.name())));
    parts.extend(explained.class().map(|class| format!("for {}", words::shown(look, &class))));
    if explained.meta.as_ref().is_some_and(|meta| meta.when == When::Later) {
        parts.push("computed later".into());
    }
    if explained.outputs > 1 {
        parts.push(format!("output {} of 0 to {}", explained.output, explained.outputs - 1));
    }
    out.push_str(&bold("explanation"));
    if !parts.is_empty() {
        out.push_str(&dim(&format!("  {}", parts.join(", "))));
    }
    out.push('\n');
}

/// Appends the weightiest attributions as bars, under the name that `name` gives them, and what all of them add up to.
pub(super) fn bars(
    out: &mut String,
    look: &Look,
    explained: &Explained,
    most: usize,
    name: &dyn Fn(&Share) -> String,
) {
    let Some(shares) = &explained.shares else { return };
    let (shown, others) = weightiest(shares, most);
    let mut rows: Vec<Row> =
        shown.iter().map(|share| Row::bar(name(share), signed(share.value), share.value)).collect();
    if let Some((count, sum)) = others {
        let name = words::counted(count as u64, "other feature", "other features");
        rows.push(Row::bar(name, signed(sum), sum));
    }
    let sum = explained.sum();
    rows.push(Row::sum("sum", sum));
    if let Some(base) = explained.base {
        rows.push(Row::sum("base value", base));
        rows.push(Row::sum("base value + sum", base + sum));
    }
    rows.extend(explained.residual.map(|residual| Row::sum("residual", residual)));
    table(out, look, &rows);
}

/// A line of a table of bars: one with a bar, or below all of them one without.
pub(super) struct Row {
    name: String,
    number: String,
    bar: Option<f64>,
}

impl Row {
    pub(super) fn bar(name: String, number: String, bar: f64) -> Self {
        Self { name, number, bar: Some(bar) }
    }

    fn sum(name: &str, value: f64) -> Self {
        Self { name: name.into(), number: signed(value), bar: None }
    }
}

/// Appends the rows, those without bars below a rule.
pub(super) fn table(out: &mut String, look: &Look, rows: &[Row]) {
    let names = rows.iter().map(|row| words::width(&row.name)).max().unwrap_or(0);
    let names = names.min(look.width.map_or(usize::MAX, |width| width / 2));
    let numbers = rows.iter().map(|row| row.number.len()).max().unwrap_or(0);
    let room = look
        .width
        .map_or(BAR_COLUMNS, |width| width.saturating_sub(names + numbers + 6).clamp(10, BAR_COLUMNS));
    let scale = Scale::new(rows.iter().filter_map(|row| row.bar), room);
    let bar_rows = rows.iter().take_while(|row| row.bar.is_some()).count();
    for (place, row) in rows.iter().enumerate() {
        if place == bar_rows {
            let rule = if look.unicode { "─" } else { "-" };
            out.push_str(&format!("  {}\n", dim(&rule.repeat(names + 2 + numbers))));
        }
        let name = words::cut(look, &row.name, names);
        let padding = " ".repeat(names - words::width(&name));
        let bar = row.bar.map_or(String::new(), |value| format!("  {}", scale.bar(look, value)));
        out.push_str(&format!("  {}{padding}  {:>numbers$}{bar}\n", dim(&name), row.number));
    }
}

pub(super) fn signed(value: f64) -> String {
    let text = words::rounded(value);
    if value > 0.0 { format!("+{text}") } else { text }
}
