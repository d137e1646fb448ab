//! An engine that serves: its socket, its TCP address, its sealing, and when it ends. Edge: one trail; signals and the terminal are the program's.

use std::future::Future;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use minutebook_capture::{Clock, IntakePublicKey, ProducerOptions};
use minutebook_trail::{
    ApiKeys, ENGINE_LOG, Error, Place, Reader, RepeatLog, STAGING, SealReport, TrailLock,
};
use minutebook_verify::hex;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::access::{Asker as Who, Gate, SpoolBook};
use crate::api::{App, Identity};
use crate::connections::{self, Waits};
use crate::door::Door;
use crate::guard::{self, Guard, Hosts};
use crate::indexing::Indexing;
use crate::intake::{self, Intake};
use crate::limits::{HEAD_WAIT, LAST_ANSWERS, LOG_BYTES_MAX, LOOK_PERIOD, SEAL_PERIOD, TAKING_WAIT};
use crate::logged::LoggedCalls;
use crate::mirrors::Taking;
use crate::peers::{Count, Peers};
use crate::sealer::{Asker, Sealer};
use crate::socket;
use crate::starting::Held;
use crate::tls::Tls;

/// How an engine serves.
#[derive(Debug)]
pub struct Serving {
    /// The program's version, by which others know whether they can work with this one.
    pub version: String,
    /// It ends after so long without a connection to its socket, anything unsealed, or a producer that lives; `None`: it stays.
    pub idle: Option<Duration>,
    /// Where it answers over TCP too, to whoever has an API key.
    pub door: Option<Door>,
}

/// An engine that listens.
pub struct Server {
    app: App,
    sealer: Sealer,
    count: Arc<Count>,
    /// On the socket, and over TCP.
    answering: Vec<JoinHandle<()>>,
    /// Tells the answering to take no more.
    last_call: watch::Sender<bool>,
    tls: Option<Arc<Tls>>,
    idle: Option<Duration>,
    /// Of the TCP address.
    gate: Arc<Gate>,
    folder: Folder,
    place: Place,
    /// The socket's name is that of who has the lock: let go last.
    lock: TrailLock,
}

impl Server {
    /// Begins to seal, and to answer on the socket: who connects from now on is answered.
    ///
    /// # Errors
    /// When socket or address cannot be listened at, or the trail not be read.
    pub async fn start(held: Held, serving: Serving) -> Result<Self, Error> {
        let Held { place, environment, engine } = held;
        let lock = engine.lock();
        let clock = Arc::clone(&environment.clock);
        let reader = Arc::new(Reader::open(&place).await?);
        let file = engine.trail();
        let identity = Identity {
            version: serving.version,
            pid: std::process::id(),
            trail: hex(&file.id),
            name: file.name.clone(),
            started: environment.rfc3339(),
            idle_after_s: serving.idle.map(|idle| idle.as_secs()),
            folder: place.folder.clone(),
            listen: serving.door.as_ref().map(Door::address),
            tls: serving.door.as_ref().is_some_and(|door| door.tls().is_some()),
        };
        let intake_public = file.intake_key;
        let intake_key = IntakePublicKey::from_bytes(intake_public);
        let producer = ProducerOptions {
            clock: Arc::clone(&environment.clock),
            random: Arc::clone(&environment.random),
            ..ProducerOptions::new(place.spool(), file.id, intake_key, intake::PRODUCER)
        };
        let keys = ApiKeys::new(place.key_folder(&file.id)?, file.id);
        let failed = |error| Error::io("listen at", &socket::path(&place.folder), error);
        let folder = Folder::look(&place.folder).map_err(failed)?;
        let (listener, owner) = socket::listen(&place.folder).map_err(failed)?;
        let peers = Peers::new(UnixListener::from_std(listener).map_err(failed)?, owner);
        let (trail, random) = (file.id, Arc::clone(&environment.random));
        let sealer = Sealer::start(place.clone(), environment, engine, SEAL_PERIOD);
        let indexing = Indexing::start(&place, Arc::clone(&reader), sealer.asker().state)
            .map_err(|error| Error::Stopped(format!("the index cannot be opened: {error}")))?;
        let told = ProducerOptions { name: crate::access::PRODUCER.into(), ..producer.clone() };
        let book = SpoolBook::new(told, sealer.asker(), Arc::clone(&clock));
        let index = indexing.index.clone();
        let models = Arc::new(move || index.models());
        let access_file = reader.keys().folder().access_file();
        let gate = Arc::new(Gate::new(access_file, models, Arc::new(book), Arc::clone(&clock)));
        let known = RepeatLog::open(&place, trail, reader.keys().folder(), random)?;
        let intake = Intake::new(producer, sealer.asker(), Arc::clone(&reader), known);
        let taking = (Taking::new(reader.mirrors(), place.spool()), intake_public);
        let app = App::new(identity, reader, indexing, sealer.asker(), intake, taking, Arc::clone(&clock));
        let (last_call, called) = watch::channel(false);
        let count = peers.count();
        let mut answering = vec![tokio::spawn(on_socket(peers, owned(app.clone().router()), called.clone()))];
        let mut tls = None;
        if let Some(door) = serving.door {
            let router = guarded(&door, app.clone().router(), keys, Arc::clone(&gate), clock);
            tls = door.tls();
            let listener = door.into_listener().map_err(failed)?;
            let waits = Waits { head: HEAD_WAIT, taking: TAKING_WAIT };
            let answering_there = connections::answer(listener, tls.clone(), router, called, waits);
            answering.push(tokio::spawn(answering_there));
        }
        let idle = serving.idle;
        Ok(Self { app, sealer, count, answering, last_call, tls, idle, gate, folder, place, lock })
    }

    /// Which engine this is.
    pub fn identity(&self) -> &Identity {
        &self.app.identity
    }

    /// Serves until `asked_to_end`, or somebody asks over the socket, or nobody needs it, or the trail's folder is gone. Then seals what there
    /// is, unless the folder is gone. Gives all that was sealed.
    ///
    /// # Errors
    /// Why the last sealing failed: what is not sealed stays in the spool.
    pub async fn run(self, asked_to_end: impl Future<Output = ()>) -> Result<SealReport, Error> {
        let mut use_of = Use::new(Arc::clone(&self.count), self.sealer.asker());
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(asked_to_end);
        let gone = loop {
            tokio::select! {
                () = &mut asked_to_end => break false,
                () = self.app.stop.notified() => break false,
                _ = looks.tick() => {}
            }
            if !self.folder.is_there(&self.place.folder) {
                break true;
            }
            bound_log(&self.place.folder);
            LoggedCalls::look(&self.app);
            self.app.intake.rest();
            self.gate.rest();
            self.tls.iter().for_each(|tls| tls.renew());
            if let Some(idle) = self.idle
                && use_of.unused_for() >= idle
            {
                // Somebody may have begun to hand over since the last round.
                let _ = use_of.sealer.seal().await;
                if use_of.unused_for() >= idle {
                    break false;
                }
            }
        };
        self.end(gone).await
    }

    async fn end(self, gone: bool) -> Result<SealReport, Error> {
        self.last_call.send_replace(true);
        let until = Instant::now() + LAST_ANSWERS;
        for mut answering in self.answering {
            if tokio::time::timeout_at(until, &mut answering).await.is_err() {
                answering.abort();
            }
        }
        if gone {
            tracing::warn!("the trail's folder is gone");
            self.sealer.abandon();
            return Ok(SealReport::default());
        }
        // Before the last sealing, so that it seals the end of the producer's run too. It ends whether or not it is waited for.
        let (app, gate) = (self.app.clone(), self.gate);
        let ending = move || {
            app.logged.end(&app);
            app.intake.end();
            gate.end();
        };
        let _ = tokio::task::spawn_blocking(ending).await;
        // What is sealed last is read into the index at the next start. An index that has much to read is not waited for.
        let closing = tokio::time::timeout(LAST_ANSWERS, self.app.indexing.close());
        if closing.await.is_err() {
            tracing::info!("the index is behind; it goes on at the next start");
        }
        // Before the engine's: who closes the catalog last has to be able to write it.
        self.app.reader.close().await;
        let sealed = self.sealer.stop().await;
        if let Err(error) = socket::leave(&self.place.folder) {
            tracing::warn!("the socket cannot be removed: {error}");
        }
        drop(self.lock);
        sealed
    }
}

async fn on_socket(peers: Peers, router: Router, mut called: watch::Receiver<bool>) {
    // An error is that nobody is there any more to call.
    let called = async move { drop(called.wait_for(|ends| *ends).await) };
    if let Err(error) = axum::serve(peers, router).with_graceful_shutdown(called).await {
        tracing::error!("the socket is not answered any more: {error}");
    }
}

/// The router for who owns the socket: everything may be done.
fn owned(router: Router) -> Router {
    router.layer(axum::Extension(Who::Owner))
}

/// The router behind what stands in front of it for whoever comes over TCP.
fn guarded(door: &Door, router: Router, keys: ApiKeys, gate: Arc<Gate>, clock: Arc<dyn Clock>) -> Router {
    let hosts = if door.is_loopback() { Hosts::Loopback } else { Hosts::Any };
    let guard = Arc::new(Guard::new(hosts, keys, gate, clock));
    router.layer(axum::middleware::from_fn_with_state(guard, guard::stand))
}

/// Whether anybody needs the engine.
struct Use {
    count: Arc<Count>,
    sealer: Asker,
    last: (u64, u64),
    since: Instant,
}

impl Use {
    fn new(count: Arc<Count>, sealer: Asker) -> Self {
        Self { count, sealer, last: (0, 0), since: Instant::now() }
    }

    /// For how long nobody has, as far as one look after the other tells.
    fn unused_for(&mut self) -> Duration {
        let (open, ever) = self.count.look();
        let state = self.sealer.state.borrow();
        let now = (ever, state.rounds);
        let in_use = open > 0 || state.open_epochs > 0 || state.error.is_some();
        if in_use || now != self.last {
            self.last = now;
            self.since = Instant::now();
        }
        self.since.elapsed()
    }
}

/// A folder as it was: another one may come under its name.
struct Folder(u64, u64);

impl Folder {
    fn look(path: &Path) -> io::Result<Self> {
        let about = std::fs::metadata(path)?;
        Ok(Self(about.dev(), about.ino()))
    }

    fn is_there(&self, path: &Path) -> bool {
        match Self::look(path) {
            Ok(now) => self.0 == now.0 && self.1 == now.1,
            // What cannot be told is not gone: a disk that fails comes back.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// Begins the log file anew when it has grown long. It is written at its end, so what comes next comes first.
fn bound_log(folder: &Path) {
    let path = folder.join(STAGING).join(ENGINE_LOG);
    if std::fs::metadata(&path).is_ok_and(|about| about.len() > LOG_BYTES_MAX)
        && let Err(error) = std::fs::OpenOptions::new().write(true).truncate(true).open(&path)
    {
        tracing::warn!("the log file cannot be begun anew: {error}");
    }
}
