//! This process as the engine of a trail: found to run already or served here, until it is asked to end. Edge: signals and words; the work is
//! in `minutebook-server`.

use std::time::Duration;

use minutebook_server::{Found, Identity, Server, Serving, find_or_become};
use minutebook_trail::{ENGINE_SOCKET, Environment, Place};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::detached;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::terminal::Terminal;
use minutebook_present::page;

/// By which an engine that runs and a command know that they are of one build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to serve, and for how long.
pub(crate) struct Wanted {
    pub(crate) place: Place,
    pub(crate) create: bool,
    pub(crate) idle: Option<Duration>,
    /// Whoever started this process only waits for a first word.
    pub(crate) daemon: bool,
    pub(crate) json: bool,
}

/// Serves a trail to the end, or tells which process does so already.
pub(crate) async fn serve(terminal: &Terminal, wanted: Wanted) -> Result {
    let Wanted { place, create, idle, daemon, json } = wanted;
    let mut interrupt = Interrupt::listen()?;
    // Taken and passed over: the end of a session is not the end of its trails.
    let _hangup = signal(SignalKind::hangup());
    let held = match find_or_become(&place, create, Environment::default(), VERSION).await? {
        Found::Running(identity) => return tell(terminal, &identity, json, true),
        Found::Ours(held) => held,
    };
    let server = Server::start(*held, Serving { version: VERSION.into(), idle }).await?;
    tell(terminal, server.identity(), json, false)?;
    if daemon {
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
        if already {
            line["already"] = true.into();
        }
        out.json(&line)?;
    } else {
        let already = if already { "already " } else { "" };
        out.line(&format!("engine process {} {already}answers at `{}`", identity.pid, socket.display()))?;
    }
    out.flush()
}
