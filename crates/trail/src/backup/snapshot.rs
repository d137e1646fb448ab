//! One moment of a trail, held for whoever copies it: the catalog's copy and the checkpoint that belongs to it. Made by the engine between two
//! rounds, so that the two are of one time. Edge: copies nothing else; segments and tiles do not change.

use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::store::STAGING;
use minutebook_verify::hex;
use minutebook_verify::verify::CHECKPOINT;
use serde::{Deserialize, Serialize};

/// The named value in the catalog that has the places where the trail is backed up, one a line.
pub const PLACES: &str = "backup_places";

/// A trail as it was at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The catalog's copy: the name of a file in the trail's folder `tmp/`.
    pub catalog: String,
    /// The published checkpoint.
    pub checkpoint: String,
    /// The text of `trail.toml`.
    pub trail_file: String,
    /// Entries of the log.
    pub log_size: u64,
    /// When it was, RFC 3339.
    pub made: String,
    /// Epochs whose producers live: what they hand over from now on is in the spool only.
    pub open_epochs: usize,
    /// Whether subjects were erased, or keys made, since the key folder was copied last.
    pub key_copy_due: bool,
}

impl Snapshot {
    /// Removes the catalog's copy. What is left of one that nobody removed goes when the engine opens.
    pub fn remove(&self, place: &Place) {
        let _ = std::fs::remove_file(place.folder.join(STAGING).join(&self.catalog));
    }
}

impl Engine {
    /// Seals what there is, windows too, and holds this moment for a backup to the place of this name. Durable on return, but for the copy itself.
    ///
    /// # Errors
    /// As [`Engine::seal_round`]; when there is no room for a copy of the catalog.
    pub async fn snapshot(&mut self, place: &str) -> Result<Snapshot> {
        self.check_running()?;
        if place.contains('\n') {
            return Err(Error::Request("the name of a place for backups has no line breaks".into()));
        }
        self.seal().await?;
        self.seal_windows().await?;
        let result = self.take_snapshot(place).await;
        self.stop_on_error(result)
    }

    async fn take_snapshot(&mut self, place: &str) -> Result<Snapshot> {
        let places = self.catalog.meta(PLACES).await?.unwrap_or_default();
        let mut places = String::from_utf8_lossy(&places).into_owned();
        if !places.lines().any(|known| known == place) {
            places.push_str(place);
            places.push('\n');
            self.catalog.set_meta(PLACES, places.as_bytes()).await?;
        }
        let random = draw::<8>(self.environment.random.as_ref())?;
        let name = format!("backup-{}.db", hex(&random));
        self.catalog.copy_to(&self.place.folder.join(STAGING).join(&name)).await?;
        let wrong = |what: &str| Error::LogDisagrees { what: what.to_owned() };
        let checkpoint =
            self.objects.get(CHECKPOINT).await?.ok_or_else(|| wrong("the checkpoint is missing"))?;
        let checkpoint =
            String::from_utf8(checkpoint.into()).map_err(|_| wrong("the checkpoint is no text"))?;
        Ok(Snapshot {
            catalog: name,
            checkpoint,
            trail_file: self.file.render(),
            log_size: self.publisher.size(),
            made: self.environment.rfc3339(),
            open_epochs: self.open_epochs(),
            key_copy_due: self.key_copy_due().await?,
        })
    }
}
