//! The members of a record as they stand in an object, and what each of them says. Edge: one member at a time; what they make together is `draft`'s.

use minutebook_record::fields::{Batch, Event, Kept, ModelRef, Subjects};
use minutebook_record::limits::{LINKS_MAX, SUBJECT_BYTES_MAX, SUBJECTS_MAX};
use minutebook_record::{ClassName, Kind, RecordId};

use super::draft::ReadAt;
use super::instant;
use super::member::{array, float, hex, members, object, optional, required, sha256, text, twice, unsigned};
use super::problem::{Problem, Within};
use super::tree::Tree;

/// The class of the engine's own records.
const SYSTEM_CLASS: &str = "system";

/// The members of a record as they were found.
#[derive(Default)]
pub(super) struct Found<'t, 'a> {
    pub(super) kind: Option<&'t Tree<'a>>,
    pub(super) class: Option<&'t Tree<'a>>,
    pub(super) model: Option<&'t Tree<'a>>,
    pub(super) params: Option<&'t Tree<'a>>,
    pub(super) inputs: Option<&'t Tree<'a>>,
    pub(super) outputs: Option<&'t Tree<'a>>,
    pub(super) explanation: Option<&'t Tree<'a>>,
    pub(super) subject: Option<&'t Tree<'a>>,
    pub(super) actor: Option<&'t Tree<'a>>,
    pub(super) time: Option<&'t Tree<'a>>,
    pub(super) duration: Option<&'t Tree<'a>>,
    pub(super) clock_error: Option<&'t Tree<'a>>,
    pub(super) status: Option<&'t Tree<'a>>,
    pub(super) trace: Option<&'t Tree<'a>>,
    pub(super) span: Option<&'t Tree<'a>>,
    pub(super) batch: Option<&'t Tree<'a>>,
    pub(super) kept: Option<&'t Tree<'a>>,
    pub(super) links: Option<&'t Tree<'a>>,
    pub(super) tags: Option<&'t Tree<'a>>,
    pub(super) environment: Option<&'t Tree<'a>>,
    pub(super) fields: Option<&'t Tree<'a>>,
    /// Those with other names: the kind's own, or wrong.
    pub(super) others: Vec<(&'t str, &'t Tree<'a>)>,
}

impl<'t, 'a> Found<'t, 'a> {
    pub(super) fn of(record: &'t Tree<'a>) -> Result<Self, Problem> {
        let mut found = Self::default();
        for (name, value) in object(record)? {
            let slot = match &**name {
                "kind" => &mut found.kind,
                "class" => &mut found.class,
                "model" => &mut found.model,
                "params" => &mut found.params,
                "inputs" => &mut found.inputs,
                "outputs" => &mut found.outputs,
                "explanation" => &mut found.explanation,
                "subject" => &mut found.subject,
                "actor" => &mut found.actor,
                "time" => &mut found.time,
                "duration_ns" => &mut found.duration,
                "clock_error_ns" => &mut found.clock_error,
                "status" => &mut found.status,
                "trace" => &mut found.trace,
                "span" => &mut found.span,
                "batch" => &mut found.batch,
                "kept" => &mut found.kept,
                "links" => &mut found.links,
                "tags" => &mut found.tags,
                "environment" => &mut found.environment,
                "fields" => &mut found.fields,
                other => {
                    found.others.push((other, value));
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(twice().within(name));
            }
        }
        found.drop_nulls();
        Ok(found)
    }

    /// A member that is null is as absent. Two nulls of one name are found before this.
    fn drop_nulls(&mut self) {
        let slots = [
            &mut self.kind,
            &mut self.class,
            &mut self.model,
            &mut self.params,
            &mut self.inputs,
            &mut self.outputs,
            &mut self.explanation,
            &mut self.subject,
            &mut self.actor,
            &mut self.time,
            &mut self.duration,
            &mut self.clock_error,
            &mut self.status,
            &mut self.trace,
            &mut self.span,
            &mut self.batch,
            &mut self.kept,
            &mut self.links,
            &mut self.tags,
            &mut self.environment,
            &mut self.fields,
        ];
        for slot in slots {
            slot.take_if(|value| matches!(value, Tree::Null));
        }
    }

    /// When and how it happened. What says no time was when it was read.
    pub(super) fn event(&self, at: ReadAt) -> Result<Event, Problem> {
        let given = optional(self.time, "time", instant::nanoseconds)?;
        let clock_error = optional(self.clock_error, "clock_error_ns", unsigned)?;
        Ok(Event {
            time_ns: given.unwrap_or(at.time_ns),
            // The error of the clock here says nothing about a time from elsewhere.
            clock_error_ns: clock_error.or(if given.is_none() { at.clock_error_ns } else { None }),
            duration_ns: optional(self.duration, "duration_ns", unsigned)?,
            status: optional(self.status, "status", text)?.unwrap_or("ok").to_owned(),
            trace: optional(self.trace, "trace", hex)?,
            span: optional(self.span, "span", hex)?,
            batch: optional(self.batch, "batch", read_batch)?,
            kept: optional(self.kept, "kept", read_kept)?,
            links: optional(self.links, "links", read_links)?.unwrap_or_default(),
        })
    }
}

pub(super) fn read_kind(tree: &Tree<'_>) -> Result<Kind, Problem> {
    let known = || {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_from_outside());
        format!("one of: {}", kinds.map(Kind::name).collect::<Vec<_>>().join(", "))
    };
    match text(tree)?.parse::<Kind>() {
        Ok(kind) if kind.is_from_outside() => Ok(kind),
        Ok(_) => Err(Problem::new("records of this kind are the engine's own").remedy(known())),
        Err(_) => Err(Problem::new("unknown kind").remedy(known())),
    }
}

pub(super) fn read_class(tree: &Tree<'_>) -> Result<ClassName, Problem> {
    let class = ClassName::new(text(tree)?).map_err(|error| Problem::new(error.to_string()))?;
    if class.as_str() == SYSTEM_CLASS {
        Err(Problem::new("the class `system` is the engine's own"))
    } else {
        Ok(class)
    }
}

pub(super) fn read_model(tree: &Tree<'_>) -> Result<ModelRef, Problem> {
    let [name, version, artifact] = members(tree, &["name", "version", "artifact"])?;
    Ok(ModelRef {
        name: text(required(name, "name")?).within("name")?.to_owned(),
        version: text(required(version, "version")?).within("version")?.to_owned(),
        artifact: optional(artifact, "artifact", sha256)?,
    })
}

fn read_batch(tree: &Tree<'_>) -> Result<Batch, Problem> {
    let [call, row, rows] = members(tree, &["call", "row", "rows"])?;
    let batch = Batch {
        call: hex(required(call, "call")?).within("call")?,
        row: unsigned(required(row, "row")?).within("row")?,
        rows: unsigned(required(rows, "rows")?).within("rows")?,
    };
    if batch.row < batch.rows {
        Ok(batch)
    } else {
        Err(Problem::new("counted from 0, it is below `rows`").within("row"))
    }
}

fn read_kept(tree: &Tree<'_>) -> Result<Kept, Problem> {
    let [rule, rate] = members(tree, &["rule", "rate"])?;
    let rule = text(required(rule, "rule")?).within("rule")?.to_owned();
    let rate = optional(rate, "rate", float)?;
    if rate.is_none_or(|rate| rate > 0.0 && rate <= 1.0) {
        Ok(Kept { rule, rate })
    } else {
        Err(Problem::new("a rate is above 0 and at most 1").within("rate"))
    }
}

fn read_links(tree: &Tree<'_>) -> Result<Vec<RecordId>, Problem> {
    let items = array(tree)?;
    if items.len() > LINKS_MAX {
        return Err(Problem::new(format!("more than {LINKS_MAX} links")));
    }
    let link = |(place, tree): (usize, &Tree<'_>)| {
        let id = text(tree).within_item(place)?.parse();
        id.map_err(|_| Problem::new("not the id of a record").within_item(place))
    };
    items.iter().enumerate().map(link).collect()
}

pub(super) fn read_subjects(tree: &Tree<'_>) -> Result<Subjects, Problem> {
    let one = |tree: &Tree<'_>| {
        let subject = text(tree)?;
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Problem::new(format!("a subject has at most {SUBJECT_BYTES_MAX} bytes")));
        }
        Ok(subject.to_owned())
    };
    let Tree::Array(items) = tree else { return Ok(Subjects(vec![one(tree)?])) };
    if !(1..=SUBJECTS_MAX).contains(&items.len()) {
        return Err(Problem::new(format!("a record has 1 to {SUBJECTS_MAX} subjects")));
    }
    let each = |(place, tree)| one(tree).within_item(place);
    items.iter().enumerate().map(each).collect::<Result<_, _>>().map(Subjects)
}
