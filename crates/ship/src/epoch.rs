//! One epoch on its way, from where the server is to its end. Edge: in which order epochs are announced is the shipper's.

use std::sync::Arc;
use std::time::Duration;

use minutebook_capture::{Owner, Position, Shipment, Step};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::limits::{
    CONTACT_PERIOD, COUNTERS_PERIOD, FAILURE_GRACE, LOOK_PERIOD, PIECE_BYTES, RETRY_FIRST, RETRY_MAX,
};
use crate::server::{Server, Standing, State};

/// How far an epoch is, for those who wait.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// Everything before is on the server's disk.
    pub(crate) position: Position,
    /// The server has all of it, and nothing is left here.
    pub(crate) is_done: bool,
    /// Why requests fail at present.
    pub(crate) failure: Option<Failure>,
}

/// Requests fail.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Since when.
    pub(crate) since: Instant,
    /// Why the last one did.
    pub(crate) why: String,
    /// And no other is made.
    pub(crate) is_final: bool,
}

impl Failure {
    /// After the one before, when there was any.
    pub(crate) fn after(before: Option<&Self>, error: &Error, is_final: bool) -> Self {
        let since = before.map_or_else(Instant::now, |before| before.since);
        Self { since, why: error.to_string(), is_final }
    }

    /// What to tell who waits; nothing while it may be over in a moment.
    pub(crate) fn told(&self) -> Option<String> {
        (self.is_final || self.since.elapsed() >= FAILURE_GRACE).then(|| self.why.clone())
    }
}

/// What is shared with those who wait.
pub(crate) struct Shared {
    pub(crate) progress: watch::Sender<Progress>,
    /// Somebody waits.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let position = Position { part: 0, offset: 0 };
        Self {
            progress: watch::Sender::new(Progress { position, is_done: false, failure: None }),
            wake: Notify::new(),
        }
    }

    fn reached(&self, position: Position) {
        self.progress.send_modify(|progress| {
            progress.position = position;
            progress.failure = None;
        });
    }

    pub(crate) fn failed(&self, error: &Error, is_final: bool) {
        self.progress.send_modify(|progress| {
            progress.failure = Some(Failure::after(progress.failure.as_ref(), error, is_final));
        });
    }
}

/// Waits longer from failure to failure.
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(RETRY_FIRST)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(RETRY_MAX);
        wait
    }
}

/// Ships an epoch that was announced, until the server has all of it.
///
/// # Errors
/// [`Error::Unknown`] when it has to be announced anew; what no repetition mends. A server that is away is waited for.
pub(crate) async fn ship(
    server: Arc<Server>,
    mut epoch: Shipment,
    shared: Arc<Shared>,
    announced: Standing,
) -> Result<(), Error> {
    let mut patience = Patience::new();
    let mut contacted = Instant::now();
    let mut counted = Instant::now();
    let mut standing = Some(announced);
    loop {
        if let Some(standing) = standing.take() {
            patience = Patience::new();
            contacted = Instant::now();
            if take(&mut epoch, standing, &shared)? {
                epoch.remove()?;
                shared.progress.send_modify(|progress| progress.is_done = true);
                return Ok(());
            }
        }
        let asked = match epoch.next(PIECE_BYTES)? {
            Step::Piece(piece) => server.put(&epoch, piece).await,
            Step::Ended(owner) => {
                epoch.flush()?;
                let state = if owner == Owner::Closed { "closed" } else { "dead" };
                server.announce(&epoch, state).await
            }
            Step::Wait if contacted.elapsed() < CONTACT_PERIOD => {
                // Nothing happens when the time is over but another look.
                let _ = timeout(LOOK_PERIOD, shared.wake.notified()).await;
                continue;
            }
            Step::Wait if counted.elapsed() >= COUNTERS_PERIOD => {
                counted = Instant::now();
                server.announce(&epoch, "open").await
            }
            Step::Wait => server.standing(&epoch).await,
        };
        let asked = match asked {
            Err(Error::Position) => server.standing(&epoch).await,
            asked => asked,
        };
        match asked {
            Ok(now) => standing = Some(now),
            Err(error @ (Error::Away(_) | Error::Later { .. } | Error::File { .. } | Error::Position)) => {
                shared.failed(&error, false);
                sleep(patience.next().max(error.wait())).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Goes on where the server is; says whether it has all of it.
fn take(epoch: &mut Shipment, standing: Standing, shared: &Shared) -> Result<bool, Error> {
    if standing.state == State::Open {
        let position = standing.position();
        epoch.go_to(position)?;
        epoch.ask_to_end(standing.end_part)?;
        shared.reached(position);
        return Ok(false);
    }
    if epoch.has_unsent()? {
        // Never deleted on a word that may be wrong.
        return Err(Error::Unsent(epoch.path().display().to_string()));
    }
    Ok(true)
}
