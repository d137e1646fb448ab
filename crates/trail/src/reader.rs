//! Reading a trail beside its engine: one record by id, many by time and kind, receipts. Edge: takes no lock and changes nothing; what a
//! reader may see is decided by whoever gave it the keys.

mod checking;
mod contents;
mod listing;
mod policies;
mod receipts;
mod segment;
mod spool;
mod subject;
mod windows;

pub use checking::CheckedRecord;
pub(crate) use segment::OpenSegment;
pub use spool::{SpoolState, WaitingEpoch};

use crate::backup::check_replayed;
use crate::build::has_kind;
use crate::catalog::{Catalog, SegmentRow};
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::limits;
use crate::place::Place;
use crate::seal::blocking;
use crate::store::{FlushingFolder, Objects};
use crate::trail_keys::TrailKeys;
use listing::{Merge, Segments, Step};
use minutebook_record::{Header, Kind, RecordId, Schema, Seed};
use minutebook_tlog::{Checkpoint, SignedNote};
use minutebook_verify::keys::{Keys, Secret, SubjectKey, audit_key, blob_key, content_key, subjects_key};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::{CHECKPOINT, blob_name, segment_name};
use minutebook_verify::{Id, blob};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where a record is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedAt {
    /// The segment.
    pub segment: Id,
    /// The record's place in it.
    pub place: u32,
    /// The segment's entry in the log.
    pub log_index: u64,
    /// Entries of the published log, as far as this reader knows.
    pub log_size: u64,
}

/// What can be read of a record.
#[derive(Debug, Clone)]
pub enum Content {
    /// All of it.
    Readable {
        /// Encoded values, one for each field of the schema.
        values: Vec<Vec<u8>>,
        /// Seed of the salts: with it fields can be disclosed one by one.
        seed: Seed,
        /// Subject numbers.
        subjects: Vec<u64>,
    },
    /// Its subject was erased.
    Erased,
    /// The reader has no key for it.
    NoKey,
}

/// A record as it is stored.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// Its header.
    pub header: Header,
    /// Its schema.
    pub schema: Arc<Schema>,
    /// Its values.
    pub content: Content,
    /// Where it is sealed.
    pub sealed: SealedAt,
    time_ns: i64,
}

/// Which records, in which order.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Not before, ns since 1970, by event time (by the id's time where there is no event).
    pub from_ns: i64,
    /// Not after.
    pub to_ns: i64,
    /// Kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// The oldest first. Otherwise the latest first.
    pub oldest_first: bool,
}

impl Default for Filter {
    /// All records, the latest first.
    fn default() -> Self {
        Self { from_ns: i64::MIN, to_ns: i64::MAX, kinds: Vec::new(), oldest_first: false }
    }
}

/// An open trail, for reading.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    file: TrailFile,
    catalog: Catalog,
    objects: Objects,
    keys: TrailKeys,
}

/// Segments that are looked up at once while following.
const PAGE: u64 = 64;

impl Reader {
    /// Opens a trail for reading. Works beside an engine and in a folder that cannot be written.
    ///
    /// # Errors
    /// When trail, keys or catalog are not there or do not fit.
    pub async fn open(place: &Place) -> Result<Self> {
        let file = place.trail_file()?;
        let keys = KeyFolder::open(&place.key_folder(&file.id)?, file.id)?;
        let catalog = Catalog::open_read_only(&place.catalog()).await?;
        check_replayed(place, &keys, &file.id, &catalog).await?;
        let objects = Objects::new(Arc::new(FlushingFolder::new(place.folder.clone())?));
        let is_copy = place.restored()?.is_some();
        let keys = TrailKeys::open(&file, keys, catalog.clone(), is_copy).await?;
        Ok(Self { place: place.clone(), file, catalog, objects, keys })
    }

    /// Lets the catalog go, so that an engine that closes it leaves one file and no log beside it. No call works afterwards.
    pub async fn close(&self) {
        self.catalog.close().await;
    }

    /// What the trail is, as it stood when the reader was opened.
    pub fn trail(&self) -> &TrailFile {
        &self.file
    }

    /// What it is now: its signing key may have been rotated.
    fn present(&self) -> TrailFile {
        self.place
            .trail_file()
            .ok()
            .filter(|file| file.id == self.file.id)
            .unwrap_or_else(|| self.file.clone())
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The keys, for `verify`.
    pub fn keys(&self) -> &TrailKeys {
        &self.keys
    }

    /// The published checkpoint.
    ///
    /// # Errors
    /// When it is missing or not signed by the trail's key.
    pub async fn checkpoint(&self) -> Result<(Checkpoint, SignedNote)> {
        let wrong = |what: String| Error::LogDisagrees { what };
        let bytes =
            self.objects.get(CHECKPOINT).await?.ok_or_else(|| wrong("the checkpoint is missing".into()))?;
        self.present().open_checkpoint(&bytes).map_err(|e| wrong(format!("the checkpoint: {e}")))
    }

    /// One record.
    ///
    /// # Errors
    /// [`Error::NoRecord`] when none of this id is sealed.
    pub async fn get(&self, id: &RecordId) -> Result<StoredRecord> {
        let log_size = self.catalog.log_size().await?;
        let (_, segment, place) = self.find(id).await?;
        let keys = self.keys.clone();
        blocking(move || segment.record(log_size, place, &keys)).await
    }

    /// The segment that has a record, and the record's place in it.
    async fn find(&self, id: &RecordId) -> Result<(SegmentRow, OpenSegment, usize)> {
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let segment = self.load(&row).await?;
            if let Some(place) = segment.find(id) {
                return Ok((row, segment, place));
            }
        }
        Err(self.not_there(id).await?)
    }

    /// Why there is no such record, as far as that is known.
    async fn not_there(&self, id: &RecordId) -> Result<Error> {
        let disposed = self.catalog.disposed_with_id(id.as_bytes()).await?;
        let Some(last) = disposed.last() else { return Ok(Error::NoRecord { id: id.to_string() }) };
        let classes: Vec<&str> = disposed.iter().map(|row| row.class.as_str()).collect();
        Ok(Error::Disposed {
            id: id.to_string(),
            class: classes.join("`, `"),
            month: last.month.clone(),
            at: crate::dispose::text(last.at),
            by: last.by.clone(),
        })
    }

    /// Records by time and kind, each handed to `each`, which says whether to go on. In order over all segments; a record that cannot be
    /// read stands at its id's time, within the bounds of its segment. Holds a bounded number of bytes, and reads a segment when its turn
    /// comes.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub async fn list(
        &self,
        filter: &Filter,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        self.list_within(limits::LISTING_BYTES, filter, each).await
    }

    /// [`Reader::list`] with so many bytes of records in memory.
    #[doc(hidden)]
    pub async fn list_within(
        &self,
        bytes_max: usize,
        filter: &Filter,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let log_size = self.catalog.log_size().await?;
        let mut merge = Merge::new(Segments::of(&self.catalog, filter).await?, bytes_max);
        loop {
            match merge.step().await? {
                Step::Read(at, row) => merge.give(at, self.records_of(&row, log_size, filter).await?),
                Step::Record(record) => {
                    if each(*record).is_break() {
                        return Ok(());
                    }
                }
                Step::End => return Ok(()),
            }
        }
    }

    /// Records that were sealed from a place in the log on, segment by segment in the order of the log, within a segment the oldest first
    /// (whatever the filter says of the order). Gives the place to go on from: for following a trail. When `each` says to stop, the rest of
    /// its segment is passed over.
    ///
    /// # Errors
    /// As [`Reader::list`].
    pub async fn since(
        &self,
        log_index: u64,
        filter: &Filter,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<u64> {
        let log_size = self.catalog.log_size().await?;
        let mut next = log_index;
        loop {
            let rows = self.catalog.segments_from(next, PAGE).await?;
            if rows.is_empty() {
                return Ok(next.max(log_size));
            }
            for row in rows {
                next = row.log_index + 1;
                let some =
                    filter.kinds.is_empty() || filter.kinds.iter().any(|kind| has_kind(row.kinds, *kind));
                let overlaps = row.times.0 <= filter.to_ns && row.times.1 >= filter.from_ns;
                if row.records == 0 || !some || !overlaps {
                    continue;
                }
                let mut records = self.records_of(&row, log_size, filter).await?;
                records.sort_by_key(|record| (record.time_ns, record.header.id));
                for record in records {
                    if each(record).is_break() {
                        return Ok(next);
                    }
                }
            }
        }
    }

    /// All records of the segments from a place in the log on, of at most so many segments, and the place to go on from. In the order of the
    /// log, within a segment by time. Nothing when `log_index` is the end of what is placed.
    ///
    /// # Errors
    /// As [`Reader::list`].
    pub async fn following(&self, log_index: u64, segments_max: u64) -> Result<(Vec<StoredRecord>, u64)> {
        let log_size = self.catalog.log_size().await?;
        let (mut found, mut next) = (Vec::new(), log_index);
        let rows = self.catalog.segments_from(log_index, segments_max).await?;
        let is_all = (rows.len() as u64) < segments_max;
        for row in rows {
            next = row.log_index + 1;
            if row.records > 0 {
                let mut records = self.records_of(&row, log_size, &Filter::default()).await?;
                records.sort_by_key(|record| (record.time_ns, record.header.id));
                found.append(&mut records);
            }
        }
        // Entries that are no segments have no rows.
        Ok((found, if is_all { next.max(log_size) } else { next }))
    }

    /// Entries of the log that are placed.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn log_size(&self) -> Result<u64> {
        self.catalog.log_size().await
    }

    async fn records_of(
        &self,
        row: &SegmentRow,
        log_size: u64,
        filter: &Filter,
    ) -> Result<Vec<StoredRecord>> {
        let segment = self.load(row).await?;
        let (keys, filter) = (self.keys.clone(), filter.clone());
        blocking(move || segment.records(log_size, &filter, &keys)).await
    }

    async fn load(&self, row: &SegmentRow) -> Result<OpenSegment> {
        let object = self.objects.get(&segment_name(&row.id)).await?;
        let missing = || Error::Segment {
            segment: row.id,
            what: "is missing: `minutebook verify` tells what that means".into(),
        };
        let (object, row, keys) = (object.ok_or_else(missing)?, row.clone(), self.keys.clone());
        blocking(move || OpenSegment::open(&row, object, keys.class_epoch(&row.class_epoch).as_ref())).await
    }

    /// The content of a blob that a readable record names.
    ///
    /// # Errors
    /// When it is missing or does not authenticate.
    pub async fn blob(&self, record: &StoredRecord, id: &Id) -> Result<Vec<u8>> {
        let wrong = |what: &str| Error::Segment { segment: record.sealed.segment, what: what.to_owned() };
        let Content::Readable { subjects, .. } = &record.content else {
            return Err(wrong("has a blob that cannot be read: its record cannot"));
        };
        let object =
            self.objects.get(&blob_name(id)).await?.ok_or_else(|| wrong("has a blob that is missing"))?;
        let (keys, subjects, id) = (self.keys.clone(), subjects.clone(), *id);
        let rows = self.catalog.segments_with_id(record.header.id.as_bytes()).await?;
        let class_epoch = rows.iter().find(|row| row.id == record.sealed.segment).map(|row| row.class_epoch);
        let opened = blocking(move || {
            let mut known = Vec::new();
            for key in keys.subjects(&subjects) {
                if let SubjectKey::Known(key) = key {
                    known.push(key);
                }
            }
            let owner = subjects_key(&known).or_else(|| class_epoch.and_then(|id| keys.content(&id)));
            Ok(owner.and_then(|owner| blob::open(&id, &blob_key(&owner, &id), &object)))
        })
        .await?;
        opened.ok_or_else(|| wrong("has a blob that does not open"))
    }

    /// A `tlog-policy` that trusts this trail's present signing key and asks for no witness.
    pub fn policy(&self) -> String {
        format!("log {}\nquorum none\n", self.present().log_key)
    }

    /// Segments and records that are placed. Counts all rows.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn totals(&self) -> Result<(u64, u64)> {
        self.catalog.totals().await
    }
}

impl StoredRecord {
    /// When it happened, ns since 1970: the event's time, or where there is none the id's.
    pub fn time_ns(&self) -> i64 {
        self.time_ns
    }
}

/// The months and classes whose audit keys can be given to an auditor.
#[derive(Debug, Clone)]
pub struct ClassEpochKey {
    /// The key's id.
    pub id: Id,
    /// Retention class.
    pub class: String,
    /// As in `2026-11`.
    pub month: String,
    /// For level 1.
    pub audit: Secret,
    /// For level 2, of records without a subject.
    pub content: Secret,
}

impl Reader {
    /// All class-epoch keys, derived for an auditor.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn class_epoch_keys(&self) -> Result<Vec<ClassEpochKey>> {
        let (rows, keys) = (self.catalog.class_epochs().await?, self.keys.clone());
        blocking(move || {
            let key = |row: crate::catalog::ClassEpochRow| {
                let key = keys.class_epoch(&row.id)?;
                let (audit, content) = (audit_key(&key), content_key(&key));
                Some(ClassEpochKey { id: row.id, class: row.class, month: row.month, audit, content })
            };
            Ok(rows.into_iter().filter_map(key).collect())
        })
        .await
    }
}
