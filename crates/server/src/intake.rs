//! Records that come over HTTP, on their way into the spool: read whole before the first is recorded, and once for each idempotency key. Edge: what
//! a request and its answer look like is in `api/intake.rs`; sealing is asked for there.

pub(crate) mod adapted;
mod arrow;
mod blocks;
mod body;
mod repeats;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use minutebook_capture::{Advice, CaptureError, Level, Producer, ProducerOptions};
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use minutebook_record::RecordId;
use minutebook_record::fields::ModelRef;
use minutebook_trail::{Error, Noted, Reader, RepeatLog};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::access::Asker;
use crate::handover::HandOver;
use crate::limits::{DRAWN_AT_ONCE, FULL_SEALS, INTAKE_REST};
use crate::problem::Problem;
use crate::sealer::Asker as Sealing;
pub(crate) use arrow::Defaults;
pub(crate) use blocks::{Block, Blocks, Cut};
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
    pub(crate) fn new(
        options: ProducerOptions,
        sealer: Sealing,
        reader: Arc<Reader>,
        (log, noted): (RepeatLog, Vec<Noted>),
    ) -> Self {
        let work = Work {
            handover: None,
            drafts: DraftReader::new(false),
            used: Instant::now(),
            repeats: Repeats::restored(log, noted, options.clock.wall_ns()),
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
        let now_ns = self.options.clock.wall_ns();
        let body = sent.encoding.unpack(&sent.body)?;
        let print = repeats::print(&sent.form, &body);
        let earlier = sent.repeat.as_ref().and_then(|key| work.repeats.find(key, now_ns)).cloned();
        if let Some(earlier) = &earlier {
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
        }
        let drafts = body::drafts(&sent.form, &body, &mut work.drafts, sent.at)?;
        drop(body);
        may_record(&sent.asker, &drafts)?;
        let entry = earlier.unwrap_or_else(|| Entry::new(print, drafts.len(), now_ns));
        let mut job = Job::new(self, sent.repeat.clone(), entry, &drafts)?;
        let repeated = !job.entry.ids.is_empty() && job.left.is_empty();
        let done = self.record(work, std::slice::from_mut(&mut job), sent.flush);
        let mut entry = job.entry;
        entry.is_safe = done.is_ok();
        entry.is_flushed = done.is_ok() && sent.flush;
        let ids = entry.ids.clone();
        if let Some(key) = job.key {
            work.repeats.keep(key, entry, now_ns);
        }
        work.used = Instant::now();
        done.map(|()| Taken { ids, repeated })
    }

    /// Hands over what is left of each job, its ids noted before where it may come again; then flushes.
    fn record(&self, work: &mut Work, jobs: &mut [Job<'_>], flush: bool) -> Result<(), Problem> {
        let left = |(at, job): (usize, &Job<'_>)| job.left.clone().into_iter().map(move |place| (at, place));
        let all: Vec<(usize, usize)> = jobs.iter().enumerate().flat_map(left).collect();
        let of: usize = jobs.iter().map(|job| job.drafts.len()).sum();
        let before = of - all.len();
        // Numbers that are drawn and not used are told as lost: no more than need be.
        let mut at_once = 1;
        if jobs.iter().any(|job| job.key.is_some()) {
            work.repeats.prepare(self.options.clock.wall_ns())?;
            at_once = DRAWN_AT_ONCE;
        }
        let (mut done, mut first, mut seals) = (0, None, 0);
        while done < all.len() {
            let chunk = &all[done..all.len().min(done + at_once)];
            let mut count = 0;
            let handed_over = self.hand_over(work, jobs, chunk, flush, (&mut first, &mut count));
            done += count;
            seals = if count > 0 { 0 } else { seals };
            match handed_over {
                Ok(()) => {}
                Err(Failed::Spool(CaptureError::Full { .. })) if seals < FULL_SEALS => {
                    seals += 1;
                    // That it failed is told by the next try.
                    let _ = Handle::current().block_on(self.sealer.seal());
                }
                Err(Failed::Spool(error)) => {
                    if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
                        work.handover = None;
                    }
                    return Err(failed(&error, before + done, of));
                }
                Err(Failed::Note(error)) => {
                    tracing::error!("records over HTTP cannot be taken: {error}");
                    return Err(error.into());
                }
            }
        }
        if let Some(handover) = work.handover.as_ref().filter(|_| flush) {
            let flushed = handover.flush(Level::Disk);
            if let Err(error) = flushed {
                work.handover = None;
                return Err(failed(&error, of, of));
            }
        }
        if let Some(first) = first {
            work.repeats.done(first, flush);
        }
        Ok(())
    }

    /// Hands over one chunk: draws its numbers, notes their ids, and gives the records to the spool, of which it counts those that are.
    fn hand_over(
        &self,
        work: &mut Work,
        jobs: &mut [Job<'_>],
        chunk: &[(usize, usize)],
        flush: bool,
        (first, count): (&mut Option<u64>, &mut usize),
    ) -> Result<(), Failed> {
        let handover = match &mut work.handover {
            Some(handover) => handover,
            none => none.insert(HandOver::open(self.options.clone())?),
        };
        let producer = handover.producer();
        let draw = |(at, place): &(usize, usize)| {
            Producer::begin_with(Arc::clone(&producer), &jobs[*at].drafts[*place].class)
        };
        let drawn = chunk.iter().map(draw).collect::<Result<Vec<_>, _>>()?;
        for ((at, place), pending) in chunk.iter().zip(&drawn) {
            let ids = &mut jobs[*at].entry.ids;
            match ids.get_mut(*place) {
                Some(id) => *id = pending.id(),
                None => ids.push(pending.id()),
            }
        }
        let mut noted = Vec::new();
        for of_one in chunk.chunk_by(|a, b| a.0 == b.0) {
            let job = &mut jobs[of_one[0].0];
            if let Some(key) = &job.key {
                job.entry.is_noted = true;
                noted.push(job.entry.drawn(key, of_one.iter().map(|(_, place)| *place)));
            }
        }
        if !noted.is_empty() {
            let number = work.repeats.note(&noted, flush).map_err(Failed::Note)?;
            first.get_or_insert(number);
        }
        for ((at, place), pending) in chunk.iter().zip(drawn) {
            handover.hand_over_as(pending, &jobs[*at].drafts[*place])?;
            *count += 1;
        }
        Ok(())
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
                    // It was there.
                    Err(Error::Disposed { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(missing)
        })
    }

    /// Ends the producer's run when nobody has recorded for a while. Does not wait for whoever records now.
    pub(crate) fn rest(&self) {
        let Ok(mut work) = self.work.try_lock() else { return };
        work.repeats.rest(self.options.clock.wall_ns());
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

/// Records of one request, or of one span.
struct Job<'d> {
    /// Under which it is known again after this process too.
    key: Option<RepeatKey>,
    entry: Entry,
    drafts: &'d [Draft],
    /// Places of those that are still to be handed over.
    left: Vec<usize>,
}

impl<'d> Job<'d> {
    /// With what is left of it: looks for the records whose ids are known. Blocks.
    fn new(
        intake: &Intake,
        key: Option<RepeatKey>,
        entry: Entry,
        drafts: &'d [Draft],
    ) -> Result<Self, Problem> {
        let lost = if entry.ids.is_empty() { Vec::new() } else { intake.missing(&entry.ids)? };
        // One that comes again may have fewer: half of a call is, when the other was lost with the answer to it.
        let left = lost.into_iter().filter(|place| *place < drafts.len());
        let left = left.chain(entry.ids.len()..drafts.len()).collect();
        Ok(Self { key, entry, drafts, left })
    }
}

/// Why a chunk of records was not handed over.
enum Failed {
    Spool(CaptureError),
    Note(Error),
}

impl From<CaptureError> for Failed {
    fn from(error: CaptureError) -> Self {
        Self::Spool(error)
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
