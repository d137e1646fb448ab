//! The right to write to a trail: one process at a time has it (`flock`), and it is gone with the process. Edge: what is written under it is
//! for `engine` and `place`.

use crate::durable::Lock;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::place::Place;
use std::io::ErrorKind;
use std::sync::Arc;

/// A trail's lock, held for as long as one of its clones lives.
#[derive(Debug, Clone)]
pub struct TrailLock(#[expect(dead_code, reason = "held, never asked")] Arc<Lock>);

impl TrailLock {
    /// Takes the lock; does not wait. `holder` is what this process calls itself to others: `process`, `engine process`.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or another handle of this one, has it.
    pub(crate) fn take(place: &Place, environment: &Environment, holder: &str) -> Result<Self> {
        let path = place.lock();
        let lock = Lock::try_take(&path).map_err(|e| Error::io("lock", &path, e))?;
        let Some(mut lock) = lock else {
            return Err(Error::Locked { folder: place.folder.clone(), holder: Self::holder(place) });
        };
        let text = format!("{holder} {} since {}\n", std::process::id(), environment.rfc3339());
        lock.note(&text).map_err(|e| Error::io("write", &path, e))?;
        Ok(Self(Arc::new(lock)))
    }

    /// Whether a process has the lock. Asking takes it for a moment, shared with others who ask.
    ///
    /// # Errors
    /// When its file cannot be opened. That it was never made is no error.
    pub fn is_held(place: &Place) -> Result<bool> {
        let path = place.lock();
        match Lock::is_held(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            held => held.map_err(|e| Error::io("lock", &path, e)),
        }
    }

    /// Who has the lock, as it noted itself.
    pub(crate) fn holder(place: &Place) -> String {
        let noted = std::fs::read_to_string(place.lock()).unwrap_or_default();
        let noted = noted.trim();
        if noted.is_empty() { "it has not said who it is".into() } else { noted.into() }
    }
}
