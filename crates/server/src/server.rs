//! A process that serves one trail or several, each with an engine, keys and records of its own, behind one TCP address. Edge: signals and the
//! terminal are the program's; what is served of a trail is in `served`.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use minutebook_access::Reads;
use minutebook_capture::{Clock, SystemClock};
use minutebook_net::{Connections, Door, Speaks};
use minutebook_trail::{Error, SealReport};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::api::Identity;
use crate::front::{Front, Way};
use crate::guard::{self, Bounds, Guard, Hosts};
use crate::limits::{
    ALIVE_PERIOD, CONNECTIONS_MAX, DEFAULT_PORT, HEAD_BYTES_MAX, HEAD_WAIT, LAST_ANSWERS, REQUESTS_AT_ONCE,
    TAKING_WAIT,
};
use crate::name::TrailName;
use crate::sealer;
use crate::served::{Around, End, Served};
use crate::starting::Held;

/// Where `serve` listens when nobody says where.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);

const CONNECTIONS: Connections = Connections {
    count_max: CONNECTIONS_MAX,
    head_bytes_max: HEAD_BYTES_MAX,
    head_wait: HEAD_WAIT,
    taking_wait: TAKING_WAIT,
    last_wait: LAST_ANSWERS,
    speaks: Speaks::Http1And2 { requests_at_once: REQUESTS_AT_ONCE as u32, alive_period: ALIVE_PERIOD },
};

/// How engines serve.
#[derive(Debug)]
pub struct Serving {
    /// The program's version, by which others know whether they can work with this one.
    pub version: String,
    /// Each ends after so long without a connection to its socket, anything unsealed, or a producer that lives; `None`: it stays.
    pub idle: Option<Duration>,
    /// Where they answer over TCP too, to whoever has an API key.
    pub door: Option<Door>,
    /// Whether what is read over the sockets is recorded where a trail's settings do not say.
    pub reads_of_owner: Reads,
}

/// A trail to serve, with its name in paths. Of several each has one, and they differ.
pub struct Named {
    /// Needed among several; one alone is at `/` too.
    pub name: Option<TrailName>,
    /// Its engine.
    pub held: Held,
}

/// Engines that listen.
pub struct Server {
    trails: Vec<Served>,
    street: Option<Street>,
}

/// The side of the server that is reached over TCP.
struct Street {
    ways: Vec<Arc<Way>>,
    hosts: Hosts,
    bounds: Bounds,
    answering: JoinHandle<()>,
    /// Tells the answering to take no more.
    last_call: watch::Sender<bool>,
}

impl Server {
    /// Begins to seal, and to answer on the sockets and over TCP: who connects from now on is answered.
    ///
    /// # Errors
    /// When a socket or the address cannot be listened at, or a trail not be read: none is served then.
    pub async fn start(trails: Vec<Named>, serving: Serving) -> Result<Self, Error> {
        let Serving { version, idle, door, reads_of_owner } = serving;
        let listen = door.as_ref().map(Door::address);
        let tls = door.as_ref().is_some_and(Door::is_tls);
        let around = Around { version, idle, listen, tls, reads_of_owner };
        let is_one = trails.len() == 1;
        let mut served = Vec::new();
        let mut failed = None;
        for Named { name, held } in trails {
            if failed.is_some() {
                held.release().await;
                continue;
            }
            let base = name.as_ref().filter(|_| !is_one).map(TrailName::base).unwrap_or_default();
            match Served::start((name, base), held, around.clone()).await {
                Ok(trail) => served.push(trail),
                Err(error) => failed = Some(error),
            }
        }
        let street = match (failed, door) {
            (None, None) => Ok(None),
            (None, Some(door)) => Street::open(door, &served).map(Some),
            (Some(error), _) => Err(error),
        };
        match street {
            Ok(street) => Ok(Self { trails: served, street }),
            Err(error) => {
                for trail in served {
                    trail.end(End::Asked).await?;
                }
                Err(error)
            }
        }
    }

    /// Which engines these are.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.trails.iter().map(Served::identity)
    }

    /// Serves until `asked_to_end`, or until each trail has ended: because somebody asked over its socket, or nobody needs it, or its folder is
    /// gone. Seals what there is, unless a folder is gone. Gives all that was sealed.
    ///
    /// # Errors
    /// Why the last sealing of a trail failed: what is not sealed stays in the spool. The others have ended in order.
    pub async fn run(self, asked_to_end: impl Future<Output = ()>) -> Result<SealReport, Error> {
        let Self { trails, mut street } = self;
        let (ends, asked) = watch::channel(false);
        let mut open = JoinSet::new();
        let closing: Vec<_> = trails.iter().map(Served::closing).collect();
        for trail in trails {
            open.spawn(trail.until_its_end(asked.clone()));
        }
        let mut ending = Ending::default();
        tokio::pin!(asked_to_end);
        while !open.is_empty() {
            tokio::select! {
                () = &mut asked_to_end => break,
                Some(ended) = open.join_next() => {
                    let last = open.is_empty().then(|| street.take()).flatten();
                    match (ended, last) {
                        (Ok((trail, end)), Some(street)) => {
                            street.close().await;
                            ending.begin(trail, end, None);
                        }
                        (Ok((trail, end)), None) => {
                            let way = street.as_ref().and_then(|street| street.way_of(&trail));
                            ending.begin(trail, end, way);
                        }
                        (Err(error), _) => ending.failed(Error::Stopped(error.to_string())),
                    }
                }
            }
        }
        for trail in closing {
            trail.send_replace(true);
        }
        if let Some(street) = street {
            street.close().await;
        }
        ends.send_replace(true);
        while let Some(ended) = open.join_next().await {
            match ended {
                Ok((trail, end)) => ending.begin(trail, end, None),
                Err(error) => ending.failed(Error::Stopped(error.to_string())),
            }
        }
        ending.all().await
    }
}

impl Street {
    fn open(door: Door, trails: &[Served]) -> Result<Self, Error> {
        let hosts = if door.is_loopback() { Hosts::Loopback } else { Hosts::Any };
        let (bounds, address) = (Bounds::default(), door.address());
        let ways: Vec<_> = trails
            .iter()
            .map(|trail| (trail.name().cloned(), trail.guarded(hosts, &bounds), trail.sealer()))
            .map(|(name, router, sealer)| Arc::new(Way::new(name, router, sealer)))
            .collect();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let guard = Arc::new(Guard::new(hosts, None, None, clock, bounds.clone()));
        let strangers = Router::new().layer(axum::middleware::from_fn_with_state(guard, guard::stand));
        let front = Front::new(ways.clone(), strangers, hosts);
        let listening = door
            .listen()
            .map_err(|error| Error::Stopped(format!("cannot listen at `{address}`: {error}")))?;
        let (last_call, called) = watch::channel(false);
        let answering = tokio::spawn(CONNECTIONS.answer(listening, front.answering(), called));
        Ok(Self { ways, hosts, bounds, answering, last_call })
    }

    /// How a trail is closed for those who come over TCP, while others stay.
    fn way_of(&self, trail: &Served) -> Option<(Arc<Way>, Router)> {
        let way = self.ways.iter().find(|way| way.name() == trail.name())?;
        Some((Arc::clone(way), trail.closed(self.hosts, &self.bounds)))
    }

    /// Takes no more, and waits a while for the answers that are on their way.
    async fn close(self) {
        self.last_call.send_replace(true);
        // A panic there was told on standard error.
        let _ = self.answering.await;
    }
}

/// Trails that end, and what came of those that have.
#[derive(Default)]
struct Ending {
    ending: JoinSet<Result<SealReport, Error>>,
    sealed: SealReport,
    error: Option<Error>,
}

impl Ending {
    fn begin(&mut self, trail: Served, end: End, way: Option<(Arc<Way>, Router)>) {
        self.ending.spawn(async move {
            if let Some((way, closed)) = way {
                way.close(closed).await;
            }
            let base = trail.identity().base.clone();
            let sealed = trail.end(end).await;
            // The others go on, and the program tells of it when they have ended too.
            if let Err(error) = &sealed
                && !base.is_empty()
            {
                tracing::error!("the trail at `{base}` did not end in order: {error}");
            }
            sealed
        });
    }

    fn failed(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    async fn all(mut self) -> Result<SealReport, Error> {
        while let Some(ended) = self.ending.join_next().await {
            match ended {
                Ok(Ok(sealed)) => sealer::add(&mut self.sealed, &sealed),
                Ok(Err(error)) => self.failed(error),
                Err(error) => self.failed(Error::Stopped(error.to_string())),
            }
        }
        self.error.map_or(Ok(self.sealed), Err)
    }
}
