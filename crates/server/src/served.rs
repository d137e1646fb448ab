//! One trail that is served: its socket, its sealing, its index, and when it ends. Edge: who else is served beside it, and TCP, is the server's.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use minutebook_access::Reads;
use minutebook_capture::{Clock, IntakePublicKey, ProducerOptions};
use minutebook_trail::{
    ApiKeys, ENGINE_LOG, Error, HalfLog, Place, Reader, RepeatLog, STAGING, SealReport, TrailLock,
};
use minutebook_verify::hex;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::access::{self, Gate, Owner, SpoolBook};
use crate::api::{App, Identity};
use crate::guard::{self, Bounds, Guard, Hosts};
use crate::indexing::Indexing;
use crate::intake::{self, Intake};
use crate::limits::{LAST_ANSWERS, LOG_BYTES_MAX, LOOK_PERIOD, SEAL_PERIOD};
use crate::logged::LoggedCalls;
use crate::mirrors::Taking;
use crate::name::TrailName;
use crate::peers::{Count, Peers};
use crate::sealer::{Asker, Sealer};
use crate::socket;
use crate::starting::Held;

/// What is told of the server that a trail is in.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    pub(crate) version: String,
    pub(crate) idle: Option<Duration>,
    pub(crate) listen: Option<std::net::SocketAddr>,
    pub(crate) tls: bool,
    /// Whether reads over the socket are recorded when the trail's settings do not say.
    pub(crate) reads_of_owner: Reads,
}

/// A trail that is served.
pub(crate) struct Served {
    name: Option<TrailName>,
    app: App,
    sealer: Sealer,
    count: Arc<Count>,
    on_socket: JoinHandle<()>,
    /// Tells the socket to take no more.
    last_call: watch::Sender<bool>,
    idle: Option<Duration>,
    /// Of who comes over TCP.
    keys: ApiKeys,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    folder: Folder,
    place: Place,
    /// The socket's name is that of who has the lock: let go last.
    lock: TrailLock,
}

/// Why a trail is not served any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody asked for it, or nobody needs it.
    Asked,
    /// Its folder is not there any more.
    Gone,
}

impl Served {
    /// Begins to seal, and to answer on the socket: who connects from now on is answered. Over TCP its paths begin with `base`.
    ///
    /// # Errors
    /// When the socket cannot be listened at, or the trail not be read.
    pub(crate) async fn start(
        (name, base): (Option<TrailName>, String),
        held: Held,
        around: Around,
    ) -> Result<Self, Error> {
        let Held { place, environment, engine } = held;
        let lock = engine.lock();
        let clock = Arc::clone(&environment.clock);
        let reader = Arc::new(Reader::open(&place).await?);
        let file = engine.trail();
        let idle = around.idle;
        let identity = Identity {
            version: around.version,
            pid: std::process::id(),
            trail: hex(&file.id),
            name: file.name.clone(),
            started: environment.rfc3339(),
            idle_after_s: idle.map(|idle| idle.as_secs()),
            folder: place.folder.clone(),
            listen: around.listen,
            tls: around.tls,
            base,
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
        let told = ProducerOptions { name: access::PRODUCER.into(), ..producer.clone() };
        let book = SpoolBook::new(told, sealer.asker(), Arc::clone(&clock));
        let index = indexing.index.clone();
        let models = Arc::new(move || index.models());
        let access_file = reader.keys().folder().access_file();
        let gate = Arc::new(Gate::new(access_file, models, Arc::new(book), Arc::clone(&clock)));
        let known = RepeatLog::open(&place, trail, reader.keys().folder(), Arc::clone(&random))?;
        let intake = Intake::new(producer, sealer.asker(), Arc::clone(&reader), known);
        let kept = HalfLog::open(&place, trail, reader.keys().folder(), random)?;
        let taken = (intake, LoggedCalls::restored(kept, &*clock));
        let taking = (Taking::new(reader.mirrors(), place.spool()), intake_public);
        let app = App::new(identity, reader, indexing, sealer.asker(), taken, taking, Arc::clone(&clock));
        let owner = Owner::new(Arc::clone(&gate), around.reads_of_owner);
        let (last_call, called) = watch::channel(false);
        let count = peers.count();
        let on_socket = tokio::spawn(answer_on(peers, owned(app.clone().router(), owner), called));
        Ok(Self {
            name,
            app,
            sealer,
            count,
            on_socket,
            last_call,
            idle,
            keys,
            gate,
            clock,
            folder,
            place,
            lock,
        })
    }

    /// Its name among those of the server.
    pub(crate) fn name(&self) -> Option<&TrailName> {
        self.name.as_ref()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.app.identity
    }

    /// Where it is told that it is about to end.
    pub(crate) fn closing(&self) -> watch::Sender<bool> {
        self.app.closing.clone()
    }

    pub(crate) fn sealer(&self) -> Asker {
        self.sealer.asker()
    }

    /// What answers whoever comes over TCP.
    pub(crate) fn guarded(&self, hosts: Hosts, bounds: &Bounds) -> Router {
        self.behind(self.app.clone().router(), Some(Arc::clone(&self.gate)), hosts, bounds)
    }

    /// What answers whoever comes over TCP when the trail has ended: that it has, to those who have a key.
    pub(crate) fn closed(&self, hosts: Hosts, bounds: &Bounds) -> Router {
        self.behind(Router::new(), None, hosts, bounds)
    }

    fn behind(&self, router: Router, gate: Option<Arc<Gate>>, hosts: Hosts, bounds: &Bounds) -> Router {
        let keys = Some(self.keys.clone());
        let guard = Guard::new(hosts, keys, gate, Arc::clone(&self.clock), bounds.clone());
        router.layer(axum::middleware::from_fn_with_state(Arc::new(guard), guard::stand))
    }

    /// Serves until somebody asks for an end, here or over the socket, or nobody needs it, or the trail's folder is gone.
    pub(crate) async fn until_its_end(self, mut asked_to_end: watch::Receiver<bool>) -> (Self, End) {
        let mut use_of = Use::new(Arc::clone(&self.count), self.sealer.asker());
        let mut looks = interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // An error is that nobody is there any more to ask.
                _ = asked_to_end.wait_for(|ends| *ends) => return (self, End::Asked),
                () = self.app.stop.notified() => return (self, End::Asked),
                _ = looks.tick() => {}
            }
            if !self.folder.is_there(&self.place.folder) {
                return (self, End::Gone);
            }
            bound_log(&self.place.folder);
            LoggedCalls::look(&self.app);
            self.app.intake.rest();
            self.gate.rest();
            if let Some(idle) = self.idle
                && use_of.unused_for() >= idle
            {
                // Somebody may have begun to hand over since the last round.
                let _ = use_of.sealer.seal().await;
                if use_of.unused_for() >= idle {
                    return (self, End::Asked);
                }
            }
        }
    }

    /// Answers what is on its way on the socket, and seals what there is, unless the folder is gone. Gives all that was sealed.
    ///
    /// # Errors
    /// Why the last sealing failed: what is not sealed stays in the spool.
    pub(crate) async fn end(mut self, end: End) -> Result<SealReport, Error> {
        self.app.closing.send_replace(true);
        self.last_call.send_replace(true);
        self.app.jobs.end();
        if timeout(LAST_ANSWERS, &mut self.on_socket).await.is_err() {
            self.on_socket.abort();
        }
        if end == End::Gone {
            tracing::warn!("the folder `{}` of a trail is gone", self.place.folder.display());
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
        if timeout(LAST_ANSWERS, self.app.indexing.close()).await.is_err() {
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

async fn answer_on(peers: Peers, router: Router, mut called: watch::Receiver<bool>) {
    // An error is that nobody is there any more to call.
    let called = async move { drop(called.wait_for(|ends| *ends).await) };
    if let Err(error) = axum::serve(peers, router).with_graceful_shutdown(called).await {
        tracing::error!("the socket is not answered any more: {error}");
    }
}

/// The router for who owns the socket: everything may be done.
fn owned(router: Router, owner: Owner) -> Router {
    router.layer(axum::middleware::from_fn_with_state(Arc::new(owner), access::stand))
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
