//! The one engine of a trail, found or become: whoever has the lock is it, and the others find it by its socket. Edge: returns an engine or
//! the one that runs; serving is next door.

use std::time::Duration;

use minutebook_trail::{Engine, Environment, Error, InitOptions, Place, TrailLock, init};
use tokio::time::{Instant, sleep};

use crate::api::Identity;
use crate::client::EngineClient;
use crate::limits::{HOLDER_WAIT, REPLACE_WAIT, WAIT_STEP};

/// What this process calls itself in the trail's lock.
pub const HOLDER: &str = "engine process";

/// Who is the trail's engine.
pub enum Found {
    /// A process that runs already, of the version that was asked for.
    Running(Identity),
    /// This one.
    Ours(Box<Held>),
}

/// An engine that is open and does nothing yet.
pub struct Held {
    pub(crate) place: Place,
    pub(crate) environment: Environment,
    pub(crate) engine: Engine,
}

impl Held {
    /// Gives the engine and its lock up without having done anything.
    pub async fn release(self) {
        self.engine.close().await;
    }
}

/// Finds the engine of a trail that runs with this `version`, or becomes it: makes the trail when there is none and `create` says so, asks an
/// engine of another version to end, waits a while for one that begins or ends.
///
/// # Errors
/// [`Error::Locked`] when somebody keeps the lock and does not answer: a command that seals, or an engine with much to seal. Otherwise what
/// stands in the way of making or opening the trail.
pub async fn find_or_become(
    place: &Place,
    create: bool,
    environment: Environment,
    version: &str,
) -> Result<Found, Error> {
    if create {
        make(place, &environment).await?;
    }
    // Told first, and without a look at any lock.
    place.trail_file()?;
    let mut patience = Patience::new(HOLDER_WAIT);
    let mut asked = None;
    loop {
        match EngineClient::find(&place.folder).await {
            Some(other) if other.identity().version == version => {
                return Ok(Found::Running(other.identity().clone()));
            }
            Some(other) if asked != Some(other.identity().pid) => {
                asked = Some(other.identity().pid);
                patience = Patience::new(REPLACE_WAIT);
                // When it does not answer any more, it is about to end.
                let _ = other.stop().await;
            }
            _ => {}
        }
        match take(place, &environment).await {
            Err(Error::Locked { .. }) if patience.lasts() => sleep(WAIT_STEP).await,
            taken => return taken.map(|held| Found::Ours(Box::new(held))),
        }
    }
}

async fn take(place: &Place, environment: &Environment) -> Result<Held, Error> {
    let engine = Engine::open_as(place, environment.clone(), HOLDER).await?;
    Ok(Held { place: place.clone(), environment: environment.clone(), engine })
}

/// Makes the trail unless it is there. Several may do so at once: one makes it, the others wait for that.
async fn make(place: &Place, environment: &Environment) -> Result<(), Error> {
    let patience = Patience::new(HOLDER_WAIT);
    let mut looked_again = false;
    while place.trail_file().is_err_and(|error| matches!(error, Error::NoTrail { .. })) {
        match init(place, &InitOptions::default(), environment).await {
            Ok(_) | Err(Error::TrailExists { .. }) => return Ok(()),
            Err(Error::Locked { .. }) if patience.lasts() => sleep(WAIT_STEP).await,
            // Half of what another one makes looks foreign; it has the lock, or has just given it back.
            Err(Error::FolderInUse { .. }) if TrailLock::is_held(place)? && patience.lasts() => {
                sleep(WAIT_STEP).await;
            }
            Err(Error::FolderInUse { .. }) if !looked_again => looked_again = true,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Patience(Instant);

impl Patience {
    fn new(wait: Duration) -> Self {
        Self(Instant::now() + wait)
    }

    fn lasts(&self) -> bool {
        Instant::now() < self.0
    }
}
