//! Giving a spool's space back (`docs/formats/spool.md`, freeing).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::epoch_file::EpochHeader;
use crate::identity::{FolderLock, Identity, IdentityError, remove_if_there};
use crate::part_file::{self, DRAINED_AT, FRAMES_AT, FileName};
use crate::sys;

use super::part::PartReader;
use super::{EpochReader, Owner, Position, ReadError};

impl EpochReader {
    /// Gives back what lies before `position`, all of which must be sealed: moves the drained mark, zeroes the frames (but those that
    /// define what later ones use) and deletes parts that are read to their end. Blocks for the disk. After a crash in the middle the
    /// next reader sees some of these frames again: their numbers are sealed already.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotRead`] for a position ahead of reading; [`ReadError::Io`]: call again.
    pub fn free_to(&mut self, position: Position) -> Result<(), ReadError> {
        if position > self.next {
            return Err(ReadError::NotRead);
        }
        self.behind.retain(|part| part.number >= position.part);
        let before = self.parts_there()?.into_iter().filter(|&part| part < position.part);
        for part in before {
            remove_if_there(&self.folder.join(part_file::part_name(self.header.epoch, part)))?;
        }
        let mut parts = self.behind.iter_mut().chain(&mut self.part);
        match parts.find(|part| part.number == position.part) {
            Some(part) if position.offset > part.freed => free_within(part, position.offset),
            _ => Ok(()),
        }
    }

    /// Deletes the epoch's file and what is left beside it, when the epoch has ended, all of it is read and all parts are freed. The
    /// producer's last epoch is written down first, so that no epoch is used twice. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotEnded`] when the owner lives or parts are left; [`ReadError::Io`]: open the epoch again and call again.
    pub fn remove(mut self) -> Result<(), ReadError> {
        if self.owner()? == Owner::Alive || !self.parts_there()?.is_empty() {
            return Err(ReadError::NotEnded);
        }
        remove_epoch(&self.folder, &self.path, &self.header)
    }
}

/// Deletes the file of an epoch that has no parts any more, and what is left beside it, after its number was written down. Durable on return.
pub(crate) fn remove_epoch(folder: &Path, path: &Path, header: &EpochHeader) -> Result<(), ReadError> {
    let lock = FolderLock::take(folder)?;
    let epoch = header.epoch;
    let known = match Identity::read(folder, &lock) {
        Ok(known) => known,
        Err(IdentityError::Io(e)) => return Err(e.into()),
        // Not ours to repair: the producer says so at its next start, and the epoch file keeps the number till then.
        Err(_) => return Err(ReadError::NotEnded),
    };
    let known = known.unwrap_or(Identity { id: header.producer, epoch: 0 });
    if known.epoch < epoch.get() {
        Identity { epoch: epoch.get(), ..known }.replace(folder, &lock)?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(FileName::parse) == Some(FileName::Temporary(Some(epoch))) {
            remove_if_there(&entry.path())?;
        }
    }
    remove_if_there(path)?;
    sys::sync_folder(folder)?;
    Ok(())
}

fn free_within(part: &mut PartReader, to: u64) -> Result<(), ReadError> {
    let file = OpenOptions::new().write(true).open(&part.path)?;
    // First, so that a reader after a crash does not take the zeros for a hole.
    file.write_all_at(&to.to_le_bytes(), DRAINED_AT)?;
    let mut from = part.freed.max(FRAMES_AT);
    for &(at, len) in part.defined.frames.iter().filter(|(at, _)| (part.freed..to).contains(at)) {
        sys::punch(&file, from, at)?;
        from = at + len;
    }
    sys::punch(&file, from, to)?;
    part.freed = to;
    Ok(())
}
