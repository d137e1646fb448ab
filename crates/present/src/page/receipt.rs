//! What a proof file proved, for a person. Edge: the proof was checked before.

use std::fmt::Write;
use std::sync::Arc;

use anstyle::AnsiColor;
use minutebook_verify::hex;
use minutebook_verify::receipt::Proved;

use super::{Look, bold, coloured, hanging, moment, table, words};
use crate::opened::{Content, Opened};

/// The page of a receipt.
pub fn receipt(look: &Look, proved: &Proved<'_>) -> String {
    let mut out = String::new();
    let header = &proved.header;
    let checkpoint = &proved.accepted.checkpoint;
    let _ = writeln!(out, "{}", coloured(AnsiColor::Green, &bold("The proof holds.")));
    out.push('\n');
    let mut pairs = vec![
        ("record".to_owned(), format!("{} {}", header.kind, header.id)),
        ("class".to_owned(), header.class.to_string()),
        (
            "producer".to_owned(),
            format!("{} epoch {} number {}", header.producer, header.epoch, words::count(header.seq.get())),
        ),
        ("segment".to_owned(), hex(&proved.descriptor.segment)),
        (
            "log".to_owned(),
            format!(
                "{}, {} in the checkpoint",
                words::shown(look, checkpoint.origin()),
                words::counted(checkpoint.size().get(), "entry", "entries")
            ),
        ),
        ("signed by".to_owned(), words::shown(look, &proved.accepted.log.key.to_string())),
    ];
    for witnessed in &proved.accepted.witnesses {
        let time = i64::try_from(witnessed.unix_seconds).unwrap_or(i64::MAX);
        let name = words::shown(look, &witnessed.witness.name.to_string());
        pairs.push(("witness".to_owned(), format!("{name}, {}", moment::seconds_utc(time))));
    }
    table::pairs(&mut out, look, "", &pairs);
    let _ = writeln!(out, "\n{}", bold("What that proves"));
    let mut item = |text: &str| hanging(&mut out, "  - ", "    ", look.prose_columns(), text);
    item(
        "A record with this id, kind and number is in the log that the policy trusts, and has not changed since.",
    );
    if proved.disclosure.is_some() {
        item("The fields shown below are those of this record.");
    } else {
        item("What the record says is not part of this proof.");
    }
    if proved.accepted.witnesses.is_empty() {
        item(
            "No witness vouches for the log: this holds against everybody but the holder of its signing key.",
        );
    }
    if let Some(disclosure) = &proved.disclosure {
        if let Some(path) = disclosure.betraying() {
            let path = words::shown(look, &path.to_string());
            item(&format!(
                "Note: `{path}` is shown although an input is masked, and lets one compute that input back."
            ));
        }
        let mut values = vec![None; disclosure.schema().len()];
        disclosure.shown().for_each(|(place, value)| values[place] = Some(value.to_vec()));
        let schema = disclosure.schema();
        let shown: Vec<(String, String)> = schema
            .fields()
            .iter()
            .zip(&values)
            .filter_map(|(field, value)| {
                let value = words::value(look, &field.field_type, value.as_deref()?);
                Some((words::shown(look, &field.path.to_string()), value))
            })
            .collect();
        let _ = writeln!(out, "\n{}", bold("fields shown"));
        table::pairs(&mut out, look, "  ", &shown);
        let masked = values.iter().filter(|value| value.is_none()).count();
        if masked > 0 {
            let text =
                format!("{} stay masked.", words::counted(masked as u64, "other field", "other fields"));
            hanging(&mut out, "  ", "  ", look.prose_columns(), &text);
        }
    }
    out
}

/// The record of a receipt, as far as it is shown.
pub fn receipt_record(proved: &Proved<'_>) -> Option<Opened> {
    let disclosure = proved.disclosure.as_ref()?;
    let mut values = vec![None; disclosure.schema().len()];
    disclosure.shown().for_each(|(place, value)| values[place] = Some(value.to_vec()));
    let schema = Arc::new(disclosure.schema().clone());
    Some(Opened { header: proved.header, schema, content: Content::Readable(values), seal: None })
}
