//! The log's entries: a segment's descriptor and the trail's identity (`docs/formats/segment.md`). Edge: what they add up to over a whole
//! log is `coverage`'s business.

use crate::cursor::{Cursor, EntryError};
use crate::limits;
use minutebook_record::cbor;

/// Opaque 16-byte ids as they stand in the stored formats.
pub type Id = [u8; 16];

/// What became of a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// There is a record in the segment.
    Kept = 1,
    /// Left out by a sampling policy.
    SampledOut = 2,
    /// The producer died while it was deciding.
    Died = 3,
    /// The spool was full.
    SpoolFull = 4,
    /// The record was larger than a frame may be.
    TooLarge = 5,
    /// The frame was damaged, or had not reached the disk before a power loss.
    Damaged = 6,
    /// The caller gave the decision up.
    Dropped = 7,
    /// The engine refused the record as malformed.
    Refused = 8,
    /// Counted in a window, and never meant to have a record.
    Counted = 9,
}

impl State {
    /// The state with this number.
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Kept,
            2 => Self::SampledOut,
            3 => Self::Died,
            4 => Self::SpoolFull,
            5 => Self::TooLarge,
            6 => Self::Damaged,
            7 => Self::Dropped,
            8 => Self::Refused,
            9 => Self::Counted,
            _ => return None,
        })
    }

    /// In words, as people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::SampledOut => "sampled out",
            Self::Died => "lost: the producer died while deciding",
            Self::SpoolFull => "lost: the spool was full",
            Self::TooLarge => "lost: too large",
            Self::Damaged => "lost: damaged, or not flushed before a power loss",
            Self::Dropped => "lost: dropped by the caller",
            Self::Refused => "lost: refused by the engine as malformed",
            Self::Counted => "counted in a window, without a record",
        }
    }
}

/// Numbers `from..=to` in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// What became of them.
    pub state: State,
    /// The first number.
    pub from: u64,
    /// The last number.
    pub to: u64,
}

/// The ranges of one (producer, epoch, class) in one descriptor: ascending and disjoint, neighbours of one state joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// Who drew the numbers.
    pub producer: Id,
    /// In which of its runs.
    pub epoch: u64,
    /// In which retention class.
    pub class: String,
    /// What became of them.
    pub ranges: Vec<Range>,
}

/// What a `producer` record says, repeated where the log alone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose.
    pub producer: Id,
    /// Which run.
    pub epoch: u64,
    /// What happened.
    pub what: MarkKind,
    /// Unix seconds.
    pub time: i64,
    /// The last number drawn of each class, ascending by class.
    pub counts: Vec<(String, u64)>,
}

/// The kinds of mark, with their proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkKind {
    /// The epoch began; its Ed25519 public key.
    Opened([u8; 32]),
    /// It lived; signed by the epoch's key.
    Alive([u8; 64]),
    /// It ended in order; signed.
    Closed([u8; 64]),
    /// The engine found the producer dead.
    Abandoned,
}

impl MarkKind {
    /// The mark as the format writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Alive(_) => "alive",
            Self::Closed(_) => "closed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Mark {
    /// The bytes that the epoch's key signs.
    pub fn signed_bytes(&self, trail: &Id) -> Vec<u8> {
        let mut out = b"minutebook/mark/1\n".to_vec();
        cbor::write_array(&mut out, 6);
        cbor::write_bytes(&mut out, trail);
        cbor::write_bytes(&mut out, &self.producer);
        cbor::write_unsigned(&mut out, self.epoch);
        cbor::write_text(&mut out, self.what.name());
        cbor::write_signed(&mut out, self.time);
        write_counts(&mut out, &self.counts);
        out
    }

    /// Whether the signature of an `alive` or `closed` mark is the epoch key's. True for the marks that carry none.
    pub fn signature_is_good(&self, trail: &Id, epoch_key: &[u8; 32]) -> bool {
        match &self.what {
            MarkKind::Opened(_) | MarkKind::Abandoned => true,
            MarkKind::Alive(signature) | MarkKind::Closed(signature) => {
                aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, epoch_key)
                    .verify(&self.signed_bytes(trail), signature)
                    .is_ok()
            }
        }
    }
}

/// An object that the trail destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gone {
    /// A blob.
    Blob(Id),
    /// A whole segment (disposal).
    Segment(Id),
    /// A class-epoch key (disposal).
    ClassEpoch(Id),
}

/// A blob that the segment's records name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRef {
    /// Its name under `blobs/`.
    pub id: Id,
    /// SHA-256 of the stored object.
    pub digest: [u8; 32],
    /// Length of the stored object in bytes.
    pub length: u64,
}

/// What the log says of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The segment's name under `segments/`.
    pub segment: Id,
    /// How many records it has.
    pub records: u64,
    /// Root of the inner tree.
    pub root: [u8; 32],
    /// Earliest event, unix seconds.
    pub earliest: i64,
    /// Latest event, unix seconds.
    pub latest: i64,
    /// SHA-256 of the stored object.
    pub object_digest: [u8; 32],
    /// Length of the stored object in bytes.
    pub object_len: u64,
    /// Retention class.
    pub class: String,
    /// Which class-epoch key opens it.
    pub class_epoch: Id,
    /// Numbers and what became of them.
    pub ranges: Vec<Ranges>,
    /// Epochs opened, alive, closed, abandoned.
    pub marks: Vec<Mark>,
    /// Blobs that the records name.
    pub blobs: Vec<BlobRef>,
    /// What has been destroyed.
    pub gone: Vec<Gone>,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A segment was placed. Boxed: it is much larger than the other.
    Segment(Box<Descriptor>),
    /// The trail's identity: SHA-256 of `trail.toml`.
    Trail {
        /// The trail's id.
        id: Id,
        /// SHA-256 of the file.
        digest: [u8; 32],
    },
}

const SEGMENT_TAG: &str = "minutebook/segment/1";
const TRAIL_TAG: &str = "minutebook/trail/1";

impl Entry {
    /// The bytes that stand in the log.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Segment(descriptor) => descriptor.encode(),
            Self::Trail { id, digest } => {
                let mut out = Vec::with_capacity(80);
                cbor::write_array(&mut out, 3);
                cbor::write_text(&mut out, TRAIL_TAG);
                cbor::write_bytes(&mut out, id);
                cbor::write_bytes(&mut out, digest);
                out
            }
        }
    }

    /// Reads an entry strictly: what it gives encodes to the same bytes.
    ///
    /// # Errors
    /// Anything that is not one of the two entries in the deterministic encoding; a newer version is told apart.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut cursor = Cursor::new(bytes);
        let items = cursor.array("entry", 14)?;
        match (cursor.text("entry", 64)?, items) {
            (SEGMENT_TAG, 14) => {
                let descriptor = Descriptor::decode_rest(&mut cursor)?;
                cursor.finish()?;
                Ok(Self::Segment(Box::new(descriptor)))
            }
            (TRAIL_TAG, 3) => {
                let entry = Self::Trail { id: cursor.id("trail id")?, digest: cursor.digest("digest")? };
                cursor.finish()?;
                Ok(entry)
            }
            (tag, _) if tag.starts_with("minutebook/") => Err(EntryError::Unknown(tag.into())),
            _ => Err(EntryError::Malformed("entry", "tag")),
        }
    }
}

impl Descriptor {
    /// The bytes that stand in the log.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        cbor::write_array(&mut out, 14);
        cbor::write_text(&mut out, SEGMENT_TAG);
        cbor::write_bytes(&mut out, &self.segment);
        cbor::write_unsigned(&mut out, self.records);
        cbor::write_bytes(&mut out, &self.root);
        cbor::write_signed(&mut out, self.earliest);
        cbor::write_signed(&mut out, self.latest);
        cbor::write_bytes(&mut out, &self.object_digest);
        cbor::write_unsigned(&mut out, self.object_len);
        cbor::write_text(&mut out, &self.class);
        cbor::write_bytes(&mut out, &self.class_epoch);
        write_ranges(&mut out, &self.ranges);
        cbor::write_array(&mut out, self.marks.len() as u64);
        for mark in &self.marks {
            cbor::write_array(&mut out, 6);
            cbor::write_bytes(&mut out, &mark.producer);
            cbor::write_unsigned(&mut out, mark.epoch);
            cbor::write_text(&mut out, mark.what.name());
            cbor::write_signed(&mut out, mark.time);
            write_counts(&mut out, &mark.counts);
            match &mark.what {
                MarkKind::Opened(key) => cbor::write_bytes(&mut out, key),
                MarkKind::Alive(signature) | MarkKind::Closed(signature) => {
                    cbor::write_bytes(&mut out, signature)
                }
                MarkKind::Abandoned => cbor::write_null(&mut out),
            }
        }
        cbor::write_array(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            cbor::write_array(&mut out, 3);
            cbor::write_bytes(&mut out, &blob.id);
            cbor::write_bytes(&mut out, &blob.digest);
            cbor::write_unsigned(&mut out, blob.length);
        }
        cbor::write_array(&mut out, self.gone.len() as u64);
        for gone in &self.gone {
            let (what, id) = match gone {
                Gone::Blob(id) => ("blob", id),
                Gone::Segment(id) => ("segment", id),
                Gone::ClassEpoch(id) => ("class-epoch", id),
            };
            cbor::write_array(&mut out, 2);
            cbor::write_text(&mut out, what);
            cbor::write_bytes(&mut out, id);
        }
        out
    }

    fn decode_rest(cursor: &mut Cursor<'_>) -> Result<Self, EntryError> {
        let descriptor = Self {
            segment: cursor.id("segment id")?,
            records: cursor.unsigned("records", limits::SEGMENT_RECORDS_MAX)?,
            root: cursor.digest("root")?,
            earliest: cursor.signed("earliest")?,
            latest: cursor.signed("latest")?,
            object_digest: cursor.digest("object digest")?,
            object_len: cursor.unsigned("object length", u64::MAX)?,
            class: cursor.class("class")?,
            class_epoch: cursor.id("class-epoch")?,
            ranges: read_ranges(cursor)?,
            marks: read_marks(cursor)?,
            blobs: read_blobs(cursor)?,
            gone: read_gone(cursor)?,
        };
        if descriptor.earliest > descriptor.latest {
            return Err(EntryError::Malformed("earliest", "later than latest"));
        }
        if descriptor.records == 0
            && descriptor.ranges.is_empty()
            && descriptor.marks.is_empty()
            && descriptor.gone.is_empty()
        {
            return Err(EntryError::Malformed("records", "none, and nothing else is said"));
        }
        Ok(descriptor)
    }
}

fn write_counts(out: &mut Vec<u8>, counts: &[(String, u64)]) {
    cbor::write_array(out, counts.len() as u64);
    for (class, last) in counts {
        cbor::write_array(out, 2);
        cbor::write_text(out, class);
        cbor::write_unsigned(out, *last);
    }
}

/// Encodes ranges; also how the engine measures them against their limit.
pub fn write_ranges(out: &mut Vec<u8>, all: &[Ranges]) {
    cbor::write_array(out, all.len() as u64);
    for ranges in all {
        cbor::write_array(out, 4);
        cbor::write_bytes(out, &ranges.producer);
        cbor::write_unsigned(out, ranges.epoch);
        cbor::write_text(out, &ranges.class);
        cbor::write_array(out, ranges.ranges.len() as u64);
        for range in &ranges.ranges {
            cbor::write_array(out, 3);
            cbor::write_unsigned(out, range.state as u64);
            cbor::write_unsigned(out, range.from);
            cbor::write_unsigned(out, range.to);
        }
    }
}

fn read_ranges(cursor: &mut Cursor<'_>) -> Result<Vec<Ranges>, EntryError> {
    let count = cursor.array("ranges", limits::DESCRIPTOR_ITEMS_MAX)?;
    let mut all: Vec<Ranges> = Vec::new();
    for _ in 0..count {
        cursor.array_of("ranges", 4)?;
        let producer = cursor.id("producer")?;
        let epoch = cursor.number("epoch")?;
        let class = cursor.class("class")?;
        let count = cursor.array("ranges", limits::DESCRIPTOR_ITEMS_MAX)?;
        let mut ranges: Vec<Range> = Vec::new();
        for _ in 0..count {
            cursor.array_of("range", 3)?;
            let state = State::from_number(cursor.unsigned("state", 255)?)
                .ok_or(EntryError::Malformed("range", "unknown state"))?;
            let range = Range { state, from: cursor.number("from")?, to: cursor.number("to")? };
            if range.from > range.to {
                return Err(EntryError::Malformed("range", "ends before it begins"));
            }
            if let Some(last) = ranges.last()
                && (range.from <= last.to || (range.from == last.to + 1 && range.state == last.state))
            {
                return Err(EntryError::Malformed("range", "out of order, overlapping or not joined"));
            }
            ranges.push(range);
        }
        if ranges.is_empty() {
            return Err(EntryError::Malformed("ranges", "empty"));
        }
        if let Some(last) = all.last()
            && (last.producer, last.epoch, last.class.as_str()) >= (producer, epoch, class.as_str())
        {
            return Err(EntryError::Malformed("ranges", "out of order"));
        }
        all.push(Ranges { producer, epoch, class, ranges });
    }
    Ok(all)
}

fn read_marks(cursor: &mut Cursor<'_>) -> Result<Vec<Mark>, EntryError> {
    let count = cursor.array("marks", limits::DESCRIPTOR_ITEMS_MAX)?;
    let mut marks = Vec::new();
    for _ in 0..count {
        cursor.array_of("mark", 6)?;
        let producer = cursor.id("producer")?;
        let epoch = cursor.number("epoch")?;
        let name = cursor.text("mark", 16)?;
        let time = cursor.signed("time")?;
        let classes = cursor.array("counts", limits::CLASSES_MAX)?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        for _ in 0..classes {
            cursor.array_of("count", 2)?;
            let class = cursor.class("class")?;
            if counts.last().is_some_and(|(last, _)| *last >= class) {
                return Err(EntryError::Malformed("counts", "out of order"));
            }
            counts.push((class, cursor.unsigned("count", i64::MAX as u64)?));
        }
        let what = match name {
            "opened" => MarkKind::Opened(cursor.digest("key")?),
            "alive" => MarkKind::Alive(cursor.fixed("signature")?),
            "closed" => MarkKind::Closed(cursor.fixed("signature")?),
            "abandoned" => {
                cursor.null("proof")?;
                MarkKind::Abandoned
            }
            _ => return Err(EntryError::Malformed("mark", "unknown")),
        };
        marks.push(Mark { producer, epoch, what, time, counts });
    }
    Ok(marks)
}

fn read_blobs(cursor: &mut Cursor<'_>) -> Result<Vec<BlobRef>, EntryError> {
    let count = cursor.array("blobs", limits::DESCRIPTOR_ITEMS_MAX)?;
    let mut blobs = Vec::new();
    for _ in 0..count {
        cursor.array_of("blob", 3)?;
        blobs.push(BlobRef {
            id: cursor.id("blob id")?,
            digest: cursor.digest("blob digest")?,
            length: cursor.unsigned("blob length", u64::MAX)?,
        });
    }
    Ok(blobs)
}

fn read_gone(cursor: &mut Cursor<'_>) -> Result<Vec<Gone>, EntryError> {
    let count = cursor.array("gone", limits::DESCRIPTOR_ITEMS_MAX)?;
    let mut gone = Vec::new();
    for _ in 0..count {
        cursor.array_of("gone", 2)?;
        let what = cursor.text("gone", 16)?;
        let id = cursor.id("gone")?;
        gone.push(match what {
            "blob" => Gone::Blob(id),
            "segment" => Gone::Segment(id),
            "class-epoch" => Gone::ClassEpoch(id),
            _ => return Err(EntryError::Malformed("gone", "unknown")),
        });
    }
    Ok(gone)
}
