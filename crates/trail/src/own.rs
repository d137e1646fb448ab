//! The engine's own records: what was lost, which producer died, what was erased, which keys were rotated. Edge: makes the fields; numbers and
//! sealing are the drain's business.

use crate::error::{Error, Result};
use crate::limits;
use minutebook_capture::{GivenUp, ShapeDef};
use minutebook_record::cbor;
use minutebook_record::fields::Event;
use minutebook_record::{Field, FieldType, IntegerType, Kind, Path, Schema, Seq};
use minutebook_sketch::{Key, SealedWindow};
use minutebook_verify::Id;
use minutebook_verify::descriptor::{Gone, Mark, MarkKind, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ranges of numbers by (producer, epoch, class), with one state.
pub type Losses = BTreeMap<State, Vec<LostRange>>;

/// Numbers that have no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// Whose numbers.
    pub producer: Id,
    /// Of which run.
    pub epoch: u64,
    /// In which class.
    pub class: String,
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// A record of the engine before it has a number.
#[derive(Debug, Clone)]
pub struct OwnRecord {
    /// What it says.
    pub kind: Kind,
    /// Its schema.
    pub shape: Arc<ShapeDef>,
    /// Its values, one behind the other.
    pub values: Vec<u8>,
    /// What the log repeats of it.
    pub mark: Option<Mark>,
    /// What it says is destroyed.
    pub gone: Vec<Gone>,
    /// The act in the catalog that it records.
    pub act: Option<Id>,
    /// The row of the window that it records.
    pub window: Option<Id>,
    /// Whether it belongs into one segment with the record before it.
    pub is_continued: bool,
}

struct Fields {
    fields: Vec<Field>,
    values: Vec<u8>,
}

impl Fields {
    fn new(time_ns: i64) -> Self {
        let event = Event::at(time_ns);
        let mut fields = Self { fields: Vec::new(), values: Vec::new() };
        fields.add(&["event"], FieldType::Event, |out| event.write(out));
        fields
    }

    fn add(&mut self, path: &[&str], field_type: FieldType, write: impl FnOnce(&mut Vec<u8>)) {
        // INVARIANT: paths of this module are one or two short texts.
        let path = Path::new(path.iter().copied()).expect("a path of the engine");
        self.fields.push(Field { path, field_type });
        write(&mut self.values);
    }

    fn text(&mut self, path: &[&str], text: &str) {
        self.add(path, FieldType::Text, |out| cbor::write_text(out, text));
    }

    fn record(self, kind: Kind) -> Result<OwnRecord> {
        let schema = Schema::new(self.fields).map_err(|e| Error::Request(e.to_string()))?;
        let shape = ShapeDef::from_encoded(schema, Vec::new()).map_err(|e| Error::Request(e.to_string()))?;
        shape.split(&self.values, &mut Vec::new()).map_err(|e| Error::Request(e.to_string()))?;
        let (shape, values) = (Arc::new(shape), self.values);
        let (mark, gone, act) = (None, Vec::new(), None);
        Ok(OwnRecord { kind, shape, values, mark, gone, act, window: None, is_continued: false })
    }
}

/// How many ranges one `loss` record names: far below what a record may hold.
const RANGES_PER_RECORD: usize = 4_096;

/// `loss` records for these ranges.
pub fn losses(losses: &Losses, time_ns: i64) -> Result<Vec<OwnRecord>> {
    let mut records = Vec::new();
    // What was counted only is no loss: the window that counted it says so.
    for (state, ranges) in losses.iter().filter(|(state, _)| **state != State::Counted) {
        for chunk in ranges.chunks(RANGES_PER_RECORD) {
            let mut fields = Fields::new(time_ns);
            fields.text(&["loss", "reason"], state.words());
            fields.add(&["loss", "ranges"], FieldType::List, |out| {
                cbor::write_array(out, chunk.len() as u64);
                for range in chunk {
                    cbor::write_array(out, 5);
                    cbor::write_bytes(out, &range.producer);
                    cbor::write_unsigned(out, range.epoch);
                    cbor::write_text(out, &range.class);
                    cbor::write_unsigned(out, range.from);
                    cbor::write_unsigned(out, range.to);
                }
            });
            records.push(fields.record(Kind::Loss)?);
        }
    }
    Ok(records)
}

/// Losses in portions that a descriptor can state.
pub fn portions(losses: Losses) -> Vec<Losses> {
    let mut portions = vec![Losses::new()];
    let mut count = 0;
    for (state, ranges) in losses {
        for range in ranges {
            if count == limits::LOST_RANGES_PER_SEGMENT {
                portions.push(Losses::new());
                count = 0;
            }
            count += 1;
            if let Some(portion) = portions.last_mut() {
                portion.entry(state).or_default().push(range);
            }
        }
    }
    portions
}

/// The `producer` record that an epoch was found abandoned, with what its counters said.
pub fn abandoned(producer: Id, epoch: u64, counts: Vec<(String, u64)>, time_ns: i64) -> Result<OwnRecord> {
    let what = MarkKind::Abandoned;
    marked(Mark { producer, epoch, what, time: time_ns.div_euclid(1_000_000_000), counts }, time_ns)
}

/// The `loss` record that an epoch of another machine was given up, with how many numbers are missing of each class as far as is known.
pub fn given_up(
    producer: Id,
    epoch: u64,
    said: &GivenUp,
    missing: Vec<(String, u64)>,
    time_ns: i64,
) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields.text(&["loss", "reason"], "given up");
    fields.add(&["loss", "ranges"], FieldType::List, |out| cbor::write_array(out, 0));
    fields.add(&["loss", "producer"], FieldType::Bytes, |out| cbor::write_bytes(out, &producer));
    fields.add(&["loss", "epoch"], FieldType::Integer(IntegerType::U64), |out| {
        cbor::write_unsigned(out, epoch);
    });
    fields.add(&["loss", "missing"], FieldType::Map, |out| write_counts(out, &missing));
    fields.add(&["loss", "heard"], FieldType::Integer(IntegerType::I64), |out| {
        cbor::write_signed(out, said.heard);
    });
    fields.text(&["loss", "by"], &said.by);
    fields.text(&["loss", "ground"], &said.reason);
    fields.record(Kind::Loss)
}

/// The `producer` record that an epoch was opened: the engine's own, or one whose own record of it was lost.
pub fn opened(producer: Id, epoch: u64, key: [u8; 32], time_ns: i64) -> Result<OwnRecord> {
    let (time, counts) = (time_ns.div_euclid(1_000_000_000), Vec::new());
    marked(Mark { producer, epoch, what: MarkKind::Opened(key), time, counts }, time_ns)
}

fn marked(mark: Mark, time_ns: i64) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields.text(&["producer", "mark"], mark.what.name());
    fields.add(&["producer", "time"], FieldType::Integer(IntegerType::I64), |out| {
        cbor::write_signed(out, mark.time);
    });
    fields.add(&["producer", "id"], FieldType::Bytes, |out| cbor::write_bytes(out, &mark.producer));
    fields.add(&["producer", "epoch"], FieldType::Integer(IntegerType::U64), |out| {
        cbor::write_unsigned(out, mark.epoch);
    });
    fields.add(&["producer", "counts"], FieldType::Map, |out| write_counts(out, &mark.counts));
    if let MarkKind::Opened(key) = &mark.what {
        fields.add(&["producer", "key"], FieldType::Bytes, |out| cbor::write_bytes(out, key));
    }
    let mut record = fields.record(Kind::Producer)?;
    record.mark = Some(mark);
    Ok(record)
}

fn write_counts(out: &mut Vec<u8>, counts: &[(String, u64)]) {
    // Deterministic CBOR sorts by the encoded key: shorter names first.
    let mut sorted: Vec<&(String, u64)> = counts.iter().collect();
    sorted.sort_by_key(|(class, _)| (class.len(), class.clone()));
    cbor::write_map(out, sorted.len() as u64);
    for (class, last) in sorted {
        cbor::write_text(out, class);
        cbor::write_unsigned(out, *last);
    }
}

/// The `erasure` record of one subject. Names no person.
pub fn erasure(
    act: Id,
    subject: u64,
    blobs: &[Id],
    ground: &str,
    by: &str,
    time_ns: i64,
) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields.add(&["erasure", "subjects"], FieldType::List, |out| {
        cbor::write_array(out, 1);
        cbor::write_unsigned(out, subject);
    });
    fields.add(&["erasure", "blobs"], FieldType::List, |out| {
        cbor::write_array(out, blobs.len() as u64);
        blobs.iter().for_each(|blob| cbor::write_bytes(out, blob));
    });
    fields.text(&["erasure", "ground"], ground);
    fields.text(&["erasure", "by"], by);
    let mut record = fields.record(Kind::Erasure)?;
    record.gone = blobs.iter().copied().map(Gone::Blob).collect();
    record.act = Some(act);
    Ok(record)
}

/// The `policy` record of a change of keys or rules.
pub fn policy(act: Id, what: &str, old: &[u8], new: &str, time_ns: i64) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields.text(&["policy", "what"], what);
    fields.add(&["policy", "old"], FieldType::Bytes, |out| cbor::write_bytes(out, old));
    fields.text(&["policy", "new"], new);
    let mut record = fields.record(Kind::Policy)?;
    record.act = Some(act);
    Ok(record)
}

/// What a `hold` record says.
pub struct HoldSaid<'a> {
    /// Which hold.
    pub hold: Id,
    /// `placed` or `lifted`.
    pub what: &'static str,
    /// Its name.
    pub name: &'a str,
    /// Why it was placed, or lifted.
    pub reason: &'a str,
    /// By whose order.
    pub by: &'a str,
    /// Numbers of the subjects that it is over; none: any.
    pub subjects: Option<&'a [u64]>,
    /// Conditions that are texts, as far as there are such.
    pub texts: [(&'static str, Option<&'a str>); 3],
    /// Conditions that are times, ns since 1970.
    pub times: [(&'static str, Option<i64>); 2],
}

/// The `hold` record of a hold that was placed or lifted. Names no person.
pub fn hold(act: Id, said: &HoldSaid<'_>, time_ns: i64) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields.add(&["hold", "id"], FieldType::Bytes, |out| cbor::write_bytes(out, &said.hold));
    fields.text(&["hold", "what"], said.what);
    fields.text(&["hold", "name"], said.name);
    fields.text(&["hold", "reason"], said.reason);
    fields.text(&["hold", "by"], said.by);
    if let Some(subjects) = said.subjects {
        fields.add(&["hold", "subjects"], FieldType::List, |out| {
            cbor::write_array(out, subjects.len() as u64);
            subjects.iter().for_each(|number| cbor::write_unsigned(out, *number));
        });
    }
    for (name, text) in said.texts {
        if let Some(text) = text {
            fields.text(&["hold", name], text);
        }
    }
    for (name, time) in said.times {
        if let Some(time) = time {
            fields.add(&["hold", name], FieldType::Integer(IntegerType::I64), |out| {
                cbor::write_signed(out, time);
            });
        }
    }
    let mut record = fields.record(Kind::Hold)?;
    record.act = Some(act);
    Ok(record)
}

/// What a `disposal` record says.
pub struct DisposalSaid<'a> {
    /// The class-epoch key that was destroyed.
    pub class_epoch: Id,
    /// Its class.
    pub class: &'a str,
    /// Its month, as in `2026-11`.
    pub month: &'a str,
    /// Counts, by name.
    pub counts: [(&'static str, u64); 4],
    /// Times in Unix seconds, by name.
    pub times: [(&'static str, i64); 3],
    /// The rule by which it was due.
    pub rule: &'a str,
    /// By whose order.
    pub by: &'a str,
}

/// The `disposal` record of one class-epoch.
pub fn disposal(act: Id, said: &DisposalSaid<'_>, time_ns: i64) -> Result<OwnRecord> {
    let mut fields = Fields::new(time_ns);
    fields
        .add(&["disposal", "class-epoch"], FieldType::Bytes, |out| cbor::write_bytes(out, &said.class_epoch));
    for (name, text) in [("class", said.class), ("month", said.month), ("rule", said.rule), ("by", said.by)] {
        fields.text(&["disposal", name], text);
    }
    for (name, count) in said.counts {
        fields.add(&["disposal", name], FieldType::Integer(IntegerType::U64), |out| {
            cbor::write_unsigned(out, count);
        });
    }
    for (name, time) in said.times {
        fields.add(&["disposal", name], FieldType::Integer(IntegerType::I64), |out| {
            cbor::write_signed(out, time);
        });
    }
    let mut record = fields.record(Kind::Disposal)?;
    record.gone = vec![Gone::ClassEpoch(said.class_epoch)];
    record.act = Some(act);
    Ok(record)
}

/// A `window` record (`docs/formats/window.md`), which has all that was placed below `through` in it. Without a row it continues the one before.
pub fn window(key: &Key, part: &SealedWindow, through: u64, row: Option<Id>) -> Result<OwnRecord> {
    let mut fields = Fields { fields: Vec::new(), values: Vec::new() };
    for (field, value) in minutebook_sketch::fields(key, part, through) {
        fields.fields.push(field);
        fields.values.extend_from_slice(&value);
    }
    let mut record = fields.record(Kind::Window)?;
    (record.window, record.is_continued) = (row, row.is_none());
    Ok(record)
}

/// The mark in a producer's own `producer` record, from its encoded fields.
///
/// # Errors
/// `None` when the record does not say what a producer's record has to.
pub fn mark_of(producer: Id, epoch: u64, schema: &Schema, fields: &[&[u8]]) -> Option<Mark> {
    let field =
        |name: &str| schema.find_parts(&["producer", name]).map(|place| cbor::Reader::new(fields[place]));
    let name = field("mark")?.text().ok()?;
    let time = field("time")?.signed().ok()?;
    let mut counts = Vec::new();
    let mut reader = field("counts")?;
    for _ in 0..reader.map().ok()? {
        let class = reader.text().ok()?.to_owned();
        // What is no number of a record is no count of them either.
        counts.push((class, Seq::new(reader.unsigned().ok()?).ok()?.get()));
    }
    counts.sort();
    let what = match name {
        "opened" => MarkKind::Opened(field("key")?.bytes_of().ok()?),
        "alive" => MarkKind::Alive(field("signature")?.bytes_of().ok()?),
        "closed" => MarkKind::Closed(field("signature")?.bytes_of().ok()?),
        _ => return None,
    };
    Some(Mark { producer, epoch, what, time, counts })
}
