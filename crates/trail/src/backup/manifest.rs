//! `manifest.toml`: the newest complete backup in a place (`docs/formats/backup.md`). Written last, and whole: what it names is there. Edge: text
//! and its form; copying is done elsewhere.

use super::place::BackupPlace;
use crate::error::Result;
use bytes::Bytes;
use minutebook_tlog::Checkpoint;
use minutebook_verify::trailfile::TrailFile;
use serde::{Deserialize, Serialize};

const MANIFEST: &str = "manifest.toml";

const FORMAT: &str = "minutebook/backup/1";

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    format: String,
    /// RFC 3339.
    pub made: String,
    /// Bytes of the catalog's copy.
    pub catalog_bytes: u64,
    /// Its SHA-256, 64 hex digits.
    pub catalog_sha256: String,
    /// The SHA-256 of its pieces, in order: the names of objects below `catalog/`.
    pub catalog: Vec<String>,
    /// Of the log that the backup ends with: the published checkpoint.
    pub checkpoint: String,
    /// The text of `trail.toml`.
    pub trail_file: String,
}

impl Manifest {
    /// Of what was copied.
    pub fn new(made: String, checkpoint: String, trail_file: String) -> Self {
        let (catalog_bytes, catalog_sha256, catalog) = (0, String::new(), Vec::new());
        Self { format: FORMAT.into(), made, catalog_bytes, catalog_sha256, catalog, checkpoint, trail_file }
    }

    /// The object name of a piece of the catalog.
    pub fn piece_name(digest: &str) -> String {
        format!("catalog/{digest}")
    }

    /// The backup that a place has; none when none was ever complete.
    pub async fn read(place: &BackupPlace) -> Result<Option<Self>> {
        let Some(bytes) = place.objects.get(MANIFEST).await? else { return Ok(None) };
        let damaged =
            |what: &str| place.wrong(format!("has a damaged `{MANIFEST}` ({what}): use another backup"));
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not UTF-8"))?;
        let manifest: Self = toml::from_str(text).map_err(|error| damaged(error.message()))?;
        if manifest.format != FORMAT {
            return Err(place.wrong(format!("is of format `{}`: use a newer program", manifest.format)));
        }
        Ok(Some(manifest))
    }

    /// Puts the manifest in force. Durable on return.
    pub async fn write(&self, place: &BackupPlace) -> Result<()> {
        // INVARIANT: texts and numbers always serialise.
        let text = toml::to_string(self).expect("texts and numbers");
        Ok(place.objects.put(MANIFEST, Bytes::from(text)).await?)
    }

    /// What the trail is, and its checkpoint.
    ///
    /// # Errors
    /// When the two do not belong together.
    pub fn open(&self, place: &BackupPlace) -> Result<(TrailFile, Checkpoint)> {
        let file = TrailFile::parse(self.trail_file.as_bytes())
            .map_err(|error| place.wrong(format!("has a damaged `trail.toml`: {error}")))?;
        let opened = file.open_checkpoint(self.checkpoint.as_bytes());
        let (checkpoint, _) =
            opened.map_err(|error| place.wrong(format!("has a damaged checkpoint: {error}")))?;
        Ok((file, checkpoint))
    }
}
