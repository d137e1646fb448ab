//! One stored segment, opened to be read: where a record stands, whom it is about, what it says. Edge: checks what decrypting checks; whether
//! the log says the same is the verifier's business.

use crate::catalog::SegmentRow;
use crate::error::{Error, Result};
use crate::reader::{Content, Filter, SealedAt, StoredRecord};
use bytes::Bytes;
use minutebook_record::{RecordId, Schema, Seed};
use minutebook_tlog::Hash;
use minutebook_verify::check::{Scratch, open_audit, open_block, open_head};
use minutebook_verify::keys::{
    Cipher, Keys, Secret, SubjectKey, audit_key, content_key, segment_key, subjects_key,
};
use minutebook_verify::segment::{Audit, Body, Entry, Head, Layout, body};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// A segment with its audit section open.
#[derive(Clone)]
pub struct OpenSegment {
    row: SegmentRow,
    object: Bytes,
    layout: Layout,
    /// Headers and commitments.
    pub audit: Audit,
    /// The leaves of the inner tree.
    pub leaves: Vec<Hash>,
    content: Secret,
}

impl OpenSegment {
    /// Opens an object with the key of its class-epoch.
    pub fn open(row: &SegmentRow, object: Bytes, class_epoch: Option<&Secret>) -> Result<Self> {
        let wrong = |what: String| Error::Segment { segment: row.id, what };
        let layout = Layout::parse(&object).map_err(|e| wrong(e.to_string()))?;
        if layout.segment != row.id || layout.class_epoch != row.class_epoch {
            return Err(wrong("is not the one that the catalog has in this place".into()));
        }
        let no_key = || wrong("has a class-epoch key that is not in the catalog".into());
        let class_epoch = class_epoch.ok_or_else(no_key)?;
        let audit = open_audit(&object, &layout, &audit_key(class_epoch), &mut Scratch::default());
        let audit = audit.map_err(|e| wrong(e.to_string()))?;
        let leaves = audit.leaves();
        Ok(Self { row: row.clone(), object, layout, audit, leaves, content: content_key(class_epoch) })
    }

    /// Its row in the catalog.
    pub fn row(&self) -> &SegmentRow {
        &self.row
    }

    /// The place of a record.
    pub fn find(&self, id: &RecordId) -> Option<usize> {
        self.audit.find(id)
    }

    /// Numbers of the subjects of the record at a place.
    pub fn subjects(&self, place: usize) -> Result<Vec<u64>> {
        let block = self.layout.block_of(place as u32);
        let content = self.block(block, &mut Scratch::default())?;
        for (at, entry) in self.entries(block, &content)? {
            if at as usize == place
                && let Entry::Sealed { subjects, .. } = entry
            {
                return Ok(subjects);
            }
        }
        Ok(Vec::new())
    }

    /// The record at a place.
    pub fn record(&self, log_size: u64, place: usize, keys: &dyn Keys) -> Result<StoredRecord> {
        let mut found = None;
        let block = self.layout.block_of(place as u32);
        self.read(block..block + 1, log_size, keys, &|at| at == place, &mut |record| found = Some(record))?;
        found.ok_or_else(|| self.wrong("has no such place"))
    }

    /// The records that a filter lets through, in no order.
    pub fn records(&self, log_size: u64, filter: &Filter, keys: &dyn Keys) -> Result<Vec<StoredRecord>> {
        let mut records = Vec::new();
        let kind = |at: usize| filter.kinds.is_empty() || filter.kinds.contains(&self.audit.rows[at].kind);
        self.read(0..self.layout.blocks.len(), log_size, keys, &kind, &mut |record| {
            if (filter.from_ns..=filter.to_ns).contains(&record.time_ns()) {
                records.push(record);
            }
        })?;
        Ok(records)
    }

    /// Every record, with the numbers of its subjects also where it cannot be read.
    pub fn with_subjects(&self, keys: &dyn Keys) -> Result<Vec<(Vec<u64>, StoredRecord)>> {
        let mut subjects = Vec::new();
        let mut scratch = Scratch::default();
        for block in 0..self.layout.blocks.len() {
            let content = self.block(block, &mut scratch)?;
            subjects.extend(self.entries(block, &content)?.into_iter().map(|(_, entry)| match entry {
                Entry::Clear(_) => Vec::new(),
                Entry::Sealed { subjects, .. } => subjects,
            }));
        }
        let mut records = Vec::with_capacity(subjects.len());
        let all = 0..self.layout.blocks.len();
        self.read(all, 0, keys, &|_| true, &mut |record| records.push(record))?;
        // INVARIANT: both follow the blocks' entries in their order.
        assert_eq!(subjects.len(), records.len(), "a record for each entry");
        Ok(subjects.into_iter().zip(records).collect())
    }

    /// The records about any of these subjects, in the order of their places.
    pub fn about(&self, log_size: u64, numbers: &[u64], keys: &dyn Keys) -> Result<Vec<StoredRecord>> {
        let mut places = HashSet::new();
        let mut scratch = Scratch::default();
        for block in 0..self.layout.blocks.len() {
            let content = self.block(block, &mut scratch)?;
            for (place, entry) in self.entries(block, &content)? {
                if let Entry::Sealed { subjects, .. } = entry
                    && subjects.iter().any(|subject| numbers.contains(subject))
                {
                    places.insert(place as usize);
                }
            }
        }
        let mut records = Vec::new();
        if !places.is_empty() {
            let wanted = |place: usize| places.contains(&place);
            self.read(0..self.layout.blocks.len(), log_size, keys, &wanted, &mut |record| {
                records.push(record)
            })?;
        }
        Ok(records)
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Segment { segment: self.row.id, what: what.into() }
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(&segment_key(&self.content, &self.layout.segment))
    }

    fn block(&self, block: usize, scratch: &mut Scratch) -> Result<Vec<u8>> {
        open_block(&self.object, &self.layout, block, &self.leaves, &self.cipher(), scratch)
            .map_err(|e| self.wrong(e.to_string()))
    }

    fn entries<'a>(&self, block: usize, content: &'a [u8]) -> Result<Vec<(u32, Entry<'a>)>> {
        let mut rest = content;
        let entry = |place| match body::read_entry(&mut rest) {
            Ok(entry) => Ok((place, entry)),
            Err(what) => Err(self.wrong(what)),
        };
        self.layout.places(block).map(entry).collect()
    }

    fn read(
        &self,
        blocks: Range<usize>,
        log_size: u64,
        keys: &dyn Keys,
        wanted: &dyn Fn(usize) -> bool,
        each: &mut dyn FnMut(StoredRecord),
    ) -> Result<()> {
        let mut scratch = Scratch::default();
        let head = open_head(&self.object, &self.layout, &self.cipher(), &mut scratch);
        let head = head.map_err(|e| self.wrong(e.to_string()))?;
        if !head.schemas.iter().map(|schema| schema.digest().0).eq(self.audit.schemas.iter().copied()) {
            return Err(self.wrong("has other schemas than its leaves"));
        }
        let mut decompressor = zstd::bulk::Decompressor::new().map_err(|e| self.wrong(e.to_string()))?;
        for block in blocks {
            if !self.layout.places(block).any(|place| wanted(place as usize)) {
                continue;
            }
            let content = self.block(block, &mut scratch)?;
            let mut entries = self.entries(block, &content)?;
            entries.retain(|(place, _)| wanted(*place as usize));
            let known = known_keys(&entries, keys);
            for (place, entry) in entries {
                let content = self.content_of(place, entry, &head, &known, &mut decompressor)?;
                each(self.stored(place, log_size, &head, content));
            }
        }
        Ok(())
    }

    fn content_of(
        &self,
        place: u32,
        entry: Entry<'_>,
        head: &Head,
        known: &HashMap<u64, SubjectKey>,
        decompressor: &mut zstd::bulk::Decompressor<'static>,
    ) -> Result<Content> {
        let wrong = |what: &str| self.wrong(format!("at place {place} {what}"));
        let (body, subjects) = match entry {
            Entry::Clear(body) => (Cow::Borrowed(body), Vec::new()),
            Entry::Sealed { subjects, sealed } => {
                let key = match all_keys(&subjects, known) {
                    Ok(key) => key,
                    Err(unreadable) => return Ok(unreadable),
                };
                let body = body::open_sealed(&self.layout.segment, place, &key, sealed, decompressor);
                (Cow::Owned(body.map_err(wrong)?), subjects)
            }
        };
        let body = Body::parse(&body).map_err(wrong)?;
        let mut fields = Vec::new();
        head.fields(body.shape, body.values, &mut fields).map_err(wrong)?;
        let values = fields.iter().map(|field| field.to_vec()).collect();
        Ok(Content::Readable { values, seed: Seed(*body.seed), subjects })
    }

    fn stored(&self, place: u32, log_size: u64, head: &Head, content: Content) -> StoredRecord {
        let header = self.audit.header(place as usize);
        let schema = Arc::clone(&head.schemas[usize::from(self.audit.rows[place as usize].schema)]);
        let id_ns = (header.id.unix_ms() as i64).saturating_mul(1_000_000);
        let time_ns = match &content {
            Content::Readable { values, .. } => event_time(&schema, values).unwrap_or(id_ns),
            // When it was can only be told within the segment's bounds.
            _ => id_ns.clamp(self.row.times.0, self.row.times.1),
        };
        let sealed = SealedAt { segment: self.row.id, place, log_index: self.row.log_index, log_size };
        StoredRecord { header, schema, content, sealed, time_ns }
    }
}

fn event_time(schema: &Schema, values: &[Vec<u8>]) -> Option<i64> {
    let place = schema.find_parts(&["event"])?;
    minutebook_record::fields::Event::time_of(&values[place]).ok().flatten()
}

fn known_keys(entries: &[(u32, Entry<'_>)], keys: &dyn Keys) -> HashMap<u64, SubjectKey> {
    let mut numbers: Vec<u64> = Vec::new();
    for (_, entry) in entries {
        if let Entry::Sealed { subjects, .. } = entry {
            numbers.extend(subjects);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    let keys = keys.subjects(&numbers);
    numbers.into_iter().zip(keys).collect()
}

fn all_keys(subjects: &[u64], known: &HashMap<u64, SubjectKey>) -> std::result::Result<Secret, Content> {
    let mut keys = Vec::new();
    for number in subjects {
        match known.get(number) {
            Some(SubjectKey::Known(key)) => keys.push(key.clone()),
            Some(SubjectKey::Gone) => return Err(Content::Erased),
            _ => return Err(Content::NoKey),
        }
    }
    subjects_key(&keys).ok_or(Content::NoKey)
}
