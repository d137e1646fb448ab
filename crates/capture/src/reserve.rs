//! Room for what a run says last: a file that is made ahead and becomes its last part when there is no room for another.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use minutebook_record::Epoch;

use crate::identity::remove_if_there;
use crate::limits::RESERVE_BYTES;
use crate::live_part::{LivePart, allocate};
use crate::part_file::{PartHeader, reserve_name};
use crate::region::Backing;
use crate::storage::Storage;

/// Empty, and under a name that no reader takes for a part. It goes with its epoch when nobody takes it away before.
pub(crate) struct Reserve {
    /// Kept open, so that closing needs no descriptor where there may be none left.
    file: File,
    path: PathBuf,
}

impl Reserve {
    pub(crate) fn make(folder: &Path, epoch: Epoch, storage: &dyn Storage) -> io::Result<Self> {
        let path = folder.join(reserve_name(epoch));
        let file = allocate(&path, RESERVE_BYTES, storage)?;
        Ok(Self { file, path })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes a part of it, whose capacity is [`RESERVE_BYTES`]. Durable as a part is: with the next flush.
    pub(crate) fn into_part(
        self,
        folder: &Path,
        header: &PartHeader,
        backing: Backing,
    ) -> io::Result<LivePart> {
        assert_eq!(header.capacity, RESERVE_BYTES, "the file has this length");
        let mut part = LivePart::begin(self.file, &self.path, folder, header, backing)?;
        part.is_reserve = true;
        Ok(part)
    }

    /// Deletes a reserve that was not needed.
    pub(crate) fn delete(&self) -> io::Result<()> {
        remove_if_there(&self.path)
    }
}
