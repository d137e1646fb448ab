//! Writing to a mirror: bytes at its position, ends of parts, the end of the epoch. Each step is on disk before the next is taken, so that
//! what is acknowledged is never taken back.

use std::os::unix::fs::FileExt;

use super::{
    CLASSES_AT, Damage, Epoch, EpochHeader, FRAMES_AT, File, HEADER, Mirror, MirrorError, OpenOptions, Path,
    Position, ProducerId, SLOTS_AT, STATE_AT, STATE_CLOSED, STATE_REMOTE, STATE_REMOTE_DEAD, Standing,
    StandingState, TEMPORARY, WHOLE_PART_AT, check_counters, create_file, epoch_file, epoch_name, field, fs,
    io, remove_if_there, slots_len, sys,
};
use crate::frame::{self, Word};
use crate::limits::{FRAME_BYTES_MAX, MIRROR_PART_BYTES_MAX};
use crate::part_file::{DRAINED_AT, END_AT, FileName, PartHeader, REQUEST, TAIL_AT, part_name};
use crate::reader::Owner;
use crate::reader::{read_header, request};
use crate::shipment::Piece;

impl Standing {
    /// Of an epoch that is in the log whole.
    #[must_use]
    pub fn sealed() -> Self {
        Self::SEALED
    }
}

impl Mirror {
    pub(super) fn open(
        folder: &Path,
        producer: ProducerId,
        epoch: Epoch,
    ) -> Result<Option<Self>, MirrorError> {
        let path = folder.join(epoch_name(epoch));
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let header = read_header(&file, &path).map_err(|error| match error {
            crate::reader::ReadError::Damage(damage) => MirrorError::Damage(damage),
            crate::reader::ReadError::Io(error) => MirrorError::Io(error),
            _ => MirrorError::Wrong("the epoch file cannot be read"),
        })?;
        if header.producer != producer {
            return Err(Damage::EpochHeader.into());
        }
        Ok(Some(Self { folder: folder.to_owned(), file, header }))
    }

    /// How far it is.
    ///
    /// # Errors
    /// The disk.
    pub fn standing(&self) -> Result<Standing, MirrorError> {
        let state = match self.word(STATE_AT)? {
            STATE_REMOTE => StandingState::Open,
            _ => StandingState::Ended,
        };
        let (number, part) = self.current()?;
        let offset = part.map_or(Ok(FRAMES_AT), |part| part.word(TAIL_AT))?;
        Ok(Standing { state, position: Position { part: number, offset }, end_part: self.end_part() })
    }

    /// Stores anew what says how far it is, and flushes it: after a flush that failed, or a start, nothing tells whether it is on the disk.
    ///
    /// # Errors
    /// The disk.
    pub fn settle(&self) -> Result<(), MirrorError> {
        let whole = self.word(WHOLE_PART_AT)?;
        self.file.write_all_at(&whole.to_le_bytes(), WHOLE_PART_AT)?;
        self.file.sync_data()?;
        if let (_, Some(part)) = self.current()? {
            let tail = part.word(TAIL_AT)?;
            part.store(TAIL_AT, tail)?;
        }
        sys::sync_folder(&self.folder)?;
        Ok(())
    }

    /// Takes bytes of a part. Durable on return. The same bytes may come again.
    ///
    /// # Errors
    /// [`MirrorError::Position`] when they do not go on where the mirror is, [`MirrorError::Wrong`] when they can never be taken, or the disk:
    /// nothing of them counts then.
    pub fn put(&self, piece: &Piece) -> Result<Standing, MirrorError> {
        check(piece)?;
        let standing = self.standing()?;
        if standing.state != StandingState::Open {
            return Ok(standing);
        }
        let at = standing.position;
        let whole = self.word(WHOLE_PART_AT)?;
        if u64::from(piece.part) <= whole {
            self.mend_end(piece.part)?;
            return Ok(standing);
        }
        let part = match self.current()? {
            (number, Some(part)) if number == piece.part => part,
            (_, Some(_)) => return Err(MirrorError::Position(at)),
            (_, None) if piece.offset != FRAMES_AT => return Err(MirrorError::Position(at)),
            (_, None) => self.begin(piece)?,
        };
        let tail = part.word(TAIL_AT)?;
        let to = piece.offset + piece.bytes.len() as u64;
        if to > part.capacity {
            return Err(MirrorError::Wrong("bytes beyond the capacity of their part"));
        }
        if piece.offset > tail || (piece.end && to < tail) {
            return Err(MirrorError::Position(at));
        }
        let had = ((tail - piece.offset) as usize).min(piece.bytes.len());
        part.is_same(piece, had)?;
        if to > tail {
            part.file.write_all_at(&piece.bytes[had..], tail)?;
            part.file.sync_data()?;
            part.store(TAIL_AT, to)?;
        }
        if piece.end {
            self.file.write_all_at(&u64::from(piece.part).to_le_bytes(), WHOLE_PART_AT)?;
            self.file.sync_data()?;
            part.store(END_AT, to)?;
        }
        self.standing()
    }

    /// Takes the counters and slots as they are now at the owner's. Nothing depends on them while the epoch is open.
    ///
    /// # Errors
    /// Another header, or the disk.
    pub fn refresh(&self, file: &[u8]) -> Result<(), MirrorError> {
        if file.len() as u64 != epoch_file::LEN
            || EpochHeader::decode(&field::<HEADER>(file, 0))? != self.header
        {
            return Err(MirrorError::Wrong("another epoch file than was announced"));
        }
        check_counters(file)?;
        for (from, to) in [(CLASSES_AT, STATE_AT), (SLOTS_AT, SLOTS_AT + slots_len())] {
            self.file.write_all_at(&file[from as usize..to as usize], from)?;
        }
        Ok(())
    }

    /// Ends the epoch: its owner closed it or died, and all that it left was put. Durable on return.
    ///
    /// # Errors
    /// As [`Mirror::refresh`].
    pub fn end(&self, file: &[u8], owner: Owner) -> Result<Standing, MirrorError> {
        let state = match owner {
            Owner::Alive => return Err(MirrorError::Wrong("an owner that lives does not end")),
            Owner::Closed => STATE_CLOSED,
            Owner::Dead => STATE_REMOTE_DEAD,
        };
        let standing = self.standing()?;
        if standing.state == StandingState::Open {
            self.refresh(file)?;
            // Before the state: the counters of an epoch that ended count.
            self.file.sync_data()?;
            self.file.write_all_at(&state.to_le_bytes(), STATE_AT)?;
            self.file.sync_data()?;
        }
        self.standing()
    }

    /// The part that comes next, with its file when it was begun.
    fn current(&self) -> Result<(u32, Option<Part>), MirrorError> {
        let whole = self.word(WHOLE_PART_AT)?;
        let mut begun = None;
        for entry in fs::read_dir(&self.folder)? {
            if let Some(FileName::Part(epoch, part)) = entry?.file_name().to_str().and_then(FileName::parse)
                && epoch == self.header.epoch
                && u64::from(part) > whole
            {
                begun = begun.max(Some(part));
            }
        }
        let next = u32::try_from(whole.saturating_add(1)).map_err(|_| Damage::EpochHeader)?;
        match begun {
            Some(number) => {
                Ok((number, Some(Part::open(&self.folder.join(part_name(self.header.epoch, number)))?)))
            }
            None => Ok((next, None)),
        }
    }

    fn begin(&self, piece: &Piece) -> Result<Part, MirrorError> {
        let path = self.folder.join(part_name(self.header.epoch, piece.part));
        let temporary = self.folder.join(format!("{}{TEMPORARY}", part_name(self.header.epoch, piece.part)));
        let header = PartHeader {
            trail: self.header.trail,
            producer: self.header.producer,
            epoch: self.header.epoch,
            part: piece.part,
            capacity: piece.capacity,
        };
        remove_if_there(&temporary)?;
        let file = create_file(&temporary)?;
        file.set_len(piece.capacity)?;
        file.write_all_at(&header.encode(), 0)?;
        file.write_all_at(&FRAMES_AT.to_le_bytes(), TAIL_AT)?;
        file.write_all_at(&FRAMES_AT.to_le_bytes(), DRAINED_AT)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sys::sync_folder(&self.folder)?;
        Part::open(&path)
    }

    /// A crash may have come between noting that a part is whole and its end.
    fn mend_end(&self, number: u32) -> Result<(), MirrorError> {
        let path = self.folder.join(part_name(self.header.epoch, number));
        let part = match Part::open(&path) {
            Ok(part) => part,
            Err(MirrorError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if part.word(END_AT)? == 0 {
            part.store(END_AT, part.word(TAIL_AT)?)?;
        }
        Ok(())
    }

    /// The part that the engine asks the owner to end.
    fn end_part(&self) -> Option<u32> {
        let asked = fs::read_to_string(self.folder.join(REQUEST)).ok()?;
        let part = asked.strip_suffix('\n')?.split_once(' ')?.1.parse().ok()?;
        (asked == request(self.header.epoch.get(), part)).then_some(part)
    }

    pub(super) fn word(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// A part of a mirror.
struct Part {
    file: File,
    capacity: u64,
}

impl Part {
    fn open(path: &Path) -> Result<Self, MirrorError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let capacity = file.metadata()?.len();
        let part = Self { file, capacity };
        let tail = part.word(TAIL_AT)?;
        if !tail.is_multiple_of(16) || !(FRAMES_AT..=capacity).contains(&tail) {
            return Err(Damage::PartProgress.into());
        }
        Ok(part)
    }

    fn word(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Durable on return.
    fn store(&self, at: u64, word: u64) -> io::Result<()> {
        self.file.write_all_at(&word.to_le_bytes(), at)?;
        self.file.sync_data()
    }

    /// Refuses other bytes than those that are here, as far as the engine has not freed them.
    fn is_same(&self, piece: &Piece, had: usize) -> Result<(), MirrorError> {
        let mut here = vec![0; had];
        self.file.read_exact_at(&mut here, piece.offset)?;
        // Read afterwards: what lies above was there when the bytes were read.
        let drained = self.word(DRAINED_AT)?;
        let from = (drained.saturating_sub(piece.offset) as usize).min(had);
        if here[from..] != piece.bytes[from..had] {
            return Err(MirrorError::Wrong("other bytes are there already"));
        }
        Ok(())
    }
}

fn check(piece: &Piece) -> Result<(), MirrorError> {
    let wrong = |what| Err(MirrorError::Wrong(what));
    if piece.part == 0 {
        return wrong("parts are counted from 1");
    }
    if !(FRAMES_AT..=MIRROR_PART_BYTES_MAX).contains(&piece.capacity) || !piece.capacity.is_multiple_of(16) {
        return wrong("a part's capacity is a multiple of 16, up to 64 MiB");
    }
    let fits = (FRAMES_AT..=piece.capacity).contains(&piece.offset) && piece.offset.is_multiple_of(16);
    if !fits || !piece.bytes.len().is_multiple_of(16) {
        return wrong("offset and length are multiples of 16, within the part");
    }
    if !piece.torn && !whole_frames(&piece.bytes).1.is_empty() {
        return wrong("not whole published frames");
    }
    Ok(())
}

impl Piece {
    /// How many whole frames it has. Most are a record each: which are not, only the engine can read.
    #[must_use]
    pub fn frames(&self) -> u64 {
        whole_frames(&self.bytes).0
    }
}

/// How many published frames bytes begin with, one behind the other, and what is behind them.
fn whole_frames(mut bytes: &[u8]) -> (u64, &[u8]) {
    let mut count = 0;
    while let Some(word) = bytes.first_chunk::<8>() {
        let Word::Published(len) = Word::parse(u64::from_le_bytes(*word)) else { break };
        let padded = frame::padded(len) as usize;
        if len > FRAME_BYTES_MAX || padded > bytes.len() {
            break;
        }
        count += 1;
        bytes = &bytes[padded..];
    }
    (count, bytes)
}
