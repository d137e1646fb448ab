//! A part as its owner fills it: reservation, what has been defined in it, and how much of it is published.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::identity::{create_file, remove_if_there};
use crate::limits::{PREFAULT_BYTES, SHAPES_REMEMBERED};
use crate::part_file::{DRAINED_AT, END_AT, FRAMES_AT, PartHeader, TAIL_AT, TEMPORARY, part_name};
use crate::region::{Backing, Region};
use crate::storage::Storage;

pub(crate) struct LivePart {
    pub(crate) number: u32,
    pub(crate) capacity: u64,
    /// What a run says last goes here, and no record.
    pub(crate) is_reserve: bool,
    region: Region,
    path: PathBuf,
    /// A bit for each class and, behind, for each shape that is defined here.
    classes: AtomicU64,
    shapes: Box<[AtomicU64]>,
    /// Bytes of frames that are published, padding included.
    published: AtomicU64,
    prefaulted: AtomicU64,
}

/// What a reservation gave.
pub(crate) enum Reserved {
    /// The frame's offset, and whether the maintenance thread should be told of progress.
    At(u64, bool),
    /// The part is full.
    Passed,
}

impl LivePart {
    /// Makes a part. Not durable on return: a flush makes it so, with its frames.
    pub(crate) fn create(
        folder: &Path,
        header: &PartHeader,
        backing: Backing,
        storage: &dyn Storage,
    ) -> io::Result<Self> {
        let name = part_name(header.epoch, header.part);
        let temporary = folder.join(format!("{name}{TEMPORARY}"));
        let file = allocate(&temporary, header.capacity, storage)?;
        match Self::begin(file, &temporary, folder, header, backing) {
            Ok(part) => Ok(part),
            Err(e) => {
                remove_if_there(&temporary)?;
                Err(e)
            }
        }
    }

    /// Makes a part of an empty file of the capacity that the header says, and gives it its name.
    pub(crate) fn begin(
        file: File,
        temporary: &Path,
        folder: &Path,
        header: &PartHeader,
        backing: Backing,
    ) -> io::Result<Self> {
        let path = folder.join(part_name(header.epoch, header.part));
        file.write_all_at(&header.encode(), 0)?;
        file.write_all_at(&FRAMES_AT.to_le_bytes(), TAIL_AT)?;
        file.write_all_at(&FRAMES_AT.to_le_bytes(), DRAINED_AT)?;
        let region = Region::new(file, header.capacity, FRAMES_AT, backing)?;
        put_in_place(&region.file, temporary, &path)?;
        let part = Self {
            number: header.part,
            capacity: header.capacity,
            is_reserve: false,
            region,
            path,
            classes: AtomicU64::new(0),
            shapes: (0..SHAPES_REMEMBERED / 64).map(|_| AtomicU64::new(0)).collect(),
            published: AtomicU64::new(0),
            prefaulted: AtomicU64::new(0),
        };
        part.prefault_ahead();
        Ok(part)
    }

    pub(crate) fn file(&self) -> &File {
        &self.region.file
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.region.is_mapped()
    }

    /// Bytes reserved so far, as an offset within the capacity.
    pub(crate) fn tail(&self) -> u64 {
        self.region.load(TAIL_AT).min(self.capacity)
    }

    /// Gets the place of the next frame close to the processor.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.region.prefetch(self.tail());
    }

    /// Bytes of frames.
    pub(crate) fn extent(&self) -> u64 {
        let end = self.region.load(END_AT);
        let end = if end == 0 { self.tail() } else { end };
        end - FRAMES_AT
    }

    /// Reserves `padded` bytes for one frame.
    #[inline]
    pub(crate) fn reserve(&self, padded: u64) -> io::Result<Reserved> {
        let start = self.region.add(TAIL_AT, padded)?;
        let end = start.saturating_add(padded);
        if end <= self.capacity {
            return Ok(Reserved::At(start, start / PREFAULT_BYTES != end / PREFAULT_BYTES));
        }
        if start <= self.capacity {
            self.region.store(END_AT, start)?;
        }
        Ok(Reserved::Passed)
    }

    /// Ends the part: no reservation succeeds from now on.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.reserve(self.capacity + 16).map(|_| ())
    }

    /// Publishes a frame at a place that was reserved for it.
    #[inline]
    pub(crate) fn publish(&self, at: u64, cipher: &[u8], tag: &[u8; 16], padded: u64) -> io::Result<()> {
        self.region.put_frame(at, cipher, tag)?;
        self.published.fetch_add(padded, Ordering::Release);
        Ok(())
    }

    /// Whether the part is full and no thread writes to it any more.
    pub(crate) fn is_complete(&self) -> bool {
        let published = self.published.load(Ordering::Acquire);
        self.region.load(END_AT) == published + FRAMES_AT
    }

    #[inline]
    pub(crate) fn has_class(&self, class: u8) -> bool {
        self.classes.load(Ordering::Acquire) >> class & 1 == 1
    }

    pub(crate) fn note_class(&self, class: u8) {
        self.classes.fetch_or(1 << class, Ordering::Release);
    }

    /// False also for shapes that are beyond what is remembered.
    #[inline]
    pub(crate) fn has_shape(&self, shape: u32) -> bool {
        self.shapes
            .get((shape / 64) as usize)
            .is_some_and(|bits| bits.load(Ordering::Acquire) >> (shape % 64) & 1 == 1)
    }

    pub(crate) fn note_shape(&self, shape: u32) {
        if let Some(bits) = self.shapes.get((shape / 64) as usize) {
            bits.fetch_or(1 << (shape % 64), Ordering::Release);
        }
    }

    /// Faults in what callers will write to next.
    pub(crate) fn prefault_ahead(&self) {
        let to = (self.tail() + 2 * PREFAULT_BYTES).min(self.capacity);
        let from = self.prefaulted.fetch_max(to, Ordering::Relaxed);
        if from < to {
            self.region.prefault(from, to);
        }
    }

    /// The same after a flush, which has write-protected all pages again.
    pub(crate) fn prefault_again(&self) {
        let tail = self.tail();
        self.region.prefault(tail, (tail + PREFAULT_BYTES).min(self.capacity));
    }

    /// Deletes a part that was never begun.
    pub(crate) fn delete(&self) -> io::Result<()> {
        remove_if_there(&self.path)
    }
}

/// Makes an empty file that has its space, in place of one that a crash left; none is left when there is no room.
pub(crate) fn allocate(path: &Path, bytes: u64, storage: &dyn Storage) -> io::Result<File> {
    remove_if_there(path)?;
    let file = create_file(path)?;
    match storage.reserve(&file, bytes) {
        Ok(()) => Ok(file),
        Err(e) => {
            remove_if_there(path)?;
            Err(e)
        }
    }
}

/// Gives a part its name, as the last step. A rename that is reported as failed may have happened: the reader has the file open then, and would
/// never look at another one that took its name.
fn put_in_place(file: &File, temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path).or_else(|error| {
        let is_there = fs::metadata(path).is_ok_and(|there| {
            file.metadata().is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        });
        if is_there { Ok(()) } else { Err(error) }
    })
}
