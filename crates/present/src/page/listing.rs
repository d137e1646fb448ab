//! Records as lines of a table.

use std::fmt::Write;

use minutebook_record::Kind;
use minutebook_record::fields::{Event, ModelRef, Subjects};

use super::table::{self, Column};
use super::{Look, dim, moment, words};
use crate::opened::{Content, Opened};

/// A table of records, in which a line can be added at any time: columns are as wide as the first lines need.
#[derive(Debug)]
pub struct Listing {
    look: Look,
    columns: Vec<Column<'static>>,
    widths: Vec<usize>,
    shows: Vec<Shows>,
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Id,
    Time,
    /// Without the year.
    ShortTime,
    Kind,
    Model,
    Outputs,
    Subject,
    Class,
}

/// Columns of a terminal from which on model and class have room beside the rest.
const WIDE: usize = 110;

impl Listing {
    /// A table of these and later records; with `subjects`, who they are about. On a narrow terminal, model
    /// and class are left out.
    pub fn new(look: Look, subjects: bool, first: &[Opened]) -> Self {
        let wide = look.width.is_none_or(|width| width >= WIDE);
        let mut shows = vec![Shows::Id, if wide { Shows::Time } else { Shows::ShortTime }, Shows::Kind];
        shows.extend(wide.then_some(Shows::Model));
        shows.push(Shows::Outputs);
        shows.extend(subjects.then_some(Shows::Subject));
        shows.extend(wide.then_some(Shows::Class));
        let column = |shows: &Shows| match shows {
            Shows::Id => Column::left("ID"),
            Shows::Time | Shows::ShortTime => Column::left("TIME"),
            Shows::Kind => Column::left("KIND"),
            Shows::Model => Column::left("MODEL").cut_to(10),
            Shows::Outputs => Column::left("OUTPUTS").cut_to(16),
            Shows::Subject => Column::left("SUBJECT").cut_to(8),
            Shows::Class => Column::left("CLASS"),
        };
        let columns = shows.iter().map(column).collect();
        let mut listing = Self { look, columns, widths: Vec::new(), shows };
        let rows: Vec<Vec<String>> = first.iter().map(|record| listing.cells(record)).collect();
        listing.widths = table::widths(&listing.look, &listing.columns, &rows, 0);
        listing
    }

    /// Room for lines that are not known yet, where records come one by one.
    #[must_use]
    pub fn roomy(mut self) -> Self {
        for (width, shows) in self.widths.iter_mut().zip(&self.shows) {
            *width = match shows {
                Shows::Model => (*width).max(20),
                Shows::Outputs => {
                    (*width).max(if self.look.width.is_none_or(|width| width >= WIDE) { 28 } else { 16 })
                }
                _ => *width,
            };
        }
        self
    }

    /// The titles.
    pub fn titles(&self) -> String {
        let mut out = String::new();
        table::titles(&mut out, &self.look, &self.columns, &self.widths);
        out
    }

    /// The line of a record.
    pub fn line(&self, record: &Opened) -> String {
        let plain: fn(&str) -> String = str::to_owned;
        let outputs: fn(&str) -> String =
            if matches!(record.content, Content::Readable(_)) { plain } else { dim };
        let paints = self.shows.iter().map(|shows| if *shows == Shows::Outputs { outputs } else { plain });
        let cells: Vec<_> = self.cells(record).into_iter().zip(paints).collect();
        // A line that is wider than the first ones is cut where it may, else it sticks out.
        let widths: Vec<usize> = cells
            .iter()
            .zip(self.widths.iter().zip(&self.columns))
            .map(|((cell, _), (width, column))| match column.least {
                Some(_) if self.look.width.is_some() => *width,
                _ => (*width).max(words::width(cell)),
            })
            .collect();
        let mut out = String::new();
        table::line(&mut out, &self.look, &self.columns, &widths, &cells);
        out
    }

    fn cells(&self, record: &Opened) -> Vec<String> {
        let look = &self.look;
        let event = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten());
        let by_id = i64::try_from(record.header.id.unix_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let time = moment::short(look, event.as_ref().map_or(by_id, |event| event.time_ns));
        let cell = |shows: &Shows| match shows {
            Shows::Id => record.header.id.to_string(),
            Shows::Time => time.clone(),
            Shows::ShortTime => time.get(5..).unwrap_or(&time).to_owned(),
            Shows::Kind => record.header.kind.name().to_owned(),
            Shows::Model => {
                let model = record.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten());
                model.map_or(String::new(), |model| {
                    format!("{} {}", words::shown(look, &model.name), words::shown(look, &model.version))
                })
            }
            Shows::Outputs => outputs(look, record, event.as_ref()),
            Shows::Subject => {
                let subjects =
                    record.value(&["subject"]).and_then(|value| Subjects::decode(value).ok().flatten());
                words::shown(look, &subjects.map_or(String::new(), |Subjects(subjects)| subjects.join(", ")))
            }
            Shows::Class => record.header.class.to_string(),
        };
        self.shows.iter().map(cell).collect()
    }
}

/// What came out, in short: the outputs of a decision, the own fields of another kind.
fn outputs(look: &Look, record: &Opened, event: Option<&Event>) -> String {
    match &record.content {
        Content::Erased => return "(erased)".into(),
        Content::NoKey => return "(no key)".into(),
        Content::Readable(_) => {}
    }
    let kind = record.header.kind;
    let first = if kind == Kind::Decision { "outputs" } else { kind.name() };
    let mut out = String::new();
    if let Some(event) = event.filter(|event| event.status != "ok") {
        let _ = write!(out, "failed: {}", words::shown(look, &event.status));
    }
    for (place, field) in record.schema.fields().iter().enumerate() {
        let parts: Vec<&str> = field.path.parts().collect();
        let [group, name] = parts.as_slice() else { continue };
        if *group != first || matches!((*group, *name), ("explanation", "attributions" | "meta")) {
            continue;
        }
        let value = record
            .value_at(place)
            .map_or("(masked)".into(), |value| words::brief(look, &field.field_type, value));
        if !out.is_empty() {
            out.push_str(", ");
        }
        let _ = write!(out, "{} {value}", words::shown(look, name));
    }
    out
}
