//! `trail.toml`: what a trail is, and the public keys it is checked by (`docs/formats/trail.md`). Edge: pure text; its SHA-256 stands in
//! the log, so it is written in one form only.

use crate::descriptor::Id;
use crate::{hex, limits, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// The name of the file in the trail's folder.
pub const TRAIL_FILE: &str = "trail.toml";

const FORMAT: &str = "minutebook/trail/1";

/// A trail's identity and public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailFile {
    /// The trail's id.
    pub id: Id,
    /// The log's origin.
    pub name: String,
    /// RFC 3339, UTC, whole seconds.
    pub created: String,
    /// Verifier key of the checkpoints.
    pub log_key: String,
    /// Verifier key of acknowledgements.
    pub acknowledgement_key: String,
    /// X25519 public key that spools are sealed to.
    pub intake_key: [u8; 32],
    /// Rotations of the signing key, oldest first.
    pub succession: Vec<Succession>,
}

/// One rotation of the signing key, signed by both keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Succession {
    /// The verifier key before.
    pub old: String,
    /// The verifier key after.
    pub new: String,
    /// RFC 3339.
    pub at: String,
    /// Base64, by the old key.
    pub old_signature: String,
    /// Base64, by the new key.
    pub new_signature: String,
}

/// Why a `trail.toml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrailFileError {
    /// It is not the file that the format describes.
    #[error("{0}. Restore it from a copy")]
    Malformed(String),
    /// It is of a later version.
    #[error("it is of format `{0}`, and this program reads `{FORMAT}`: use a newer program")]
    Newer(String),
    /// It says the right things in another form: somebody edited it.
    #[error("it was edited: it is not written the way Minutebook writes it. Restore it from a copy")]
    Edited,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    format: String,
    id: String,
    name: String,
    created: String,
    log_key: String,
    acknowledgement_key: String,
    intake_key: String,
    #[serde(default)]
    succession: Vec<Succession>,
}

impl TrailFile {
    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = format!(
            "format = \"{FORMAT}\"\nid = \"{}\"\nname = \"{}\"\ncreated = \"{}\"\nlog-key = \"{}\"\n\
             acknowledgement-key = \"{}\"\nintake-key = \"{}\"\n",
            hex(&self.id),
            self.name,
            self.created,
            self.log_key,
            self.acknowledgement_key,
            BASE64.encode(self.intake_key),
        );
        for one in &self.succession {
            text.push_str(&format!(
                "\n[[succession]]\nold = \"{}\"\nnew = \"{}\"\nat = \"{}\"\nold-signature = \"{}\"\nnew-signature = \"{}\"\n",
                one.old, one.new, one.at, one.old_signature, one.new_signature
            ));
        }
        text
    }

    /// Reads the file strictly.
    ///
    /// # Errors
    /// Anything but what [`TrailFile::render`] writes; a later format is told apart.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrailFileError> {
        let malformed = |what: &str| TrailFileError::Malformed(what.into());
        if bytes.len() > limits::TRAIL_TOML_BYTES_MAX {
            return Err(malformed("it is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        #[derive(Deserialize)]
        struct Version {
            format: String,
        }
        if let Ok(version) = toml::from_str::<Version>(text)
            && version.format != FORMAT
            && version.format.starts_with("minutebook/trail/")
        {
            return Err(TrailFileError::Newer(version.format));
        }
        let raw: Raw =
            toml::from_str(text).map_err(|error| TrailFileError::Malformed(error.message().into()))?;
        if raw.format != FORMAT {
            return Err(malformed("`format` is not a trail's"));
        }
        let intake = BASE64.decode(&raw.intake_key).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let file = Self {
            id: unhex(&raw.id).ok_or_else(|| malformed("`id` is not 32 hex digits"))?,
            name: raw.name,
            created: raw.created,
            log_key: raw.log_key,
            acknowledgement_key: raw.acknowledgement_key,
            intake_key: intake.ok_or_else(|| malformed("`intake-key` is not 32 bytes of base64"))?,
            succession: raw.succession,
        };
        if file.render() == text { Ok(file) } else { Err(TrailFileError::Edited) }
    }
}
