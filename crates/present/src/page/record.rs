//! One record for a person: what was asked, what was answered, why, and where it is sealed.

use std::fmt::Write;

use anstyle::AnsiColor;
use minutebook_record::fields::{Event, ModelRef, Subjects};
use minutebook_record::{FieldType, Kind, Value};
use minutebook_verify::hex;

use super::{Look, bold, coloured, dim, explained, hanging, moment, prose, table, words};
use crate::opened::{Content, Opened};

/// The page of a record.
pub fn record(look: &Look, record: &Opened) -> String {
    let mut out = String::new();
    headline(&mut out, look, record);
    match &record.content {
        Content::Readable(values) => {
            about(&mut out, look, record);
            for group in ["inputs", "outputs"] {
                fields(&mut out, look, record, group, group);
            }
            explained::explanation(&mut out, look, record);
            explained::reasons(&mut out, look, record);
            explained::counterfactuals(&mut out, look, record);
            let kind = record.header.kind;
            if !matches!(kind, Kind::Decision) {
                fields(&mut out, look, record, kind.name(), kind.name());
            }
            if let Some(window) = crate::stats::window_of(record) {
                super::stats::distributions(&mut out, look, &window);
            }
            for name in ["params", "tags", "environment"] {
                map(&mut out, look, record, name);
            }
            others(&mut out, look, record);
            links(&mut out, record);
            masked(&mut out, look, record, values);
        }
        Content::Erased => erased(&mut out, look, record),
        Content::NoKey => no_key(&mut out, look, record),
    }
    seal(&mut out, look, record);
    out
}

pub(super) fn headline(out: &mut String, look: &Look, record: &Opened) {
    let header = &record.header;
    let _ = writeln!(out, "{} {}", bold(header.kind.name()), bold(&header.id.to_string()));
    let event = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten());
    match event {
        Some(event) => {
            out.push_str(&moment::full(look, event.time_ns));
            if let Some(error) = event.clock_error_ns {
                let _ = write!(out, " {}", look.plain(&dim(&format!("within {}", moment::duration(error)))));
            }
            out.push('\n');
            let mut parts = Vec::new();
            if event.status == "ok" {
                parts.push(coloured(AnsiColor::Green, "ok"));
            } else {
                parts.push(coloured(AnsiColor::Red, &words::shown(look, &event.status)));
            }
            parts.extend(event.duration_ns.map(|ns| look.plain(&format!("took {}", moment::duration(ns)))));
            parts.extend(event.batch.map(|batch| {
                format!("row {} of {} of call {}", batch.row, words::count(batch.rows), hex(&batch.call))
            }));
            parts.extend(event.kept.map(|kept| {
                let rate = kept.rate.map_or_else(String::new, |rate| format!(" at rate {rate}"));
                format!("kept by {}{rate}", words::shown(look, &kept.rule))
            }));
            let _ = writeln!(out, "{}", parts.join(", "));
        }
        // Without the event, the id still tells the time to the millisecond.
        None => {
            let ns = i64::try_from(header.id.unix_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            let _ = writeln!(out, "{} {}", moment::full(look, ns), dim("by its id"));
        }
    }
}

fn about(out: &mut String, look: &Look, record: &Opened) {
    let mut pairs = Vec::new();
    let mut push = |name: &str, value: String| pairs.push((name.to_owned(), value));
    if let Some(model) = record.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten()) {
        push("model", format!("{} {}", words::shown(look, &model.name), words::shown(look, &model.version)));
        push(
            "",
            model
                .artifact
                .map_or_else(|| "artifact unknown".into(), |digest| format!("sha256:{}", hex(&digest))),
        );
    }
    if let Some(Subjects(subjects)) =
        record.value(&["subject"]).and_then(|value| Subjects::decode(value).ok().flatten())
    {
        push("subject", subjects.iter().map(|one| words::shown(look, one)).collect::<Vec<_>>().join(", "));
    }
    if let Some(actor) = record.value(&["actor"]) {
        push("actor", words::value(look, &FieldType::Text, actor));
    }
    push("class", record.header.class.to_string());
    let header = &record.header;
    push(
        "producer",
        format!("{} epoch {} number {}", header.producer, header.epoch, words::count(header.seq.get())),
    );
    if let Some(event) = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten()) {
        if let Some(trace) = event.trace {
            push(
                "trace",
                format!(
                    "{}{}",
                    hex(&trace),
                    event.span.map_or(String::new(), |span| format!(" span {}", hex(&span)))
                ),
            );
        } else if let Some(span) = event.span {
            push("span", hex(&span));
        }
    }
    out.push('\n');
    table::pairs(out, look, "", &pairs);
}

/// The fields below a first text.
pub(super) fn fields(out: &mut String, look: &Look, record: &Opened, first: &str, title: &str) {
    section(out, look, title, &below(look, record, first));
}

fn below(look: &Look, record: &Opened, first: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (place, field) in record.schema.fields().iter().enumerate() {
        let parts: Vec<&str> = field.path.parts().collect();
        if parts.len() < 2
            || parts[0] != first
            || is_system(&parts)
            || explained::has_section(record, &parts)
            || (parts == ["window", "features"] && crate::stats::window_of(record).is_some())
        {
            continue;
        }
        let name = parts[1..].iter().map(|part| words::shown(look, part)).collect::<Vec<_>>().join(" / ");
        let value = match record.value_at(place) {
            Some(value) => words::value(look, &field.field_type, value),
            None => "(masked)".into(),
        };
        pairs.push((name, value));
    }
    pairs
}

fn section(out: &mut String, look: &Look, title: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", bold(title));
    table::pairs(out, look, "  ", pairs);
}

fn is_system(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["event" | "model" | "params" | "subject" | "actor" | "tags" | "environment"]
            | ["explanation", "attributions" | "meta"]
    )
}

/// A map, and behind it what was redacted of it, which are fields of their own.
fn map(out: &mut String, look: &Look, record: &Opened, name: &str) {
    let mut pairs = Vec::new();
    if let Some(value) = record.value(&[name])
        && let Ok(Value::Map(map)) = Value::decode(&FieldType::Map, value)
    {
        let mut encoded = Vec::new();
        for (key, value) in map.iter() {
            encoded.clear();
            value.write(&mut encoded);
            pairs.push((words::shown(look, key), words::value(look, &value.natural_type(), &encoded)));
        }
    }
    pairs.extend(below(look, record, name));
    section(out, look, name, &pairs);
}

/// Fields at paths that no section is for.
fn others(out: &mut String, look: &Look, record: &Opened) {
    let kind = record.header.kind;
    let mut pairs = Vec::new();
    for (place, field) in record.schema.fields().iter().enumerate() {
        let parts: Vec<&str> = field.path.parts().collect();
        let has_section = is_system(&parts)
            || explained::has_section(record, &parts)
            || (parts.len() > 1
                && (matches!(parts[0], "inputs" | "outputs" | "params" | "tags" | "environment")
                    || (kind != Kind::Decision && parts[0] == kind.name())));
        if let (false, Some(value)) = (has_section, record.value_at(place)) {
            let name = parts.iter().map(|part| words::shown(look, part)).collect::<Vec<_>>().join(" / ");
            pairs.push((name, words::value(look, &field.field_type, value)));
        }
    }
    section(out, look, "other fields", &pairs);
}

fn links(out: &mut String, record: &Opened) {
    let event = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten());
    let Some(event) = event.filter(|event| !event.links.is_empty()) else { return };
    let _ = writeln!(out, "\n{}", bold("about"));
    event.links.iter().for_each(|link| {
        let _ = writeln!(out, "  {link}");
    });
}

fn masked(out: &mut String, look: &Look, record: &Opened, values: &[Option<Vec<u8>>]) {
    let fields = record.schema.fields().iter().zip(values).filter(|(_, value)| value.is_none());
    let names: Vec<String> = fields.map(|(field, _)| words::shown(look, &field.path.to_string())).collect();
    if !names.is_empty() {
        let _ = writeln!(out, "\n{}", bold("masked"));
        prose(out, "  ", look.prose_columns(), &names.join(", "));
    }
}

fn erased(out: &mut String, look: &Look, record: &Opened) {
    let columns = look.prose_columns();
    out.push('\n');
    let what = "the key of the person or thing that this record is about was destroyed, and its content \
                cannot be read any more.";
    hanging(out, &format!("{} ", coloured(AnsiColor::Yellow, "erased:")), "  ", columns, what);
    prose(
        out,
        "  ",
        columns,
        "What can still be proved: that it was recorded, under this id and number, in this place of the log; \
         that nobody put another in its place; and, to whoever kept a receipt with some of its fields, that \
         they were these.",
    );
    names_of_fields(out, look, record);
}

fn no_key(out: &mut String, look: &Look, record: &Opened) {
    let what = "the keys given do not open the content of this record. Its place in the log can be proved all \
                the same.";
    out.push('\n');
    hanging(out, &format!("{} ", coloured(AnsiColor::Yellow, "no key:")), "  ", look.prose_columns(), what);
    names_of_fields(out, look, record);
}

fn names_of_fields(out: &mut String, look: &Look, record: &Opened) {
    let fields = record.schema.fields();
    if fields.is_empty() {
        return;
    }
    let names: Vec<String> = fields.iter().map(|field| words::shown(look, &field.path.to_string())).collect();
    let _ = writeln!(out, "\n{}", bold("fields that it has"));
    prose(out, "  ", look.prose_columns(), &names.join(", "));
}

fn seal(out: &mut String, look: &Look, record: &Opened) {
    let _ = writeln!(out, "\n{}", bold("seal"));
    let Some(seal) = &record.seal else {
        prose(out, "  ", look.prose_columns(), "not sealed yet: handed over, and not in the log so far");
        return;
    };
    let pairs = [
        ("segment".to_owned(), hex(&seal.segment)),
        ("place".to_owned(), words::count(seal.place.into())),
        (
            "log".to_owned(),
            format!(
                "entry {} of the {} in the published checkpoint",
                words::count(seal.log_index),
                words::count(seal.log_size)
            ),
        ),
    ];
    table::pairs(out, look, "  ", &pairs);
}
