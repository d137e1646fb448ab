//! The epoch file as its owner uses it: classes and their counters, in-flight slots, the state.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use minutebook_record::ClassName;

use crate::clock::Moment;
use crate::epoch_file::{
    self, COUNTER_CLOSED, EpochHeader, SLOT_TAKEN, STATE_AT, STATE_CLOSED, class_at, counter_at, slot_at,
};
use crate::error::CaptureError;
use crate::identity::{create_file, remove_if_there};
use crate::limits::{CLASSES_MAX, SLOT_TRIES, SLOTS};
use crate::part_file::{TEMPORARY, epoch_name};
use crate::region::{Backing, Region};
use crate::storage::Storage;
use crate::sys;

/// The class of the epoch's own records, always the first.
pub(crate) const SYSTEM: &str = "system";

pub(crate) struct LiveEpoch {
    region: Region,
    classes: [OnceLock<ClassName>; CLASSES_MAX],
    count: AtomicUsize,
    adding: Mutex<()>,
}

impl LiveEpoch {
    /// Makes the epoch's file and takes its lock. Durable on return. The caller holds the lock of the folder.
    pub(crate) fn create(
        folder: &Path,
        header: &EpochHeader,
        backing: Backing,
        storage: &dyn Storage,
    ) -> io::Result<Self> {
        let name = epoch_name(header.epoch);
        let temporary = folder.join(format!("{name}{TEMPORARY}"));
        remove_if_there(&temporary)?;
        let file = create_file(&temporary)?;
        storage.reserve(&file, epoch_file::LEN)?;
        file.write_all_at(&header.encode(), 0)?;
        // Before it has its name: nobody ever sees the file without its owner's lock.
        file.try_lock().map_err(io::Error::from)?;
        storage.flush(&file)?;
        fs::rename(&temporary, folder.join(name))?;
        sys::sync_folder(folder)?;
        let epoch = Self {
            region: Region::new(file, epoch_file::LEN, epoch_file::LEN, backing)?,
            classes: [const { OnceLock::new() }; CLASSES_MAX],
            count: AtomicUsize::new(0),
            adding: Mutex::new(()),
        };
        epoch.region.prefault(0, epoch_file::LEN);
        Ok(epoch)
    }

    pub(crate) fn file(&self) -> &File {
        &self.region.file
    }

    /// The place of a class, which is added when it is new.
    #[inline]
    pub(crate) fn class(&self, name: &ClassName) -> Result<u8, CaptureError> {
        let count = self.count.load(Ordering::Acquire);
        match self.classes[..count].iter().position(|class| class.get() == Some(name)) {
            Some(place) => Ok(place as u8),
            None => self.add_class(name),
        }
    }

    #[cold]
    fn add_class(&self, name: &ClassName) -> Result<u8, CaptureError> {
        let _one = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Acquire);
        if let Some(place) = self.classes[..count].iter().position(|class| class.get() == Some(name)) {
            return Ok(place as u8);
        }
        let Some(entry) = self.classes.get(count) else {
            return Err(CaptureError::Classes { max: CLASSES_MAX });
        };
        for (n, word) in epoch_file::class_name_bytes(name).as_chunks::<8>().0.iter().enumerate() {
            self.region
                .store(class_at(count) + 8 * n as u64, u64::from_le_bytes(*word))
                .map_err(CaptureError::io("writing the epoch file"))?;
        }
        entry.get_or_init(|| *name);
        self.count.store(count + 1, Ordering::Release);
        Ok(count as u8)
    }

    pub(crate) fn class_name(&self, class: u8) -> Option<&ClassName> {
        self.classes.get(usize::from(class))?.get()
    }

    /// Draws the next number of a class; `None` once the epoch is being closed.
    #[inline]
    pub(crate) fn draw(&self, class: u8) -> io::Result<Option<u64>> {
        let next = |last: u64| (last & COUNTER_CLOSED == 0).then_some(last + 1);
        let before = self.region.update(counter_at(usize::from(class)), next)?;
        Ok(before.ok().map(|last| last + 1))
    }

    /// Draws so many numbers of a class, one behind the other, and gives the first; `None` once the epoch is being closed.
    pub(crate) fn draw_many(&self, class: u8, count: u64) -> io::Result<Option<u64>> {
        let next = |last: u64| (last & COUNTER_CLOSED == 0).then_some(last + count);
        let before = self.region.update(counter_at(usize::from(class)), next)?;
        Ok(before.ok().map(|last| last + 1))
    }

    /// The last number drawn of each class that drew any.
    pub(crate) fn drawn(&self) -> Vec<(ClassName, u64)> {
        let last = |place: usize| self.region.load(counter_at(place)) & !COUNTER_CLOSED;
        let named = self.classes.iter().enumerate();
        named
            .filter_map(|(place, name)| Some((*name.get()?, last(place))))
            .filter(|(_, last)| *last > 0)
            .collect()
    }

    /// Ends drawing in all classes, tells the last numbers, and draws one more of `system` for the closing record.
    pub(crate) fn end_drawing(&self) -> io::Result<(Vec<(ClassName, u64)>, u64)> {
        // No class is added after this: its counter would be open.
        let _one = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = Vec::new();
        for place in 1..CLASSES_MAX {
            let last = self.region.set_bits(counter_at(place), COUNTER_CLOSED)? & !COUNTER_CLOSED;
            if let Some(name) = self.classes[place].get()
                && last > 0
            {
                counts.push((*name, last));
            }
        }
        let own = self.region.update(counter_at(0), |last| Some((last + 1) | COUNTER_CLOSED))?;
        let (Ok(last) | Err(last)) = own;
        let last = last & !COUNTER_CLOSED;
        if let Some(system) = self.classes[0].get()
            && last > 0
        {
            counts.push((*system, last));
        }
        counts.sort();
        Ok((counts, last + 1))
    }

    /// Takes a slot for a decision that begins, near `hint`; `None` when there is none free close by.
    #[inline]
    pub(crate) fn take_slot(&self, hint: u16, class: u8, start: &Moment) -> io::Result<Option<u16>> {
        for n in 0..SLOT_TRIES {
            let slot = (usize::from(hint) + n) % SLOTS;
            if self.region.take(slot_at(slot), 0, SLOT_TAKEN)? {
                self.region.store(slot_at(slot) + 8, u64::from(class))?;
                self.region.store(slot_at(slot) + 16, start.wall_ns.cast_unsigned())?;
                return Ok(Some(slot as u16));
            }
        }
        Ok(None)
    }

    /// Notes the number of the decision in a slot; 0 frees it.
    #[inline]
    pub(crate) fn set_slot(&self, slot: u16, seq: u64) -> io::Result<()> {
        self.region.store(slot_at(usize::from(slot)), seq)
    }

    /// Slots taken.
    pub(crate) fn in_flight(&self) -> usize {
        (0..SLOTS).filter(|&slot| self.region.load(slot_at(slot)) != 0).count()
    }

    pub(crate) fn set_closed(&self) -> io::Result<()> {
        self.region.store(STATE_AT, STATE_CLOSED)
    }
}
