//! What the evidence says that the catalog repeats: read from log and segments, with the keys that there are. Edge: takes what `verify` would
//! not find fault with as it is.

use super::catalog::Tables;
use super::keys::{Held, record_id};
use super::{CATALOG_DIFFERS, Findings};
use crate::catalog::SegmentRow;
use crate::folder_source::FolderSource;
use crate::place::Place;
use crate::sampling::as_claimed;
use minutebook_record::{FieldType, Kind, RecordId};
use minutebook_verify::check::{
    Scratch, blob_id, erased_subjects, event_time, open_audit, open_block, open_head,
};
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{Descriptor, Entry as LogEntry, Gone, MarkKind};
use minutebook_verify::keys::{Cipher, Secret, audit_key, content_key, segment_key, subjects_key};
use minutebook_verify::log::check_log;
use minutebook_verify::segment::{Body, Entry, Layout, SegmentError, body};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::{CHECKPOINT, segment_name};
use minutebook_verify::{Id, Report, Source};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a segment is, as far as it could be read.
pub(super) struct Placed {
    pub(super) log_index: u64,
    pub(super) descriptor: Descriptor,
    pub(super) inside: Option<Inside>,
}

/// What its records say.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) kinds: u32,
    pub(super) ids: (Id, Id),
    /// First and last event, ns since 1970, when all records could be read.
    pub(super) times: Option<(i64, i64)>,
}

impl Placed {
    /// The row that the catalog has to have; times that cannot be read are taken from `there`.
    pub(super) fn row(&self, there: (i64, i64)) -> Option<SegmentRow> {
        let inside = self.inside.as_ref()?;
        Some(SegmentRow {
            id: self.descriptor.segment,
            log_index: self.log_index,
            class: self.descriptor.class.clone(),
            class_epoch: self.descriptor.class_epoch,
            records: self.descriptor.records,
            kinds: inside.kinds,
            ids: inside.ids,
            times: inside.times.unwrap_or(there),
        })
    }
}

/// The trail as its evidence has it.
#[derive(Default)]
pub(super) struct Evidence {
    /// Entries of the published log, and with those that wait in the catalog.
    pub(super) published: u64,
    pub(super) size: u64,
    pub(super) segments: Vec<Placed>,
    /// Every segment and every record that is not erased could be read.
    pub(super) whole: bool,
    pub(super) coverage: BTreeMap<(Id, u64, String), RangeSet>,
    /// Epochs that have a closing mark, or were abandoned.
    pub(super) ended: BTreeSet<(Id, u64)>,
    /// Epochs that were opened: whose the log speaks of.
    pub(super) epochs: BTreeSet<(Id, u64)>,
    /// Numbers of the subjects that records are about.
    pub(super) subjects: BTreeSet<u64>,
    /// Subjects whose key in the catalog does not open what is about them.
    pub(super) wrong_keys: BTreeSet<u64>,
    pub(super) erased: BTreeSet<u64>,
    pub(super) being_erased: BTreeSet<u64>,
    /// `erasure` records.
    pub(super) erasures: u64,
    /// Blobs and whom they are about.
    pub(super) blobs: BTreeSet<(u64, Id)>,
    pub(super) named_blobs: BTreeSet<Id>,
    pub(super) gone_blobs: BTreeSet<Id>,
    /// Segments disposed of, by their places in the log, with their class-epochs; those too whose disposal still needs its record.
    pub(super) disposed: BTreeMap<u64, (Id, Id)>,
    /// The class-epochs of these, with their classes.
    pub(super) disposed_classes: BTreeMap<Id, String>,
    /// Those of them whose disposal stands in the log.
    pub(super) recorded_disposals: BTreeSet<Id>,
    /// Class-epoch keys in use: the class, and the first id under it.
    pub(super) class_epochs: HashMap<Id, (String, Option<RecordId>)>,
    /// Published entries at the places that the catalog has entries for.
    pub(super) entries: HashMap<u64, Vec<u8>>,
}

/// Reads log and segments; `None` when there is no log to hold the catalog against. Beside an engine, entries that the catalog did not yet
/// know when it was read are left out.
pub(super) fn read(
    place: &Place,
    file: &TrailFile,
    tables: &Tables,
    held: &Held,
    running: bool,
    findings: &mut Findings,
) -> Option<Evidence> {
    let source = FolderSource::new(&place.folder);
    let being_erased = tables.being_erased();
    let mut evidence = Evidence { whole: true, being_erased, ..Evidence::default() };
    let descriptors = read_log(&source, file, tables, running, &mut evidence, findings)?;
    let gone = descriptors.iter().flat_map(|(_, descriptor)| &descriptor.gone);
    evidence.recorded_disposals.extend(gone.filter_map(|gone| match gone {
        Gone::ClassEpoch(id) => Some(*id),
        _ => None,
    }));
    let mut disposed = tables.being_disposed();
    disposed.extend(&evidence.recorded_disposals);
    for (log_index, descriptor) in descriptors {
        take_descriptor(&descriptor, &mut evidence);
        if disposed.contains(&descriptor.class_epoch) {
            evidence.disposed.insert(log_index, (descriptor.segment, descriptor.class_epoch));
            evidence.disposed_classes.insert(descriptor.class_epoch, descriptor.class);
            continue;
        }
        let class = || (descriptor.class.clone(), None);
        evidence.class_epochs.entry(descriptor.class_epoch).or_insert_with(class);
        let name = segment_name(&descriptor.segment);
        let inside = match source.read(&name) {
            Ok(Some(object)) => read_segment(&object, &descriptor, held, &mut evidence),
            Ok(None) => Err("it is missing".to_owned()),
            Err(error) => Err(format!("it cannot be read: {error}")),
        };
        let inside = inside.unwrap_or_else(|what| {
            let means = "`minutebook verify` tells more; what the catalog says of it cannot be checked";
            findings.problem(name, what, means);
            None
        });
        evidence.whole &= inside.is_some();
        evidence.segments.push(Placed { log_index, descriptor, inside });
    }
    Some(evidence)
}

fn read_log(
    source: &FolderSource,
    file: &TrailFile,
    tables: &Tables,
    running: bool,
    evidence: &mut Evidence,
    findings: &mut Findings,
) -> Option<Vec<(u64, Descriptor)>> {
    const SEE: &str =
        "`minutebook verify` tells more; the catalog cannot be held against a log that is damaged";
    let bytes = match source.read(CHECKPOINT) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            findings.problem(CHECKPOINT, "it is missing", SEE);
            return None;
        }
        Err(error) => {
            findings.problem(CHECKPOINT, format!("it cannot be read: {error}"), SEE);
            return None;
        }
    };
    let head = match file.open_checkpoint(&bytes) {
        Ok((checkpoint, _)) => *checkpoint.head(),
        Err(error) => {
            findings.problem(CHECKPOINT, error.to_string(), SEE);
            return None;
        }
    };
    let mut descriptors = Vec::new();
    let mut aside = Report::default();
    let known = if running { tables.log_size().unwrap_or(u64::MAX) } else { u64::MAX };
    let pending: BTreeMap<u64, &[u8]> = tables.pending().collect();
    check_log(source, head, &mut aside, &mut |index, bytes, _| {
        if pending.contains_key(&index) {
            evidence.entries.insert(index, bytes.to_vec());
        }
        if let Ok(LogEntry::Segment(descriptor)) = LogEntry::decode(bytes)
            && index < known
        {
            descriptors.push((index, *descriptor));
        }
    });
    if !aside.is_clean() {
        findings.list.append(&mut aside.findings);
        return None;
    }
    evidence.published = head.size.get();
    evidence.size = head.size.get().min(known);
    // Placed, and not published yet.
    for (index, bytes) in pending.range(head.size.get()..) {
        if *index != evidence.size {
            break;
        }
        match LogEntry::decode(bytes) {
            Ok(LogEntry::Segment(descriptor)) => descriptors.push((*index, *descriptor)),
            Ok(LogEntry::Trail { .. }) => {}
            Err(error) => {
                findings.row("pending_entry", &index.to_string(), error.to_string(), CATALOG_DIFFERS);
                break;
            }
        }
        evidence.size += 1;
    }
    Some(descriptors)
}

fn take_descriptor(descriptor: &Descriptor, evidence: &mut Evidence) {
    for ranges in &descriptor.ranges {
        let key = (ranges.producer, ranges.epoch, ranges.class.clone());
        evidence.epochs.insert((ranges.producer, ranges.epoch));
        let set = evidence.coverage.entry(key).or_default();
        for range in &ranges.ranges {
            // An overlap is the verifier's to tell.
            let _ = set.insert(as_claimed(*range));
        }
    }
    for mark in &descriptor.marks {
        evidence.epochs.insert((mark.producer, mark.epoch));
        if matches!(mark.what, MarkKind::Closed(_) | MarkKind::Abandoned) {
            evidence.ended.insert((mark.producer, mark.epoch));
        }
    }
    evidence.named_blobs.extend(descriptor.blobs.iter().map(|blob| blob.id));
    let gone = descriptor.gone.iter().filter_map(|gone| match gone {
        Gone::Blob(id) => Some(*id),
        _ => None,
    });
    evidence.gone_blobs.extend(gone);
}

/// What is in a segment; `Ok(None)` without its key, which is told where the key is missing.
fn read_segment(
    object: &[u8],
    descriptor: &Descriptor,
    held: &Held,
    evidence: &mut Evidence,
) -> Result<Option<Inside>, String> {
    let text = |error: SegmentError| error.to_string();
    let layout = Layout::parse(object).map_err(text)?;
    if layout.segment != descriptor.segment || layout.class_epoch != descriptor.class_epoch {
        return Err("it is another segment than its name says".into());
    }
    let Some(key) = held.class_epochs.get(&layout.class_epoch) else { return Ok(None) };
    let mut scratch = Scratch::default();
    let audit = open_audit(object, &layout, &audit_key(key), &mut scratch).map_err(text)?;
    let leaves = audit.leaves();
    let cipher = Cipher::new(&segment_key(&content_key(key), &layout.segment));
    let head = open_head(object, &layout, &cipher, &mut scratch).map_err(text)?;
    let mut inside = Inside::default();
    if let (Some(first), Some(last)) = (audit.rows.first(), audit.rows.last()) {
        inside.ids = (*first.id.as_bytes(), *last.id.as_bytes());
        if let Some((_, earliest)) = evidence.class_epochs.get_mut(&descriptor.class_epoch) {
            *earliest = (*earliest).into_iter().chain(record_id(inside.ids.0)).min();
        }
    }
    let mut times: Option<(i64, i64)> = None;
    let mut all_read = true;
    // INVARIANT: making a context fails only without memory.
    let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompression context");
    for block in 0..layout.blocks.len() {
        let content = open_block(object, &layout, block, &leaves, &cipher, &mut scratch).map_err(text)?;
        let mut rest = content.as_slice();
        for place in layout.places(block) {
            let row = &audit.rows[place as usize];
            inside.kinds |= 1 << row.kind.number();
            let entry = body::read_entry(&mut rest)?;
            let (bytes, about) = match entry {
                Entry::Clear(bytes) => (std::borrow::Cow::Borrowed(bytes), Vec::new()),
                Entry::Sealed { subjects, sealed } => {
                    evidence.subjects.extend(&subjects);
                    let keys: Option<Vec<Secret>> =
                        subjects.iter().map(|number| held.subjects.get(number).cloned()).collect();
                    let Some(key) = keys.and_then(|keys| subjects_key(&keys)) else {
                        all_read = false;
                        continue;
                    };
                    let opened = body::open_sealed(&layout.segment, place, &key, sealed, &mut decompressor);
                    let Ok(bytes) = opened else {
                        evidence.wrong_keys.extend(&subjects);
                        all_read = false;
                        continue;
                    };
                    (std::borrow::Cow::Owned(bytes), subjects)
                }
            };
            let body = Body::parse(&bytes)?;
            let mut fields = Vec::new();
            let schema = head.fields(body.shape, body.values, &mut fields)?;
            let mut time = row.id.unix_ms() as i64 * 1_000_000;
            for (field, value) in schema.fields().iter().zip(&fields) {
                match field.field_type {
                    FieldType::Event => time = event_time(value).unwrap_or(time),
                    FieldType::Blob => {
                        evidence.blobs.extend(
                            blob_id(value).into_iter().flat_map(|id| about.iter().map(move |who| (*who, id))),
                        );
                    }
                    _ => {}
                }
            }
            times = Some(times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
            if row.kind == Kind::Erasure {
                evidence.erasures += 1;
                evidence.erased.extend(erased_subjects(schema, &fields));
            }
        }
    }
    inside.times = match (all_read, audit.rows.is_empty()) {
        (_, true) => Some((0, 0)),
        (true, _) => times,
        (false, _) => None,
    };
    Ok(Some(inside))
}
