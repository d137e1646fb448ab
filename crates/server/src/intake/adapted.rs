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

/// What became of items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Records of items that came first now.
    pub(crate) recorded: usize,
    /// Items that were on disk already.
    pub(crate) repeated: usize,
}

impl Intake {
    /// Records what is made, and returns when it is on disk. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// The spool. What was recorded all the same is known when it comes again.
    pub(crate) fn take_made(
        &self,
        of: &KeyName,
        make: impl FnOnce(&mut DraftReader) -> Result<Vec<Item>, Problem>,
    ) -> Result<Counted, Problem> {
        let mut work = self.work();
        let work = &mut *work;
        if work.is_over {
            return Err(Error::Stopped("it ends".into()).into());
        }
        let items = make(&mut work.drafts)?;
        let now_ns = self.options.clock.wall_ns();
        let (mut counted, mut jobs, mut seen) = (Counted::default(), Vec::new(), HashSet::new());
        for item in &items {
            if item.comes_again && !seen.insert(item.key.as_str()) {
                counted.repeated += 1;
                continue;
            }
            let key = RepeatKey { of: of.clone(), key: item.key.clone() };
            let earlier = work.repeats.find(&key, now_ns).cloned();
            if earlier.as_ref().is_some_and(|entry| entry.is_flushed) {
                counted.repeated += 1;
                continue;
            }
            let entry = earlier.unwrap_or_else(|| Entry::new([0; 32], item.drafts.len(), now_ns));
            let job = Job::new(self, item.comes_again.then(|| key.clone()), entry, &item.drafts)?;
            counted.recorded += item.drafts.len();
            jobs.push((key, job));
        }
        let (keys, mut jobs): (Vec<RepeatKey>, Vec<Job<'_>>) = jobs.into_iter().unzip();
        let done = if jobs.is_empty() { Ok(()) } else { self.record(work, &mut jobs, true) };
        for (key, job) in keys.into_iter().zip(jobs) {
            let mut entry = job.entry;
            (entry.is_safe, entry.is_flushed) = (done.is_ok(), done.is_ok());
            if job.key.is_some() || done.is_err() {
                work.repeats.keep(key, entry, now_ns);
            }
        }
        work.used = Instant::now();
        done.map(|()| counted)
    }
}
