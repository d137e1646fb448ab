//! A file of the spool as its owner changes it: mapped, or written with `pwrite` where it cannot be mapped. The bytes are the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::frame::{PUBLISHED, RESERVED, TAG, WORD};
use crate::sys::Mapping;

/// How the files of a producer are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backing {
    /// Mapped, and written where that fails.
    #[default]
    Auto,
    /// Mapped, or an error.
    Mapped,
    /// Written: some system calls per record.
    Written,
}

pub(crate) struct Region {
    pub(crate) file: File,
    kind: Kind,
}

enum Kind {
    Mapped(Mapping),
    Written(Written),
}

/// The words that change, as they stand in the file; each change is written under the lock, so that the file never goes back.
struct Written {
    words: Box<[AtomicU64]>,
    order: Mutex<()>,
}

impl Region {
    /// Takes over a file of `len` bytes whose first `control` bytes are words that change.
    pub(crate) fn new(file: File, len: u64, control: u64, backing: Backing) -> io::Result<Self> {
        let mapped = match backing {
            Backing::Written => None,
            Backing::Mapped => Some(Mapping::new(&file, len)?),
            Backing::Auto => Mapping::new(&file, len).ok(),
        };
        let kind = match mapped {
            Some(mapping) => Kind::Mapped(mapping),
            None => {
                let mut bytes = vec![0; control as usize];
                file.read_exact_at(&mut bytes, 0)?;
                let words =
                    bytes.as_chunks::<8>().0.iter().map(|word| AtomicU64::new(u64::from_le_bytes(*word)));
                Kind::Written(Written { words: words.collect(), order: Mutex::new(()) })
            }
        };
        Ok(Self { file, kind })
    }

    #[inline]
    fn word(&self, at: u64) -> &AtomicU64 {
        match &self.kind {
            Kind::Mapped(mapping) => mapping.atomic(at),
            Kind::Written(written) => &written.words[(at / 8) as usize],
        }
    }

    #[inline]
    pub(crate) fn load(&self, at: u64) -> u64 {
        self.word(at).load(Ordering::Acquire)
    }

    /// Runs a change of the word at `at`; a written file is brought up to date before the lock is given back.
    #[inline]
    fn change<T>(&self, at: u64, change: impl FnOnce(&AtomicU64) -> T) -> io::Result<T> {
        match &self.kind {
            Kind::Mapped(mapping) => Ok(change(mapping.atomic(at))),
            Kind::Written(written) => {
                let _one = written.order.lock().unwrap_or_else(PoisonError::into_inner);
                let word = &written.words[(at / 8) as usize];
                let result = change(word);
                self.file.write_all_at(&word.load(Ordering::Relaxed).to_le_bytes(), at)?;
                Ok(result)
            }
        }
    }

    #[inline]
    pub(crate) fn store(&self, at: u64, value: u64) -> io::Result<()> {
        self.change(at, |word| word.store(value, Ordering::Release))
    }

    #[inline]
    pub(crate) fn add(&self, at: u64, value: u64) -> io::Result<u64> {
        self.change(at, |word| word.fetch_add(value, Ordering::AcqRel))
    }

    /// Sets bits and returns the word before.
    pub(crate) fn set_bits(&self, at: u64, bits: u64) -> io::Result<u64> {
        self.change(at, |word| word.fetch_or(bits, Ordering::AcqRel))
    }

    /// Replaces the word as long as `next` gives another; what stood there before, as `Err` when it stayed.
    #[inline]
    pub(crate) fn update(&self, at: u64, next: impl Fn(u64) -> Option<u64>) -> io::Result<Result<u64, u64>> {
        self.change(at, |word| word.fetch_update(Ordering::AcqRel, Ordering::Acquire, next))
    }

    /// Takes a word that is `free`.
    #[inline]
    pub(crate) fn take(&self, at: u64, free: u64, taken: u64) -> io::Result<bool> {
        if self.word(at).load(Ordering::Relaxed) != free {
            return Ok(false);
        }
        self.change(at, |word| {
            word.compare_exchange(free, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Writes a frame to a place that was reserved for it: the word as reserved, the bytes, the word as published.
    #[inline]
    pub(crate) fn put_frame(&self, at: u64, cipher: &[u8], tag: &[u8; TAG]) -> io::Result<()> {
        let len = (WORD + cipher.len() + TAG) as u64;
        match &self.kind {
            Kind::Mapped(mapping) => {
                let word = mapping.atomic(at);
                word.store(len | RESERVED, Ordering::Relaxed);
                // SAFETY: the range was reserved by an addition to the tail, which gives each range to one thread once.
                unsafe {
                    mapping.write(at + WORD as u64, cipher);
                    mapping.write(at + (WORD + cipher.len()) as u64, tag);
                }
                word.store(len | PUBLISHED, Ordering::Release);
                Ok(())
            }
            Kind::Written(_) => {
                self.file.write_all_at(&(len | RESERVED).to_le_bytes(), at)?;
                self.file.write_all_at(cipher, at + WORD as u64)?;
                self.file.write_all_at(tag, at + (WORD + cipher.len()) as u64)?;
                self.file.write_all_at(&(len | PUBLISHED).to_le_bytes(), at)
            }
        }
    }

    /// Asks the processor for the lines at `at`, to be written soon.
    #[inline]
    pub(crate) fn prefetch(&self, at: u64) {
        if let Kind::Mapped(mapping) = &self.kind {
            mapping.prefetch(at);
        }
    }

    /// Faults pages in where there is a mapping.
    pub(crate) fn prefault(&self, from: u64, to: u64) {
        if let Kind::Mapped(mapping) = &self.kind {
            mapping.prefault(from, to);
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.kind, Kind::Mapped(_))
    }
}
