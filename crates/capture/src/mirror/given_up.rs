//! Epochs whose machine is gone for good (`docs/formats/shipping.md`, giving up): an operator says so, the mirror ends as it is, and a file beside it
//! tells whoever comes later. Edge: files; the record of it is the engine's.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use minutebook_record::{Epoch, ProducerId};

use super::{About, Mirror, MirrorError};
use crate::epoch_file::{STATE_AT, STATE_REMOTE, STATE_REMOTE_DEAD};
use crate::identity::{FolderLock, create_file, remove_if_there};
use crate::limits::GIVEN_UP_TEXT_BYTES_MAX;
use crate::part_file::{TEMPORARY, given_up_name};
use crate::sys;

const FORMAT: &str = "minutebook/given-up/1";

/// That an epoch was given up, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// When, in seconds since 1970.
    pub time: i64,
    /// When its machine was last heard of, likewise; 0 when that is not known.
    pub heard: i64,
    /// By whose order. One line.
    pub by: String,
    /// Why. One line.
    pub reason: String,
}

impl GivenUp {
    /// What somebody says; what was heard last is found out.
    #[must_use]
    pub fn new(time: i64, by: &str, reason: &str) -> Self {
        Self { time, heard: 0, by: by.to_owned(), reason: reason.to_owned() }
    }

    /// Of an epoch whose mirror is, or was, in this folder.
    pub(crate) fn read(folder: &Path, epoch: Epoch) -> Result<Option<Self>, MirrorError> {
        let file = match File::open(folder.join(given_up_name(epoch))) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        file.take(4 * GIVEN_UP_TEXT_BYTES_MAX as u64).read_to_end(&mut text)?;
        // Whatever it says: it is there.
        let unknown = Self { time: 0, heard: 0, by: "unknown".into(), reason: "unknown".into() };
        Ok(Some(Self::parse(&text).unwrap_or(unknown)))
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.strip_suffix('\n')?.split('\n');
        (lines.next()? == FORMAT).then_some(())?;
        let time = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let heard = lines.next()?.strip_prefix("heard ")?.parse().ok()?;
        let by = lines.next()?.strip_prefix("by ")?.to_owned();
        let reason = lines.next()?.strip_prefix("reason ")?.to_owned();
        lines.next().is_none().then_some(Self { time, heard, by, reason })
    }

    fn text(&self) -> String {
        let Self { time, heard, by, reason } = self;
        format!("{FORMAT}\ntime {time}\nheard {heard}\nby {by}\nreason {reason}\n")
    }

    fn check(&self) -> Result<(), MirrorError> {
        for text in [&self.by, &self.reason] {
            if text.trim().is_empty() || text.len() > GIVEN_UP_TEXT_BYTES_MAX || text.contains(['\n', '\r']) {
                return Err(MirrorError::Wrong(
                    "reason and orderer are one line each, of at most 1,024 bytes",
                ));
            }
        }
        Ok(())
    }

    /// Durable on return.
    fn write(&self, folder: &Path, epoch: Epoch) -> io::Result<()> {
        let name = given_up_name(epoch);
        let temporary = folder.join(format!("{name}{TEMPORARY}"));
        remove_if_there(&temporary)?;
        let mut file = create_file(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))?;
        sys::sync_folder(folder)
    }
}

/// Gives up an epoch of another machine: it ends as it is here, and nothing more is taken of it. Durable on return; after a crash it may be repeated,
/// and what was said first stays.
///
/// # Errors
/// [`MirrorError::Unknown`] when no such epoch is open here, [`MirrorError::Wrong`] when its owner ended it or what is said
/// cannot be kept, or the disk.
pub fn give_up(spool: &Path, producer: ProducerId, epoch: Epoch, said: &GivenUp) -> Result<(), MirrorError> {
    said.check()?;
    let folder = find(spool, producer)?.ok_or(MirrorError::Unknown)?;
    let _lock = FolderLock::take(&folder)?;
    let mirror = Mirror::open(&folder, producer, epoch)?.ok_or(MirrorError::Unknown)?;
    if mirror.word(STATE_AT)? != STATE_REMOTE {
        return Err(MirrorError::Wrong("its owner ended it: it is sealed without being given up"));
    }
    if GivenUp::read(&folder, epoch)?.is_none() {
        let changed = mirror.file.metadata()?.modified()?;
        let heard = changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        // Before the state: nothing is taken any more once this is there.
        GivenUp { heard, ..said.clone() }.write(&folder, epoch)?;
    }
    mirror.settle()?;
    mirror.file.write_all_at(&STATE_REMOTE_DEAD.to_le_bytes(), STATE_AT)?;
    mirror.file.sync_data()?;
    Ok(())
}

/// The mirror of a producer.
fn find(spool: &Path, producer: ProducerId) -> Result<Option<PathBuf>, MirrorError> {
    let ending = format!(".{producer}");
    let folders = match fs::read_dir(spool) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for folder in folders {
        let folder = folder?;
        let is_named = folder.file_name().to_str().is_some_and(|name| name.ends_with(&ending));
        if is_named && About::read(&folder.path())?.is_some() {
            return Ok(Some(folder.path()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let said = GivenUp { time: 7, heard: -1, by: "ops".into(), reason: "the host burned: twice".into() };
        assert_eq!(GivenUp::parse(said.text().as_bytes()), Some(said.clone()));
        let text = said.text();
        for cut in 0..text.len() {
            assert_eq!(GivenUp::parse(&text.as_bytes()[..cut]), None, "{cut}");
        }
        for wrong in ["", " ", "a\nb", "a\r"] {
            assert!(
                GivenUp::new(0, "ops", wrong).check().is_err()
                    && GivenUp::new(0, wrong, "x").check().is_err()
            );
        }
        assert!(GivenUp::new(0, "ops", &"x".repeat(GIVEN_UP_TEXT_BYTES_MAX + 1)).check().is_err());
    }
}
