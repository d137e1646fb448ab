//! The other end of a mirror (`docs/formats/shipping.md`): what of an epoch is to be sent next, and giving its files back. Edge: decrypts nothing;
//! sending is for who has a network.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use minutebook_record::{Epoch, ProducerId};

use crate::epoch_file::{self, EpochHeader, field};
use crate::frame::{self, Word};
use crate::identity::{FolderLock, remove_if_there};
use crate::limits::{FRAME_BYTES_MAX, SHIP_WINDOW_BYTES};
use crate::part_file::{FRAMES_AT, FileName, LOCK, PartProgress, REQUEST, TAIL_AT, part_name};
use crate::reader::{
    Listing, Owner, Position, ReadError, is_gone, list_epochs, read_header, remove_epoch, request,
};
use crate::sys;

/// Bytes of a part on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Number of the part, from 1.
    pub part: u32,
    /// Where they lie in it.
    pub offset: u64,
    /// Bytes of the part.
    pub capacity: u64,
    /// Frames, whole unless torn.
    pub bytes: Vec<u8>,
    /// With them the part ends.
    pub end: bool,
    /// As a dead owner left them.
    pub torn: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Bytes.
    Piece(Piece),
    /// Nothing any more: the owner closed the epoch or died, and all before the position was sent.
    Ended(Owner),
}

/// An epoch that is being shipped.
#[derive(Debug)]
pub struct Shipment {
    path: PathBuf,
    folder: PathBuf,
    name: String,
    file: File,
    header: EpochHeader,
    at: Position,
    asked: bool,
}

/// What was seen of the owner before the files were looked at.
#[derive(Clone, Copy)]
struct Seen {
    owner: Owner,
    gone: bool,
}

impl Shipment {
    /// All epochs of a spool, each producer's in ascending order and without a gap among those that are made meanwhile.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn list(spool: &Path) -> io::Result<Listing> {
        let mut locks = Vec::new();
        let folders = match fs::read_dir(spool) {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::default()),
            Err(error) => return Err(error),
        };
        for folder in folders {
            let folder = folder?.path();
            if folder.join(LOCK).exists() {
                locks.push(FolderLock::take(&folder)?);
            }
        }
        list_epochs(spool)
    }

    /// Opens an epoch by its file, of the producer with this name.
    ///
    /// # Errors
    /// It is no epoch file, or cannot be read.
    pub fn open(path: &Path, name: &str) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let header = read_header(&file, path)?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let at = Position { part: 1, offset: FRAMES_AT };
        Ok(Self { path: path.to_owned(), folder, name: name.to_owned(), file, header, at, asked: false })
    }

    /// The epoch's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The producer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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

    /// The trail that it is for.
    #[must_use]
    pub fn trail(&self) -> [u8; 16] {
        self.header.trail
    }

    /// The epoch file as it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; epoch_file::LEN as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Where it goes on.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Goes on where the server is, and deletes the parts that it has whole.
    ///
    /// # Errors
    /// The folder cannot be changed.
    pub fn go_to(&mut self, at: Position) -> Result<(), ReadError> {
        self.at = at;
        for part in self.parts_there()?.into_iter().filter(|part| *part < at.part) {
            remove_if_there(&self.folder.join(part_name(self.header.epoch, part)))?;
        }
        Ok(())
    }

    /// Asks the owner to end a part, or takes that back.
    ///
    /// # Errors
    /// The request cannot be written.
    pub fn ask_to_end(&mut self, part: Option<u32>) -> io::Result<()> {
        let path = self.folder.join(REQUEST);
        match part {
            Some(part) => fs::write(path, request(self.header.epoch.get(), part))?,
            None if self.asked => remove_if_there(&path)?,
            None => {}
        }
        self.asked = part.is_some();
        Ok(())
    }

    /// Up to where the owner has written or begun to.
    ///
    /// # Errors
    /// The folder or a part cannot be read.
    pub fn written_to(&self) -> io::Result<Position> {
        for number in self.parts_there()?.into_iter().rev() {
            if let Some(part) = self.part(number)?
                && part.bound() > FRAMES_AT
            {
                return Ok(Position { part: number, offset: part.bound() });
            }
        }
        Ok(Position { part: 1, offset: FRAMES_AT })
    }

    /// What comes next, `bytes_max` at most; a single frame may be longer.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn next(&mut self, bytes_max: usize) -> Result<Step, ReadError> {
        let hopeful = Seen { owner: Owner::Alive, gone: false };
        match self.look(bytes_max, hopeful)? {
            // The owner is asked only when there is nothing else, and before the files are looked at for the last time.
            Step::Wait => {
                let seen = self.owner()?;
                self.look(bytes_max, seen)
            }
            step => Ok(step),
        }
    }

    fn owner(&self) -> io::Result<Seen> {
        let gone = is_gone(&self.file, &self.header)?;
        let mut state = [0; 8];
        self.file.read_exact_at(&mut state, epoch_file::STATE_AT)?;
        let owner = match u64::from_le_bytes(state) {
            epoch_file::STATE_CLOSED => Owner::Closed,
            _ if gone => Owner::Dead,
            _ => Owner::Alive,
        };
        Ok(Seen { owner, gone })
    }

    fn look(&mut self, bytes_max: usize, seen: Seen) -> Result<Step, ReadError> {
        loop {
            let Some(part) = self.part(self.at.part)? else {
                match self.parts_there()?.into_iter().find(|part| *part > self.at.part) {
                    Some(later) if self.at.offset > FRAMES_AT => {
                        // The server has begun a part that is not here any more.
                        let (part, offset) = (self.at.part, self.at.offset);
                        debug_assert!(later > part);
                        let piece = Piece {
                            part,
                            offset,
                            capacity: offset,
                            bytes: Vec::new(),
                            end: true,
                            torn: true,
                        };
                        return Ok(Step::Piece(piece));
                    }
                    Some(later) => self.at = Position { part: later, offset: FRAMES_AT },
                    None if seen.owner == Owner::Alive => return Ok(Step::Wait),
                    None => return Ok(Step::Ended(seen.owner)),
                }
                continue;
            };
            let piece = part.piece(self.at, bytes_max, seen.gone)?;
            let is_empty = piece.as_ref().is_some_and(|piece| piece.bytes.is_empty());
            match piece {
                Some(piece) if !is_empty || piece.end => return Ok(Step::Piece(piece)),
                // All of it was sent, and its owner will never say where it ends.
                _ if self.at.offset >= part.bound() && seen.owner != Owner::Alive => {
                    if self.at.offset > FRAMES_AT {
                        let Position { part: number, offset } = self.at;
                        let capacity = part.capacity;
                        let piece = Piece {
                            part: number,
                            offset,
                            capacity,
                            bytes: Vec::new(),
                            end: true,
                            torn: false,
                        };
                        return Ok(Step::Piece(piece));
                    }
                    // Made ahead and never begun.
                    self.at = Position { part: self.at.part + 1, offset: FRAMES_AT };
                }
                _ => return Ok(Step::Wait),
            }
        }
    }

    fn part(&self, number: u32) -> io::Result<Option<Part>> {
        Part::open(&self.folder.join(part_name(self.header.epoch, number)))
    }

    fn parts_there(&self) -> io::Result<Vec<u32>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            if let Some(FileName::Part(epoch, part)) = entry?.file_name().to_str().and_then(FileName::parse)
                && epoch == self.header.epoch
            {
                parts.push(part);
            }
        }
        parts.sort_unstable();
        Ok(parts)
    }

    /// Whether there are frames here that the server has not been seen to have.
    ///
    /// # Errors
    /// The folder or a part cannot be read.
    pub fn has_unsent(&self) -> io::Result<bool> {
        Ok(self.written_to()?.offset > FRAMES_AT)
    }

    /// Flushes that the parts which were sent are deleted: to be done before the server is told of the end, since afterwards a part that is
    /// here counts as one that it never had.
    ///
    /// # Errors
    /// The folder cannot be flushed.
    pub fn flush(&self) -> io::Result<()> {
        sys::sync_folder(&self.folder)
    }

    /// Deletes what is left of an epoch that ended and that the server has whole. Durable on return.
    ///
    /// # Errors
    /// [`ReadError::NotEnded`] while the owner lives, or when frames are here that were not sent; the folder cannot be changed.
    pub fn remove(mut self) -> Result<(), ReadError> {
        if self.owner()?.owner == Owner::Alive || self.has_unsent()? {
            return Err(ReadError::NotEnded);
        }
        self.ask_to_end(None)?;
        for part in self.parts_there()? {
            remove_if_there(&self.folder.join(part_name(self.header.epoch, part)))?;
        }
        sys::sync_folder(&self.folder)?;
        remove_epoch(&self.folder, &self.path, &self.header)
    }
}

/// A part of a local spool, as far as it was written.
struct Part {
    file: File,
    capacity: u64,
    progress: PartProgress,
}

impl Part {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let capacity = file.metadata()?.len() / 16 * 16;
        if capacity < FRAMES_AT {
            let progress = PartProgress { tail: FRAMES_AT, end: FRAMES_AT, drained: FRAMES_AT };
            return Ok(Some(Self { file, capacity: FRAMES_AT, progress }));
        }
        let mut bytes = [0; PartProgress::LEN];
        file.read_exact_at(&mut bytes, TAIL_AT)?;
        let (progress, _) = PartProgress::decode(&bytes, capacity);
        Ok(Some(Self { file, capacity, progress }))
    }

    fn bound(&self) -> u64 {
        if self.progress.end != 0 { self.progress.end } else { self.progress.tail.min(self.capacity) }
    }

    /// What can be sent from `at` on; `None` when nothing can.
    fn piece(&self, at: Position, bytes_max: usize, gone: bool) -> io::Result<Option<Piece>> {
        let bound = self.bound();
        let piece = |bytes: Vec<u8>, torn| {
            let end = self.progress.end != 0 && at.offset + bytes.len() as u64 >= bound;
            Piece { part: at.part, offset: at.offset, capacity: self.capacity, bytes, end, torn }
        };
        if at.offset >= bound {
            return Ok((self.progress.end != 0).then(|| piece(Vec::new(), false)));
        }
        let len = self.published(at.offset, bound, bytes_max)?;
        if len > 0 {
            // Read once more: the copy of a word may have been made before the one of the bytes behind it.
            let mut bytes = vec![0; len];
            self.file.read_exact_at(&mut bytes, at.offset)?;
            return Ok(Some(piece(bytes, false)));
        }
        if !gone {
            return Ok(None);
        }
        let mut bytes = vec![0; ((bound - at.offset) as usize).min(bytes_max / 16 * 16)];
        self.file.read_exact_at(&mut bytes, at.offset)?;
        Ok(Some(piece(bytes, true)))
    }

    /// Bytes of published frames, one behind the other from `offset` on: `bytes_max` at most, but one frame at least.
    fn published(&self, offset: u64, bound: u64, bytes_max: usize) -> io::Result<usize> {
        let mut window = vec![0; ((bound - offset) as usize).min(SHIP_WINDOW_BYTES)];
        self.file.read_exact_at(&mut window, offset)?;
        let mut len = 0;
        while len + 8 <= window.len() {
            let Word::Published(frame) = Word::parse(u64::from_le_bytes(field(&window, len))) else { break };
            let padded = frame::padded(frame) as usize;
            let fits = frame <= FRAME_BYTES_MAX && len + padded <= window.len();
            if !fits || (len > 0 && len + padded > bytes_max) {
                break;
            }
            len += padded;
        }
        Ok(len)
    }
}
