//! A batch: the records of one class that become one segment, between drain and sealing. Edge: holds clear values, in memory only.

use crate::limits;
use crate::own::Losses;
use minutebook_capture::ShapeDef;
use minutebook_record::cbor;
use minutebook_record::{ClassName, FieldType, Kind, RecordId};
use minutebook_sketch::{Gathered, Key, Plan, Window};
use minutebook_verify::Id;
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{Gone, Mark, Range, State};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range as Span;
use std::sync::Arc;

/// One record on its way into a segment.
#[derive(Debug)]
pub struct Incoming {
    /// The record's id.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// Index into the batch's producers.
    pub producer: u16,
    /// Its number.
    pub seq: u64,
    /// Schema and constants.
    pub shape: Arc<ShapeDef>,
    /// Its values in the batch's arena.
    pub values: Span<usize>,
    /// Where its values end, in the batch's list of ends (relative to its values).
    pub ends: Span<usize>,
    /// Whom it is about: indices into the batch's lookups.
    pub subjects: Vec<u32>,
    /// The decision whose subjects it shares, when it names none itself.
    pub about: Option<RecordId>,
    /// What the log repeats of it.
    pub mark: Option<Mark>,
    /// Place of the event in its schema.
    pub event: Option<usize>,
}

/// Large content that a record names.
#[derive(Debug)]
pub struct IncomingBlob {
    /// Its id.
    pub id: Id,
    /// Index of the record, in the order of arrival.
    pub record: usize,
    /// Its content.
    pub content: Vec<u8>,
}

/// Records of one class.
#[derive(Debug)]
pub struct Batch {
    /// The class.
    pub class: ClassName,
    /// The records, in the order of arrival until [`Batch::close`], then by id.
    pub records: Vec<Incoming>,
    /// Values of all records.
    pub arena: Vec<u8>,
    /// Ends of the values.
    pub ends: Vec<u32>,
    /// Producers and epochs.
    pub producers: Vec<(Id, u64)>,
    /// Lookup hashes of the subjects.
    pub lookups: Vec<[u8; 32]>,
    /// Blobs of the records.
    pub blobs: Vec<IncomingBlob>,
    /// Numbers that a policy left out, to be stated with this batch.
    pub sampled_out: BTreeMap<(Id, u64), RangeSet>,
    /// Numbers without a record, to be stated with this batch.
    pub losses: Losses,
    /// What is destroyed, to be stated with this batch.
    pub gone: Vec<Gone>,
    /// Epochs whose account ends with this batch.
    pub ended: Vec<(Id, u64)>,
    /// Acts that are recorded with this batch.
    pub acts: Vec<Id>,
    /// Windows that are recorded with this batch, by their rows in the catalog.
    pub windows: Vec<Id>,
    /// What is counted of its decisions, until [`Batch::close`].
    pub gathered: Gathered,
    /// What was counted of its decisions, from then on, and by windows among its records.
    pub counted: BTreeMap<Key, Window>,
    // INVARIANT: the ids of `records`, no two of which are the same: an id has one place in a segment.
    ids: HashSet<RecordId>,
    producer_index: HashMap<(Id, u64), u16>,
    lookup_index: HashMap<[u8; 32], u32>,
    blob_bytes: usize,
    sampled_runs: usize,
    /// Encoded bytes of the largest number that was left out.
    longest_number: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new(class: ClassName) -> Self {
        Self {
            class,
            records: Vec::new(),
            arena: Vec::new(),
            ends: Vec::new(),
            producers: Vec::new(),
            lookups: Vec::new(),
            blobs: Vec::new(),
            sampled_out: BTreeMap::new(),
            losses: Losses::new(),
            gone: Vec::new(),
            ended: Vec::new(),
            acts: Vec::new(),
            windows: Vec::new(),
            gathered: Gathered::default(),
            counted: BTreeMap::new(),
            ids: HashSet::new(),
            producer_index: HashMap::new(),
            lookup_index: HashMap::new(),
            blob_bytes: 0,
            sampled_runs: 0,
            longest_number: 0,
        }
    }

    /// Whether there is nothing to seal.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.sampled_out.is_empty()
            && self.losses.is_empty()
            && self.gone.is_empty()
            && self.ended.is_empty()
            && self.acts.is_empty()
    }

    /// Whether one more record of any size would be too many.
    pub fn is_full(&self) -> bool {
        self.records.len() >= limits::SEGMENT_RECORDS
            || self.arena.len() >= limits::SEGMENT_BYTES
            || self.blob_bytes >= limits::SEGMENT_BLOB_BYTES
            || self.producers.len().max(self.sampled_out.len()) >= limits::SEGMENT_PRODUCERS
            || self.sampled_range_bytes() >= limits::SAMPLED_RANGE_BYTES
    }

    /// States that a policy left this number out. `number` is in no other batch, and has no record.
    pub fn leave_out(&mut self, producer: Id, epoch: u64, number: u64) {
        let set = self.sampled_out.entry((producer, epoch)).or_default();
        let before = set.ranges().len();
        let range = Range { state: State::SampledOut, from: number, to: number };
        // INVARIANT: the drain asks whether a number is claimed before it is judged.
        set.insert(range).expect("a number is left out once");
        self.sampled_runs = self.sampled_runs + set.ranges().len() - before;
        self.longest_number = self.longest_number.max(cbor::head_len(number));
    }

    /// What the ranges of numbers that were left out take in the descriptor at most: each with one of kept numbers behind it.
    fn sampled_range_bytes(&self) -> usize {
        self.sampled_runs * 2 * (2 + 2 * self.longest_number)
    }

    /// The index of a producer's epoch.
    pub fn producer(&mut self, producer: Id, epoch: u64) -> u16 {
        let next = self.producers.len() as u16;
        *self.producer_index.entry((producer, epoch)).or_insert_with(|| {
            self.producers.push((producer, epoch));
            next
        })
    }

    /// The index of a subject.
    pub fn lookup(&mut self, lookup: [u8; 32]) -> u32 {
        let next = self.lookups.len() as u32;
        *self.lookup_index.entry(lookup).or_insert_with(|| {
            self.lookups.push(lookup);
            next
        })
    }

    /// Copies values in and gives their place.
    pub fn hold(&mut self, values: &[u8], ends: &[usize]) -> (Span<usize>, Span<usize>) {
        let (at, end) = (self.arena.len(), self.ends.len());
        self.arena.extend_from_slice(values);
        self.ends.extend(ends.iter().map(|end| *end as u32));
        (at..self.arena.len(), end..self.ends.len())
    }

    /// Whether a record has this id.
    pub fn has(&self, id: &RecordId) -> bool {
        self.ids.contains(id)
    }

    /// Adds a record, with an id that none has.
    pub fn push(&mut self, record: Incoming) {
        let is_new = self.ids.insert(record.id);
        assert!(is_new, "who adds a record asks for its id first");
        self.records.push(record);
    }

    /// Adds a blob of the record that is added next.
    pub fn push_blob(&mut self, id: Id, content: Vec<u8>) {
        self.blob_bytes += content.len();
        self.blobs.push(IncomingBlob { id, record: self.records.len(), content });
    }

    /// The values of a record, one for each place of its schema, constants put in. Replaces the content of `fields`.
    pub fn fields<'a>(&'a self, record: &'a Incoming, fields: &mut Vec<&'a [u8]>) {
        fields.clear();
        let values = &self.arena[record.values.clone()];
        let mut ends = self.ends[record.ends.clone()].iter().map(|end| *end as usize);
        let mut constants = record.shape.constants().iter().peekable();
        let mut at = 0;
        for place in 0..record.shape.schema().len() {
            match constants.next_if(|(constant, _)| *constant == place) {
                Some((_, value)) => fields.push(value),
                None => {
                    // INVARIANT: `ShapeDef::split` gave one end for each open place.
                    let end = ends.next().expect("an end for each open place");
                    fields.push(&values[at..end]);
                    at = end;
                }
            }
        }
    }

    /// Sorts the records by id, as their places in the segment, and sums up what was counted.
    pub fn close(mut self) -> Self {
        for (key, window) in std::mem::take(&mut self.gathered).finish(self.class.as_str()) {
            self.counted.entry(key).or_default().merge(window);
        }
        let mut order: Vec<usize> = (0..self.records.len()).collect();
        order.sort_unstable_by_key(|at| self.records[*at].id);
        let mut place_of = vec![0; order.len()];
        for (place, at) in order.iter().enumerate() {
            place_of[*at] = place;
        }
        for blob in &mut self.blobs {
            blob.record = place_of[blob.record];
        }
        self.records.sort_unstable_by_key(|record| record.id);
        self
    }
}

/// What the drain has to look at in records of one shape: found once for each shape.
#[derive(Debug, Clone)]
pub struct ShapePlan {
    /// Place of the subject in the schema.
    pub subject: Option<usize>,
    /// Place of the event.
    pub event: Option<usize>,
    /// Places of blobs.
    pub blobs: Vec<usize>,
    /// What is counted of decisions.
    pub counted: Arc<Plan>,
}

impl ShapePlan {
    /// The plan for a shape.
    pub fn new(shape: &ShapeDef) -> Self {
        let places = |wanted: FieldType| {
            let fields = shape.schema().fields().iter().enumerate();
            fields.filter(move |(_, field)| field.field_type == wanted).map(|(place, _)| place)
        };
        Self {
            subject: places(FieldType::Subject).next(),
            event: places(FieldType::Event).next(),
            blobs: places(FieldType::Blob).collect(),
            counted: Arc::new(Plan::new(shape.schema())),
        }
    }
}
