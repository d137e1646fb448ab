//! One record checked against the log: everything that vouches for it is computed again from stored bytes, by the verifier's code. Edge: one
//! record and its segment; whether the whole trail holds is said by `verify`.

use super::{OpenSegment, Reader};
use crate::catalog::SegmentRow;
use crate::error::{Error, Result};
use crate::reader::{Content, StoredRecord};
use crate::seal::blocking;
use bytes::Bytes;
use minutebook_record::{Path, RecordId};
use minutebook_tlog::{LeafIndex, Policy, TiledTree, TreeHead, leaf_hash, verify_inclusion};
use minutebook_verify::check::{Scratch, blob_id, check_segment};
use minutebook_verify::descriptor::{Descriptor, Entry};
use minutebook_verify::log::LOG;
use minutebook_verify::receipt::verify_receipt;
use minutebook_verify::verify::{CHECKPOINT, blob_name, segment_name};
use minutebook_verify::{Finding, Severity};

/// What the check of one record gave.
#[derive(Debug, Clone)]
pub struct CheckedRecord {
    /// What is wrong. When there is nothing, the record is what was sealed.
    pub findings: Vec<Finding>,
    /// The entry of the log that its segment is.
    pub log_index: u64,
    /// Entries of the published log, 0 when its checkpoint does not hold.
    pub log_size: u64,
    /// The record's leaf in the tree of its segment, as the stored bytes give it; none when they do not.
    pub leaf: Option<[u8; 32]>,
}

const NOT_PROVED: &str = "nothing proves any more that this record is what was sealed; `minutebook verify` tells what is damaged beyond it";

/// A stored segment as the log and its own bytes have it.
struct Candidate {
    findings: Vec<Finding>,
    descriptor: Option<Descriptor>,
    opened: Option<(OpenSegment, usize)>,
}

fn problem(object: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Problem,
        object: object.into(),
        what: what.into(),
        means: NOT_PROVED.into(),
    }
}

impl Reader {
    /// Checks one record: its segment's bytes against the log, its values against its leaf, the leaf against the log's root, and the checkpoint's
    /// signature. What is damaged is a finding and no error.
    ///
    /// # Errors
    /// [`Error::NoRecord`] when none of this id is sealed; a disk, a store or the catalog that fails.
    pub async fn check(&self, id: &RecordId) -> Result<CheckedRecord> {
        let head = match self.checkpoint().await {
            Ok((checkpoint, _)) => Ok(*checkpoint.head()),
            Err(Error::LogDisagrees { what }) => Err(problem(CHECKPOINT, what)),
            Err(error) => return Err(error),
        };
        let mut damaged = None;
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let candidate = self.candidate(&row, head.as_ref().ok(), id).await?;
            let mut checked = CheckedRecord {
                findings: head.as_ref().err().cloned().into_iter().chain(candidate.findings).collect(),
                log_index: row.log_index,
                log_size: head.as_ref().map_or(0, |head| head.size.get()),
                leaf: None,
            };
            if let Some((segment, place)) = candidate.opened {
                self.check_at(id, segment, place, candidate.descriptor, &mut checked).await?;
                return Ok(checked);
            }
            if !checked.findings.is_empty() {
                damaged = Some(checked);
            }
        }
        damaged.ok_or_else(|| Error::NoRecord { id: id.to_string() })
    }

    /// Looks at a segment that may hold the record.
    async fn candidate(&self, row: &SegmentRow, head: Option<&TreeHead>, id: &RecordId) -> Result<Candidate> {
        let name = segment_name(&row.id);
        let mut candidate = Candidate { findings: Vec::new(), descriptor: None, opened: None };
        if let Some(head) = head {
            match self.proved_entry(row.log_index, head).await {
                Ok(Entry::Segment(descriptor)) if descriptor.segment == row.id => {
                    candidate.descriptor = Some(*descriptor);
                }
                Ok(_) => {
                    candidate
                        .findings
                        .push(problem(LOG, format!("entry {} is not that of {name}", row.log_index)));
                }
                Err(Error::LogDisagrees { what }) => candidate.findings.push(problem(LOG, what)),
                Err(error) => return Err(error),
            }
        }
        let Some(object) = self.objects.get(&name).await? else {
            candidate.findings.push(problem(name, "it is missing"));
            return Ok(candidate);
        };
        if let Some(descriptor) = candidate.descriptor.clone() {
            candidate.findings.extend(self.faults(name.clone(), object.clone(), descriptor).await?);
        }
        let (row, keys, id) = (row.clone(), self.keys.clone(), *id);
        let opened = blocking(move || {
            let segment = OpenSegment::open(&row, object, keys.class_epoch(&row.class_epoch).as_ref())?;
            Ok(segment.find(&id).map(|place| (segment, place)))
        });
        match opened.await {
            Ok(opened) => candidate.opened = opened,
            Err(Error::Segment { what, .. }) => {
                if candidate.findings.is_empty() {
                    candidate.findings.push(problem(name, what));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(candidate)
    }

    /// An entry of the log that the root stands for.
    async fn proved_entry(&self, index: u64, head: &TreeHead) -> Result<Entry> {
        let wrong = |what: String| Error::LogDisagrees { what };
        let entry = self.entry(index, head.size).await?;
        let tiles = self.tiles_for(index, head.size.get()).await?;
        let at = LeafIndex::new(index);
        let path = TiledTree::new(&tiles, head.size).inclusion_path(at).map_err(|e| wrong(e.to_string()))?;
        verify_inclusion(leaf_hash(&entry), at, head, &path)
            .map_err(|e| wrong(format!("entry {index} is not the one that the checkpoint signs: {e}")))?;
        Entry::decode(&entry).map_err(|e| wrong(format!("entry {index}: {e}")))
    }

    /// What is wrong with the bytes of a segment.
    async fn faults(&self, name: String, object: Bytes, descriptor: Descriptor) -> Result<Vec<Finding>> {
        let keys = self.keys.clone();
        blocking(move || {
            let outcome = check_segment(&object, &descriptor, &keys, &mut Scratch::default());
            let finding = |fault: minutebook_verify::check::Fault| Finding {
                severity: Severity::Problem,
                object: name.clone(),
                what: fault.what,
                means: fault.means.into(),
            };
            Ok(outcome.faults.into_iter().map(finding).collect())
        })
        .await
    }

    /// Checks the record at its place: values, leaf, paths, signature, blobs.
    async fn check_at(
        &self,
        id: &RecordId,
        segment: OpenSegment,
        place: usize,
        descriptor: Option<Descriptor>,
        checked: &mut CheckedRecord,
    ) -> Result<()> {
        let name = segment_name(&segment.row().id);
        let leaf = segment.leaves.get(place).map(|leaf| *leaf.as_bytes());
        let (keys, log_size) = (self.keys.clone(), checked.log_size);
        let record = match blocking(move || segment.record(log_size, place, &keys)).await {
            Ok(record) => record,
            Err(Error::Segment { what, .. }) => {
                checked.findings.push(problem(name, what));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        checked.leaf = leaf;
        // Without an entry that is proved there is nothing to compare with, and that was told.
        let Some(descriptor) = descriptor else { return Ok(()) };
        // Shown whole, so that the leaf is computed from the values.
        let all: Vec<Path> = match &record.content {
            Content::Readable { .. } => {
                record.schema.fields().iter().map(|field| field.path.clone()).collect()
            }
            Content::Erased | Content::NoKey => Vec::new(),
        };
        let policy = Policy::parse(self.policy().as_bytes())
            .map_err(|error| Error::LogDisagrees { what: error.to_string() })?;
        match self.receipt(id, &all).await {
            Ok(receipt) => {
                if let Err(error) = verify_receipt(receipt.as_bytes(), &policy) {
                    checked.findings.push(problem(&name, error.to_string()));
                }
            }
            Err(Error::LogDisagrees { what }) => checked.findings.push(problem(LOG, what)),
            Err(Error::Segment { what, .. }) => checked.findings.push(problem(&name, what)),
            Err(error) => return Err(error),
        }
        checked.findings.extend(self.blob_faults(&record, &descriptor).await?);
        Ok(())
    }

    /// What is wrong with the blobs that a record names.
    async fn blob_faults(&self, record: &StoredRecord, descriptor: &Descriptor) -> Result<Vec<Finding>> {
        let Content::Readable { values, .. } = &record.content else { return Ok(Vec::new()) };
        let mut findings = Vec::new();
        for id in values.iter().filter_map(|value| blob_id(value)) {
            let name = blob_name(&id);
            let stated = descriptor.blobs.iter().find(|blob| blob.id == id);
            let Some(object) = self.objects.get(&name).await? else {
                findings.push(problem(name, "it is missing"));
                continue;
            };
            if stated.is_none_or(|stated| minutebook_sha256::digest(&object) != stated.digest) {
                findings
                    .push(problem(name, "its bytes were changed: their SHA-256 is not the one in the log"));
            }
        }
        Ok(findings)
    }
}
