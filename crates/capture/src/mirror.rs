//! The copy of an epoch whose owner is on another machine (`docs/formats/shipping.md`): written by the server as bytes come in, read as any epoch.
//! Edge: who may send what, and how much, is the server's to decide; what frames say is checked when they are read.

mod given_up;
mod write;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use minutebook_record::{Epoch, ProducerId};

use crate::damage::Damage;
use crate::epoch_file::{
    self, CLASSES_AT, COUNTER_CLOSED, EpochHeader, HEADER, SLOTS_AT, STATE_AT, STATE_CLOSED, STATE_REMOTE,
    STATE_REMOTE_DEAD, WHOLE_PART_AT, counter_at, field,
};
use crate::identity::{
    FolderLock, Identity, IdentityError, create_file, is_producer_name, make_folder, remove_if_there,
};
use crate::intake::{self, IntakePrivateKey};
use crate::limits::{CLASSES_MAX, MIRROR_FILE_BYTES_MAX, MIRROR_NUMBER_MAX};
use crate::part_file::{FRAMES_AT, FileName, MIRROR, MIRROR_TEMPORARY, TEMPORARY, epoch_name};
use crate::reader::Position;
use crate::sys;

pub use given_up::{GivenUp, give_up};

const FORMAT: &str = "minutebook/mirror/1";

/// Characters of the producer's name that its mirror's folder shows: with a dot and the id they fit a name.
const NAME_SHOWN: usize = 31;

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The request is wrong, and so is every repetition.
    #[error("{0}")]
    Wrong(&'static str),
    /// What was sent is no epoch file of this trail.
    #[error("the epoch file cannot be used: {0}")]
    Damage(#[from] Damage),
    /// The secret is not that which came with the producer's first epoch.
    #[error("the producer was begun with another secret")]
    Secret,
    /// Not where the mirror is: go on from there.
    #[error("the server has this epoch up to part {} and offset {}, and other bytes or a gap were sent", .0.part, .0.offset)]
    Position(Position),
    /// The epoch was not announced.
    #[error("the epoch was not announced")]
    Unknown,
    /// The epoch was given up: what it had here is sealed, and the rest is told as lost.
    #[error("the epoch was given up, by order of `{}`: {}; nothing more of it is taken", .0.by, .0.reason)]
    GivenUp(Box<GivenUp>),
    /// The producer file cannot be used.
    #[error("the producer's folder: {0}")]
    Identity(#[from] IdentityError),
    /// The disk failed, or is full.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl MirrorError {
    /// Whether there is no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io(error) if sys::is_full(error))
    }
}

/// Which producer, and who may write for it.
#[derive(Debug, Clone)]
pub struct MirrorId {
    /// The producer's own name.
    pub name: String,
    /// Its id.
    pub producer: ProducerId,
    /// SHA-256 of the secret.
    pub secret: [u8; 32],
}

impl MirrorId {
    /// Of who sends this secret.
    #[must_use]
    pub fn new(name: &str, producer: ProducerId, secret: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), producer, secret: epoch_file::sha256(secret) }
    }
}

/// Whether an epoch takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandingState {
    /// It does.
    Open,
    /// Its owner ended, and all of it is here.
    Ended,
    /// It is in the log, and its files are gone.
    Sealed,
}

/// How far a mirror is. Durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it takes more.
    pub state: StandingState,
    /// Everything before is here.
    pub position: Position,
    /// The part that the owner is asked to end.
    pub end_part: Option<u32>,
}

impl Standing {
    const SEALED: Self =
        Self { state: StandingState::Sealed, position: Position { part: 1, offset: 0 }, end_part: None };
}

/// The mirrors of a trail.
#[derive(Debug, Clone)]
pub struct Mirrors {
    spool: PathBuf,
    trail: [u8; 16],
    key: IntakePrivateKey,
}

/// One epoch's.
#[derive(Debug)]
pub struct Mirror {
    folder: PathBuf,
    file: File,
    header: EpochHeader,
}

/// The folder of a producer's mirror; `None` when the name is none.
#[must_use]
pub fn mirror_name(name: &str, producer: ProducerId) -> Option<String> {
    // INVARIANT: a producer's name is ASCII.
    is_producer_name(name).then(|| format!("{}.{producer}", &name[..name.len().min(NAME_SHOWN)]))
}

/// What lies in a spool for an API key, by the name of the key that began it: bytes on disk and epochs.
///
/// # Errors
/// The spool cannot be read. What goes meanwhile counts nothing.
pub fn list_mirrors(spool: &Path) -> io::Result<Vec<(String, u64, u64)>> {
    let mut found = Vec::new();
    let folders = match fs::read_dir(spool) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for folder in folders {
        let folder = folder?.path();
        let Ok(Some(about)) = About::read(&folder) else { continue };
        let (mut bytes, mut epochs) = (0, 0);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            bytes += entry.metadata().map_or(0, |about| about.blocks() * 512);
            let name = entry.file_name();
            epochs += u64::from(matches!(name.to_str().and_then(FileName::parse), Some(FileName::Epoch(_))));
        }
        found.push((about.key, bytes, epochs));
    }
    Ok(found)
}

/// The file that makes a folder a mirror's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct About {
    name: String,
    secret: [u8; 32],
    key: String,
}

impl About {
    /// `None` when the folder is no mirror's, or not there.
    fn read(folder: &Path) -> Result<Option<Self>, MirrorError> {
        let file = match File::open(folder.join(MIRROR)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        file.take(MIRROR_FILE_BYTES_MAX).read_to_end(&mut text)?;
        Self::parse(&text).map(Some).ok_or(MirrorError::Identity(IdentityError::Malformed))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.strip_suffix('\n')?.split('\n');
        (lines.next()? == FORMAT).then_some(())?;
        let name = lines.next()?.strip_prefix("name ")?.to_owned();
        let secret = lines.next()?.strip_prefix("secret ")?;
        let key = lines.next()?.strip_prefix("key ")?.to_owned();
        let valid = secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit());
        (valid && lines.next().is_none()).then_some(())?;
        let half = |at: usize| u128::from_str_radix(&secret[at..at + 32], 16).ok().map(u128::to_be_bytes);
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&half(0)?);
        digest[16..].copy_from_slice(&half(32)?);
        Some(Self { name, secret: digest, key })
    }

    fn text(&self) -> String {
        let secret: String = self.secret.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{FORMAT}\nname {}\nsecret {secret}\nkey {}\n", self.name, self.key)
    }

    /// Durable on return.
    fn write(&self, folder: &Path) -> io::Result<()> {
        let temporary = folder.join(MIRROR_TEMPORARY);
        remove_if_there(&temporary)?;
        let mut file = create_file(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(MIRROR))?;
        sys::sync_folder(folder)
    }
}

impl Mirrors {
    /// Those in `spool`, of a trail with this intake key.
    #[must_use]
    pub fn new(spool: PathBuf, trail: [u8; 16], key: IntakePrivateKey) -> Self {
        Self { spool, trail, key }
    }

    /// The folder of a producer, when it is a mirror that was begun with this secret.
    fn folder(&self, id: &MirrorId) -> Result<Option<PathBuf>, MirrorError> {
        let name = mirror_name(&id.name, id.producer).ok_or(MirrorError::Wrong("no name of a producer"))?;
        let folder = self.spool.join(name);
        match About::read(&folder)? {
            Some(about) if about.secret != id.secret => Err(MirrorError::Secret),
            Some(about) if about.name != id.name => {
                Err(MirrorError::Wrong("the producer was begun with another name"))
            }
            Some(_) => Ok(Some(folder)),
            None => Ok(None),
        }
    }

    /// The mirror of an epoch that was announced; `None` when it is in the log whole. Makes sure that what it has is on disk.
    ///
    /// # Errors
    /// [`MirrorError::Unknown`] when it was not announced, [`MirrorError::Secret`], or the disk.
    pub fn open(&self, id: &MirrorId, epoch: Epoch) -> Result<Option<Mirror>, MirrorError> {
        let Some(folder) = self.folder(id)? else { return Err(MirrorError::Unknown) };
        check_given_up(&folder, epoch)?;
        if let Some(mirror) = Mirror::open(&folder, id.producer, epoch)? {
            return Ok(Some(mirror));
        }
        let lock = FolderLock::take(&folder)?;
        // Between the two looks it may have been made, and not been removed.
        let known = Identity::read(&folder, &lock)?.map_or(0, |known| known.epoch);
        match Mirror::open(&folder, id.producer, epoch)? {
            Some(mirror) => Ok(Some(mirror)),
            None if epoch.get() <= known => Ok(None),
            None => Err(MirrorError::Unknown),
        }
    }

    /// Begins the mirror of an epoch with its file, or finds it: epochs of a producer come in ascending order. `None` when it is in the log
    /// whole. `key` is the name of the API key that counts for it. Blocks for the disk; durable on return.
    ///
    /// # Errors
    /// A file that is none, or of another trail, or whose key does not open; another secret or file than before; the disk.
    pub fn announce(
        &self,
        id: &MirrorId,
        epoch: Epoch,
        file: &[u8],
        key: &str,
    ) -> Result<Option<Mirror>, MirrorError> {
        let header = self.check(id, epoch, file)?;
        if key.contains('\n') {
            return Err(MirrorError::Wrong("no name of an API key"));
        }
        let folder = match self.folder(id)? {
            Some(folder) => folder,
            None => self.begin(id, key)?,
        };
        check_given_up(&folder, epoch)?;
        let lock = FolderLock::take(&folder)?;
        let known = Identity::read(&folder, &lock)?;
        let known = known.unwrap_or(Identity { id: id.producer, epoch: 0 });
        if known.id != id.producer {
            return Err(MirrorError::Identity(IdentityError::Malformed));
        }
        if let Some(mirror) = Mirror::open(&folder, id.producer, epoch)? {
            if mirror.header != header {
                return Err(MirrorError::Wrong("another epoch file was announced under this number"));
            }
            return Ok(Some(mirror));
        }
        if epoch.get() <= known.epoch {
            return Ok(None);
        }
        let mut bytes = vec![0; epoch_file::LEN as usize];
        copy_table(file, &mut bytes);
        bytes[..HEADER].copy_from_slice(&file[..HEADER]);
        bytes[STATE_AT as usize..][..8].copy_from_slice(&STATE_REMOTE.to_le_bytes());
        let name = epoch_name(epoch);
        let temporary = folder.join(format!("{name}{TEMPORARY}"));
        remove_if_there(&temporary)?;
        let mut made = create_file(&temporary)?;
        made.write_all(&bytes)?;
        made.sync_all()?;
        fs::rename(&temporary, folder.join(name))?;
        sys::sync_folder(&folder)?;
        Identity { epoch: epoch.get(), ..known }.replace(&folder, &lock)?;
        Mirror::open(&folder, id.producer, epoch)
    }

    fn check(&self, id: &MirrorId, epoch: Epoch, file: &[u8]) -> Result<EpochHeader, MirrorError> {
        if file.len() as u64 != epoch_file::LEN {
            return Err(MirrorError::Wrong("an epoch file has 65,536 bytes"));
        }
        check_counters(file)?;
        let header = EpochHeader::decode(&field(file, 0))?;
        if header.trail != self.trail {
            return Err(Damage::OtherTrail.into());
        }
        if header.producer != id.producer || header.epoch != epoch {
            return Err(Damage::EpochName.into());
        }
        intake::open(&self.key, &header.key, &header.sealed_with()).map_err(|_| Damage::EpochKey)?;
        Ok(header)
    }

    /// Makes a producer's folder. A crash midway leaves one without the file that makes it a mirror's, and is gone over again.
    fn begin(&self, id: &MirrorId, key: &str) -> Result<PathBuf, MirrorError> {
        let name = mirror_name(&id.name, id.producer).ok_or(MirrorError::Wrong("no name of a producer"))?;
        let folder = self.spool.join(name);
        make_folder(&folder)?;
        let lock = FolderLock::take(&folder)?;
        if Identity::read(&folder, &lock)?.is_some_and(|known| known.id != id.producer || known.epoch > 0)
            && About::read(&folder)?.is_none()
        {
            return Err(MirrorError::Wrong("a producer on the server's own machine has this name"));
        }
        // Whoever began it at the same time has it.
        match self.folder(id)? {
            Some(folder) => Ok(folder),
            None => {
                About { name: id.name.clone(), secret: id.secret, key: key.to_owned() }.write(&folder)?;
                Ok(folder)
            }
        }
    }
}

/// Refuses an epoch that was given up.
fn check_given_up(folder: &Path, epoch: Epoch) -> Result<(), MirrorError> {
    match GivenUp::read(folder, epoch)? {
        Some(said) => Err(MirrorError::GivenUp(Box::new(said))),
        None => Ok(()),
    }
}

/// Refuses counters that no epoch reaches: they are taken for what was drawn when it ended without a mark.
fn check_counters(file: &[u8]) -> Result<(), MirrorError> {
    for class in 0..CLASSES_MAX {
        let counter = u64::from_le_bytes(field(file, counter_at(class) as usize)) & !COUNTER_CLOSED;
        if counter > MIRROR_NUMBER_MAX {
            return Err(MirrorError::Wrong("a counter that no epoch reaches"));
        }
    }
    Ok(())
}

/// Classes, counters and slots, and nothing else of an epoch file.
fn copy_table(from: &[u8], to: &mut [u8]) {
    for (from_at, to_at) in [(CLASSES_AT, STATE_AT), (SLOTS_AT, SLOTS_AT + slots_len())] {
        let range = from_at as usize..to_at as usize;
        to[range.clone()].copy_from_slice(&from[range]);
    }
}

const fn slots_len() -> u64 {
    epoch_file::SLOT_LEN * crate::limits::SLOTS as u64
}
