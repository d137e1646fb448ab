//! Records that are made of what others send: recorded as they are made, each remembered under a key of its own where there is one. Edge: what they
//! say, and what becomes of one that is wrong, is for who makes them.

use std::collections::HashSet;

use axum::http::StatusCode;
use minutebook_capture::Level;
use minutebook_present::json::{Draft, DraftReader};
use minutebook_trail::Error;
use tokio::time::Instant;

use super::repeats::{Entry, RepeatKey};
use super::{Intake, Work};
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
        let (mut counted, mut entries, mut seen) = (Counted::default(), Vec::new(), HashSet::new());
        let mut done = Ok(());
        for item in &items {
            if item.comes_again && !seen.insert(item.key.as_str()) {
                counted.repeated += 1;
                continue;
            }
            done = self.take_item(work, of, item, &mut counted, &mut entries);
            if done.is_err() {
                break;
            }
        }
        if done.is_ok() && counted.recorded > 0 {
            done = self.flush(work);
        }
        for (key, mut entry, comes_again) in entries {
            (entry.is_safe, entry.is_flushed) = (done.is_ok(), done.is_ok());
            if comes_again || done.is_err() {
                work.repeats.keep(key, entry);
            }
        }
        work.used = Instant::now();
        done.map(|()| counted)
    }

    fn take_item(
        &self,
        work: &mut Work,
        of: &KeyName,
        item: &Item,
        counted: &mut Counted,
        entries: &mut Vec<(RepeatKey, Entry, bool)>,
    ) -> Result<(), Problem> {
        let now = Instant::now();
        let key = RepeatKey { of: of.clone(), key: item.key.clone() };
        let earlier = work.repeats.find(&key, now).cloned();
        if earlier.as_ref().is_some_and(|entry| entry.is_flushed) {
            counted.repeated += 1;
            return Ok(());
        }
        let mut entry = earlier.unwrap_or_else(|| Entry::new(0, now));
        let lost = if entry.ids.is_empty() { Vec::new() } else { self.missing(&entry.ids)? };
        let done = self.record(work, &item.drafts, &mut entry.ids, &lost, false);
        counted.recorded += item.drafts.len();
        entries.push((key, entry, item.comes_again));
        done
    }

    fn flush(&self, work: &mut Work) -> Result<(), Problem> {
        let Some(handover) = &work.handover else { return Ok(()) };
        let flushed = handover.flush(Level::Disk);
        if flushed.is_err() {
            work.handover = None;
        }
        flushed.map_err(|error| {
            tracing::error!("records over HTTP cannot be flushed: {error}");
            let detail = format!("{error}. Send it again: what is recorded already is known then");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "storage-failed", "Disk, store or catalog failed", detail)
        })
    }
}
