//! The one task that owns an [`Engine`]: it seals at intervals, when asked and at the end, and opens the engine again after a failure. Edge:
//! when, not how; that is the engine's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use minutebook_capture::list_epochs;
use minutebook_trail::{Engine, Environment, Error, KeyCopy, Place, Remedy, SealReport, Snapshot, TrailLock};
use minutebook_verify::hex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::limits::{ASKED_AT_ONCE, RETRY_FIRST, RETRY_MAX};

/// An engine at work in the background.
#[derive(Debug)]
pub struct Sealer {
    ask: mpsc::Sender<Asked>,
    state: watch::Receiver<State>,
    task: JoinHandle<Result<SealReport, Error>>,
}

/// What a request to seal has sealed, for all who asked at the same time.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// What was sealed.
    pub report: SealReport,
    /// Entries of the published log.
    pub log_size: u64,
    /// Its root.
    pub root: [u8; 32],
}

/// The answer to a request to seal. It ends without one when the engine is gone.
pub type Answer = oneshot::Receiver<Result<Sealed, Arc<Error>>>;

/// What is to be changed by the engine.
#[derive(Debug)]
pub(crate) enum Change {
    /// The sampling policy: its text.
    Policy(String),
    /// The sampling key.
    SamplingKey,
}

/// What a change has done.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// Whether it was otherwise before.
    pub(crate) changed: bool,
    /// Of a new key, in hex digits.
    pub(crate) sha256: Option<String>,
    /// Entries of the published log.
    pub(crate) log_size: u64,
}

/// What the engine is to do, with the answer as JSON. Durable when it is done.
pub(crate) type Task = Box<dyn for<'e> FnOnce(&'e mut Engine) -> Working<'e> + Send>;

/// A task that is being done.
pub(crate) type Working<'e> = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'e>>;

enum Asked {
    Seal(oneshot::Sender<Result<Sealed, Arc<Error>>>),
    Change(Change, oneshot::Sender<Result<Changed, Arc<Error>>>),
    Task(Task, oneshot::Sender<Result<Value, Arc<Error>>>),
    Snapshot(String, oneshot::Sender<Result<Snapshot, Arc<Error>>>),
    KeyCopy(Option<String>, oneshot::Sender<Result<KeyCopy, Arc<Error>>>),
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// How it goes.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Size and root of the published log.
    pub(crate) published: (u64, [u8; 32]),
    /// Epochs whose producers live, as far as the last round saw.
    pub(crate) open_epochs: usize,
    /// Rounds that sealed something.
    pub(crate) rounds: u64,
    /// Why sealing fails at present.
    pub(crate) error: Option<String>,
}

/// Asks a sealer that somebody else has.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    ask: mpsc::WeakSender<Asked>,
    pub(crate) state: watch::Receiver<State>,
}

impl Asker {
    /// Whether sealing goes on: the engine is there, and its last round did not fail.
    pub(crate) fn works(&self) -> bool {
        self.state.has_changed().is_ok() && self.state.borrow().error.is_none()
    }

    /// Seals everything that was handed over up to now.
    pub(crate) async fn seal(&self) -> Result<Sealed, Arc<Error>> {
        let ended = || Arc::new(Error::Stopped("it ends".into()));
        let answer = match self.ask.upgrade() {
            Some(ask) => ask_on(&ask).await,
            None => return Err(ended()),
        };
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Changes something, behind what was asked for before. Durable on return.
    pub(crate) async fn change(&self, change: Change) -> Result<Changed, Arc<Error>> {
        self.ask_for(|reply| Asked::Change(change, reply)).await
    }

    /// Holds a moment of the trail for a backup to a place of this name.
    pub(crate) async fn snapshot(&self, place: String) -> Result<Snapshot, Arc<Error>> {
        self.ask_for(|reply| Asked::Snapshot(place, reply)).await
    }

    /// Notes that the key folder is about to be copied.
    pub(crate) async fn key_copy(&self, expires: Option<String>) -> Result<KeyCopy, Arc<Error>> {
        self.ask_for(|reply| Asked::KeyCopy(expires, reply)).await
    }

    async fn ask_for<T>(
        &self,
        asked: impl FnOnce(oneshot::Sender<Result<T, Arc<Error>>>) -> Asked,
    ) -> Result<T, Arc<Error>> {
        let ended = || Arc::new(Error::Stopped("it ends".into()));
        let (reply, answer) = oneshot::channel();
        let ask = self.ask.upgrade().ok_or_else(ended)?;
        ask.send(asked(reply)).await.map_err(|_| ended())?;
        drop(ask);
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Has something done, behind what was asked for before.
    pub(crate) async fn task(&self, task: Task) -> Result<Value, Arc<Error>> {
        let ended = || Arc::new(Error::Stopped("it ends".into()));
        let (reply, answer) = oneshot::channel();
        let ask = self.ask.upgrade().ok_or_else(ended)?;
        ask.send(Asked::Task(task, reply)).await.map_err(|_| ended())?;
        drop(ask);
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn ask_on(ask: &mpsc::Sender<Asked>) -> Answer {
    let (reply, answer) = oneshot::channel();
    // When the engine is gone, so is the reply, and the answer ends.
    let _ = ask.send(Asked::Seal(reply)).await;
    answer
}

impl Sealer {
    /// Lets `engine` work: a round every `period` while there is something. On the runtime that this is called on.
    pub fn start(place: Place, environment: Environment, engine: Engine, period: Duration) -> Self {
        let (ask, asked) = mpsc::channel(ASKED_AT_ONCE);
        let state = State { published: engine.published(), open_epochs: 0, rounds: 0, error: None };
        let (tell, state) = watch::channel(state);
        let work = Work {
            place,
            environment,
            lock: engine.lock(),
            engine: Some(engine),
            total: SealReport::default(),
            retry: RETRY_FIRST,
            tell,
        };
        Self { ask, state, task: tokio::spawn(work.run(asked, period)) }
    }

    /// Asks for everything that was handed over up to now to be sealed.
    pub async fn ask(&self) -> Answer {
        ask_on(&self.ask).await
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker { ask: self.ask.downgrade(), state: self.state.clone() }
    }

    /// Seals what is left, and gives up engine and lock. Gives all that was sealed.
    ///
    /// # Errors
    /// Why the last sealing failed: what is not sealed stays in the spool.
    pub async fn stop(self) -> Result<SealReport, Error> {
        drop(self.ask);
        self.task.await.unwrap_or_else(|error| Err(Error::Stopped(error.to_string())))
    }

    /// Gives up engine and lock without sealing, as when the trail is gone.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }
}

struct Work {
    place: Place,
    environment: Environment,
    lock: TrailLock,
    /// None after a failure, until it was opened again.
    engine: Option<Engine>,
    total: SealReport,
    /// How long to wait after the next failure.
    retry: Duration,
    tell: watch::Sender<State>,
}

impl Work {
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>, period: Duration) -> Result<SealReport, Error> {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut not_before = Instant::now();
        let mut all = Vec::new();
        loop {
            tokio::select! {
                count = asked.recv_many(&mut all, ASKED_AT_ONCE) => if count == 0 { break },
                _ = ticks.tick() => {
                    if Instant::now() < not_before || (self.engine.is_some() && !self.something_waits().await) {
                        continue;
                    }
                }
            }
            let sealed = self.seal().await.map_err(Arc::new);
            if let Err(error) = &sealed {
                tracing::error!("sealing failed: {error}; what is handed over waits in the spool");
                not_before = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
            // Whoever asked may have gone.
            for asked in all.drain(..) {
                match asked {
                    Asked::Seal(reply) => drop(reply.send(sealed.clone())),
                    Asked::Change(change, reply) => {
                        drop(reply.send(self.change(change).await.map_err(Arc::new)))
                    }
                    Asked::Task(task, reply) => drop(reply.send(self.task(task).await.map_err(Arc::new))),
                    Asked::Snapshot(place, reply) => {
                        drop(reply.send(self.snapshot(&place).await.map_err(Arc::new)))
                    }
                    Asked::KeyCopy(expires, reply) => {
                        drop(reply.send(self.key_copy(expires.as_deref()).await.map_err(Arc::new)))
                    }
                }
            }
        }
        self.seal().await?;
        if let Some(mut engine) = self.engine.take() {
            let windows = engine.seal_windows().await;
            engine.close().await;
            add(&mut self.total, &windows?);
        }
        Ok(self.total)
    }

    /// Whether a window is over, or a spool has files. When that cannot be told, the round tells why.
    async fn something_waits(&self) -> bool {
        if self.engine.as_ref().is_some_and(Engine::has_windows_due) {
            return true;
        }
        let spool = self.place.spool();
        let listed = tokio::task::spawn_blocking(move || list_epochs(&spool)).await;
        !matches!(listed, Ok(Ok(listing)) if listing.epochs.is_empty())
    }

    /// Seals what there is when it begins, with a new engine after a failure.
    async fn seal(&mut self) -> Result<Sealed, Error> {
        let sealed = self.try_to_seal().await;
        if let (Err(_), Some(engine)) = (&sealed, self.engine.take_if(|_| sealed.is_err())) {
            engine.close().await;
        }
        match &sealed {
            Ok(sealed) => {
                self.retry = RETRY_FIRST;
                add(&mut self.total, &sealed.report);
                let open_epochs = self.engine.as_ref().map_or(0, Engine::open_epochs);
                self.tell.send_modify(|state| {
                    state.published = (sealed.log_size, sealed.root);
                    state.open_epochs = open_epochs;
                    state.rounds += u64::from(sealed.report.segments > 0);
                    state.error = None;
                });
            }
            Err(error) => self.tell.send_modify(|state| state.error = Some(error.to_string())),
        }
        sealed
    }

    /// Changes something, with a new engine after a failure. A request that is wrong is no failure.
    async fn change(&mut self, change: Change) -> Result<Changed, Error> {
        let mut engine = self.engine().await?;
        let changed = match change {
            Change::Policy(text) => engine.set_policy(&text).await.map(|changed| (changed, None)),
            Change::SamplingKey => engine.rotate_sampling().await.map(|digest| (true, Some(hex(&digest)))),
        };
        let (log_size, root) = engine.published();
        match &changed {
            Err(error) if error.remedy() != Remedy::FixRequest => engine.close().await,
            _ => self.engine = Some(engine),
        }
        self.tell.send_modify(|state| state.published = (log_size, root));
        let (changed, sha256) = changed?;
        Ok(Changed { changed, sha256, log_size })
    }

    /// Does something, with a new engine after a failure. A request that is wrong is no failure.
    async fn task(&mut self, task: Task) -> Result<Value, Error> {
        let mut engine = self.engine().await?;
        let done = task(&mut engine).await;
        self.put_back(engine, done).await
    }

    async fn snapshot(&mut self, place: &str) -> Result<Snapshot, Error> {
        let mut engine = self.engine().await?;
        let taken = engine.snapshot(place).await;
        self.put_back(engine, taken).await
    }

    async fn key_copy(&mut self, expires: Option<&str>) -> Result<KeyCopy, Error> {
        let mut engine = self.engine().await?;
        let noted = engine.note_key_copy(expires).await;
        self.put_back(engine, noted).await
    }

    /// Keeps an engine that did what it was asked, or was asked for something wrong; lets one go that failed.
    async fn put_back<T>(&mut self, engine: Engine, done: Result<T, Error>) -> Result<T, Error> {
        let published = engine.published();
        match &done {
            Err(error) if error.remedy() != Remedy::FixRequest => engine.close().await,
            _ => self.engine = Some(engine),
        }
        self.tell.send_modify(|state| state.published = published);
        done
    }

    async fn engine(&mut self) -> Result<Engine, Error> {
        match self.engine.take() {
            Some(engine) => Ok(engine),
            None => Engine::open_under(&self.place, self.environment.clone(), &self.lock).await,
        }
    }

    async fn try_to_seal(&mut self) -> Result<Sealed, Error> {
        let mut engine = self.engine().await?;
        let report = engine.seal().await;
        let (log_size, root) = engine.published();
        self.engine = Some(engine);
        Ok(Sealed { report: report?, log_size, root })
    }
}

/// Adds what was sealed.
pub(crate) fn add(total: &mut SealReport, report: &SealReport) {
    total.records += report.records;
    total.segments += report.segments;
    total.bytes += report.bytes;
}
