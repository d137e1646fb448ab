//! One part being read: its file, how far it was written, what was defined in it, and a window of its bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minutebook_record::ClassName;

use crate::damage::Damage;
use crate::epoch_file::{EpochHeader, field};
use crate::frame::{EpochCipher, Place};
use crate::limits::{CLASSES_MAX, FRAME_BYTES_MAX, PART_BYTES_MAX, READ_WINDOW_BYTES};
use crate::part_file::{self, FRAMES_AT, PartHeader, PartProgress, TAIL_AT};
use crate::shape::ShapeDef;

pub(super) struct PartReader {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) number: u32,
    pub(super) capacity: u64,
    pub(super) progress: PartProgress,
    progress_is_sound: bool,
    pub(super) window: Window,
    pub(super) defined: Definitions,
    /// Everything below is zeroed but the definitions.
    pub(super) freed: u64,
}

/// What was defined in a part so far.
pub(super) struct Definitions {
    pub(super) classes: [Option<ClassName>; CLASSES_MAX],
    shapes: HashMap<u32, Arc<ShapeDef>>,
    /// The shape of the last record: most records have the same.
    last: Option<(u32, Arc<ShapeDef>)>,
    /// Offset and padded length of the frames that define, in order: these are not zeroed.
    pub(super) frames: Vec<(u64, u64)>,
}

impl Definitions {
    pub(super) fn shapes(&self) -> impl Iterator<Item = &Arc<ShapeDef>> {
        self.shapes.values()
    }

    pub(super) fn add_shape(&mut self, number: u32, shape: Arc<ShapeDef>) {
        self.last = None;
        self.shapes.insert(number, shape);
    }

    pub(super) fn shape(&mut self, number: u32) -> Option<&Arc<ShapeDef>> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != number) {
            self.last = Some((number, Arc::clone(self.shapes.get(&number)?)));
        }
        self.last.as_ref().map(|(_, shape)| shape)
    }
}

impl PartReader {
    /// Opens a part; `None` when it is not there. Damage to its header is told beside: frames are read all the same.
    pub(super) fn open(
        folder: &Path,
        epoch: &EpochHeader,
        number: u32,
    ) -> io::Result<Option<(Self, Option<Damage>)>> {
        let path = folder.join(part_file::part_name(epoch.epoch, number));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let capacity = file.metadata()?.len();
        let mut page = [0; part_file::HEADER];
        let has_page = (FRAMES_AT..=PART_BYTES_MAX).contains(&capacity);
        if has_page {
            file.read_exact_at(&mut page, 0)?;
        }
        let header = PartHeader {
            trail: epoch.trail,
            producer: epoch.producer,
            epoch: epoch.epoch,
            part: number,
            capacity,
        };
        let sound = has_page && header.is_sound(&page);
        let mut part = Self {
            file,
            path,
            number,
            capacity: if has_page { capacity / 16 * 16 } else { FRAMES_AT },
            progress: PartProgress { tail: FRAMES_AT, end: FRAMES_AT, drained: FRAMES_AT },
            progress_is_sound: true,
            window: Window::default(),
            defined: Definitions {
                classes: [None; CLASSES_MAX],
                shapes: HashMap::new(),
                last: None,
                frames: Vec::new(),
            },
            freed: FRAMES_AT,
        };
        let mut damage = (!sound).then_some(Damage::PartHeader);
        if has_page {
            damage = damage.or(part.look()?);
        }
        part.freed = part.progress.drained;
        Ok(Some((part, damage)))
    }

    /// Reads anew how far the part was written, and forgets bytes read before. Tells of damage the first time.
    pub(super) fn look(&mut self) -> io::Result<Option<Damage>> {
        let mut bytes = [0; PartProgress::LEN];
        self.file.read_exact_at(&mut bytes, TAIL_AT)?;
        let (progress, sound) = PartProgress::decode(&bytes, self.capacity);
        let first = self.progress_is_sound && !sound;
        self.progress = progress;
        self.progress_is_sound = sound;
        self.window.forget();
        Ok(first.then_some(Damage::PartProgress))
    }

    /// Where frames may lie up to, as far as known.
    pub(super) fn bound(&self) -> u64 {
        if self.progress.end != 0 { self.progress.end } else { self.progress.tail.min(self.capacity) }
    }

    /// At least `len` bytes from `offset` on.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&mut [u8]> {
        let bound = self.bound();
        self.window.bytes(&self.file, offset, len, bound)
    }

    /// The word at `offset`.
    pub(super) fn word(&mut self, offset: u64) -> io::Result<u64> {
        Ok(u64::from_le_bytes(field(self.bytes(offset, 8)?, 0)))
    }

    /// Decrypts a frame into `clear`, leaving the window as it is. The window must hold no decrypted frame.
    pub(super) fn try_open<'a>(
        &mut self,
        cipher: &EpochCipher,
        place: &Place,
        len: usize,
        clear: &'a mut Vec<u8>,
    ) -> io::Result<Option<&'a [u8]>> {
        clear.clear();
        clear.extend_from_slice(&self.bytes(place.offset, len)?[8..len]);
        Ok(cipher.open(place, clear).ok().map(|clear| &*clear))
    }

    /// Whether a frame of `len` bytes can lie at `offset`.
    pub(super) fn holds(&self, offset: u64, len: usize) -> bool {
        len <= FRAME_BYTES_MAX && crate::frame::padded(len) <= self.bound().saturating_sub(offset)
    }
}

/// Bytes of a file read in one go. Frames that were given out are decrypted in place.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    at: u64,
    len: usize,
}

impl Window {
    /// At least `len` bytes from `offset` on, and as many more below `bound` as are read anyway.
    #[inline]
    pub(super) fn bytes(
        &mut self,
        file: &File,
        offset: u64,
        len: usize,
        bound: u64,
    ) -> io::Result<&mut [u8]> {
        if offset < self.at || offset + len as u64 > self.at + self.len as u64 {
            self.read(file, offset, len, bound)?;
        }
        let from = (offset - self.at) as usize;
        Ok(&mut self.bytes[from..self.len])
    }

    #[cold]
    fn read(&mut self, file: &File, offset: u64, len: usize, bound: u64) -> io::Result<()> {
        let want = (bound.saturating_sub(offset)).min(READ_WINDOW_BYTES as u64) as usize;
        let want = want.max(len);
        if self.bytes.len() < want {
            self.bytes.resize(want, 0);
        }
        self.len = 0;
        file.read_exact_at(&mut self.bytes[..want], offset)?;
        (self.at, self.len) = (offset, want);
        Ok(())
    }

    /// The next bytes come from the file.
    pub(super) fn forget(&mut self) {
        self.len = 0;
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
