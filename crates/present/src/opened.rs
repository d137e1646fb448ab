//! A record as it is shown: what the commands hand to JSON and to the pages for people. Edge: holds; reads
//! and renders nothing.

use std::sync::Arc;

use minutebook_record::{Header, Path, Schema, masked_places};
use minutebook_trail::StoredRecord;

/// A record with as much of its content as the reader may see.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The header, which is never erased.
    pub header: Header,
    /// Its fields.
    pub schema: Arc<Schema>,
    /// Their values.
    pub content: Content,
    /// Where it is sealed; `None` when it is not yet.
    pub seal: Option<Seal>,
}

/// The values of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The encoded value of each field of the schema; `None` where it is masked.
    Readable(Vec<Option<Vec<u8>>>),
    /// The keys of its subject were destroyed.
    Erased,
    /// The reader has no key for it.
    NoKey,
}

/// Where a record is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The segment.
    pub segment: [u8; 16],
    /// The place in the segment, from 0.
    pub place: u32,
    /// The segment's entry in the log, from 0.
    pub log_index: u64,
    /// Entries of the log in the published checkpoint.
    pub log_size: u64,
}

impl Opened {
    /// The encoded value of the field of this path, when there is one and it can be read.
    pub fn value(&self, path: &[&str]) -> Option<&[u8]> {
        self.value_at(self.schema.find_parts(path)?)
    }

    /// The encoded value of the field at this place of the schema.
    pub fn value_at(&self, place: usize) -> Option<&[u8]> {
        match &self.content {
            Content::Readable(values) => values.get(place)?.as_deref(),
            Content::Erased | Content::NoKey => None,
        }
    }
}

impl Opened {
    /// Takes away what is masked, and says whether anything was: the fields that `hides` names, and with any input what betrays inputs. Of a record
    /// without inputs `hides_inputs` says whether to treat it as if one were masked.
    pub fn mask(&mut self, hides: impl Fn(&Path) -> bool, hides_inputs: bool) -> bool {
        let Content::Readable(values) = &mut self.content else { return false };
        let masked = masked_places(&self.schema, hides, hides_inputs);
        for (value, masked) in values.iter_mut().zip(&masked) {
            if *masked {
                *value = None;
            }
        }
        masked.contains(&true)
    }
}

impl From<StoredRecord> for Opened {
    fn from(record: StoredRecord) -> Self {
        let content = match record.content {
            minutebook_trail::Content::Readable { values, .. } => {
                Content::Readable(values.into_iter().map(Some).collect())
            }
            minutebook_trail::Content::Erased => Content::Erased,
            minutebook_trail::Content::NoKey => Content::NoKey,
        };
        let at = record.sealed;
        let (log_index, log_size) = (at.log_index, at.log_size);
        let seal = Some(Seal { segment: at.segment, place: at.place, log_index, log_size });
        Self { header: record.header, schema: record.schema, content, seal }
    }
}

/// A draft as if it had been numbered, for tests of what is shown.
#[doc(hidden)]
pub fn of_draft(draft: &crate::json::Draft) -> Opened {
    use minutebook_record::{Epoch, ProducerId, RecordId, Seq};

    let header = Header {
        id: RecordId::from_parts(1_795_253_400_123, [7; 10]),
        kind: draft.kind,
        producer: ProducerId([0xab; 16]),
        epoch: Epoch::FIRST,
        seq: Seq::new(42).expect("a number above 0"),
        class: draft.class,
    };
    let values = draft.all_values().into_iter().map(Some).collect();
    let schema = Arc::new(draft.shape.schema().clone());
    Opened { header, schema, content: Content::Readable(values), seal: None }
}
