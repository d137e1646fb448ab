//! Reading a trail beside its engine: one record by id, many by time and kind, receipts. Edge: takes no lock and changes nothing; what a
//! reader may see is decided by whoever gave it the keys.

use crate::build::has_kind;
use crate::catalog::{Catalog, SegmentRow};
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::place::Place;
use crate::seal::blocking;
use crate::store::{FlushingFolder, Objects};
use crate::wrap::{self, Purpose};
use bytes::Bytes;
use minutebook_record::{Disclosure, Header, Kind, Path, RecordId, Schema, Seed};
use minutebook_tlog::{
    Checkpoint, Hash, LeafIndex, Proof, SignedNote, Tile, TileKind, TileReader, TiledTree, VerifierKey, decode_bundle,
    inclusion_path,
};
use minutebook_verify::check::{Scratch, open_audit, open_block, open_head};
use minutebook_verify::keys::{Cipher, Keys, Secret, SubjectKey, audit_key, blob_key, content_key, segment_key, subjects_key};
use minutebook_verify::log::LOG;
use minutebook_verify::receipt::Receipt;
use minutebook_verify::segment::{Body, Entry, Layout, body};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::{CHECKPOINT, blob_name, segment_name};
use minutebook_verify::{Id, blob};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

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
    file: TrailFile,
    catalog: Catalog,
    objects: Objects,
    keys: TrailKeys,
}

/// Segments that are looked up at once while iterating.
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
        let objects = Objects::new(Arc::new(FlushingFolder::new(place.folder.clone())?));
        let keys = TrailKeys::open(&file, keys, catalog.clone()).await?;
        Ok(Self { file, catalog, objects, keys })
    }

    /// What the trail is.
    pub fn trail(&self) -> &TrailFile {
        &self.file
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
        let bytes = self.objects.get(CHECKPOINT).await?.ok_or_else(|| wrong("the checkpoint is missing".into()))?;
        let key: VerifierKey = self.file.log_key.parse().map_err(|e| wrong(format!("`log-key` in trail.toml: {e}")))?;
        Checkpoint::open(&bytes, &key).map_err(|e| wrong(format!("the checkpoint: {e}")))
    }

    /// One record.
    ///
    /// # Errors
    /// [`Error::NoRecord`] when none of this id is sealed.
    pub async fn get(&self, id: &RecordId) -> Result<StoredRecord> {
        let log_size = self.catalog.log_size().await?;
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let segment = self.load(&row).await?;
            if let Some(place) = segment.find(id) {
                let (keys, row) = (self.keys.clone(), row.clone());
                return blocking(move || segment.record(&row, log_size, place, &keys)).await;
            }
        }
        Err(Error::NoRecord { id: id.to_string() })
    }

    /// Records by time and kind, each handed to `each`, which says whether to go on. Reads one segment at a time.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub async fn list(
        &self,
        filter: &Filter,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let log_size = self.catalog.log_size().await?;
        let mut skip = 0;
        loop {
            let rows = self
                .catalog
                .segments_by_time(filter.from_ns, filter.to_ns, filter.oldest_first, skip, PAGE)
                .await?;
            skip += PAGE;
            let last = (rows.len() as u64) < PAGE;
            for row in rows {
                if !filter.kinds.is_empty() && !filter.kinds.iter().any(|kind| has_kind(row.kinds, *kind)) {
                    continue;
                }
                for record in self.records_of(&row, log_size, filter).await? {
                    if each(record).is_break() {
                        return Ok(());
                    }
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Records that were sealed from a place in the log on, oldest first; gives the place to go on from. For following a trail.
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
                for record in self.records_of(&row, log_size, filter).await? {
                    if each(record).is_break() {
                        return Ok(next);
                    }
                }
            }
        }
    }

    async fn records_of(&self, row: &SegmentRow, log_size: u64, filter: &Filter) -> Result<Vec<StoredRecord>> {
        let segment = self.load(row).await?;
        let (keys, row, filter) = (self.keys.clone(), row.clone(), filter.clone());
        blocking(move || segment.records(&row, log_size, &filter, &keys)).await
    }

    async fn load(&self, row: &SegmentRow) -> Result<Segment> {
        let wrong = |what: String| Error::Segment { segment: row.id, what };
        let object = self.objects.get(&segment_name(&row.id)).await?;
        let object = object.ok_or_else(|| wrong("is missing: `minutebook verify` tells what that means".into()))?;
        let (id, keys) = (row.id, self.keys.clone());
        blocking(move || Segment::open(id, object, &keys)).await
    }

    /// The lookup hashes of the subjects that a record is about; `None` when there is no such record.
    pub(crate) async fn subjects_of(&self, id: &RecordId) -> Result<Option<Vec<[u8; 32]>>> {
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let segment = self.load(&row).await?;
            if let Some(place) = segment.find(id) {
                let numbers = segment.subjects(place)?;
                let rows = self.catalog.subjects_by_number(&numbers).await?;
                return Ok(Some(rows.into_iter().map(|row| row.lookup).collect()));
            }
        }
        Ok(None)
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
        let object = self.objects.get(&blob_name(id)).await?.ok_or_else(|| wrong("has a blob that is missing"))?;
        let (keys, subjects, id) = (self.keys.clone(), subjects.clone(), *id);
        let row = self.catalog.segments_with_id(record.header.id.as_bytes()).await?;
        let class_epoch = row.iter().find(|row| row.id == record.sealed.segment).map(|row| row.class_epoch);
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

    /// A receipt for a record: a `tlog-proof` file. `disclose` shows those fields with it; everything else stays hidden.
    ///
    /// # Errors
    /// When the record is not sealed in the published log, or a field to disclose is not there.
    pub async fn receipt(&self, id: &RecordId, disclose: &[Path]) -> Result<String> {
        let (checkpoint, note) = self.checkpoint().await?;
        let size = checkpoint.size();
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let segment = self.load(&row).await?;
            let Some(place) = segment.find(id) else { continue };
            let wrong = |what: String| Error::Segment { segment: row.id, what };
            if row.log_index >= size.get() {
                return Err(wrong("is placed and not published yet: try again in a moment".into()));
            }
            let descriptor = self.entry(row.log_index, size).await?;
            let disclosure = if disclose.is_empty() {
                None
            } else {
                let (keys, row) = (self.keys.clone(), row.clone());
                let copy = segment.clone();
                let record = blocking(move || copy.record(&row, 0, place, &keys)).await?;
                Some(disclose_only(&record, disclose)?)
            };
            let path = inclusion_path(&segment.leaves, LeafIndex::new(place as u64)).map_err(|e| wrong(e.to_string()))?;
            let receipt = Receipt {
                descriptor,
                place: place as u32,
                path: path.iter().map(|hash| *hash.as_bytes()).collect(),
                preimage: segment.audit.preimage(place),
                disclosure,
            };
            let tiles = self.tiles_for(row.log_index, size.get()).await?;
            let outer = TiledTree::new(&tiles, size)
                .inclusion_path(LeafIndex::new(row.log_index))
                .map_err(|e| wrong(e.to_string()))?;
            let proof = Proof::new(LeafIndex::new(row.log_index), outer, receipt.encode(), note)
                .map_err(|e| wrong(e.to_string()))?;
            return Ok(proof.to_string());
        }
        Err(Error::NoRecord { id: id.to_string() })
    }

    async fn entry(&self, index: u64, size: minutebook_tlog::TreeSize) -> Result<Vec<u8>> {
        let wrong = |what: String| Error::LogDisagrees { what };
        let tile = Tile::of_entry(LeafIndex::new(index), size).ok_or_else(|| wrong(format!("no entry {index}")))?;
        let (bytes, width) = match self.objects.get(&format!("{LOG}{tile}")).await? {
            Some(bytes) => (Some(bytes), tile.width()),
            None => (self.objects.get(&format!("{LOG}{}", tile.full())).await?, 256),
        };
        let bytes = bytes.ok_or_else(|| wrong(format!("`{LOG}{tile}` is missing")))?;
        let entries = decode_bundle(&bytes, width).map_err(|e| wrong(e.to_string()))?;
        let entry = entries.get((index % 256) as usize).map(|entry| entry.to_vec());
        entry.ok_or_else(|| wrong(format!("no entry {index}")))
    }

    /// The tiles that a path from one leaf needs: on each level its own and the one at the right edge.
    async fn tiles_for(&self, index: u64, size: u64) -> Result<Tiles> {
        let mut tiles = BTreeMap::new();
        for level in 0..8u32 {
            let hashes = size >> (8 * level);
            if hashes == 0 {
                break;
            }
            for number in [index >> (8 * (level + 1)), (hashes - 1) >> 8] {
                if number > (hashes - 1) >> 8 {
                    continue;
                }
                let width = (hashes - number * 256).min(256) as u16;
                let tile = Tile::hashes(level as u8, number, width).map_err(|e| Error::LogDisagrees { what: e.to_string() })?;
                let bytes = match self.objects.get(&format!("{LOG}{tile}")).await? {
                    Some(bytes) => Some(bytes),
                    None => self.objects.get(&format!("{LOG}{}", tile.full())).await?,
                };
                if let Some(bytes) = bytes {
                    tiles.insert((level as u8, number), bytes);
                }
            }
        }
        Ok(Tiles(tiles))
    }

    /// A `tlog-policy` that trusts this trail's log and asks for no witness.
    pub fn policy(&self) -> String {
        format!("log {}\nquorum none\n", self.file.log_key)
    }

    /// Segments and records that are placed. Counts all rows.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn totals(&self) -> Result<(u64, u64)> {
        self.catalog.totals().await
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

/// A disclosure that shows only the fields at or below `paths`.
fn disclose_only(record: &StoredRecord, paths: &[Path]) -> Result<Vec<u8>> {
    let Content::Readable { values, seed, .. } = &record.content else {
        return Err(Error::Request("the record cannot be read, so nothing of it can be disclosed".into()));
    };
    for path in paths {
        if !record.schema.fields().iter().any(|field| field.path.is_within(path)) {
            return Err(Error::Request(format!("the record has no field {path}")));
        }
    }
    let fields = record.schema.fields().iter();
    let hidden: Vec<Path> = fields
        .filter(|field| !paths.iter().any(|path| field.path.is_within(path)))
        .map(|field| field.path.clone())
        .collect();
    let shown = values.iter().map(Vec::as_slice);
    let disclosure = Disclosure::make(&record.header, &record.schema, shown, seed, &hidden);
    Ok(disclosure.map_err(|error| Error::Request(error.to_string()))?.encode())
}

struct Tiles(BTreeMap<(u8, u64), Bytes>);

impl TileReader for Tiles {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> std::result::Result<Cow<'_, [u8]>, String> {
        let TileKind::Hashes { level } = tile.kind() else { return Err("not a tile of hashes".into()) };
        let bytes = self.0.get(&(level, tile.index())).ok_or_else(|| "missing".to_owned())?;
        bytes.get(..usize::from(tile.width()) * Hash::BYTES).map(Cow::Borrowed).ok_or_else(|| "cut short".into())
    }
}

/// A segment with its audit section open.
#[derive(Clone)]
struct Segment {
    object: Bytes,
    layout: Layout,
    audit: minutebook_verify::segment::Audit,
    leaves: Vec<Hash>,
    content: Secret,
}

impl Segment {
    fn open(id: Id, object: Bytes, keys: &TrailKeys) -> Result<Self> {
        let wrong = |what: String| Error::Segment { segment: id, what };
        let layout = Layout::parse(&object).map_err(|e| wrong(e.to_string()))?;
        let no_key = || wrong("has a class-epoch key that is not in the catalog".into());
        let audit_part = keys.audit(&layout.class_epoch).ok_or_else(no_key)?;
        let content = keys.content(&layout.class_epoch).ok_or_else(no_key)?;
        let audit = open_audit(&object, &layout, &audit_part, &mut Scratch::default()).map_err(|e| wrong(e.to_string()))?;
        let leaves = audit.leaves();
        Ok(Self { object, layout, audit, leaves, content })
    }

    fn find(&self, id: &RecordId) -> Option<usize> {
        self.audit.find(id)
    }

    fn wrong(&self) -> impl Fn(String) -> Error + '_ {
        |what| Error::Segment { segment: self.layout.segment, what }
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(&segment_key(&self.content, &self.layout.segment))
    }

    fn subjects(&self, place: usize) -> Result<Vec<u64>> {
        let block = self.layout.block_of(place as u32);
        let content = self.block(block, &mut Scratch::default())?;
        let mut rest = content.as_slice();
        for at in self.layout.places(block) {
            let entry = body::read_entry(&mut rest).map_err(|what| self.wrong()(what.to_owned()))?;
            if at as usize == place {
                return Ok(match entry {
                    Entry::Clear(_) => Vec::new(),
                    Entry::Sealed { subjects, .. } => subjects,
                });
            }
        }
        Ok(Vec::new())
    }

    fn block(&self, block: usize, scratch: &mut Scratch) -> Result<Vec<u8>> {
        open_block(&self.object, &self.layout, block, &self.leaves, &self.cipher(), scratch)
            .map_err(|e| self.wrong()(e.to_string()))
    }

    fn record(&self, row: &SegmentRow, log_size: u64, place: usize, keys: &TrailKeys) -> Result<StoredRecord> {
        let mut found = None;
        let block = self.layout.block_of(place as u32);
        self.read_block(block, row, log_size, keys, &mut |at| at == place, &mut |record| found = Some(record))?;
        found.ok_or_else(|| self.wrong()("has no such place".into()))
    }

    fn records(&self, row: &SegmentRow, log_size: u64, filter: &Filter, keys: &TrailKeys) -> Result<Vec<StoredRecord>> {
        let mut records = Vec::new();
        let kind = |at: usize| filter.kinds.is_empty() || filter.kinds.contains(&self.audit.rows[at].kind);
        for block in 0..self.layout.blocks.len() {
            self.read_block(block, row, log_size, keys, &mut |at| kind(at), &mut |record| records.push(record))?;
        }
        records.retain(|record| (filter.from_ns..=filter.to_ns).contains(&record.time_ns()));
        records.sort_by_key(|record| (record.time_ns(), record.header.id));
        if !filter.oldest_first {
            records.reverse();
        }
        Ok(records)
    }

    fn read_block(
        &self,
        block: usize,
        row: &SegmentRow,
        log_size: u64,
        keys: &TrailKeys,
        wanted: &mut dyn FnMut(usize) -> bool,
        each: &mut dyn FnMut(StoredRecord),
    ) -> Result<()> {
        let mut scratch = Scratch::default();
        let head = open_head(&self.object, &self.layout, &self.cipher(), &mut scratch).map_err(|e| self.wrong()(e.to_string()))?;
        let content = self.block(block, &mut scratch)?;
        let mut rest = content.as_slice();
        let mut entries = Vec::new();
        for place in self.layout.places(block) {
            let entry = body::read_entry(&mut rest).map_err(|what| self.wrong()(what.to_owned()))?;
            if wanted(place as usize) {
                entries.push((place, entry));
            }
        }
        let mut numbers: Vec<u64> = entries
            .iter()
            .filter_map(|(_, entry)| match entry {
                Entry::Sealed { subjects, .. } => Some(subjects.iter().copied()),
                Entry::Clear(_) => None,
            })
            .flatten()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let known: HashMap<u64, SubjectKey> = numbers.iter().copied().zip(keys.subjects(&numbers)).collect();
        let mut decompressor = zstd::bulk::Decompressor::new().map_err(|e| self.wrong()(e.to_string()))?;
        for (place, entry) in entries {
            let audit_row = &self.audit.rows[place as usize];
            let schema = Arc::clone(&head.schemas[usize::from(audit_row.schema)]);
            let (body, subjects) = match &entry {
                Entry::Clear(body) => (Ok(Cow::Borrowed(*body)), Vec::new()),
                Entry::Sealed { subjects, sealed } => {
                    let body = match all_keys(subjects, &known) {
                        Ok(key) => body::open_sealed(&self.layout.segment, place, &key, sealed, &mut decompressor)
                            .map(Cow::Owned)
                            .map_err(|what| self.wrong()(format!("at place {place} {what}"))),
                        Err(unreadable) => {
                            each(self.stored(place, row, log_size, schema, unreadable));
                            continue;
                        }
                    };
                    (body, subjects.clone())
                }
            };
            let body = body?;
            let body = Body::parse(&body).map_err(|what| self.wrong()(format!("at place {place} {what}")))?;
            let mut fields = Vec::new();
            head.fields(body.shape, body.values, &mut fields)
                .map_err(|what| self.wrong()(format!("at place {place} {what}")))?;
            let values = fields.iter().map(|field| field.to_vec()).collect();
            let content = Content::Readable { values, seed: Seed(*body.seed), subjects };
            each(self.stored(place, row, log_size, schema, content));
        }
        Ok(())
    }

    fn stored(&self, place: u32, row: &SegmentRow, log_size: u64, schema: Arc<Schema>, content: Content) -> StoredRecord {
        let sealed = SealedAt { segment: self.layout.segment, place, log_index: row.log_index, log_size };
        StoredRecord { header: self.audit.header(place as usize), schema, content, sealed }
    }
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

impl StoredRecord {
    /// When it happened, ns since 1970: the event's time, or where that cannot be read the id's.
    pub fn time_ns(&self) -> i64 {
        let event = match &self.content {
            Content::Readable { values, .. } => self
                .schema
                .find_parts(&["event"])
                .and_then(|place| minutebook_record::fields::Event::time_of(&values[place]).ok().flatten()),
            _ => None,
        };
        event.unwrap_or(self.header.id.unix_ms() as i64 * 1_000_000)
    }
}

/// The keys of a trail, unwrapped as they are asked for.
#[derive(Debug, Clone)]
pub struct TrailKeys {
    class_epochs: Arc<HashMap<Id, Secret>>,
    catalog: Catalog,
    folder: Arc<KeyFolder>,
    trail: Id,
    buckets: Arc<HashMap<u16, Vec<Secret>>>,
    runtime: tokio::runtime::Handle,
    level: u8,
    cache: Arc<Mutex<HashMap<u64, Option<Secret>>>>,
}

/// Subjects' keys that a reader keeps at hand.
const SUBJECT_KEYS_KEPT: usize = 100_000;

impl TrailKeys {
    async fn open(file: &TrailFile, folder: KeyFolder, catalog: Catalog) -> Result<Self> {
        let mut class_epochs = HashMap::new();
        for row in catalog.class_epochs().await? {
            let key = folder.unwrap(Purpose::ClassEpoch(&row.id), &row.wrapped);
            let wrong = || Error::KeysDoNotMatch { what: "key-encryption key", folder: folder.path().to_owned() };
            class_epochs.insert(row.id, key.ok_or_else(wrong)?);
        }
        let buckets = folder.bucket_keys()?;
        Ok(Self {
            class_epochs: Arc::new(class_epochs),
            catalog,
            folder: Arc::new(folder),
            trail: file.id,
            buckets: Arc::new(buckets),
            runtime: tokio::runtime::Handle::current(),
            level: 2,
            cache: Arc::default(),
        })
    }

    /// The same keys, for reading no deeper than `level`: 0 the log, 1 the leaves, 2 everything.
    #[must_use]
    pub fn up_to(&self, level: u8) -> Self {
        Self { level, ..self.clone() }
    }

    /// The key folder they come from.
    pub fn folder(&self) -> &KeyFolder {
        &self.folder
    }

    fn find(&self, numbers: &[u64]) -> Result<Vec<Option<Secret>>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown: Vec<u64> = numbers.iter().filter(|number| !cache.contains_key(*number)).copied().collect();
        if !unknown.is_empty() {
            if cache.len() + unknown.len() > SUBJECT_KEYS_KEPT {
                cache.clear();
                drop(cache);
                return self.read(numbers).map(|mut found| numbers.iter().map(|n| found.remove(n)).collect());
            }
            let mut found = self.read(&unknown)?;
            cache.extend(unknown.into_iter().map(|number| (number, found.remove(&number))));
        }
        Ok(numbers.iter().map(|number| cache[number].clone()).collect())
    }

    fn read(&self, numbers: &[u64]) -> Result<HashMap<u64, Secret>> {
        let rows = self.runtime.block_on(self.catalog.subjects_by_number(numbers))?;
        let mut found = HashMap::new();
        let mut ciphers: HashMap<u16, Vec<Cipher>> = HashMap::new();
        for row in rows {
            let ciphers = ciphers.entry(row.bucket).or_insert_with(|| {
                self.buckets.get(&row.bucket).map_or(Vec::new(), |keys| keys.iter().map(Cipher::new).collect())
            });
            let purpose = Purpose::Subject(&row.lookup);
            if let Some(key) = ciphers.iter().find_map(|c| wrap::unwrap(c, &self.trail, purpose, &row.wrapped)) {
                found.insert(row.number, key);
            }
        }
        Ok(found)
    }
}

impl Keys for TrailKeys {
    fn audit(&self, class_epoch: &Id) -> Option<Secret> {
        (self.level >= 1).then(|| self.class_epochs.get(class_epoch).map(audit_key)).flatten()
    }

    fn content(&self, class_epoch: &Id) -> Option<Secret> {
        (self.level >= 2).then(|| self.class_epochs.get(class_epoch).map(content_key)).flatten()
    }

    /// Blocks for the catalog: not to be called on a runtime's own threads.
    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        if self.level < 2 {
            return vec![SubjectKey::Withheld; numbers.len()];
        }
        match self.find(numbers) {
            Ok(found) => {
                found.into_iter().map(|key| key.map_or(SubjectKey::Gone, SubjectKey::Known)).collect()
            }
            Err(error) => {
                tracing::warn!("subjects' keys cannot be read: {error}");
                vec![SubjectKey::Withheld; numbers.len()]
            }
        }
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
        let rows = self.catalog.class_epochs().await?;
        let key = |row: crate::catalog::ClassEpochRow| {
            let key = self.keys.class_epochs.get(&row.id)?;
            let (audit, content) = (audit_key(key), content_key(key));
            Some(ClassEpochKey { id: row.id, class: row.class, month: row.month, audit, content })
        };
        Ok(rows.into_iter().filter_map(key).collect())
    }
}

