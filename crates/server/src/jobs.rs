//! Work that takes long: bounded in number, kept for a while after its end, gone with the process. Edge: what the work is, who begins it says; who
//! may see it is for the routes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use minutebook_capture::Clock;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::limits::{JOB_KEPT, JOBS_AT_ONCE, JOBS_KEPT_MAX};
use crate::problem::Problem;

/// The jobs of one trail.
pub(crate) struct Jobs {
    clock: Arc<dyn Clock>,
    /// Tells the ids of this process from those of one before it.
    of: i64,
    kept_for: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    begun: u64,
    jobs: Vec<Arc<Job>>,
    is_over: bool,
}

/// One job.
pub(crate) struct Job {
    id: String,
    what: &'static str,
    /// What its progress counts.
    unit: &'static str,
    begun_ns: i64,
    clock: Arc<dyn Clock>,
    now: watch::Sender<Now>,
    is_cancelled: AtomicBool,
    /// The work has not returned, be it cancelled or not.
    is_at_work: AtomicBool,
}

struct Now {
    state: State,
    /// Done, of how many; none until that is known.
    progress: Option<(u64, u64)>,
    ended: Option<(Instant, i64)>,
}

/// How a job is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It goes on.
    Running,
    /// With its report.
    Done(Value),
    /// Why.
    Failed(String),
    /// Somebody ended it.
    Cancelled,
}

/// Work that has begun: when it breaks off without a word, the job has failed.
struct AtWork(Arc<Job>);

impl AtWork {
    fn end(&self, state: State) {
        // First, so that whoever waited for the end finds room for the next.
        self.0.is_at_work.store(false, Ordering::Release);
        self.0.end(state);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.end(State::Failed("it broke off: this is a mistake in the server".into()));
    }
}

/// Ends a job when nobody waits for it any more.
pub(crate) struct Awaited(pub(crate) Arc<Job>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Jobs {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { of: clock.wall_ns(), clock, kept_for: JOB_KEPT, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.jobs.retain(|job| {
            job.is_at_work() || job.ended().is_none_or(|ended| ended.elapsed() < self.kept_for)
        });
        kept
    }

    /// Begins a job of this kind, which counts its progress in `unit`. Its work is done on a thread that may block.
    ///
    /// # Errors
    /// When as many work as may, or the engine ends.
    pub(crate) fn begin<W>(
        &self,
        what: &'static str,
        unit: &'static str,
        work: W,
    ) -> Result<Arc<Job>, Problem>
    where
        W: FnOnce(&Job) -> Result<Value, String> + Send + 'static,
    {
        let mut kept = self.kept();
        if kept.is_over {
            return Err(minutebook_trail::Error::Stopped("it ends".into()).into());
        }
        if kept.jobs.iter().filter(|job| job.is_at_work()).count() >= JOBS_AT_ONCE {
            let detail =
                format!("{JOBS_AT_ONCE} jobs are at work already: wait until one is done, or cancel it");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail));
        }
        if kept.jobs.len() >= JOBS_KEPT_MAX
            && let Some(oldest) = kept.jobs.iter().position(|job| !job.is_at_work())
        {
            kept.jobs.remove(oldest);
        }
        kept.begun += 1;
        let job = Arc::new(Job {
            id: format!("{:x}-{}", self.of, kept.begun),
            what,
            unit,
            begun_ns: self.clock.wall_ns(),
            clock: Arc::clone(&self.clock),
            now: watch::Sender::new(Now { state: State::Running, progress: None, ended: None }),
            is_cancelled: AtomicBool::new(false),
            is_at_work: AtomicBool::new(true),
        });
        kept.jobs.push(Arc::clone(&job));
        let at_work = AtWork(Arc::clone(&job));
        drop(tokio::task::spawn_blocking(move || {
            let done = work(&at_work.0);
            at_work.end(done.map_or_else(State::Failed, State::Done));
        }));
        Ok(job)
    }

    /// The job of this id, while it is kept.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.kept().jobs.iter().find(|job| job.id == id).cloned()
    }

    /// Does not keep a job any more, when it has ended.
    pub(crate) fn forget(&self, id: &str) {
        self.kept().jobs.retain(|job| job.id != id || job.is_at_work());
    }

    /// Takes no more, and ends those that go on: a thread that works would keep the process from ending.
    pub(crate) fn end(&self) {
        let mut kept = self.kept();
        kept.is_over = true;
        kept.jobs.iter().for_each(|job| job.cancel());
    }
}

impl Job {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Tells how far it is.
    pub(crate) fn reached(&self, done: u64, all: u64) {
        self.now.send_modify(|now| now.progress = Some((done, all)));
    }

    /// Whether its work is to give up.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Ends it, unless it has ended.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.end(State::Cancelled);
    }

    /// Waits for its end.
    pub(crate) async fn done(&self) -> State {
        let mut now = self.now.subscribe();
        // INVARIANT: the sender is part of the job, so that waiting cannot fail.
        now.wait_for(|now| now.state != State::Running)
            .await
            .map_or(State::Cancelled, |now| now.state.clone())
    }

    /// As it is told to who asks.
    pub(crate) fn json(&self) -> Value {
        let now = self.now.borrow();
        let (state, report, error) = match &now.state {
            State::Running => ("running", None, None),
            State::Done(report) => ("done", Some(report.clone()), None),
            State::Failed(what) => ("failed", None, Some(what.clone())),
            State::Cancelled => ("cancelled", None, None),
        };
        let progress = now.progress.map(|(done, all)| json!({ "done": done, "all": all, "of": self.unit }));
        json!({
            "id": self.id,
            "what": self.what,
            "state": state,
            "begun": time(self.begun_ns),
            "ended": now.ended.and_then(|(_, ns)| time(ns)),
            "progress": progress,
            "report": report,
            "error": error,
        })
    }

    fn is_at_work(&self) -> bool {
        self.is_at_work.load(Ordering::Acquire)
    }

    fn ended(&self) -> Option<Instant> {
        self.now.borrow().ended.map(|(at, _)| at)
    }

    fn end(&self, state: State) {
        self.now.send_if_modified(|now| {
            let is_running = now.state == State::Running;
            if is_running {
                now.state = state;
                now.ended = Some((Instant::now(), self.clock.wall_ns()));
            }
            is_running
        });
    }
}

fn time(ns: i64) -> Option<String> {
    Timestamp::from_nanosecond(ns.into()).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use minutebook_capture::SystemClock;

    use super::*;

    fn jobs() -> Jobs {
        Jobs::new(Arc::new(SystemClock))
    }

    /// A job that goes on until something is sent, or it is cancelled and looks.
    fn waiting(jobs: &Jobs) -> Result<(Arc<Job>, mpsc::Sender<()>), Problem> {
        let (go, goes) = mpsc::channel();
        let work = move |job: &Job| {
            job.reached(1, 3);
            let _ = goes.recv();
            Ok(json!({ "cancelled": job.is_cancelled() }))
        };
        jobs.begin("verify", "segments", work).map(|job| (job, go))
    }

    async fn wait(mut is_so: impl FnMut() -> bool) {
        for _ in 0..1_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("waited in vain");
    }

    #[tokio::test]
    async fn a_job_tells_how_far_it_is_and_then_what_it_found() {
        let jobs = jobs();
        let (job, go) = waiting(&jobs).ok().unwrap();
        wait(|| job.json()["progress"] == json!({ "done": 1, "all": 3, "of": "segments" })).await;
        assert_eq!((&job.json()["state"], &job.json()["ended"]), (&json!("running"), &Value::Null));
        go.send(()).unwrap();
        assert_eq!(job.done().await, State::Done(json!({ "cancelled": false })));
        job.cancel();
        assert_eq!(jobs.find(job.id()).unwrap().json()["state"], "done", "what has ended stays as it is");
        assert!(jobs.find("0-1").is_none());
        jobs.end();
        assert!(waiting(&jobs).is_err());
    }

    #[tokio::test]
    async fn one_that_breaks_off_has_failed_and_does_not_count() {
        let jobs = jobs();
        let job = jobs.begin("verify", "segments", |_| panic!("of a test")).ok().unwrap();
        assert!(matches!(job.done().await, State::Failed(what) if what.contains("broke off")));
        wait(|| !job.is_at_work()).await;
        jobs.forget(job.id());
        assert!(jobs.find(job.id()).is_none());
    }

    #[tokio::test]
    async fn so_many_work_at_once_so_many_are_kept_and_for_so_long() {
        let mut jobs = jobs();
        let mut goes: Vec<_> = (0..JOBS_AT_ONCE).map(|_| waiting(&jobs).ok().unwrap()).collect();
        assert!(waiting(&jobs).is_err());
        let (first, go) = goes.remove(0);
        first.cancel();
        assert_eq!(first.done().await, State::Cancelled);
        assert!(waiting(&jobs).is_err(), "one that is cancelled counts until its thread is free");
        go.send(()).unwrap();
        wait(|| !first.is_at_work()).await;
        for _ in 0..JOBS_KEPT_MAX + 3 {
            let (job, go) = waiting(&jobs).ok().unwrap();
            go.send(()).unwrap();
            job.done().await;
            wait(|| !job.is_at_work()).await;
        }
        assert_eq!(jobs.kept().jobs.len(), JOBS_KEPT_MAX);
        jobs.kept_for = Duration::ZERO;
        assert_eq!(jobs.kept().jobs.len(), JOBS_AT_ONCE - 1, "those at work are kept");
    }
}
