//! What readable records say that the log repeats: times, blobs, marks, what was destroyed. Edge: that they are the records that were sealed
//! was checked before.

use crate::blob;
use crate::descriptor::{Descriptor, Gone, Id, Mark, MarkKind};
use crate::keys::{Secret, blob_key};
use minutebook_record::cbor::Reader;
use minutebook_record::{FieldType, Header, Kind, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// A blob as a record names it.
#[derive(Debug, Clone)]
pub struct NamedBlob {
    length: u64,
    digest: [u8; 32],
    key: Secret,
}

impl NamedBlob {
    /// Whether a stored object holds it.
    pub fn is_in(&self, id: &Id, object: &[u8]) -> bool {
        blob::open(id, &self.key, object).is_some_and(|content| {
            content.len() as u64 == self.length && minutebook_sha256::digest(&content) == self.digest
        })
    }
}

/// What the readable records of one segment say.
#[derive(Debug, Default)]
pub(crate) struct Said {
    times: Option<(i64, i64)>,
    pub(crate) blobs: BTreeMap<Id, NamedBlob>,
    marks: Vec<Option<Mark>>,
    destroyed: BTreeSet<Id>,
    /// Class-epochs whose disposal is recorded.
    pub(crate) disposed: BTreeSet<Id>,
}

impl Said {
    /// Takes in one record, in the order of place; `owner` is the key that its blobs' keys come from.
    pub(crate) fn take(&mut self, header: &Header, schema: &Schema, fields: &[&[u8]], owner: &Secret) {
        let mut time = None;
        for (field, value) in schema.fields().iter().zip(fields) {
            match field.field_type {
                FieldType::Event => time = event_time(value),
                FieldType::Blob => {
                    if let Some((id, length, digest)) = blob_of(value) {
                        self.blobs.insert(id, NamedBlob { length, digest, key: blob_key(owner, &id) });
                    }
                }
                _ => {}
            }
        }
        let seconds = time.map_or((header.id.unix_ms() / 1_000) as i64, |ns| ns.div_euclid(1_000_000_000));
        self.times = Some(match self.times {
            None => (seconds, seconds),
            Some((first, last)) => (first.min(seconds), last.max(seconds)),
        });
        match header.kind {
            Kind::Producer => self.marks.push(mark_of(header, schema, fields)),
            Kind::Erasure => self.destroyed.extend(erased_blobs(schema, fields)),
            _ => {}
        }
    }

    /// What the descriptor says otherwise. `complete`: all records of the segment could be read.
    pub(crate) fn contradictions(&self, descriptor: &Descriptor, complete: bool) -> Vec<&'static str> {
        let mut found = Vec::new();
        let (earliest, latest) = self.times.unwrap_or((descriptor.earliest, descriptor.latest));
        let within = earliest >= descriptor.earliest && latest <= descriptor.latest;
        let exact = (earliest, latest) == (descriptor.earliest, descriptor.latest);
        if !within || (complete && !exact) {
            found.push("its records are of another time than the log says");
        }
        let listed: BTreeSet<&Id> = descriptor.blobs.iter().map(|blob| &blob.id).collect();
        let named: BTreeSet<&Id> = self.blobs.keys().collect();
        if !named.is_subset(&listed) || (complete && named != listed) {
            found.push("its records name other blobs than the log says");
        }
        // Records about producers and erasures are about no subject, so that they are always readable.
        if !self.marks.iter().map(Option::as_ref).eq(descriptor.marks.iter().map(Some)) {
            found.push("the marks in the log are not those of its `producer` records");
        }
        let of_blob = |gone: &Gone| matches!(gone, Gone::Blob(id) if !self.destroyed.contains(id));
        if descriptor.gone.iter().any(of_blob) {
            found.push("the log says of blobs that they were destroyed, and no `erasure` record in it does");
        }
        let unrecorded = |gone: &Gone| match gone {
            Gone::Blob(_) => false,
            // No record says so of a single segment.
            Gone::Segment(_) => true,
            Gone::ClassEpoch(id) => !self.disposed.contains(id),
        };
        if descriptor.gone.iter().any(unrecorded) {
            found.push("the log says that segments were disposed of, and no `disposal` record in it does");
        }
        let gone: BTreeSet<Gone> = descriptor.gone.iter().copied().collect();
        if self.disposed.iter().any(|id| !gone.contains(&Gone::ClassEpoch(*id))) {
            found.push("a `disposal` record in it says that segments were disposed of, and the log does not");
        }
        found
    }
}

/// The start of the event, ns since 1970, of an encoded `event`; `None` for null.
pub fn event_time(value: &[u8]) -> Option<i64> {
    let mut reader = Reader::new(value);
    reader.array().ok()?;
    reader.signed().ok()
}

/// The id in an encoded `blob`; `None` for null.
pub fn blob_id(value: &[u8]) -> Option<Id> {
    blob_of(value).map(|(id, ..)| id)
}

/// Id, length and digest in an encoded `blob`; `None` for null.
fn blob_of(value: &[u8]) -> Option<(Id, u64, [u8; 32])> {
    let mut reader = Reader::new(value);
    reader.tag().ok()?;
    reader.array().ok()?;
    reader.text().ok()?;
    reader.text().ok()?;
    let length = reader.unsigned().ok()?;
    Some((reader.bytes_of().ok()?, length, reader.bytes_of().ok()?))
}

/// The mark that a `producer` record makes. The engine's records about other producers name them.
fn mark_of(header: &Header, schema: &Schema, fields: &[&[u8]]) -> Option<Mark> {
    let field = |name: &str| schema.find_parts(&["producer", name]).map(|place| Reader::new(fields[place]));
    let mut counts = Vec::new();
    let mut reader = field("counts")?;
    for _ in 0..reader.map().ok()? {
        counts.push((reader.text().ok()?.to_owned(), reader.unsigned().ok()?));
    }
    counts.sort();
    let what = match field("mark")?.text().ok()? {
        "opened" => MarkKind::Opened(field("key")?.bytes_of().ok()?),
        "alive" => MarkKind::Alive(field("signature")?.bytes_of().ok()?),
        "closed" => MarkKind::Closed(field("signature")?.bytes_of().ok()?),
        "abandoned" => MarkKind::Abandoned,
        _ => return None,
    };
    Some(Mark {
        producer: field("id").map_or(Some(header.producer.0), |mut id| id.bytes_of().ok())?,
        epoch: field("epoch").map_or(Some(header.epoch.get()), |mut epoch| epoch.unsigned().ok())?,
        what,
        time: field("time")?.signed().ok()?,
        counts,
    })
}

/// The subject numbers that an `erasure` record names.
pub fn erased_subjects(schema: &Schema, fields: &[&[u8]]) -> Vec<u64> {
    list(schema, fields, "subjects", &|reader| reader.unsigned().ok())
}

fn erased_blobs(schema: &Schema, fields: &[&[u8]]) -> Vec<Id> {
    list(schema, fields, "blobs", &|reader| reader.bytes_of().ok())
}

fn list<T>(
    schema: &Schema,
    fields: &[&[u8]],
    name: &str,
    item: &dyn Fn(&mut Reader<'_>) -> Option<T>,
) -> Vec<T> {
    let read = |value: &[u8]| {
        let mut reader = Reader::new(value);
        let count = reader.array().ok()?;
        (0..count).map(|_| item(&mut reader)).collect::<Option<Vec<T>>>()
    };
    schema.find_parts(&["erasure", name]).and_then(|place| read(fields[place])).unwrap_or_default()
}
