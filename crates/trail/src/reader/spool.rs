//! What waits in the spools, for whoever looks at a trail at work. Edge: counts and names; no frame is read.

use super::Reader;
use crate::error::{Error, Result};
use crate::seal::blocking;
use minutebook_capture::{EpochFile, EpochReader, IntakePrivateKey, Mirrors, Owner, list_epochs};
use minutebook_verify::Id;
use minutebook_verify::descriptor::State;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// The spools of a trail.
#[derive(Debug, Clone, Default)]
pub struct SpoolState {
    /// What they take on disk.
    pub bytes: u64,
    /// Epochs that are not yet sealed whole, by name of the producer and number.
    pub epochs: Vec<WaitingEpoch>,
}

/// An epoch that still has its files.
#[derive(Debug, Clone)]
pub struct WaitingEpoch {
    /// The producer's name.
    pub name: String,
    /// The producer.
    pub producer: Id,
    /// The epoch's number.
    pub epoch: u64,
    /// The process that opened it.
    pub pid: u32,
    /// Whether that can still write.
    pub alive: bool,
    /// When its machine was last heard of; of a producer on another one only.
    pub heard: Option<SystemTime>,
    /// The last number drawn of each class.
    pub drawn: BTreeMap<String, u64>,
    /// Numbers that were given up, as far as the log says so by now, by reason.
    pub lost: BTreeMap<State, u64>,
}

impl Reader {
    /// What waits in the spools. An epoch that cannot be opened is passed over: `doctor` tells of it.
    ///
    /// # Errors
    /// When the spool or the catalog cannot be read.
    pub async fn spool(&self) -> Result<SpoolState> {
        let (spool, trail, folder) = (self.place.spool(), self.file.id, self.keys.folder());
        let mut state = blocking(move || {
            let failed = |e| Error::io("look into the spool", &spool, e);
            let key = IntakePrivateKey::from_bytes(*folder.intake.expose());
            let listing = list_epochs(&spool).map_err(failed)?;
            let epochs = listing.epochs.into_iter().filter_map(|file| waiting(file, trail, &key)).collect();
            Ok(SpoolState { bytes: disk_bytes(&spool), epochs })
        })
        .await?;
        for epoch in &mut state.epochs {
            for (_, ranges) in self.catalog.coverage(&epoch.producer, epoch.epoch).await? {
                for range in ranges.ranges().iter().filter(|range| range.state != State::Kept) {
                    let lost = epoch.lost.entry(range.state).or_default();
                    *lost = lost.saturating_add(range.to - range.from + 1);
                }
            }
        }
        Ok(state)
    }

    /// Where epochs of producers on other machines are written to.
    #[must_use]
    pub fn mirrors(&self) -> Mirrors {
        let key = IntakePrivateKey::from_bytes(*self.keys.folder().intake.expose());
        Mirrors::new(self.place.spool(), self.file.id, key)
    }
}

fn waiting(file: EpochFile, trail: Id, key: &IntakePrivateKey) -> Option<WaitingEpoch> {
    let mut reader = EpochReader::open(&file.path, trail, key).ok()?;
    let alive = reader.owner().ok()? == Owner::Alive;
    let drawn = reader.drawn().ok()?.into_iter().map(|(class, last)| (class.to_string(), last)).collect();
    let heard = reader.is_mirror().then(|| reader.changed().ok()).flatten();
    Some(WaitingEpoch {
        heard,
        name: file.name,
        producer: reader.producer().0,
        epoch: reader.epoch().get(),
        pid: reader.pid(),
        alive,
        drawn,
        lost: BTreeMap::new(),
    })
}

/// What the files below `folder` take; those that go meanwhile take nothing.
fn disk_bytes(folder: &Path) -> u64 {
    /// The unit of `st_blocks`, stat(2).
    const BLOCK: u64 = 512;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
        Ok(about) => about.blocks() * BLOCK,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
