//! How far the epochs were written at one moment: what sealing has to reach, however much follows.

use super::{Drainer, OpenEpoch};
use crate::error::{Error, Result};
use minutebook_capture::{Position, Stop};
use std::collections::HashMap;
use std::path::PathBuf;

/// How far each epoch was written at one moment, by its file.
pub struct Horizon(HashMap<PathBuf, Position>);

impl Drainer {
    /// How far the epochs that are open here are written now. Blocks for the disk.
    pub fn horizon(&self) -> Result<Horizon> {
        let written = |OpenEpoch { reader, .. }: &OpenEpoch| {
            let path = reader.path().to_owned();
            let written = reader.written_to();
            let written = written.map_err(|e| Error::Spool(format!("`{}`: {e}", path.display())))?;
            Ok((path, written))
        };
        Ok(Horizon(self.epochs.iter().map(written).collect::<Result<_>>()?))
    }

    /// Whether the last round has read all that lies before a horizon, as far as it can be read.
    pub fn has_passed(&self, horizon: &Horizon) -> bool {
        let has_passed = |OpenEpoch { reader, state }: &OpenEpoch| {
            let written = horizon.0.get(reader.path());
            // Beyond, not at: an epoch whose owner is gone is read until its account is closed.
            state.stop != Stop::Limit || written.is_none_or(|written| reader.position() > *written)
        };
        // An epoch that is not open any more was read to its end.
        self.epochs.iter().all(has_passed)
    }

    /// Whether an epoch could not be read up to a horizon because a thread of its owner has taken its place there and not written yet: what
    /// others handed over lies behind it.
    pub fn is_held_up(&self, horizon: &Horizon) -> bool {
        self.epochs.iter().any(|OpenEpoch { reader, state }| {
            let written = horizon.0.get(reader.path());
            state.stop == Stop::CaughtUp && written.is_some_and(|written| reader.position() < *written)
        })
    }
}
