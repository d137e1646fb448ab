//! This process as the engine of a trail, or of several: found to run already or served here, until it is asked to end. Edge: signals and words;
//! the work is in `minutebook-server`.

use std::net::SocketAddr;
use std::time::Duration;

use minutebook_access::Reads;
use minutebook_net::{Door, DoorError, Transport};
use minutebook_server::{Found, Identity, Named, Server, Serving, find_or_become};
use minutebook_trail::{ApiKeys, ENGINE_SOCKET, Environment, Place};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::detached;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::several::Trail;
use crate::terminal::Terminal;
use minutebook_present::page;

/// By which an engine that runs and a command know that they are of one build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to serve, and for how long.
pub(crate) struct Wanted {
    /// One or several; each of several has a name.
    pub(crate) trails: Vec<Trail>,
    pub(crate) create: bool,
    pub(crate) idle: Option<Duration>,
    /// Whoever started this process only waits for a first word.
    pub(crate) daemon: bool,
    pub(crate) json: bool,
    /// Where to answer over TCP too.
    pub(crate) listen: Option<Listen>,
    /// Whether what is read over the socket is recorded when the trail's settings do not say.
    pub(crate) reads_of_owner: Reads,
}

/// An address to answer at.
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    /// Somebody named it: an engine that does not listen there will not do.
    pub(crate) is_asked_for: bool,
}

/// Serves trails to the end, or tells which process does so already.
pub(crate) async fn serve(terminal: &Terminal, wanted: Wanted) -> Result {
    let Wanted { trails, create, idle, daemon, json, listen, reads_of_owner } = wanted;
    let mut interrupt = Interrupt::listen()?;
    // Taken and passed over: the end of a session is not the end of its trails.
    let _hangup = signal(SignalKind::hangup());
    let door = listen.as_ref().map(|listen| Door::open(listen.address, listen.transport.clone()));
    // An address that is taken may be that of this trail's own engine. Without a trail there is none, and none is made that is not served.
    let door = match door.transpose() {
        Err(error) if trails.iter().any(|trail| trail.place.trail_file().is_err()) => {
            return Err(not_listening(error));
        }
        door => door,
    };
    let places: Vec<Place> = trails.iter().map(|trail| trail.place.clone()).collect();
    let held = match take(trails, create).await? {
        Taken::Running(identities) => {
            for identity in &identities {
                tell(terminal, identity, json, true)?;
            }
            return match (listen, identities.first()) {
                (Some(listen), Some(identity)) => check_listens(terminal, identity, &listen),
                _ => Ok(()),
            };
        }
        Taken::Ours(held) => held,
    };
    let door = match door {
        Ok(door) => door,
        Err(error) => {
            release(held).await;
            return Err(not_listening(error));
        }
    };
    let is_open = door.is_some();
    let serving = Serving { version: VERSION.into(), idle, door, reads_of_owner };
    let server = Server::start(held, serving).await?;
    for identity in server.identities() {
        tell(terminal, identity, json, false)?;
    }
    for place in places.iter().filter(|place| is_open && !has_api_keys(place)) {
        let of = if places.len() > 1 { format!(" of `{}`", place.folder.display()) } else { String::new() };
        terminal.say(&format!(
            "nobody has an API key{of} yet, and over TCP one is needed: `minutebook api-key create NAME --role ROLE` makes one",
        ));
    }
    if let (true, [place]) = (daemon, &*places) {
        detached::turn_away(&place.folder)?;
    }
    let (end, asked_to_end) = tokio::sync::oneshot::channel::<()>();
    let served = server.run(async { drop(asked_to_end.await) });
    tokio::pin!(served);
    let mut end = Some(end);
    let sealed = loop {
        tokio::select! {
            sealed = &mut served => break sealed?,
            () = interrupt.wait() => match end.take() {
                Some(end) => drop(end.send(())),
                None => {
                    terminal.complain("stopped before all was sealed; the rest is in the spool");
                    return Err(Failure::Said(Exit::Io));
                }
            }
        }
    };
    let (records, segments) = (page::count(sealed.records), page::count(sealed.segments));
    terminal.say(&format!("{records} records sealed, in {segments} segments"));
    Ok(())
}

fn not_listening(error: DoorError) -> Failure {
    let is_taken = matches!(error, DoorError::Taken { .. });
    match Failure::from(error) {
        Failure::Told { exit, what, to_do: Some(to_do) } if is_taken => {
            let to_do = Some(to_do + ", or --listen none for the socket alone");
            Failure::Told { exit, what, to_do }
        }
        failure => failure,
    }
}

/// Who are the engines of some trails.
enum Taken {
    /// One process that runs already.
    Running(Vec<Identity>),
    /// This one.
    Ours(Vec<Named>),
}

/// Becomes the engine of each trail, or finds the one process that is that of all.
async fn take(trails: Vec<Trail>, create: bool) -> Result<Taken> {
    let (mut ours, mut running) = (Vec::new(), Vec::<Identity>::new());
    let count = trails.len();
    for Trail { name, place } in trails {
        match find_or_become(&place, create, Environment::default(), VERSION).await {
            Ok(Found::Running(identity)) => running.push(identity),
            Ok(Found::Ours(held)) => ours.push(Named { name, held: *held }),
            Err(error) => {
                release(ours).await;
                return Err(error.into());
            }
        }
        let is_one_process = running.windows(2).all(|pair| matches!(pair, [one, two] if one.pid == two.pid));
        if let Some(other) = running.last()
            && (!ours.is_empty() || !is_one_process)
        {
            release(ours).await;
            let folder = other.folder.display();
            return Err(Failure::Told {
                exit: Exit::InUse,
                what: format!("process {} serves the trail in `{folder}` already", other.pid),
                to_do: Some(format!(
                    "stop it with `minutebook engine --stop --trail {folder}`, and serve again"
                )),
            });
        }
    }
    Ok(if running.len() == count { Taken::Running(running) } else { Taken::Ours(ours) })
}

async fn release(held: Vec<Named>) {
    for named in held {
        named.held.release().await;
    }
}

/// Whether there is an API key. That they cannot be read is told when somebody comes with one.
fn has_api_keys(place: &Place) -> bool {
    let keys = place.trail_file().and_then(|file| ApiKeys::new(place.key_folder(&file.id)?, file.id).load());
    keys.map_or(true, |keys| !keys.is_empty())
}

/// Says when the engine that runs already does not listen where this one was to.
fn check_listens(terminal: &Terminal, identity: &Identity, wanted: &Listen) -> Result {
    let listens = |at: SocketAddr| {
        at.ip() == wanted.address.ip() && (wanted.address.port() == 0 || at.port() == wanted.address.port())
    };
    if identity.listen.is_some_and(listens) {
        return Ok(());
    }
    let what = match identity.listen {
        Some(at) => format!("it listens at `{at}`, not at `{}`", wanted.address),
        None => format!("it answers on its socket alone, and does not listen at `{}`", wanted.address),
    };
    let to_do = "stop it with `minutebook engine --stop`, and serve again";
    if wanted.is_asked_for {
        return Err(Failure::Told { exit: Exit::InUse, what, to_do: Some(to_do.into()) });
    }
    terminal.complain(&format!("{what}: {to_do}"));
    Ok(())
}

/// The first word: which engine it is.
pub(crate) fn tell(terminal: &Terminal, identity: &Identity, json: bool, already: bool) -> Result {
    let socket = identity.folder.join(ENGINE_SOCKET);
    let mut out = terminal.out();
    if json {
        let mut line = json!({
            "trail": identity.trail,
            "pid": identity.pid,
            "version": identity.version,
            "socket": socket,
        });
        if let Some(url) = identity.url() {
            line["listen"] = url.into();
        }
        if already {
            line["already"] = true.into();
        }
        out.json(&line)?;
    } else {
        let already = if already { "already " } else { "" };
        let and = identity.url().map_or(String::new(), |url| format!(" and at {url}"));
        out.line(&format!(
            "engine process {} {already}answers at `{}`{and}",
            identity.pid,
            socket.display()
        ))?;
    }
    out.flush()
}
