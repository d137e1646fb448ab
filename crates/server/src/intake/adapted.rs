//! Records that are made of what others send: recorded as they are made, each remembered under a key of its own where there is one. Edge: what they
//! say, and what becomes of one that is wrong, is for who makes them.

use std::collections::HashSet;

use minutebook_present::json::{Draft, DraftReader};
use minutebook_trail::Error;
use tokio::time::Instant;

use super::repeats::{Entry, RepeatKey};
use super::{Intake, Job};
use crate::guard::KeyName;
use crate::problem::Problem;

/// What is recorded or known together: the rows of a call.
pub(crate) struct Item {
    /// Under which it is known again.
    pub(crate) key: String,
    /// Whether somebody may send it again although it is on disk; else it is known again only when it had to be given up.
    pub(crate) comes_again: bool,
    pub(crate) drafts: Vec<Draft>,
}

impl Intake {
    /// Records what is made, and returns when it is on disk: of each item how many records that were, none of one that was on disk before. Blocks;
    /// on a thread of a runtime that may.
    ///
    /// # Errors
    /// The spool. What was recorded all the same is known when it comes again.
    pub(crate) fn take_made(
        &self,
        of: &KeyName,
        make: impl FnOnce(&mut DraftReader) -> Result<Vec<Item>, Problem>,
    ) -> Result<Vec<usize>, Problem> {
        let mut work = self.work();
        let work = &mut *work;
        if work.is_over {
            return Err(Error::Stopped("it ends".into()).into());
        }
        let items = make(&mut work.drafts)?;
        let now_ns = self.options.clock.wall_ns();
        let (mut recorded, mut keys, mut jobs) = (vec![0; items.len()], Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (item, recorded) in items.into_iter().zip(&mut recorded) {
            let key = RepeatKey { of: of.clone(), key: item.key };
            if item.comes_again && !seen.insert(key.clone()) {
                continue;
            }
            let earlier = work.repeats.find(&key, now_ns).cloned();
            if earlier.as_ref().is_some_and(|entry| entry.is_flushed) {
                continue;
            }
            *recorded = item.drafts.len();
            let entry = earlier.unwrap_or_else(|| Entry::new([0; 32], item.drafts.len(), now_ns));
            jobs.push(Job::new(self, item.comes_again.then(|| key.clone()), entry, item.drafts, true)?);
            keys.push(key);
        }
        self.record(work, &mut jobs);
        let (done, of) =
            (jobs.iter().map(|job| job.done).sum(), jobs.iter().map(|job| job.drafts.len()).sum());
        let failed = jobs.iter().find_map(|job| job.failed.as_ref()).map(|failed| failed.told(done, of));
        for (key, job) in keys.into_iter().zip(jobs) {
            let Job { key: noted, mut entry, failed, .. } = job;
            (entry.is_safe, entry.is_flushed) = (failed.is_none(), failed.is_none());
            if noted.is_some() || failed.is_some() {
                work.repeats.keep(key, entry, now_ns);
            }
        }
        work.used = Instant::now();
        failed.map_or(Ok(recorded), Err)
    }
}
