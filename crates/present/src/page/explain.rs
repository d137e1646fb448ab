//! What explains a decision, or many: each explanation with its bars and reasons; features by how much they add as a rule.

use std::fmt::Write;

use minutebook_record::RecordId;
use minutebook_record::fields::{Event, ModelRef};

use super::explained::{Row, bars, counterfactuals, headline, reasons, table, without_attributions};
use super::{Look, bold, dim, moment, record, words};
use crate::explained::{Explained, Share};
use crate::opened::Opened;
use crate::summary::Importance;

/// A decision with what explains it: `explained` are explanations with the records that hold them, each shown with at most `most` features.
pub fn explanations(
    look: &Look,
    decided: &Opened,
    explained: &[(Explained, &Opened)],
    most: usize,
) -> String {
    let mut out = String::new();
    record::headline(&mut out, look, decided);
    if let Some(model) = decided.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten()) {
        let (name, version) = (words::shown(look, &model.name), words::shown(look, &model.version));
        let _ = writeln!(out, "by {name} {version}");
    }
    record::fields(&mut out, look, decided, "outputs", "outputs");
    for (one, record) in explained {
        out.push('\n');
        headline(&mut out, look, one);
        if one.record != decided.header.id {
            let _ = writeln!(out, "  {}", dim(&recorded(look, record)));
        }
        if one.shares.is_none() {
            let _ = writeln!(out, "  {}", without_attributions(record));
        }
        bars(&mut out, look, one, most, &|share| with_value(look, decided, share));
        reasons(&mut out, look, record);
        counterfactuals(&mut out, look, record);
    }
    out
}

/// When a record of its own was made, and which it is.
fn recorded(look: &Look, record: &Opened) -> String {
    let id: RecordId = record.header.id;
    let event = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten());
    match event {
        Some(event) => format!("recorded {} as {id}", moment::short(look, event.time_ns)),
        None => format!("recorded as {id}"),
    }
}

fn with_value(look: &Look, decided: &Opened, share: &Share) -> String {
    let name = words::shown(look, &share.name);
    let value = share.input.and_then(|place| {
        let field_type = &decided.schema.fields().get(place)?.field_type;
        Some(words::brief(look, field_type, decided.value_at(place)?))
    });
    value.map_or(name.clone(), |value| format!("{name} = {value}"))
}

/// The features of many decisions, those with the largest mean magnitude first; `title` and `told` say which decisions.
pub fn importance(look: &Look, ranked: &[Importance], title: &str, told: &[String], most: usize) -> String {
    let mut out = format!("{}\n", bold(&words::shown(look, title)));
    told.iter().for_each(|line| {
        let _ = writeln!(out, "{}", words::shown(look, line));
    });
    let _ = writeln!(out, "\n{}", bold("mean magnitude of what each feature added"));
    let (shown, others) = ranked.split_at(ranked.len().min(most));
    let row = |name: String, mean: f64| Row::bar(name, words::rounded(mean), mean);
    let mut rows: Vec<Row> =
        shown.iter().map(|feature| row(words::shown(look, &feature.name), feature.mean)).collect();
    if !others.is_empty() {
        let name = words::counted(others.len() as u64, "other feature", "other features");
        rows.push(row(name, others.iter().map(|feature| feature.mean).sum()));
    }
    table(&mut out, look, &rows);
    out
}
