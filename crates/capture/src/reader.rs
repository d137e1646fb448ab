//! The reading side: finds epochs in a spool, unseals their keys, decrypts their frames in order and gives their space back. Used by
//! the engine, in another process or in the producer's own; reads files with `pread`, never through a mapping.

mod batch;
mod ending;
mod free;
mod part;

pub(crate) use ending::request;
pub(crate) use free::remove_epoch;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minutebook_record::{ClassName, Epoch, Kind, ProducerId, RecordId, Seq};

use crate::damage::Damage;
use crate::epoch_file::{self, EpochHeader};
use crate::frame::{EpochCipher, LostReason};
use crate::identity::is_producer_name;
use crate::intake::{self, IntakePrivateKey};
use crate::limits::{CLASSES_MAX, SLOTS};
use crate::mark::system_class;
use crate::mirror::{GivenUp, MirrorError};
use crate::part_file::{FRAMES_AT, FileName, MIRROR};
use crate::shape::ShapeDef;
use crate::sys;

/// An epoch file found in a spool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochFile {
    /// The producer's name: that of its folder.
    pub name: String,
    /// The epoch that the file's name says.
    pub epoch: Epoch,
    /// The file.
    pub path: PathBuf,
}

/// What lies in a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Epochs, by name of the producer and number.
    pub epochs: Vec<EpochFile>,
    /// Parts whose epoch file is not there: they cannot be decrypted.
    pub orphans: Vec<PathBuf>,
    /// What is not of a spool. Left alone.
    pub foreign: Vec<PathBuf>,
}

/// Lists the epochs in a spool folder. A spool that is not there is empty.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn list_epochs(spool: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in entries(spool)? {
        let path = entry.path();
        match entry.file_name().to_str() {
            Some(name) if is_producer_name(name) && entry.file_type()?.is_dir() => {
                list_folder(name, &path, &mut listing)?;
            }
            _ => listing.foreign.push(path),
        }
    }
    listing.epochs.sort();
    listing.orphans.sort();
    listing.foreign.sort();
    Ok(listing)
}

/// The state word of an epoch file.
fn state(file: &File) -> io::Result<u64> {
    let mut state = [0; 8];
    file.read_exact_at(&mut state, epoch_file::STATE_AT)?;
    Ok(u64::from_le_bytes(state))
}

/// Whether no process of this machine holds an epoch.
pub(crate) fn is_gone(file: &File, header: &EpochHeader) -> io::Result<bool> {
    // A shared lock, so that two readers that look at the same time do not take each other for the owner.
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(true)
        }
        Err(fs::TryLockError::WouldBlock) => Ok(sys::is_gone(&header.process)),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Reads and checks the header of an epoch file.
pub(crate) fn read_header(file: &File, path: &Path) -> Result<EpochHeader, ReadError> {
    let mut bytes = [0; epoch_file::HEADER];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(Damage::EpochHeader.into()),
        Err(e) => return Err(e.into()),
    }
    let header = EpochHeader::decode(&bytes)?;
    if file.metadata()?.len() != epoch_file::LEN {
        return Err(Damage::EpochHeader.into());
    }
    let named = path.file_name().and_then(|name| name.to_str()).and_then(FileName::parse);
    if named != Some(FileName::Epoch(header.epoch)) {
        return Err(Damage::EpochName.into());
    }
    Ok(header)
}

fn list_folder(name: &str, folder: &Path, listing: &mut Listing) -> io::Result<()> {
    let mut parts = Vec::new();
    let first = listing.epochs.len();
    for entry in entries(folder)? {
        let path = entry.path();
        match entry.file_name().to_str().and_then(FileName::parse) {
            Some(FileName::Epoch(epoch)) => {
                listing.epochs.push(EpochFile { name: name.to_owned(), epoch, path });
            }
            Some(FileName::Part(epoch, _)) => parts.push((epoch, path)),
            Some(
                FileName::Producer
                | FileName::Lock
                | FileName::Request
                | FileName::Mirror
                | FileName::GivenUp(_)
                | FileName::Temporary(_),
            ) => {}
            None => listing.foreign.push(path),
        }
    }
    let known = |epoch: Epoch| listing.epochs[first..].iter().any(|file| file.epoch == epoch);
    let orphans = parts.into_iter().filter(|(epoch, _)| !known(*epoch)).map(|(_, path)| path);
    listing.orphans.extend(orphans.collect::<Vec<_>>());
    Ok(())
}

/// The entries of a folder, none when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// A place in an epoch. Everything before it comes earlier in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the part, from 1.
    pub part: u32,
    /// Offset in it, in bytes.
    pub offset: u64,
}

/// Whether the owner of an epoch can still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// It lives, as far as can be told.
    Alive,
    /// It closed the epoch.
    Closed,
    /// It is gone and did not close the epoch.
    Dead,
}

/// A decision that has its number and no frame yet, or had none when its process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InFlight {
    /// The class.
    pub class: ClassName,
    /// The number; `None` while it is being drawn.
    pub seq: Option<Seq>,
    /// When the decision began, in ns since 1970.
    pub started_ns: i64,
}

/// One frame, or what was found where one should be.
#[derive(Debug)]
pub enum Frame<'a> {
    /// A record.
    Record {
        /// Its kind.
        kind: Kind,
        /// Its retention class.
        class: ClassName,
        /// Its number.
        seq: Seq,
        /// Its id.
        id: RecordId,
        /// Its schema and constants.
        shape: &'a Arc<ShapeDef>,
        /// The encodings of the open places' values, in order. Not checked yet: [`ShapeDef::split`] does.
        values: &'a [u8],
        /// Where the frame begins.
        position: Position,
    },
    /// A piece of a blob.
    Blob {
        /// The blob's id.
        id: [u8; 16],
        /// Length of the whole blob in bytes.
        whole: u64,
        /// Where in it the content lies.
        offset: u64,
        /// The content.
        content: &'a [u8],
        /// Where the frame begins.
        position: Position,
    },
    /// Numbers that have no record, and why.
    Lost {
        /// Their class.
        class: ClassName,
        /// Why.
        reason: LostReason,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
        /// Where the frame begins.
        position: Position,
    },
    /// Something wrong. Numbers that turn out to be missing are lost.
    Damage {
        /// What.
        damage: Damage,
        /// Where it begins.
        from: Position,
        /// Where reading goes on.
        to: Position,
    },
}

/// How much to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Frames at most.
    pub frames: usize,
    /// Stop after the frame that reaches so many bytes of frames.
    pub bytes: u64,
}

impl Default for BatchLimits {
    /// A segment's worth.
    fn default() -> Self {
        Self { frames: 4096, bytes: 4 << 20 }
    }
}

/// Why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// A limit was reached: there may be more at once.
    Limit,
    /// Nothing more for now; the owner may write more.
    CaughtUp,
    /// Nothing more will come: the epoch was closed or its owner is dead, and all is read.
    Ended,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEnd {
    /// Where the next batch begins. What lies before may be freed once it is sealed.
    pub position: Position,
    /// Why it ended.
    pub stop: Stop,
    /// Frames given out, damage included.
    pub frames: usize,
}

/// Why an epoch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file says something that it should not.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The file cannot be read or written. Try again, or stop and look at the disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The epoch cannot be removed yet.
    #[error("the epoch has not ended, or has parts left")]
    NotEnded,
    /// A position that was not read yet cannot be freed.
    #[error("not read up to there")]
    NotRead,
}

/// Reads one epoch, in order, from where it was last freed. One reader frees an epoch at a time: the engine, which holds the trail's lock.
pub struct EpochReader {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    is_mirror: bool,
    header: EpochHeader,
    cipher: EpochCipher,
    part: Option<part::PartReader>,
    /// Parts that were read and are not yet freed, in order.
    behind: Vec<part::PartReader>,
    /// Where reading goes on. When `part` is none: the part to look for, or a later one.
    next: Position,
    /// No process holds the epoch any more.
    gone: bool,
    /// The owner was seen gone, and everything looked at since is as it left it.
    looked_since_gone: bool,
    /// The same for an owner that closed: no part will follow.
    looked_since_ended: bool,
    /// A part was opened or looked for, so that one that is missing later is damage.
    began: bool,
    /// No part was found after the end was seen.
    looked_for_parts: bool,
    shapes: batch::ShapeCache,
    /// Names of the classes as far as frames have said them, by place in the table.
    names: [Option<ClassName>; CLASSES_MAX],
}

impl EpochReader {
    /// Opens an epoch of `trail`. Reads nothing of its parts yet.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damage`] when the file is not one, was altered, belongs to another trail or was sealed to another key.
    pub fn open(path: &Path, trail: [u8; 16], key: &IntakePrivateKey) -> Result<Self, ReadError> {
        // Writing is needed by those who free; a reader of a read-only copy does without.
        let file = File::open(path)?;
        let header = read_header(&file, path)?;
        if header.trail != trail {
            return Err(Damage::OtherTrail.into());
        }
        let epoch_key =
            intake::open(key, &header.key, &header.sealed_with()).map_err(|_| Damage::EpochKey)?;
        let mut names = [None; CLASSES_MAX];
        names[0] = Some(system_class());
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self {
            file,
            path: path.to_owned(),
            is_mirror: folder.join(MIRROR).exists(),
            folder,
            cipher: EpochCipher::new(&epoch_key),
            header,
            part: None,
            behind: Vec::new(),
            next: Position { part: 1, offset: 0 },
            gone: false,
            looked_since_gone: false,
            looked_since_ended: false,
            began: false,
            looked_for_parts: false,
            shapes: batch::ShapeCache::default(),
            names,
        })
    }

    /// Who drew the numbers.
    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.header.producer
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.header.epoch
    }

    /// The process that opened it, as its own system numbered it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.header.process.pid
    }

    /// When the epoch was opened, ns since 1970.
    #[must_use]
    pub fn made_ns(&self) -> i64 {
        self.header.made_ns
    }

    /// The Ed25519 key that signs the epoch's marks.
    #[must_use]
    pub fn mark_key(&self) -> [u8; 32] {
        self.header.mark_key
    }

    /// The epoch file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next batch begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// Up to where the owner has written or begun to, as far as the files say now. What was handed over before the call lies before it.
    ///
    /// # Errors
    ///
    /// The folder or a part cannot be read.
    pub fn written_to(&self) -> Result<Position, ReadError> {
        // Parts are made ahead of need: the last may have no frame yet.
        for number in self.parts_there()?.into_iter().rev() {
            if let Some((part, _)) = part::PartReader::open(&self.folder, &self.header, number)?
                && part.bound() > FRAMES_AT
            {
                return Ok(Position { part: number, offset: part.bound() });
            }
        }
        Ok(self.next)
    }

    /// Whether the owner can still write. Asks the system each time; does not block.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn owner(&mut self) -> Result<Owner, ReadError> {
        // Of a mirror locks and processes of this machine say nothing, and once it has left this state it does not come back to it.
        if self.is_remote()? {
            return Ok(Owner::Alive);
        }
        // Asked before the state is read: the owner closes first and goes then.
        let gone = self.is_gone()?;
        match state(&self.file)? {
            epoch_file::STATE_CLOSED => Ok(Owner::Closed),
            epoch_file::STATE_REMOTE_DEAD => {
                self.gone = true;
                Ok(Owner::Dead)
            }
            // Nothing authenticates the state; what is not closed counts as open.
            _ if gone => Ok(Owner::Dead),
            _ => Ok(Owner::Alive),
        }
    }

    /// Whether no process holds the epoch any more. Once gone, gone for good.
    fn is_gone(&mut self) -> io::Result<bool> {
        if self.gone {
            return Ok(true);
        }
        self.gone = is_gone(&self.file, &self.header)?;
        Ok(self.gone)
    }

    /// Whether this is a mirror whose owner, elsewhere, may still write.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn is_remote(&self) -> Result<bool, ReadError> {
        Ok(state(&self.file)? == epoch_file::STATE_REMOTE)
    }

    /// When the file was last changed: of a mirror, when its owner's machine was last heard of.
    ///
    /// # Errors
    ///
    /// The file cannot be looked at.
    pub fn changed(&self) -> io::Result<std::time::SystemTime> {
        self.file.metadata()?.modified()
    }

    /// That the epoch was given up, when it was.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn given_up(&self) -> io::Result<Option<GivenUp>> {
        if !self.is_mirror {
            return Ok(None);
        }
        GivenUp::read(&self.folder, self.header.epoch).map_err(|error| match error {
            MirrorError::Io(error) => error,
            other => io::Error::other(other.to_string()),
        })
    }

    /// Whether this is a mirror, by its folder.
    #[must_use]
    pub fn is_mirror(&self) -> bool {
        self.is_mirror
    }

    /// The last number drawn of each class that drew any, as the counters say. Nothing authenticates these; a class has the name that frames gave
    /// it, and only one that no frame has named yet that of the table. Counters without any name are passed over.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn drawn(&self) -> Result<Vec<(ClassName, u64)>, ReadError> {
        let mut drawn = Vec::new();
        for (name, counter) in self.classes()?.into_iter().flatten() {
            if counter > 0 {
                drawn.push((name, counter));
            }
        }
        Ok(drawn)
    }

    /// Names and counters by place in the table.
    fn classes(&self) -> Result<[Option<(ClassName, u64)>; CLASSES_MAX], ReadError> {
        let mut table = [0; CLASSES_MAX * epoch_file::CLASS_LEN as usize];
        self.file.read_exact_at(&mut table, epoch_file::CLASSES_AT)?;
        let mut classes = [None; CLASSES_MAX];
        for (place, entry) in table.chunks_exact(epoch_file::CLASS_LEN as usize).enumerate() {
            let said = || epoch_file::class_name(&epoch_file::field(entry, 0)).ok().flatten();
            let Some(name) = self.names[place].or_else(said) else { continue };
            let counter = u64::from_le_bytes(epoch_file::field(entry, 32)) & !epoch_file::COUNTER_CLOSED;
            classes[place] = Some((name, counter));
        }
        Ok(classes)
    }

    /// Decisions in flight, in no order.
    ///
    /// # Errors
    ///
    /// The file cannot be read. Slots that name no class are passed over.
    pub fn in_flight(&self) -> Result<Vec<InFlight>, ReadError> {
        let classes = self.classes()?;
        let mut slots = vec![0; SLOTS * epoch_file::SLOT_LEN as usize];
        self.file.read_exact_at(&mut slots, epoch_file::SLOTS_AT)?;
        let slot = |bytes: &[u8]| {
            let number = u64::from_le_bytes(epoch_file::field(bytes, 0));
            let class = u32::from_le_bytes(epoch_file::field(bytes, 8)) as usize;
            let (class, _) = classes.get(class).copied().flatten()?;
            let seq = match number {
                0 => return None,
                epoch_file::SLOT_TAKEN => None,
                number => Some(Seq::new(number).ok()?),
            };
            Some(InFlight { class, seq, started_ns: i64::from_le_bytes(epoch_file::field(bytes, 16)) })
        };
        Ok(slots.chunks_exact(epoch_file::SLOT_LEN as usize).filter_map(slot).collect())
    }
}
