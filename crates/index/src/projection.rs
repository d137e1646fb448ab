//! What a record says, as rows of tables (`docs/formats/index.md`, "Tables"). Edge: reads records, writes rows; no files.

use std::collections::HashMap;

use minutebook_record::cbor::{Item, Reader};
use minutebook_record::fields::{Attributions, Event, ExplanationMeta, Feature, ModelRef, Subjects};
use minutebook_record::{Element, FieldType, Kind, Map, Schema, SchemaDigest, Tensor, Value};
use minutebook_trail::{Content, StoredRecord};
use minutebook_verify::hex;

use crate::builder::{Cell, json_text, with_cell};
use crate::limits;
use crate::table::{Fixed, TableBuilder, TableId};

/// Tables that are being filled.
#[derive(Default)]
pub struct Projection {
    tables: HashMap<TableId, Filling>,
}

#[derive(Default)]
struct Filling {
    table: TableBuilder,
    plans: HashMap<SchemaDigest, Vec<Target>>,
}

/// Where a field goes.
enum Target {
    /// It is in the fixed columns, or nowhere.
    None,
    /// Into this column.
    Column(usize),
    /// It has no column any more.
    Beyond { prefix: &'static str, name: String },
    /// Its members go into columns.
    Members { prefix: String },
    /// One column for each feature; those of the inputs in their order.
    Attributions { inputs: Vec<Option<usize>> },
    /// How the attributions were computed.
    Meta,
}

/// What is read of a record once for all its rows.
struct Common<'a> {
    record: &'a StoredRecord,
    event: Option<Event>,
    model: Option<ModelRef>,
    subjects: Vec<String>,
    actor: Option<String>,
    id: String,
    owners: Vec<u8>,
}

impl Projection {
    /// Adds a record: to the table of all records, to that of its model when it is a decision, and to that of links when it has some.
    pub fn add(&mut self, record: &StoredRecord) {
        let common = Common::of(record);
        let kind = record.header.kind;
        let is_decision = kind == Kind::Decision;
        // Windows are for `stats`: thousands of sketches help no search.
        let own = !is_decision && kind != Kind::Window;
        self.row(TableId::Records, &common, own, None);
        if is_decision && let Some(model) = &common.model {
            self.row(TableId::Model(model.name.clone()), &common, true, None);
        }
        if let Some(event) = common.event.as_ref().filter(|_| own) {
            for link in &event.links {
                self.row(TableId::Links, &common, true, Some(&link.to_string()));
            }
        }
    }

    fn row(&mut self, table: TableId, common: &Common<'_>, with_fields: bool, target: Option<&str>) {
        let filling = self.tables.entry(table).or_default();
        common.fix(&mut filling.table);
        if let Some(target) = target {
            filling.table.fix(Fixed::Target, Cell::Text(target));
        }
        if with_fields && let Content::Readable { values, .. } = &common.record.content {
            filling.fields(common.record, values);
        }
        filling.table.end_row();
    }

    /// The rows of each table since the last time.
    pub fn take(&mut self) -> Vec<(TableId, arrow_array::RecordBatch, Vec<crate::column::Column>)> {
        let filled = self.tables.iter_mut().filter(|(_, filling)| filling.table.rows() > 0);
        filled
            .map(|(id, filling)| {
                let (batch, columns) = filling.table.finish();
                (id.clone(), batch, columns)
            })
            .collect()
    }

    /// Forgets tables that have no rows: thousands of models that were seen once hold nothing.
    pub fn forget(&mut self) {
        self.tables.retain(|_, filling| filling.table.rows() > 0);
    }
}

impl<'a> Common<'a> {
    fn of(record: &'a StoredRecord) -> Self {
        let mut common = Self {
            record,
            event: None,
            model: None,
            subjects: Vec::new(),
            actor: None,
            id: record.header.id.to_string(),
            owners: Vec::new(),
        };
        let Content::Readable { values, subjects, .. } = &record.content else { return common };
        common.owners = subjects.iter().flat_map(|number| number.to_le_bytes()).collect();
        let value = |path: &[&str]| record.schema.find_parts(path).map(|place| values[place].as_slice());
        common.event = value(&["event"]).and_then(|bytes| Event::decode(bytes).ok().flatten());
        common.model = value(&["model"]).and_then(|bytes| ModelRef::decode(bytes).ok().flatten());
        let subjects = value(&["subject"]).and_then(|bytes| Subjects::decode(bytes).ok().flatten());
        common.subjects = subjects.map(|Subjects(subjects)| subjects).unwrap_or_default();
        let actor = value(&["actor"]).and_then(|bytes| Reader::new(bytes).text().ok());
        common.actor = actor.map(str::to_owned);
        common
    }

    fn fix(&self, table: &mut TableBuilder) {
        let header = &self.record.header;
        table.fix(Fixed::Id, Cell::Text(&self.id));
        table.fix(Fixed::Time, Cell::Timestamp(self.record.time_ns()));
        table.fix(Fixed::Kind, Cell::Text(header.kind.name()));
        table.fix(Fixed::Class, Cell::Text(header.class.as_str()));
        table.fix(Fixed::Producer, Cell::Text(&header.producer.to_string()));
        table.fix(Fixed::Epoch, Cell::Int(header.epoch.get() as i64));
        table.fix(Fixed::Seq, Cell::Int(header.seq.get() as i64));
        table.fix(Fixed::LogIndex, Cell::Int(self.record.sealed.log_index as i64));
        table.fix(Fixed::Place, Cell::Int(self.record.sealed.place.into()));
        let readable = matches!(self.record.content, Content::Readable { .. });
        table.fix(Fixed::Readable, Cell::Bool(readable));
        if !self.owners.is_empty() {
            table.fix_hidden(Fixed::Owners, &self.owners);
        }
        if let Some(model) = &self.model {
            table.fix(Fixed::Model, Cell::Text(&model.name));
            table.fix(Fixed::Version, Cell::Text(&model.version));
            if let Some(artifact) = model.artifact {
                table.fix(Fixed::Artifact, Cell::Text(&hex(&artifact)));
            }
        }
        match self.subjects.as_slice() {
            [] => {}
            [one] => table.fix(Fixed::Subject, Cell::Text(one)),
            several => table.fix_texts(Fixed::Subjects, several.iter().map(String::as_str)),
        }
        if let Some(actor) = &self.actor {
            table.fix(Fixed::Actor, Cell::Text(actor));
        }
        if let Some(event) = &self.event {
            event_columns(event, header.kind, table);
        }
    }
}

fn event_columns(event: &Event, kind: Kind, table: &mut TableBuilder) {
    table.fix(Fixed::Status, Cell::Text(&event.status));
    if let Some(ns) = event.duration_ns {
        table.fix(Fixed::Duration, i64::try_from(ns).map_or(Cell::Null, Cell::Int));
    }
    if let Some(trace) = event.trace {
        table.fix(Fixed::Trace, Cell::Text(&hex(&trace)));
    }
    if let Some(span) = event.span {
        table.fix(Fixed::Span, Cell::Text(&hex(&span)));
    }
    if let Some(batch) = event.batch {
        table.fix(Fixed::Call, Cell::Text(&hex(&batch.call)));
        table.fix(Fixed::Row, i64::try_from(batch.row).map_or(Cell::Null, Cell::Int));
    }
    if let Some(kept) = &event.kept {
        table.fix(Fixed::KeptRule, Cell::Text(&kept.rule));
        if let Some(rate) = kept.rate {
            table.fix(Fixed::KeptRate, Cell::Float(rate));
            table.fix(Fixed::Weight, Cell::Float(1.0 / rate));
        }
    } else if kind == Kind::Decision {
        table.fix(Fixed::Weight, Cell::Float(1.0));
    }
    if !event.links.is_empty() {
        let links: Vec<String> = event.links.iter().map(ToString::to_string).collect();
        table.fix_texts(Fixed::Links, links.iter().map(String::as_str));
    }
}

impl Filling {
    fn fields(&mut self, record: &StoredRecord, values: &[Vec<u8>]) {
        let digest = record.schema.digest();
        let plan = match self.plans.remove(&digest) {
            Some(plan) => plan,
            None => plan(&record.schema, &mut self.table),
        };
        for ((field, target), value) in record.schema.fields().iter().zip(&plan).zip(values) {
            let table = &mut self.table;
            match target {
                Target::None => {}
                Target::Column(place) => set(table, *place, &field.field_type, value),
                Target::Beyond { prefix, name } => {
                    table.beyond(prefix, name, json_text(&field.field_type, value));
                }
                Target::Members { prefix } => {
                    if let Ok(Value::Map(map)) = Value::decode(&field.field_type, value) {
                        members(table, prefix, &map, 1);
                    }
                }
                Target::Attributions { inputs } => attributions(table, inputs, value),
                Target::Meta => meta(table, value),
            }
        }
        self.plans.insert(digest, plan);
    }
}

fn plan(schema: &Schema, table: &mut TableBuilder) -> Vec<Target> {
    let fields = schema.fields().iter();
    let plan = fields.map(|field| {
        let parts: Vec<&str> = field.path.parts().collect();
        let (prefix, rest) = match parts.as_slice() {
            ["event" | "model" | "subject" | "actor"] => return Target::None,
            [map @ ("params" | "tags" | "environment")] => {
                return Target::Members { prefix: (*map).to_owned() };
            }
            ["explanation", "attributions"] if field.field_type == FieldType::Attributions => {
                let inputs = schema.fields().iter().filter(|field| field.path.first() == "inputs");
                let inputs =
                    inputs.map(|input| table.column("attributions", &joined(input.path.parts().skip(1))));
                return Target::Attributions { inputs: inputs.collect() };
            }
            ["explanation", "meta"] if field.field_type == FieldType::Explanation => return Target::Meta,
            [first, rest @ ..] if !rest.is_empty() => {
                (known_prefix(first), if known_prefix(first) == OTHER { &parts[..] } else { rest })
            }
            all => (OTHER, all),
        };
        let name = joined(rest.iter().copied());
        if field.field_type == FieldType::Map {
            return Target::Members { prefix: format!("{prefix}.{name}") };
        }
        match table.column(prefix, &name) {
            Some(place) => Target::Column(place),
            None => Target::Beyond { prefix, name },
        }
    });
    plan.collect()
}

/// What stands before fields that belong to no group.
const OTHER: &str = "fields";

fn known_prefix(first: &str) -> &'static str {
    const GROUPS: [&str; 3] = ["inputs", "outputs", "explanation"];
    let kinds = Kind::ALL.into_iter().map(Kind::name);
    GROUPS.into_iter().chain(kinds).find(|group| *group == first).unwrap_or(OTHER)
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(".")
}

/// Puts an encoded value into a column: plain ones without decoding them into a value first.
fn set(table: &mut TableBuilder, place: usize, field_type: &FieldType, bytes: &[u8]) {
    use FieldType as T;
    let is_plain =
        matches!(field_type, T::Bool | T::Integer(_) | T::F16 | T::F32 | T::F64 | T::Text | T::Category);
    if is_plain && let Ok(item) = Reader::new(bytes).item() {
        match item {
            Item::Bool(value) => return table.set(place, Cell::Bool(value)),
            Item::Float(value) => return table.set(place, Cell::Float(value)),
            Item::Text(text) => return table.set(place, Cell::Text(text)),
            Item::Integer(value) => {
                if let Ok(value) = i64::try_from(value.get()) {
                    return table.set(place, Cell::Int(value));
                }
            }
            _ => {}
        }
    }
    let Ok(value) = Value::decode(field_type, bytes) else { return };
    with_cell(&value, field_type, &mut |cell| table.set(place, cell));
}

/// The members of a map as columns, so many levels deep.
fn members(table: &mut TableBuilder, prefix: &str, map: &Map, level: usize) {
    for (name, value) in map.iter() {
        match value {
            Value::Map(inner) if level < limits::MAP_LEVELS_MAX => {
                members(table, &format!("{prefix}.{name}"), inner, level + 1);
            }
            value => match table.column(prefix, name) {
                Some(place) => {
                    with_cell(value, &value.natural_type(), &mut |cell| table.set(place, cell));
                }
                None => {
                    let mut text = String::new();
                    with_cell(value, &value.natural_type(), &mut |cell| text = cell_json(cell));
                    table.beyond(prefix, name, text);
                }
            },
        }
    }
}

fn cell_json(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".into(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) | Cell::Timestamp(value) | Cell::DateTime(value) => value.to_string(),
        Cell::Date(value) => value.to_string(),
        Cell::Float(value) => serde_json::Value::from(value).to_string(),
        Cell::Json(json) => json.to_owned(),
        Cell::Text(text) | Cell::Other(text) => serde_json::Value::from(text).to_string(),
    }
}

fn attributions(table: &mut TableBuilder, inputs: &[Option<usize>], bytes: &[u8]) {
    let Ok(Some(attributions)) = Attributions::decode(bytes) else { return };
    let tensor = &attributions.tensor;
    let count = tensor.shape.first().map_or(0, |count| *count as usize);
    let numbers = floats(tensor);
    let width = numbers.len().checked_div(count).unwrap_or(0);
    let put = |table: &mut TableBuilder, place: Option<usize>, at: usize| {
        let (Some(place), Some(own)) = (place, numbers.get(at * width..(at + 1) * width)) else { return };
        match own {
            [one] => table.set(place, Cell::Float(*one)),
            several => table.set(place, Cell::Json(&serde_json::json!(several).to_string())),
        }
    };
    match &attributions.features {
        None if inputs.len() == count => {
            inputs.iter().enumerate().for_each(|(at, place)| put(table, *place, at));
        }
        None => {}
        Some(features) => {
            for (at, feature) in features.iter().enumerate() {
                let place = match feature {
                    Feature::Name(name) => table.column("attributions", name),
                    Feature::Path(path) => {
                        let skip = usize::from(path.first() == "inputs");
                        table.column("attributions", &joined(path.parts().skip(skip)))
                    }
                };
                put(table, place, at);
            }
        }
    }
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    let elements = tensor.data.chunks_exact(tensor.element.size());
    match tensor.element {
        // INVARIANT: chunks are of the size of an element.
        Element::F64 => {
            elements.map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes"))).collect()
        }
        Element::F32 => {
            elements.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")).into()).collect()
        }
        _ => Vec::new(),
    }
}

fn meta(table: &mut TableBuilder, bytes: &[u8]) {
    let Ok(Some(meta)) = ExplanationMeta::decode(bytes) else { return };
    if let Some(place) = table.column("explanation", "method") {
        table.set(place, Cell::Text(&meta.method));
    }
    if let (Some(space), Some(place)) = (meta.space, table.column("explanation", "space")) {
        table.set(place, Cell::Text(space.name()));
    }
}
