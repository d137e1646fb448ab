//! The API keys as they are now: read again when their file has changed. Edge: whether a key fits is told by `minutebook-trail`.

use std::sync::{Arc, Mutex, PoisonError};

use minutebook_trail::{ApiKey, ApiKeys, Error, FileStamp, find_api_key};
use tokio::time::Instant;

use crate::limits::KEYS_LOOK_PERIOD;

/// The keys of one trail; those of none are none.
pub(super) struct Keyring {
    stored: Option<ApiKeys>,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    looked: Instant,
    stamp: FileStamp,
    keys: Arc<Vec<ApiKey>>,
}

impl Keyring {
    pub(super) fn new(stored: Option<ApiKeys>) -> Self {
        Self { stored, seen: Mutex::default() }
    }

    /// The key whose secret was presented, among those of [`KEYS_LOOK_PERIOD`] ago at most. One that is not among them may have been made just now:
    /// then the latest are looked at. Reads a small file when it has changed.
    ///
    /// # Errors
    /// When the keys cannot be told: then nobody has one.
    pub(super) fn find(&self, presented: &str, now: Instant) -> Result<Option<ApiKey>, Error> {
        let found = find_api_key(&self.current(now, false)?, presented).cloned();
        if found.is_some() {
            return Ok(found);
        }
        Ok(find_api_key(&self.current(now, true)?, presented).cloned())
    }

    fn current(&self, now: Instant, look: bool) -> Result<Arc<Vec<ApiKey>>, Error> {
        let Some(stored) = &self.stored else { return Ok(Arc::default()) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = &*seen
            && !look
            && now.saturating_duration_since(seen.looked) < KEYS_LOOK_PERIOD
        {
            return Ok(Arc::clone(&seen.keys));
        }
        // Before it is read: what changes meanwhile is read the next time.
        let before = seen.take();
        let stamp = stored.stamp()?;
        let keys = match before {
            Some(before) if before.stamp == stamp => before.keys,
            _ => Arc::new(stored.load()?),
        };
        *seen = Some(Seen { looked: now, stamp, keys: Arc::clone(&keys) });
        Ok(keys)
    }
}
