//! Giving up an epoch of another machine (`docs/formats/shipping.md`). Edge: the order; files are `minutebook-capture`'s, the record is the drain's.

use minutebook_capture::{GivenUp, MirrorError, give_up};
use minutebook_record::{Epoch, ProducerId};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::seal::blocking;

impl Engine {
    /// Gives up an epoch whose machine is gone for good: what is here of it is sealed, with a record of what is missing. Sealed on return; after a
    /// crash it may be repeated.
    ///
    /// # Errors
    /// When no such epoch is open here, or its owner ended it; or as [`Engine::seal`].
    pub async fn give_up(&mut self, producer: ProducerId, epoch: Epoch, said: &GivenUp) -> Result<()> {
        self.check_running()?;
        let (spool, said) = (self.place.spool(), said.clone());
        blocking(move || {
            give_up(&spool, producer, epoch, &said).map_err(|error| match error {
                MirrorError::Io(error) => Error::io("give up an epoch in", &spool, error),
                error => Error::Request(error.to_string()),
            })
        })
        .await?;
        self.seal().await?;
        Ok(())
    }
}
