//! What is recorded together for one request, call or span, and the way of several into the spool with one flush. Edge: what becomes of one that
//! failed is told here, and remembered by who asked.

use std::sync::Arc;

use axum::http::StatusCode;
use minutebook_capture::{Advice, CaptureError, Level, Producer};
use minutebook_present::json::Draft;
use minutebook_trail::Error;
use tokio::runtime::Handle;

use super::repeats::{Entry, RepeatKey};
use super::{Intake, Work};
use crate::handover::HandOver;
use crate::limits::{DRAWN_AT_ONCE, FULL_SEALS};
use crate::problem::Problem;

/// Records of one request, or of one span.
pub(super) struct Job {
    /// Under which it is known again after this process too.
    pub(super) key: Option<RepeatKey>,
    pub(super) entry: Entry,
    pub(super) drafts: Vec<Draft>,
    /// Places of those that are to be handed over, and how many of these are.
    left: Vec<usize>,
    handed_over: usize,
    /// Records that are recorded, now or before.
    pub(super) done: usize,
    /// Whether it is to be on disk.
    flush: bool,
    /// All of it was recorded before.
    pub(super) repeated: bool,
    pub(super) failed: Option<Arc<Failed>>,
}

impl Job {
    /// With what is left of it: looks for the records whose ids are known. Blocks.
    pub(super) fn new(
        intake: &Intake,
        key: Option<RepeatKey>,
        entry: Entry,
        drafts: Vec<Draft>,
        flush: bool,
    ) -> Result<Self, Problem> {
        let lost = if entry.ids.is_empty() { Vec::new() } else { intake.missing(&entry.ids)? };
        // One that comes again may have fewer: half of a call is, when the other was lost with the answer to it.
        let left = lost.into_iter().filter(|place| *place < drafts.len());
        let left: Vec<usize> = left.chain(entry.ids.len()..drafts.len()).collect();
        let repeated = !entry.ids.is_empty() && left.is_empty();
        let done = drafts.len() - left.len();
        Ok(Self { key, entry, drafts, left, handed_over: 0, done, flush, repeated, failed: None })
    }

    fn is_open(&self) -> bool {
        self.failed.is_none() && self.handed_over < self.left.len()
    }
}

/// Why something is not recorded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Spool(CaptureError),
    #[error(transparent)]
    Note(Error),
}

impl Failed {
    /// Of a request of so many records, of which so many are recorded.
    pub(super) fn told(&self, done: usize, of: usize) -> Problem {
        let error = match self {
            Self::Note(error) => return error.into(),
            Self::Spool(error) => error,
        };
        let before = format!("{done} of {of} records of this request are recorded");
        if error.advice() == Advice::Fix {
            return Problem::request(format!("record {done}, from 0: {error}. {before}"));
        }
        let detail =
            format!("{error}. {before}: send it again with the same idempotency key, and only the rest is");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage-failed",
            "Disk, store or catalog failed",
            detail,
        )
    }
}

/// That a chunk was not handed over, and the job whose record it was about, where it was about one.
struct Broken {
    at: Option<usize>,
    failed: Arc<Failed>,
}

impl Broken {
    fn of(at: Option<usize>, failed: Failed) -> Self {
        Self { at, failed: Arc::new(failed) }
    }
}

/// A record by its job and its place in it.
type At = (usize, usize);

impl Intake {
    /// Hands over what is left of each job, its ids noted before where it may come again; then flushes, if one of them is to be on disk, and says
    /// whether it did. Each job says what became of it: what is wrong with one is no matter of the others.
    pub(super) fn record(&self, work: &mut Work, jobs: &mut [Job]) -> bool {
        if jobs.iter().any(|job| job.key.is_some())
            && let Err(error) = work.repeats.prepare(self.options.clock.wall_ns())
        {
            fail(jobs, Arc::new(Failed::Note(error)), |job| job.key.is_some());
        }
        let flush = jobs.iter().any(|job| job.flush);
        let (mut first, mut seals, mut is_flushed) = (None, 0, flush);
        loop {
            let chunk = chunk(jobs);
            let Some((first_job, _)) = chunk.first() else { break };
            let before: usize = jobs.iter().map(|job| job.handed_over).sum();
            let Err(Broken { at, failed }) = self.hand_over(work, jobs, &chunk, flush, &mut first) else {
                seals = 0;
                continue;
            };
            if jobs.iter().map(|job| job.handed_over).sum::<usize>() > before {
                seals = 0;
            }
            match &*failed {
                Failed::Spool(CaptureError::Full { .. }) if seals < FULL_SEALS => {
                    seals += 1;
                    // That it failed is told by the next try.
                    let _ = Handle::current().block_on(self.sealer.seal());
                }
                Failed::Spool(error) if error.advice() == Advice::Fix => {
                    jobs[at.unwrap_or(*first_job)].failed = Some(failed);
                }
                Failed::Spool(error) => {
                    if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
                        work.handover = None;
                    }
                    is_flushed &= work.handover.is_some();
                    fail(jobs, failed, |job| job.is_open() || (job.flush && !is_flushed));
                }
                Failed::Note(_) => fail(jobs, failed, |job| job.key.is_some() && job.is_open()),
            }
        }
        if let Some(handover) = work.handover.as_ref().filter(|_| flush)
            && let Err(error) = handover.flush(Level::Disk)
        {
            work.handover = None;
            is_flushed = false;
            fail(jobs, Arc::new(Failed::Spool(error)), |job| job.flush);
        }
        // What failed is looked for when it comes again.
        if let Some(first) = first
            && jobs.iter().all(|job| job.failed.is_none())
        {
            work.repeats.done(first, is_flushed);
        }
        is_flushed
    }

    /// Hands over one chunk: draws its numbers, notes their ids, and gives the records to the spool.
    fn hand_over(
        &self,
        work: &mut Work,
        jobs: &mut [Job],
        chunk: &[At],
        flush: bool,
        first: &mut Option<u64>,
    ) -> Result<(), Broken> {
        let handover = match &mut work.handover {
            Some(handover) => handover,
            none => {
                let opened = HandOver::open(self.options.clone());
                none.insert(opened.map_err(|error| Broken::of(None, Failed::Spool(error)))?)
            }
        };
        let producer = handover.producer();
        let of = |at: usize| move |error| Broken::of(Some(at), Failed::Spool(error));
        let mut drawn = Vec::with_capacity(chunk.len());
        for (at, place) in chunk {
            let class = &jobs[*at].drafts[*place].class;
            drawn.push(Producer::begin_with(Arc::clone(&producer), class).map_err(of(*at))?);
        }
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
            let number =
                work.repeats.note(&noted, flush).map_err(|error| Broken::of(None, Failed::Note(error)))?;
            first.get_or_insert(number);
        }
        for ((at, place), pending) in chunk.iter().zip(drawn) {
            let job = &mut jobs[*at];
            handover.hand_over_as(pending, &job.drafts[*place]).map_err(of(*at))?;
            job.handed_over += 1;
            job.done += 1;
        }
        Ok(())
    }
}

/// What is handed over next: of those that are noted before as many as may be; else one, since numbers that are drawn and not used are told as lost.
fn chunk(jobs: &[Job]) -> Vec<At> {
    let open = |(at, job): (usize, &Job)| {
        let left = if job.is_open() { job.handed_over..job.left.len() } else { 0..0 };
        left.map(move |next| (at, next))
    };
    let of = |(at, next): (usize, usize)| (at, jobs[at].left[next]);
    let (mut noted, mut others) = (Vec::new(), None);
    for (at, job) in jobs.iter().enumerate() {
        if job.key.is_some() {
            noted.extend(open((at, job)).map(of).take(DRAWN_AT_ONCE - noted.len()));
        } else if others.is_none() {
            others = open((at, job)).map(of).next();
        }
        if noted.len() == DRAWN_AT_ONCE {
            break;
        }
    }
    if noted.is_empty() { others.into_iter().collect() } else { noted }
}

/// Tells those of the jobs that have not failed yet why they have.
fn fail(jobs: &mut [Job], failed: Arc<Failed>, which: impl Fn(&Job) -> bool) {
    tracing::error!("records cannot be taken: {failed}");
    for job in jobs.iter_mut().filter(|job| job.failed.is_none() && which(job)) {
        job.failed = Some(Arc::clone(&failed));
    }
}
