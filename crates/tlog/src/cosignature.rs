//! Cosignatures of witnesses (tlog-cosignature, "Format" and "Ed25519 signed message"): Ed25519 over a checkpoint and a time.
//! Edge: times come in as values; whether the log has only grown since is for the witness to have checked.

use std::fmt;

use zeroize::Zeroizing;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::key::{KeyError, KeyKind, KeyName, SigningKey, VerifierKey};
use crate::limits::UNIX_SECONDS_MAX;
use crate::note::{NoteSignature, SignedNote};

/// What stands behind the key id in a cosignature's line: a time and an Ed25519 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature {
    unix_seconds: u64,
    signature: [u8; 64],
}

/// Why bytes are no cosignature, or why none can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Eight bytes of time and 64 of signature.
    #[error("cosignature has {bytes} bytes instead of 72")]
    Length {
        /// How many there are.
        bytes: usize,
    },
    /// Above [`UNIX_SECONDS_MAX`].
    #[error("time of the cosignature, {unix_seconds}, is above 2^63 - 1 seconds")]
    Time {
        /// The time, in seconds since 1970.
        unix_seconds: u64,
    },
    /// What is to be cosigned is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Cosignature {
    /// Reads the 72 bytes behind the key id.
    ///
    /// # Errors
    /// [`CosignatureError::Length`], [`CosignatureError::Time`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CosignatureError> {
        let length = CosignatureError::Length { bytes: bytes.len() };
        let (time, signature) = bytes.split_first_chunk().ok_or(length.clone())?;
        let signature = signature.try_into().map_err(|_| length)?;
        Ok(Self { unix_seconds: check_time(u64::from_be_bytes(*time))?, signature })
    }

    /// The 72 bytes: the time, big-endian, and the signature.
    pub fn to_bytes(&self) -> [u8; 72] {
        let mut bytes = [0; 72];
        bytes[..8].copy_from_slice(&self.unix_seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&self.signature);
        bytes
    }

    /// When the witness says that it signed, in seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// Whether this key made it over a checkpoint's text.
    pub fn verifies(&self, text: &str, key: &VerifierKey) -> bool {
        key.kind() == KeyKind::Cosignature
            && key.verifies(message(text, self.unix_seconds).as_bytes(), &self.signature)
    }
}

/// An Ed25519 key that cosigns checkpoints (type 0x04): a witness's. It serves one witness only, as its signatures do not
/// name it. The secret is cleared when it is dropped, and never shown.
pub struct Cosigner(SigningKey);

impl Cosigner {
    /// The key of this seed (RFC 8032 §5.1.5). The seed is cleared.
    ///
    /// # Errors
    /// [`KeyError::Seed`] where the cryptographic library refuses.
    pub fn from_seed(name: KeyName, seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        SigningKey::from_seed(name, KeyKind::Cosignature, seed).map(Self)
    }

    /// The public half.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.0.verifier()
    }

    /// Cosigns a checkpoint as of a time, in seconds since 1970. The line can be added to the note or sent to the log. The
    /// caller has to have verified the log's signature and consistency with the last checkpoint that it cosigned.
    ///
    /// # Errors
    /// [`CosignatureError::Checkpoint`] where the note is no checkpoint, [`CosignatureError::Time`], and where signing fails.
    pub fn cosign(&self, note: &SignedNote, unix_seconds: u64) -> Result<NoteSignature, CosignatureError> {
        Checkpoint::parse(note.text())?;
        let message = message(note.text(), check_time(unix_seconds)?);
        let signature = self.0.sign(message.as_bytes())?;
        let bytes = Cosignature { unix_seconds, signature }.to_bytes().to_vec();
        Ok(NoteSignature::new(self.verifier_key(), bytes))
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.verifier_key())
    }
}

/// What is signed: the header, the time and the whole text of the checkpoint.
fn message(text: &str, unix_seconds: u64) -> String {
    format!("cosignature/v1\ntime {unix_seconds}\n{text}")
}

fn check_time(unix_seconds: u64) -> Result<u64, CosignatureError> {
    if unix_seconds > UNIX_SECONDS_MAX {
        Err(CosignatureError::Time { unix_seconds })
    } else {
        Ok(unix_seconds)
    }
}
