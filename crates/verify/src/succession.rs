//! Rotations of a trail's signing key, as `trail.toml` tells them (`docs/formats/trail.md`). Edge: judges what the file says; whether the
//! file is the one that the log names is `verify`'s business.

use crate::trailfile::{Succession, TrailFile};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_tlog::{Checkpoint, CheckpointError, KeyError, SignedNote, VerifierKey};

/// Why a checkpoint is not the trail's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CheckpointFault {
    /// The file names no usable key.
    #[error("`log-key` in trail.toml: {0}")]
    Key(#[from] KeyError),
    /// It is malformed, or not signed by that key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl TrailFile {
    /// Opens a checkpoint with the signing key; while a rotation is under way, and the checkpoint is still the old key's, with that one.
    ///
    /// # Errors
    /// When neither signed it.
    pub fn open_checkpoint(&self, bytes: &[u8]) -> Result<(Checkpoint, SignedNote), CheckpointFault> {
        let error = match Checkpoint::open(bytes, &self.log_key.parse::<VerifierKey>()?) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        self.open_as_before(bytes).ok_or(error.into())
    }

    /// Opens a checkpoint with the key before the last rotation.
    pub(crate) fn open_as_before(&self, bytes: &[u8]) -> Option<(Checkpoint, SignedNote)> {
        let key = self.before_rotation()?.log_key.parse::<VerifierKey>().ok()?;
        Checkpoint::open(bytes, &key).ok()
    }

    /// The file as it was before the last rotation, when there was one and both keys have signed it.
    pub fn before_rotation(&self) -> Option<Self> {
        let (last, before) = self.succession.split_last()?;
        (last.is_signed() && last.new == self.log_key).then(|| Self {
            log_key: last.old.clone(),
            succession: before.to_vec(),
            ..self.clone()
        })
    }

    /// Whether the present signing key is `earlier`, or the chain of rotations leads from there to it.
    pub fn follows(&self, earlier: &str) -> bool {
        let mut key = earlier;
        for step in &self.succession {
            if step.old == key && step.is_signed() {
                key = &step.new;
            }
        }
        key == self.log_key
    }
}

impl Succession {
    /// The bytes that both keys sign.
    pub fn signed_bytes(&self) -> Vec<u8> {
        format!("minutebook/succession/1\n{}\n{}\n{}\n", self.old, self.new, self.at).into_bytes()
    }

    /// Whether both keys have signed.
    pub fn is_signed(&self) -> bool {
        let signed = self.signed_bytes();
        let good = |key: &str, signature: &str| {
            let (Ok(key), Ok(signature)) = (key.parse::<VerifierKey>(), BASE64.decode(signature)) else {
                return false;
            };
            signed_by(&key, &signed, &signature)
        };
        good(&self.old, &self.old_signature) && good(&self.new, &self.new_signature)
    }
}

/// Whether `signature` is the key's Ed25519 signature over these bytes.
pub(crate) fn signed_by(key: &VerifierKey, bytes: &[u8], signature: &[u8]) -> bool {
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key.public_key())
        .verify(bytes, signature)
        .is_ok()
}
