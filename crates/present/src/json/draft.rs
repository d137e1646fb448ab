//! A record that has no id and number yet, read from a JSON object (`docs/formats/json.md`, "In"). Edge: says
//! what the record is; numbering, spooling and sealing are the producer's and the engine's.

use std::sync::Arc;

use minutebook_capture::ShapeDef;
use minutebook_record::fields::{Batch, Event, Kept, ModelRef, Subjects};
use minutebook_record::limits::{LINKS_MAX, SUBJECT_BYTES_MAX, SUBJECTS_MAX, VALUES_BYTES_MAX};
use minutebook_record::{ClassName, FieldType, Kind, RecordId, ValuesError, cbor};

use super::given::{self, Given};
use super::member::{array, float, hex, members, object, optional, required, sha256, text, twice, unsigned};
use super::problem::{Problem, Within};
use super::shapes::{Outline, Shapes};
use super::tree::Tree;
use super::{explanation, instant, value};
use crate::reasons::{COUNTERFACTUALS, REASONS};

/// A record before it is numbered.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it says.
    pub kind: Kind,
    /// Its retention class.
    pub class: ClassName,
    /// Its schema; the model is a constant of it.
    pub shape: Arc<ShapeDef>,
    /// The encoded values of the shape's open places, one behind the other. They fit their fields.
    values: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Draft {
    /// The encoded values of the shape's open places, in order.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.values[start..*end])
    }

    /// Bytes of the values.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// The encoded value of every field, constants among them, in the order of the schema.
    pub fn all_values(&self) -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new(); self.shape.schema().len()];
        self.shape
            .open_places()
            .iter()
            .zip(self.values())
            .for_each(|(place, value)| all[*place] = value.to_vec());
        self.shape.constants().iter().for_each(|(place, value)| all[*place] = value.to_vec());
        all
    }
}

/// When a line was read: the time of a record that says none.
#[derive(Debug, Clone, Copy)]
pub struct ReadAt {
    /// Nanoseconds since 1970-01-01T00:00Z.
    pub time_ns: i64,
    /// Bound of that clock's error in ns, if known.
    pub clock_error_ns: Option<u64>,
}

/// Reads drafts. Keeps the shapes that it has met, at most [`super::limits::SHAPES_CACHED`].
#[derive(Default)]
pub struct DraftReader {
    shapes: Shapes,
    outline: Outline,
    reimport: bool,
}

/// Members that a trail adds to what it prints.
const ADDED: [&str; 10] =
    ["id", "seq", "producer", "epoch", "sealed", "readable", "reason", "masked", "redacted", "schema"];

/// The class of the engine's own records.
const SYSTEM_CLASS: &str = "system";

/// The members of a record as they were found.
#[derive(Default)]
struct Found<'t, 'a> {
    kind: Option<&'t Tree<'a>>,
    class: Option<&'t Tree<'a>>,
    model: Option<&'t Tree<'a>>,
    params: Option<&'t Tree<'a>>,
    inputs: Option<&'t Tree<'a>>,
    outputs: Option<&'t Tree<'a>>,
    explanation: Option<&'t Tree<'a>>,
    subject: Option<&'t Tree<'a>>,
    actor: Option<&'t Tree<'a>>,
    time: Option<&'t Tree<'a>>,
    duration: Option<&'t Tree<'a>>,
    clock_error: Option<&'t Tree<'a>>,
    status: Option<&'t Tree<'a>>,
    trace: Option<&'t Tree<'a>>,
    span: Option<&'t Tree<'a>>,
    batch: Option<&'t Tree<'a>>,
    kept: Option<&'t Tree<'a>>,
    links: Option<&'t Tree<'a>>,
    tags: Option<&'t Tree<'a>>,
    environment: Option<&'t Tree<'a>>,
    fields: Option<&'t Tree<'a>>,
    /// Those with other names: the kind's own, or wrong.
    others: Vec<(&'t str, &'t Tree<'a>)>,
}

impl<'t, 'a> Found<'t, 'a> {
    fn of(record: &'t Tree<'a>) -> Result<Self, Problem> {
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
}

impl DraftReader {
    /// A reader. With `reimport`, the members that a trail adds to what it prints are passed over instead of
    /// refused.
    pub fn new(reimport: bool) -> Self {
        Self { reimport, ..Self::default() }
    }

    /// Whether members that a trail adds are passed over from now on.
    pub fn set_reimport(&mut self, reimport: bool) {
        self.reimport = reimport;
    }

    /// Reads one line.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn read(&mut self, line: &[u8], at: ReadAt) -> Result<Draft, Problem> {
        self.draft(&Tree::parse(line)?, at)
    }

    /// Reads the line of this number, from 1, of a file or stream; nothing for one that is empty. Some editors begin a file with the mark of UTF-8,
    /// which is passed over.
    pub fn read_numbered(&mut self, number: u64, line: &[u8], at: ReadAt) -> Option<Result<Draft, Problem>> {
        let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        (!line.trim_ascii().is_empty()).then(|| self.read(line, at))
    }

    /// Makes a draft of a record that is taken apart already.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn draft(&mut self, record: &Tree<'_>, at: ReadAt) -> Result<Draft, Problem> {
        self.draft_of(record, &Given::default(), at)
    }

    /// Makes a draft of a record of which some members are `given` already encoded: those are not in `record`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn draft_of(&mut self, record: &Tree<'_>, given: &Given<'_>, at: ReadAt) -> Result<Draft, Problem> {
        let found = Found::of(record)?;
        let kind = optional(found.kind, "kind", read_kind)?.unwrap_or(Kind::Decision);
        let class = optional(found.class, "class", read_class)?.unwrap_or(standard_class());
        let own = self.own_fields(kind, &found)?;
        if kind == Kind::Decision {
            required(found.model, "model")?;
            if given.inputs.is_none() {
                required(found.inputs, "inputs")?;
            }
        }
        let mut values = Vec::with_capacity(512);
        let outline = &mut self.outline;
        outline.clear();
        read_event(&found, at)?.write(&mut values);
        outline.push(&["event"], &FieldType::Event);
        if let Some(model) = optional(found.model, "model", read_model)? {
            let mut encoded = Vec::new();
            model.write(&mut encoded);
            outline.push_model(encoded);
        }
        given::push_map("params", given.params, outline, &mut values);
        push_map("params", found.params, outline, &mut values)?;
        given::push_fields(given.inputs, outline, &mut values);
        push_fields("inputs", found.inputs, outline, &mut values)?;
        given::push_fields(given.outputs, outline, &mut values);
        push_fields("outputs", found.outputs, outline, &mut values)?;
        if let Some(tree) = found.explanation {
            // The inputs in order are those of the schema: not only those of `inputs`, when `fields` adds
            // some.
            let inputs = if found.fields.is_none() { found.inputs } else { None };
            let explanation = explanation::read(tree, inputs).within("explanation")?;
            if let Some(attributions) = &explanation.attributions {
                outline.push(&["explanation", "attributions"], &FieldType::Attributions);
                attributions.write(&mut values);
            }
            outline.push(&["explanation", "meta"], &FieldType::Explanation);
            explanation.meta.write(&mut values);
            for (name, list) in
                [(REASONS, explanation.reasons), (COUNTERFACTUALS, explanation.counterfactuals)]
            {
                if let Some(list) = list {
                    outline.push(&["explanation", name], &FieldType::List);
                    values.extend(list);
                }
            }
        }
        if let Some(subjects) = optional(found.subject, "subject", read_subjects)? {
            outline.push(&["subject"], &FieldType::Subject);
            subjects.write(&mut values);
        }
        if let Some(actor) = optional(found.actor, "actor", text)? {
            outline.push(&["actor"], &FieldType::Text);
            cbor::write_text(&mut values, actor);
        }
        given::push_map("tags", given.tags, outline, &mut values);
        push_map("tags", found.tags, outline, &mut values)?;
        given::push_map("environment", given.environment, outline, &mut values);
        push_map("environment", found.environment, outline, &mut values)?;
        push_fields(kind.name(), own, outline, &mut values)?;
        if let Some(fields) = found.fields {
            push_other_fields(fields, outline, &mut values).within("fields")?;
        }
        let shape = self.shapes.of(outline)?;
        if values.len() > VALUES_BYTES_MAX {
            return Err(too_large());
        }
        let mut ends = Vec::with_capacity(shape.open_places().len());
        shape.split(&values, &mut ends).map_err(values_problem)?;
        Ok(Draft { kind, class, shape, values, ends })
    }

    /// The object of the kind's own name. Refuses what is neither that nor to be passed over.
    fn own_fields<'t, 'a>(&self, kind: Kind, found: &Found<'t, 'a>) -> Result<Option<&'t Tree<'a>>, Problem> {
        let mut own = None;
        for (name, value) in &found.others {
            let is_added = ADDED.contains(name);
            if *name == kind.name() {
                if own.replace(*value).is_some() {
                    return Err(twice().within(name));
                }
            } else if is_added && !self.reimport {
                let remedy = "leave it out, or use --reimport to pass over what a trail adds";
                return Err(Problem::new("the trail gives this itself").remedy(remedy).within(name));
            } else if !is_added {
                let remedy = format!(
                    "known members stand in docs/formats/json.md; fields of a `{kind}` go into \"{kind}\""
                );
                return Err(Problem::new("no such member").remedy(remedy).within(name));
            } else if matches!((*name, value), ("readable", Tree::Bool(false))) {
                return Err(Problem::new(
                    "the content of this record was not readable, so there is nothing to record",
                ));
            }
        }
        Ok(own.filter(|value| !matches!(value, Tree::Null)))
    }
}

fn standard_class() -> ClassName {
    // INVARIANT: the name has the form of a class.
    ClassName::new("standard").expect("a class")
}

fn read_kind(tree: &Tree<'_>) -> Result<Kind, Problem> {
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

fn read_class(tree: &Tree<'_>) -> Result<ClassName, Problem> {
    let class = ClassName::new(text(tree)?).map_err(|error| Problem::new(error.to_string()))?;
    if class.as_str() == SYSTEM_CLASS {
        Err(Problem::new("the class `system` is the engine's own"))
    } else {
        Ok(class)
    }
}

fn read_model(tree: &Tree<'_>) -> Result<ModelRef, Problem> {
    let [name, version, artifact] = members(tree, &["name", "version", "artifact"])?;
    Ok(ModelRef {
        name: text(required(name, "name")?).within("name")?.to_owned(),
        version: text(required(version, "version")?).within("version")?.to_owned(),
        artifact: optional(artifact, "artifact", sha256)?,
    })
}

fn read_event(found: &Found<'_, '_>, at: ReadAt) -> Result<Event, Problem> {
    let given = optional(found.time, "time", instant::nanoseconds)?;
    let clock_error = optional(found.clock_error, "clock_error_ns", unsigned)?;
    Ok(Event {
        time_ns: given.unwrap_or(at.time_ns),
        // The error of the clock here says nothing about a time from elsewhere.
        clock_error_ns: clock_error.or(if given.is_none() { at.clock_error_ns } else { None }),
        duration_ns: optional(found.duration, "duration_ns", unsigned)?,
        status: optional(found.status, "status", text)?.unwrap_or("ok").to_owned(),
        trace: optional(found.trace, "trace", hex)?,
        span: optional(found.span, "span", hex)?,
        batch: optional(found.batch, "batch", read_batch)?,
        kept: optional(found.kept, "kept", read_kept)?,
        links: optional(found.links, "links", read_links)?.unwrap_or_default(),
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

fn read_subjects(tree: &Tree<'_>) -> Result<Subjects, Problem> {
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

fn push_map(
    name: &str,
    tree: Option<&Tree<'_>>,
    outline: &mut Outline,
    values: &mut Vec<u8>,
) -> Result<(), Problem> {
    let Some(tree) = tree else { return Ok(()) };
    outline.push(&[name], &FieldType::Map);
    value::write_map_field(tree, values).within(name)
}

fn push_fields(
    name: &str,
    tree: Option<&Tree<'_>>,
    outline: &mut Outline,
    values: &mut Vec<u8>,
) -> Result<(), Problem> {
    let Some(tree) = tree else { return Ok(()) };
    for (field, tree) in object(tree).within(name)? {
        let field_type = value::write_field(tree, values).within(field).within(name)?;
        outline.push(&[name, field], &field_type);
    }
    Ok(())
}

/// `fields`: an array of `[path, value]`, for paths that no member stands for.
fn push_other_fields(tree: &Tree<'_>, outline: &mut Outline, values: &mut Vec<u8>) -> Result<(), Problem> {
    for (place, item) in array(tree)?.iter().enumerate() {
        let mut push = || {
            let [path, tree] = array(item)? else { return Err(Problem::new("expected a path and a value")) };
            let parts = array(path)?.iter().map(text).collect::<Result<Vec<_>, _>>().within_item(0)?;
            let field_type = value::write_field(tree, values).within_item(1)?;
            outline.push(&parts, &field_type);
            Ok(())
        };
        push().within_item(place)?;
    }
    Ok(())
}

fn too_large() -> Problem {
    Problem::new(format!("the values of a record take at most {VALUES_BYTES_MAX} bytes"))
        .remedy("store large content elsewhere, and its digest here")
}

fn values_problem(error: ValuesError) -> Problem {
    match error {
        ValuesError::Field(error) => {
            let parts: Vec<&str> = error.path.parts().collect();
            let problem = Problem::new(error.source.fault.to_string());
            parts.iter().rev().fold(problem, |problem, part| problem.within(part))
        }
        ValuesError::TooLarge => too_large(),
        other => Problem::new(other.to_string()),
    }
}
