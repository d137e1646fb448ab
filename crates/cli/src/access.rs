//! Who does what a command wants of a trail's engine: this process, or the one that has the trail already. Edge: finds out; what is asked, and
//! what is told of it, is the command's.

use minutebook_server::EngineClient;
use minutebook_trail::{Engine, Environment, Error, Place};

use crate::failure::Result;

/// An engine at hand.
pub(crate) enum Access {
    /// In this process; to be closed. Boxed: it is far larger than the other.
    Ours(Box<Engine>),
    /// In the process that listens in the trail's folder.
    Process(EngineClient),
}

impl Access {
    /// Opens the trail, or finds the engine that has it. Fails when somebody has it who does not listen.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        match Engine::open(place, Environment::default()).await {
            Ok(engine) => Ok(Self::Ours(Box::new(engine))),
            Err(error @ Error::Locked { .. }) => match EngineClient::find(&place.folder).await {
                Some(engine) => Ok(Self::Process(engine)),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}
