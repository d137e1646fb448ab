//! Building a segment: from a batch and its subjects' keys to the bytes of the object and its descriptor. Edge: no I/O; everything random comes
//! in as values. What is built is checked again after it was written and read back.

use crate::batch::Batch;
use crate::subjects::Subject;
use bytes::Bytes;
use minutebook_capture::ShapeDef;
use minutebook_record::{Committer, Epoch, Header, Kind, ProducerId, Schema, Seed, Seq};
use minutebook_tlog::Hash;
use minutebook_verify::check::{event_time, kept_ranges};
use minutebook_verify::descriptor::{BlobRef, Descriptor, Range, Ranges};
use minutebook_verify::keys::{Cipher, Secret, audit_key, blob_key, content_key, segment_key, subjects_key};
use minutebook_verify::segment::{
    Audit, Head, Layout, Row, Shape, audit_associated, block_associated, body, head_associated,
};
use minutebook_verify::{Id, blob, leb, limits, section};
use std::collections::HashMap;
use std::sync::Arc;

/// Compression of blocks and heads: most of the gain at a fraction of the cost of higher levels.
const ZSTD_LEVEL: i32 = 1;

/// What a batch is sealed with.
pub struct Sealing {
    /// The segment's id, never used before.
    pub segment: Id,
    /// Id and key of the class-epoch.
    pub class_epoch: (Id, Secret),
    /// The batch's subjects, in the order of its lookups.
    pub subjects: Vec<Subject>,
    /// A fresh seed for each record.
    pub seeds: Vec<[u8; 32]>,
}

/// A segment that is ready to be written.
pub struct Built {
    /// The object.
    pub object: Bytes,
    /// What the log will say of it.
    pub descriptor: Descriptor,
    /// Objects of its blobs.
    pub blobs: Vec<(Id, Bytes)>,
    /// Subjects and the blobs about them.
    pub blob_subjects: Vec<(u64, Id)>,
    /// First and last id; zeros without records.
    pub ids: (Id, Id),
    /// First and last event, ns since 1970.
    pub times: (i64, i64),
    /// Bit k: a record of kind k.
    pub kinds: u32,
}

/// Builds a segment.
pub fn build(batch: &Batch, sealing: &Sealing) -> Built {
    let mut head = HeadBuilder::default();
    let shapes: Vec<usize> = {
        let alone = shapes_of_one_subject(batch);
        batch.records.iter().map(|record| head.shape(&record.shape, alone[&record.shape.digest()])).collect()
    };
    let mut audit = Audit {
        class: batch.class,
        producers: batch.producers.clone(),
        schemas: head.head.schemas.iter().map(|schema| schema.digest().0).collect(),
        rows: Vec::with_capacity(batch.records.len()),
    };
    let (leaves, times) = commit(batch, sealing, &head, &shapes, &mut audit);
    let (audit_part, content_part) = (audit_key(&sealing.class_epoch.1), content_key(&sealing.class_epoch.1));
    let cipher = Cipher::new(&segment_key(&content_part, &sealing.segment));
    // INVARIANT: making a context fails only without memory.
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("a compression context");
    let mut object = Layout::begin(&sealing.segment, &sealing.class_epoch.0);
    let head_len = section::seal(
        &cipher,
        0,
        &head_associated(&sealing.segment),
        &head.head.encode(),
        &mut compressor,
        &mut object,
    );
    let mut blocks = Vec::new();
    let mut content = Vec::with_capacity(limits::BLOCK_BYTES_MAX + 4096);
    let mut first = 0u32;
    let mut entry = Vec::new();
    let mut writer = EntryWriter {
        batch,
        sealing,
        head: &head,
        shapes: &shapes,
        body: Vec::new(),
        compressor: &mut compressor,
    };
    let mut flush = |content: &mut Vec<u8>,
                     first: u32,
                     end: u32,
                     object: &mut Vec<u8>,
                     compressor: &mut zstd::bulk::Compressor<'_>| {
        let block = blocks.len() as u32;
        let associated = block_associated(&sealing.segment, block, &leaves[first as usize..end as usize]);
        let length = section::seal(&cipher, u64::from(block) + 1, &associated, content, compressor, object);
        blocks.push((first, length));
        content.clear();
    };
    for place in 0..batch.records.len() as u32 {
        entry.clear();
        writer.write(place, &mut entry);
        if !content.is_empty() && content.len() + entry.len() > limits::BLOCK_BYTES_MAX {
            flush(&mut content, first, place, &mut object, writer.compressor);
            first = place;
        }
        content.extend_from_slice(&entry);
    }
    if !batch.records.is_empty() {
        flush(&mut content, first, batch.records.len() as u32, &mut object, writer.compressor);
    }
    let cipher = Cipher::new(&segment_key(&audit_part, &sealing.segment));
    let associated = audit_associated(&sealing.segment);
    let audit_len = section::seal(&cipher, 0, &associated, &audit.encode(), &mut compressor, &mut object);
    Layout::end(&mut object, batch.records.len() as u32, head_len, &blocks, audit_len);
    describe(batch, sealing, &audit, &leaves, times, object.into(), &content_part)
}

fn describe(
    batch: &Batch,
    sealing: &Sealing,
    audit: &Audit,
    leaves: &[Hash],
    times: (i64, i64),
    object: Bytes,
    content_part: &Secret,
) -> Built {
    let kinds = batch.records.iter().fold(0, |kinds, record| kinds | 1 << record.kind.number());
    let mut blobs = Vec::new();
    let mut blob_refs = Vec::new();
    let mut blob_subjects = Vec::new();
    for incoming in &batch.blobs {
        let record = &batch.records[incoming.record];
        let subjects: Vec<&Subject> =
            record.subjects.iter().map(|at| &sealing.subjects[*at as usize]).collect();
        let keys: Vec<Secret> = subjects.iter().map(|subject| subject.key.clone()).collect();
        let owner = subjects_key(&keys).unwrap_or_else(|| content_part.clone());
        let object =
            Bytes::from(blob::seal(&incoming.id, &blob_key(&owner, &incoming.id), &incoming.content));
        let (digest, length) = (minutebook_sha256::digest(&object), object.len() as u64);
        blob_refs.push(BlobRef { id: incoming.id, digest, length });
        blob_subjects.extend(subjects.iter().map(|subject| (subject.number, incoming.id)));
        blobs.push((incoming.id, object));
    }
    let ids = match (batch.records.first(), batch.records.last()) {
        (Some(first), Some(last)) => (*first.id.as_bytes(), *last.id.as_bytes()),
        _ => ([0; 16], [0; 16]),
    };
    let descriptor = Descriptor {
        segment: sealing.segment,
        records: batch.records.len() as u64,
        root: *minutebook_tlog::merkle_root(leaves).as_bytes(),
        earliest: times.0.div_euclid(1_000_000_000),
        latest: times.1.div_euclid(1_000_000_000),
        object_digest: minutebook_sha256::digest(&object),
        object_len: object.len() as u64,
        class: batch.class.to_string(),
        class_epoch: sealing.class_epoch.0,
        ranges: all_ranges(kept_ranges(audit), batch),
        marks: batch.records.iter().filter_map(|record| record.mark.clone()).collect(),
        blobs: blob_refs,
        gone: batch.gone.clone(),
    };
    Built { object, descriptor, blobs, blob_subjects, ids, times, kinds }
}

/// Kept, sampled out and lost ranges together, as the descriptor orders them.
fn all_ranges(kept: Vec<Ranges>, batch: &Batch) -> Vec<Ranges> {
    let mut all: HashMap<(Id, u64, String), Vec<Range>> = kept
        .into_iter()
        .map(|ranges| ((ranges.producer, ranges.epoch, ranges.class), ranges.ranges))
        .collect();
    for ((producer, epoch), left_out) in &batch.sampled_out {
        all.entry((*producer, *epoch, batch.class.to_string())).or_default().extend(left_out.ranges());
    }
    for (state, lost) in &batch.losses {
        for range in lost {
            let key = (range.producer, range.epoch, range.class.clone());
            all.entry(key).or_default().push(Range { state: *state, from: range.from, to: range.to });
        }
    }
    let mut all: Vec<Ranges> = all
        .into_iter()
        .map(|((producer, epoch, class), mut ranges)| {
            ranges.sort_by_key(|range| range.from);
            ranges.dedup_by(|next, last| {
                let joins = last.state == next.state && last.to + 1 == next.from;
                if joins {
                    last.to = next.to;
                }
                joins
            });
            Ranges { producer, epoch, class, ranges }
        })
        .collect();
    all.sort_by(|a, b| (a.producer, a.epoch, &a.class).cmp(&(b.producer, b.epoch, &b.class)));
    all
}

#[derive(Default)]
struct HeadBuilder {
    head: Head,
    by_shape: HashMap<([u8; 32], bool), usize>,
    by_schema: HashMap<[u8; 32], u16>,
}

impl HeadBuilder {
    /// The index of a shape; `inline` puts its constants into the bodies.
    fn shape(&mut self, shape: &ShapeDef, inline: bool) -> usize {
        if let Some(at) = self.by_shape.get(&(shape.digest(), inline)) {
            return *at;
        }
        let Self { head, by_schema, .. } = self;
        let schema = *by_schema.entry(shape.schema().digest().0).or_insert_with(|| {
            head.schemas.push(Arc::new(Schema::clone(shape.schema())));
            head.schemas.len() as u16 - 1
        });
        let constants = if inline {
            Vec::new()
        } else {
            shape.constants().iter().map(|(place, value)| (*place as u32, value.to_vec())).collect()
        };
        self.head.shapes.push(Shape { schema, constants });
        let at = self.head.shapes.len() - 1;
        self.by_shape.insert((shape.digest(), inline), at);
        at
    }
}

/// For each shape: whether all its records in the batch have a subject in common. Then what the shape holds may be about that one alone.
fn shapes_of_one_subject(batch: &Batch) -> HashMap<[u8; 32], bool> {
    let mut common: HashMap<[u8; 32], Vec<u32>> = HashMap::new();
    for record in &batch.records {
        let common = common.entry(record.shape.digest()).or_insert_with(|| record.subjects.clone());
        common.retain(|subject| record.subjects.contains(subject));
    }
    common.into_iter().map(|(digest, common)| (digest, !common.is_empty())).collect()
}

fn commit(
    batch: &Batch,
    sealing: &Sealing,
    head: &HeadBuilder,
    shapes: &[usize],
    audit: &mut Audit,
) -> (Vec<Hash>, (i64, i64)) {
    let mut committer = Committer::new();
    let mut fields = Vec::new();
    let mut times: Option<(i64, i64)> = None;
    for (place, record) in batch.records.iter().enumerate() {
        batch.fields(record, &mut fields);
        let event = record.event.and_then(|place| event_time(fields[place]));
        let time = event.unwrap_or(record.id.unix_ms() as i64 * 1_000_000);
        times = Some(times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let (producer, epoch) = batch.producers[usize::from(record.producer)];
        let header = Header {
            id: record.id,
            kind: record.kind,
            producer: ProducerId(producer),
            // INVARIANT: epochs and numbers come from readers that admit only 1 to 2^63−1.
            epoch: Epoch::new(epoch).expect("an epoch in range"),
            seq: Seq::new(record.seq).expect("a number in range"),
            class: batch.class,
        };
        committer
            .push(&header, record.shape.schema(), fields.iter().copied(), &Seed(sealing.seeds[place]))
            // INVARIANT: `Batch::fields` gives one value for each field.
            .expect("one value for each field");
    }
    let sealed = committer.finish();
    for ((record, sealed), shape) in batch.records.iter().zip(&sealed).zip(shapes) {
        audit.rows.push(Row {
            id: record.id,
            kind: record.kind,
            producer: record.producer,
            schema: head.head.shapes[*shape].schema,
            seq: record.seq,
            commitment: sealed.commitment.0,
        });
    }
    (sealed.iter().map(|sealed| Hash::new(sealed.leaf.0)).collect(), times.unwrap_or((0, 0)))
}

struct EntryWriter<'a, 'c> {
    batch: &'a Batch,
    sealing: &'a Sealing,
    head: &'a HeadBuilder,
    shapes: &'a [usize],
    body: Vec<u8>,
    compressor: &'a mut zstd::bulk::Compressor<'c>,
}

impl EntryWriter<'_, '_> {
    fn write(&mut self, place: u32, out: &mut Vec<u8>) {
        let record = &self.batch.records[place as usize];
        let shape = self.shapes[place as usize];
        self.body.clear();
        self.body.extend_from_slice(&self.sealing.seeds[place as usize]);
        leb::write_unsigned(&mut self.body, shape as u64);
        if self.head.head.shapes[shape].constants.len() == record.shape.constants().len() {
            self.body.extend_from_slice(&self.batch.arena[record.values.clone()]);
        } else {
            let mut fields = Vec::new();
            self.batch.fields(record, &mut fields);
            fields.iter().for_each(|value| self.body.extend_from_slice(value));
        }
        if record.subjects.is_empty() {
            body::write_clear(out, &self.body);
            return;
        }
        let subjects: Vec<&Subject> =
            record.subjects.iter().map(|at| &self.sealing.subjects[*at as usize]).collect();
        let numbers: Vec<u64> = subjects.iter().map(|subject| subject.number).collect();
        let keys: Vec<Secret> = subjects.iter().map(|subject| subject.key.clone()).collect();
        if let Some(key) = subjects_key(&keys) {
            body::write_sealed(
                out,
                &self.sealing.segment,
                place,
                &numbers,
                &key,
                &self.body,
                self.compressor,
            );
        }
    }
}

/// The kinds that a bit set names.
pub fn has_kind(kinds: u32, kind: Kind) -> bool {
    kinds & 1 << kind.number() != 0
}
