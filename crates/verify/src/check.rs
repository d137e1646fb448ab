//! One stored segment against its descriptor, as deep as the keys reach: the same check serves the verifier and the engine's reading
//! back. Edge: one segment at a time; what segments add up to is for `coverage` and `verify`.

use crate::descriptor::{Descriptor, Id, Range, Ranges, State};
use crate::disposal::SaidRetention;
use crate::keys::{Cipher, Keys, Secret, SubjectKey, segment_key, subjects_key};
use crate::said::Said;
use crate::sampling::proof::{KeptDecision, PolicyChange};
use crate::segment::{
    Audit, Body, Entry, Head, Layout, Row, SectionName, SegmentError, audit_associated, block_associated,
    body, head_associated,
};
use crate::windows::{Covered, read_covers};
use crate::{sampling, section};
use minutebook_record::cbor::Reader;
use minutebook_record::{Committer, Kind, Seed};
use minutebook_tlog::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// How deep a segment could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The log alone: the stored bytes are those that the log describes.
    Log,
    /// With the audit key: numbers, leaves, inner root.
    Audit,
    /// With the content key: every field's commitment.
    Content,
}

pub use crate::said::{NamedBlob, blob_id, erased_subjects, event_time};

/// Something wrong with a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was found.
    pub what: String,
    /// What that means, in words for somebody who does not know the format.
    pub means: &'static str,
}

/// What the check of one segment gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How deep it went; `None` when not even the bytes were right.
    pub level: Option<Level>,
    /// Records whose values were read and committed to again.
    pub readable: u64,
    /// Records whose subjects' keys are gone.
    pub erased: u64,
    /// Records whose subjects' keys were not given.
    pub withheld: u64,
    /// Subjects whose keys are gone.
    pub erased_subjects: BTreeSet<u64>,
    /// Subjects that erasure records in this segment name.
    pub erasures: BTreeSet<u64>,
    /// Changes of policy that readable records of the class `system` tell of, in the order of place.
    pub policies: Vec<PolicyChange>,
    /// What readable records of the class `system` say of retention.
    pub retention: SaidRetention,
    /// Its decisions, when they were asked for: [`Scratch::for_verification`].
    pub decisions: Vec<KeptDecision>,
    /// The numbers of its decisions, when they were asked for: [`Scratch::for_verification`].
    pub decided: Vec<Ranges>,
    /// What readable `window` records say they counted.
    pub covers: Vec<Covered>,
    /// Blobs that readable records name.
    pub blobs: BTreeMap<Id, NamedBlob>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Buffers that are used again from segment to segment.
pub struct Scratch {
    decompressor: zstd::bulk::Decompressor<'static>,
    content: Vec<u8>,
    section: Vec<u8>,
    committer: Committer,
    wants_decisions: bool,
    wants_numbers: bool,
}

impl Scratch {
    /// The same, for a check that gives the numbers of decisions, and lists them one by one if `wants_decisions`.
    pub fn for_verification(wants_decisions: bool) -> Self {
        Self { wants_decisions, wants_numbers: true, ..Self::default() }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            // INVARIANT: making a context fails only without memory.
            decompressor: zstd::bulk::Decompressor::new().expect("a decompression context"),
            content: Vec::new(),
            section: Vec::new(),
            committer: Committer::new(),
            wants_decisions: false,
            wants_numbers: false,
        }
    }
}

const CHANGED: &str = "somebody or something changed what was stored; the log still says what it was, and the rest of the trail is not affected";
const CONTRADICTION: &str = "the segment does not hold what the log says it holds: whoever wrote it, or holds the keys, made a false statement";

impl Outcome {
    fn fault(&mut self, what: impl Into<String>, means: &'static str) {
        self.faults.push(Fault { what: what.into(), means });
    }
}

/// Checks a stored object against its descriptor. `object` is the whole of it.
pub fn check_segment(
    object: &[u8],
    descriptor: &Descriptor,
    keys: &dyn Keys,
    scratch: &mut Scratch,
) -> Outcome {
    let mut outcome = Outcome::default();
    if object.len() as u64 != descriptor.object_len {
        let change = if (object.len() as u64) < descriptor.object_len { "cut" } else { "extended" };
        outcome.fault(
            format!("it was {change}: {} bytes instead of {}", object.len(), descriptor.object_len),
            CHANGED,
        );
        return outcome;
    }
    if minutebook_sha256::digest(object) != descriptor.object_digest {
        outcome.fault("its bytes were changed: their SHA-256 is not the one in the log", CHANGED);
        localise(object, descriptor, keys, scratch, &mut outcome);
        return outcome;
    }
    outcome.level = Some(Level::Log);
    if let Err(error) = check_parts(object, descriptor, keys, scratch, &mut outcome) {
        outcome.fault(error.to_string(), CONTRADICTION);
    }
    outcome
}

/// With keys, changed bytes are told to the section that they are in.
fn localise(
    object: &[u8],
    descriptor: &Descriptor,
    keys: &dyn Keys,
    scratch: &mut Scratch,
    outcome: &mut Outcome,
) {
    let mut inner = Outcome::default();
    if let Err(error) = check_parts(object, descriptor, keys, scratch, &mut inner) {
        let subject = if matches!(error, SegmentError::Layout(_)) { "it " } else { "" };
        outcome.fault(format!("the change is here: {subject}{error}"), CHANGED);
    }
}

fn check_parts(
    object: &[u8],
    descriptor: &Descriptor,
    keys: &dyn Keys,
    scratch: &mut Scratch,
    outcome: &mut Outcome,
) -> Result<(), SegmentError> {
    let layout = Layout::parse(object)?;
    if layout.segment != descriptor.segment || layout.class_epoch != descriptor.class_epoch {
        return Err(SegmentError::Layout("it is another segment than its name says"));
    }
    if u64::from(layout.records) != descriptor.records {
        return Err(SegmentError::Layout("it has another number of records than the log says"));
    }
    let Some(audit_key) = keys.audit(&layout.class_epoch) else {
        return Ok(());
    };
    let audit = open_audit(object, &layout, &audit_key, scratch)?;
    let leaves = audit.leaves();
    check_audit(&audit, &leaves, descriptor, outcome);
    if scratch.wants_numbers {
        outcome.decided = ranges_of(&audit, |row| row.kind == Kind::Decision);
    }
    if scratch.wants_decisions {
        outcome.decisions = sampling::proof::decisions(&audit);
    }
    outcome.level = Some(Level::Audit);
    let Some(content_key) = keys.content(&layout.class_epoch) else {
        return Ok(());
    };
    check_content(object, &layout, descriptor, &audit, &leaves, &content_key, keys, scratch, outcome)?;
    outcome.level = Some(Level::Content);
    Ok(())
}

/// Opens the audit section of an object with the audit key of its class-epoch.
pub fn open_audit(
    object: &[u8],
    layout: &Layout,
    audit_key: &Secret,
    scratch: &mut Scratch,
) -> Result<Audit, SegmentError> {
    let cipher = Cipher::new(&segment_key(audit_key, &layout.segment));
    let Scratch { decompressor, content, section, .. } = scratch;
    section.clear();
    section.extend_from_slice(&object[layout.audit.clone()]);
    section::open(&cipher, 0, &audit_associated(&layout.segment), section, decompressor, content)
        .map_err(|error| SegmentError::Section(SectionName::Audit, error))?;
    let audit = Audit::decode(content)?;
    if audit.rows.len() == layout.records as usize {
        Ok(audit)
    } else {
        Err(SegmentError::Content(SectionName::Audit, "another number of records than the footer says"))
    }
}

/// Opens the head of an object.
pub fn open_head(
    object: &[u8],
    layout: &Layout,
    cipher: &Cipher,
    scratch: &mut Scratch,
) -> Result<Head, SegmentError> {
    let Scratch { decompressor, content, section, .. } = scratch;
    section.clear();
    section.extend_from_slice(&object[layout.head.clone()]);
    section::open(cipher, 0, &head_associated(&layout.segment), section, decompressor, content)
        .map_err(|error| SegmentError::Section(SectionName::Head, error))?;
    Head::decode(content)
}

/// Opens a block of an object; `leaves` are those of the whole segment. The content is given as it stands.
pub fn open_block(
    object: &[u8],
    layout: &Layout,
    block: usize,
    leaves: &[Hash],
    cipher: &Cipher,
    scratch: &mut Scratch,
) -> Result<Vec<u8>, SegmentError> {
    let Scratch { decompressor, content, section, .. } = scratch;
    let places = layout.places(block);
    let associated =
        block_associated(&layout.segment, block as u32, &leaves[places.start as usize..places.end as usize]);
    section.clear();
    section.extend_from_slice(&object[layout.blocks[block].1.clone()]);
    section::open(cipher, block as u64 + 1, &associated, section, decompressor, content)
        .map_err(|error| SegmentError::Section(SectionName::Block(block as u32), error))?;
    Ok(std::mem::take(content))
}

fn check_audit(audit: &Audit, leaves: &[Hash], descriptor: &Descriptor, outcome: &mut Outcome) {
    if audit.class.as_str() != descriptor.class {
        outcome.fault("its records are of another class than the log says", CONTRADICTION);
    }
    if minutebook_tlog::merkle_root(leaves).as_bytes() != &descriptor.root {
        outcome.fault("the root of its records is not the one in the log", CONTRADICTION);
    }
    if kept_ranges(audit) != kept_only(&descriptor.ranges) {
        outcome.fault("the numbers of its records are not those that the log says are kept", CONTRADICTION);
    }
    let marks = audit.rows.iter().filter(|row| row.kind == Kind::Producer).count();
    if marks != descriptor.marks.len() {
        outcome
            .fault("the log has other producer marks than the segment has producer records", CONTRADICTION);
    }
}

/// The ranges that a segment's records make up.
pub fn kept_ranges(audit: &Audit) -> Vec<Ranges> {
    ranges_of(audit, |_| true)
}

/// The ranges that some of a segment's records make up.
fn ranges_of(audit: &Audit, which: impl Fn(&Row) -> bool) -> Vec<Ranges> {
    let mut numbers: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for row in audit.rows.iter().filter(|row| which(row)) {
        numbers.entry(usize::from(row.producer)).or_default().push(row.seq);
    }
    let mut all: Vec<Ranges> = numbers
        .into_iter()
        .map(|(at, mut numbers)| {
            numbers.sort_unstable();
            let (producer, epoch) = audit.producers[at];
            let mut ranges: Vec<Range> = Vec::new();
            for seq in numbers {
                match ranges.last_mut() {
                    Some(last) if last.to + 1 == seq => last.to = seq,
                    _ => ranges.push(Range { state: State::Kept, from: seq, to: seq }),
                }
            }
            Ranges { producer, epoch, class: audit.class.as_str().to_owned(), ranges }
        })
        .collect();
    all.sort_by_key(|ranges| (ranges.producer, ranges.epoch));
    all
}

fn kept_only(all: &[Ranges]) -> Vec<Ranges> {
    all.iter()
        .map(|ranges| Ranges {
            ranges: ranges.ranges.iter().filter(|range| range.state == State::Kept).copied().collect(),
            ..ranges.clone()
        })
        .filter(|ranges| !ranges.ranges.is_empty())
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "the parts of one segment, each opened once")]
fn check_content(
    object: &[u8],
    layout: &Layout,
    descriptor: &Descriptor,
    audit: &Audit,
    leaves: &[Hash],
    content_key: &Secret,
    keys: &dyn Keys,
    scratch: &mut Scratch,
    outcome: &mut Outcome,
) -> Result<(), SegmentError> {
    let cipher = Cipher::new(&segment_key(content_key, &layout.segment));
    let head = open_head(object, layout, &cipher, scratch)?;
    let digests: Vec<[u8; 32]> = head.schemas.iter().map(|schema| schema.digest().0).collect();
    if digests != audit.schemas {
        return Err(SegmentError::Content(SectionName::Head, "its schemas are not those of the leaves"));
    }
    let mut said = Said::default();
    for block in 0..layout.blocks.len() {
        let content = open_block(object, layout, block, leaves, &cipher, scratch)?;
        check_block(
            &content,
            layout,
            block,
            &head,
            audit,
            leaves,
            keys,
            content_key,
            scratch,
            outcome,
            &mut said,
        )?;
        scratch.content = content;
    }
    let complete = outcome.erased == 0 && outcome.withheld == 0;
    said.disposed.extend(outcome.retention.disposals.iter().map(|disposal| disposal.class_epoch));
    for contradiction in said.contradictions(descriptor, complete) {
        outcome.fault(contradiction, CONTRADICTION);
    }
    outcome.blobs = said.blobs;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the parts of one segment, each opened once")]
fn check_block(
    content: &[u8],
    layout: &Layout,
    block: usize,
    head: &Head,
    audit: &Audit,
    leaves: &[Hash],
    keys: &dyn Keys,
    content_key: &Secret,
    scratch: &mut Scratch,
    outcome: &mut Outcome,
    said: &mut Said,
) -> Result<(), SegmentError> {
    let places = layout.places(block);
    let mut rest = content;
    let mut entries = Vec::with_capacity(places.len());
    for place in places.clone() {
        entries.push(body::read_entry(&mut rest).map_err(|what| SegmentError::Body(place, what))?);
    }
    if !rest.is_empty() {
        return Err(SegmentError::Content(SectionName::Block(block as u32), "bytes follow its last entry"));
    }
    let known = subject_keys(&entries, keys);
    let mut opened = Vec::with_capacity(entries.len());
    for (place, entry) in places.zip(&entries) {
        let body = match entry {
            Entry::Clear(body) => (std::borrow::Cow::Borrowed(*body), content_key.clone()),
            Entry::Sealed { subjects, sealed } => match combine(subjects, &known, outcome) {
                None => continue,
                Some(key) => {
                    let body =
                        body::open_sealed(&layout.segment, place, &key, sealed, &mut scratch.decompressor);
                    (std::borrow::Cow::Owned(body.map_err(|what| SegmentError::Body(place, what))?), key)
                }
            },
        };
        opened.push((place, body));
    }
    let mut fields = Vec::new();
    for (place, (bytes, owner)) in &opened {
        let wrong = |what| SegmentError::Body(*place, what);
        let body = Body::parse(bytes).map_err(wrong)?;
        let schema = head.fields(body.shape, body.values, &mut fields).map_err(wrong)?;
        let row = &audit.rows[*place as usize];
        if schema.digest().0 != audit.schemas[usize::from(row.schema)] {
            return Err(wrong("has another schema than its leaf"));
        }
        said.take(&audit.header(*place as usize), schema, &fields, owner);
        if row.kind == Kind::Policy && audit.class.as_str() == "system" {
            outcome.policies.extend(PolicyChange::read(schema, &fields));
            outcome.retention.take_policy(schema, &fields);
        }
        if row.kind == Kind::Window {
            let covers = schema.find_parts(&["window", "covers"]).map(|place| Reader::new(fields[place]));
            let covers = covers.and_then(|mut reader| read_covers(&mut reader));
            outcome
                .covers
                .extend(covers.ok_or_else(|| wrong("is a window that does not say what it counted"))?);
        }
        if row.kind == Kind::Decision && scratch.wants_decisions {
            sampling::proof::read_decision(&mut outcome.decisions, *place, schema, &fields);
        }
        if row.kind == Kind::Disposal && !outcome.retention.take_disposal(schema, &fields) {
            return Err(wrong("is a disposal that does not say of what"));
        }
        if row.kind == Kind::Erasure {
            outcome.erasures.extend(erased_subjects(schema, &fields));
        }
        let header = audit.header(*place as usize);
        scratch
            .committer
            .push(&header, schema, fields.iter().copied(), &Seed(*body.seed))
            .map_err(|_| wrong("has not one value for each field"))?;
    }
    for ((place, _), sealed) in opened.iter().zip(scratch.committer.finish()) {
        if sealed.leaf.0 != *leaves[*place as usize].as_bytes() {
            return Err(SegmentError::Body(*place, "is not the one that its leaf commits to"));
        }
        outcome.readable += 1;
    }
    Ok(())
}

fn subject_keys(entries: &[Entry<'_>], keys: &dyn Keys) -> BTreeMap<u64, SubjectKey> {
    let mut numbers: Vec<u64> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Sealed { subjects, .. } => Some(subjects),
            Entry::Clear(_) => None,
        })
        .flatten()
        .copied()
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let known = keys.subjects(&numbers);
    numbers.into_iter().zip(known).collect()
}

fn combine(subjects: &[u64], known: &BTreeMap<u64, SubjectKey>, outcome: &mut Outcome) -> Option<Secret> {
    let mut all = Vec::with_capacity(subjects.len());
    let mut gone = false;
    for number in subjects {
        match known.get(number) {
            Some(SubjectKey::Known(key)) => all.push(key.clone()),
            Some(SubjectKey::Gone) => {
                gone = true;
                outcome.erased_subjects.insert(*number);
            }
            _ => {}
        }
    }
    if gone {
        outcome.erased += 1;
    } else if all.len() != subjects.len() {
        outcome.withheld += 1;
    } else {
        return subjects_key(&all);
    }
    None
}
