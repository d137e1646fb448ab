//! Records that come over HTTP, on their way into the spool: read whole before the first is recorded, and once for each idempotency key. Edge: what
//! a request and its answer look like is in `api/intake.rs`; sealing is asked for there.

pub(crate) mod adapted;
mod arrow;
mod blocks;
mod body;
mod job;
mod repeats;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use minutebook_capture::ProducerOptions;
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use minutebook_record::RecordId;
use minutebook_record::fields::ModelRef;
use minutebook_trail::{Error, Noted, Reader, RepeatLog};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::access::Asker;
use crate::handover::HandOver;
use crate::limits::{INTAKE_REST, TOGETHER_BYTES, TOGETHER_MAX};
use crate::problem::Problem;
use crate::sealer::Asker as Sealing;
use crate::turns::{Asked, Turns};
pub(crate) use arrow::Defaults;
pub(crate) use blocks::{Block, Blocks, Cut};
pub(crate) use body::{Encoding, Form};
use job::Job;
pub(crate) use repeats::RepeatKey;
use repeats::{Entry, Repeats};

/// The name under which these records are numbered.
pub(crate) const PRODUCER: &str = "http";

/// Takes records: requests that come while others are taken are taken together, with one flush, as long as they are small; what is in memory of
/// them is bounded so.
pub(crate) struct Intake {
    options: ProducerOptions,
    sealer: Sealing,
    reader: Arc<Reader>,
    turns: Turns<Sent, Result<Taken, Problem>>,
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
        Self { options, sealer, reader, turns: Turns::default(), work: Mutex::new(work) }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was sent, all of it or, when something of it is wrong, nothing. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// What is wrong with the request; or the spool, with how much of it was recorded.
    pub(crate) fn take(&self, sent: Sent) -> Result<Taken, Problem> {
        let answer = self.turns.ask(
            sent,
            |batch, next| fits(batch.iter().map(|asked| &asked.what), next),
            |batch| self.take_together(batch),
        );
        answer.unwrap_or_else(|| Err(Error::Stopped("recording failed".into()).into()))
    }

    fn take_together(&self, batch: Vec<Asked<Sent, Result<Taken, Problem>>>) {
        let mut work = self.work();
        let work = &mut *work;
        let now_ns = self.options.clock.wall_ns();
        let (mut answers, mut jobs) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for asked in batch {
            let (sent, answer) = asked.split();
            match self.job(work, sent, now_ns) {
                Ok(Found::Job(job)) => {
                    answers.push(answer);
                    jobs.push(job);
                }
                Ok(Found::Taken(taken)) => answer.give(Ok(taken)),
                Err(problem) => answer.give(Err(problem)),
            }
        }
        let is_flushed = self.record(work, &mut jobs);
        for (answer, job) in answers.into_iter().zip(jobs) {
            let Job { key, mut entry, repeated, failed, drafts, done, .. } = job;
            entry.is_safe = failed.is_none();
            entry.is_flushed = entry.is_safe && is_flushed;
            let ids = entry.ids.clone();
            if let Some(key) = key {
                work.repeats.keep(key, entry, now_ns);
            }
            answer.give(match failed {
                None => Ok(Taken { ids, repeated }),
                Some(failed) => Err(failed.told(done, drafts.len())),
            });
        }
        work.used = Instant::now();
    }

    /// What there is to do for a request.
    fn job(&self, work: &mut Work, sent: Sent, now_ns: i64) -> Result<Found, Problem> {
        if work.is_over {
            return Err(Error::Stopped("it ends".into()).into());
        }
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
                return Ok(Found::Taken(Taken { ids: earlier.ids.clone(), repeated: true }));
            }
        }
        let drafts = body::drafts(&sent.form, &body, &mut work.drafts, sent.at)?;
        may_record(&sent.asker, &drafts)?;
        let entry = earlier.unwrap_or_else(|| Entry::new(print, drafts.len(), now_ns));
        Ok(Found::Job(Job::new(self, sent.repeat, entry, drafts, sent.flush)?))
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

/// What there is to do for a request.
enum Found {
    /// It was recorded before.
    Taken(Taken),
    Job(Job),
}

/// Whether a request can be taken together with those before it. What may be much larger than it came is taken alone.
fn fits<'s>(before: impl ExactSizeIterator<Item = &'s Sent> + Clone, next: &'s Sent) -> bool {
    let is_plain = |sent: &Sent| sent.encoding == Encoding::Plain && !matches!(sent.form, Form::Arrow(_));
    let all = before.clone().chain([next]);
    before.len() < TOGETHER_MAX
        && all.clone().all(is_plain)
        && all.map(|sent| sent.body.len()).sum::<usize>() <= TOGETHER_BYTES
        // The second of two with the same key is answered by what became of the first.
        && (next.repeat.is_none() || before.clone().all(|sent| sent.repeat != next.repeat))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::KeyName;

    fn sent(bytes: usize, repeat: Option<&str>) -> Sent {
        let repeat = repeat.map(|key| RepeatKey { of: KeyName::default(), key: key.to_owned() });
        Sent {
            asker: Asker::Owner,
            body: vec![b' '; bytes].into(),
            encoding: Encoding::Plain,
            form: Form::Json,
            at: ReadAt { time_ns: 0, clock_error_ns: None },
            flush: true,
            repeat,
        }
    }

    #[test]
    fn small_requests_are_taken_together_and_others_alone() {
        let fits = |before: &[Sent], next: &Sent| fits(before.iter(), next);
        let few = [sent(500, None), sent(500, Some("a")), sent(500, None)];
        for next in [sent(500, None), sent(500, Some("b")), sent(0, None)] {
            assert!(fits(&few, &next));
        }
        assert!(!fits(&few, &sent(500, Some("a"))), "it is to see what became of the other");
        assert!(!fits(&few, &sent(TOGETHER_BYTES, None)));
        assert!(!fits(&few, &Sent { encoding: Encoding::Zstd, ..sent(500, None) }), "it may be a bomb");
        assert!(!fits(&few, &Sent { form: Form::Arrow(Defaults::default()), ..sent(500, None) }));
        let packed = [Sent { encoding: Encoding::Gzip, ..sent(500, None) }];
        assert!(!fits(&packed, &sent(500, None)), "nor behind one");
        let many: Vec<Sent> = (0..TOGETHER_MAX).map(|_| sent(1, None)).collect();
        assert!(fits(&many[1..], &sent(1, None)) && !fits(&many, &sent(1, None)));
    }
}
