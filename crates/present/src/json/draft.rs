//! A record that has no id and number yet, read from a JSON object (`docs/formats/json.md`, "In"). Edge: says
//! what the record is; numbering, spooling and sealing are the producer's and the engine's.

use std::sync::Arc;

use minutebook_capture::ShapeDef;
use minutebook_record::limits::VALUES_BYTES_MAX;
use minutebook_record::{ClassName, FieldType, Kind, ValuesError, cbor};

use super::found::{self, Found};
use super::given::{self, Given};
use super::member::{array, object, optional, required, text, twice};
use super::problem::{Problem, Within};
use super::shapes::{Outline, Shapes};
use super::tree::Tree;
use super::{explanation, value};
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
        let kind = optional(found.kind, "kind", found::read_kind)?.unwrap_or(Kind::Decision);
        let class = optional(found.class, "class", found::read_class)?.unwrap_or(standard_class());
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
        found.event(at)?.write(&mut values);
        outline.push(&["event"], &FieldType::Event);
        if let Some(model) = optional(found.model, "model", found::read_model)? {
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
        if let Some(subjects) = optional(found.subject, "subject", found::read_subjects)? {
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
