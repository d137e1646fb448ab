//! Records that come over HTTP, on their way into the spool: read whole before the first is recorded, and once for each idempotency key. Edge: what
//! a request and its answer look like is in `api/intake.rs`; sealing is asked for there.

pub(crate) mod adapted;
mod body;
mod repeats;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use minutebook_capture::{Advice, CaptureError, Level, ProducerOptions};
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use minutebook_record::RecordId;
use minutebook_record::fields::ModelRef;
use minutebook_trail::{Error, Reader};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::access::Asker;
use crate::handover::HandOver;
use crate::limits::{FULL_SEALS, INTAKE_REST};
use crate::problem::Problem;
use crate::sealer::Asker as Sealing;
pub(crate) use body::{Encoding, Form};
pub(crate) use repeats::RepeatKey;
use repeats::{Entry, Repeats};

/// The name under which these records are numbered.
pub(crate) const PRODUCER: &str = "http";

/// Takes records, one request after the other: what is in memory of them is bounded so.
pub(crate) struct Intake {
    options: ProducerOptions,
    sealer: Sealing,
    reader: Arc<Reader>,
    work: Mutex<Work>,
}

struct Work {
    /// None while nobody records: a run that is open keeps an engine from ending.
    handover: Option<HandOver>,
    drafts: DraftReader,
    used: Instant,
    repeats: Repeats,
    is_over: bool,
}

/// Records as they were sent.
pub(crate) struct Sent {
    /// Who sent them.
    pub(crate) asker: Asker,
    pub(crate) body: Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
    pub(crate) at: ReadAt,
    /// Whether they are to be on disk.
    pub(crate) flush: bool,
    pub(crate) repeat: Option<RepeatKey>,
}

/// Records that were taken, now or before.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) ids: Vec<RecordId>,
    /// All of them were recorded by an earlier request.
    pub(crate) repeated: bool,
}

impl Intake {
    pub(crate) fn new(options: ProducerOptions, sealer: Sealing, reader: Arc<Reader>) -> Self {
        let work = Work {
            handover: None,
            drafts: DraftReader::new(false),
            used: Instant::now(),
            repeats: Repeats::default(),
            is_over: false,
        };
        Self { options, sealer, reader, work: Mutex::new(work) }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was sent, all of it or, when something of it is wrong, nothing. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// What is wrong with the request; or the spool, with how much of it was recorded.
    pub(crate) fn take(&self, sent: &Sent) -> Result<Taken, Problem> {
        let mut work = self.work();
        let work = &mut *work;
        if work.is_over {
            return Err(Error::Stopped("it ends".into()).into());
        }
        let now = Instant::now();
        let body = sent.encoding.unpack(&sent.body)?;
        let print = repeats::print(sent.form, &body);
        let mut entry = Entry::new(print, now);
        if let Some(key) = &sent.repeat
            && let Some(earlier) = work.repeats.find(key, now)
        {
            if earlier.print != print {
                let detail = "this idempotency key was used for other records: a key is for one request and its repetitions";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Err(Problem::new(
                    status,
                    "key-reused",
                    "The idempotency key was used before",
                    detail,
                ));
            }
            if earlier.is_safe && (earlier.is_flushed || !sent.flush) {
                return Ok(Taken { ids: earlier.ids.clone(), repeated: true });
            }
            entry = earlier.clone();
        }
        let drafts = body::drafts(sent.form, &body, &mut work.drafts, sent.at)?;
        drop(body);
        may_record(&sent.asker, &drafts)?;
        let lost = if entry.ids.is_empty() { Vec::new() } else { self.missing(&entry.ids)? };
        let done = self.record(work, &drafts, &mut entry.ids, &lost, sent.flush);
        entry.is_safe = done.is_ok();
        entry.is_flushed = done.is_ok() && sent.flush;
        let ids = entry.ids.clone();
        if let Some(key) = &sent.repeat {
            work.repeats.keep(key.clone(), entry);
        }
        work.used = Instant::now();
        done.map(|()| Taken { ids, repeated: false })
    }

    /// Hands over the drafts that have no id yet, and anew those whose record was `lost`; then flushes.
    fn record(
        &self,
        work: &mut Work,
        drafts: &[Draft],
        ids: &mut Vec<RecordId>,
        lost: &[usize],
        flush: bool,
    ) -> Result<(), Problem> {
        let left: Vec<usize> = lost.iter().copied().chain(ids.len()..drafts.len()).collect();
        for at in left {
            let id = self.hand_over(work, &drafts[at]).map_err(|error| failed(&error, at, drafts.len()))?;
            match ids.get_mut(at) {
                Some(place) => *place = id,
                None => ids.push(id),
            }
        }
        let Some(handover) = work.handover.as_ref().filter(|_| flush) else { return Ok(()) };
        let flushed = handover.flush(Level::Disk);
        if flushed.is_err() {
            work.handover = None;
        }
        flushed.map_err(|error| failed(&error, drafts.len(), drafts.len()))
    }

    fn hand_over(&self, work: &mut Work, draft: &Draft) -> Result<RecordId, CaptureError> {
        let mut seals = 0;
        loop {
            let handover = match &mut work.handover {
                Some(handover) => handover,
                none => none.insert(HandOver::open(self.options.clone())?),
            };
            match handover.hand_over(draft) {
                Err(CaptureError::Full { .. }) if seals < FULL_SEALS => {
                    seals += 1;
                    // That it failed is told by the next try.
                    let _ = Handle::current().block_on(self.sealer.seal());
                }
                Err(error) => {
                    if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
                        work.handover = None;
                    }
                    return Err(error);
                }
                Ok(id) => return Ok(id),
            }
        }
    }

    /// Which of the records of a request that failed are not in the trail.
    fn missing(&self, ids: &[RecordId]) -> Result<Vec<usize>, Problem> {
        Handle::current().block_on(async {
            self.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
            let mut missing = Vec::new();
            for (at, id) in ids.iter().enumerate() {
                match self.reader.get(id).await {
                    Ok(_) => {}
                    Err(Error::NoRecord { .. }) => missing.push(at),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(missing)
        })
    }

    /// Ends the producer's run when nobody has recorded for a while. Does not wait for whoever records now.
    pub(crate) fn rest(&self) {
        let Ok(mut work) = self.work.try_lock() else { return };
        if work.used.elapsed() >= INTAKE_REST
            && let Some(handover) = work.handover.take()
        {
            drop(tokio::task::spawn_blocking(move || close(handover)));
        }
    }

    /// Takes no more, and ends the producer's run. Blocks.
    pub(crate) fn end(&self) {
        let mut work = self.work();
        work.is_over = true;
        if let Some(handover) = work.handover.take() {
            close(handover);
        }
    }
}

/// Refuses a request when one of its records is none that its sender may hand over.
fn may_record(asker: &Asker, drafts: &[Draft]) -> Result<(), Problem> {
    let mut last: Option<&Draft> = None;
    for draft in drafts {
        // The model is a constant of the shape.
        if last.is_some_and(|last| last.kind == draft.kind && Arc::ptr_eq(&last.shape, &draft.shape)) {
            continue;
        }
        asker.may_record(draft.kind, model_of(draft).as_deref())?;
        last = Some(draft).filter(|draft| !is_open(draft));
    }
    Ok(())
}

fn model_place(draft: &Draft) -> Option<usize> {
    draft.shape.schema().find_parts(&["model"])
}

/// Whether each record of the shape says its model itself.
fn is_open(draft: &Draft) -> bool {
    model_place(draft).is_some_and(|place| draft.shape.open_places().contains(&place))
}

fn model_of(draft: &Draft) -> Option<String> {
    let value = draft.all_values().swap_remove(model_place(draft)?);
    ModelRef::decode(&value).ok().flatten().map(|model| model.name)
}

fn close(handover: HandOver) {
    if let Err(error) = handover.close() {
        tracing::warn!("the run of the producer `{PRODUCER}` did not end in order: {error}");
    }
}

/// Why record number `at`, from 0, was not taken.
fn failed(error: &CaptureError, at: usize, of: usize) -> Problem {
    let before = format!("{at} of {of} records of this request are recorded");
    let detail =
        format!("{error}. {before}: send it again with the same idempotency key, and only the rest is");
    if error.advice() == Advice::Fix {
        return Problem::request(format!("record {at}, from 0: {error}. {before}"));
    }
    tracing::error!("records over HTTP cannot be taken: {error}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage-failed", "Disk, store or catalog failed", detail)
}
