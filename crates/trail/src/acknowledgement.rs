//! Signing acknowledgements of records that were handed over. Edge: says what it is told to say; what an acknowledgement is, and its check,
//! stand in `minutebook_verify::acknowledgement`.

use crate::engine::Engine;
use crate::error::{Error, Result};
use aws_lc_rs::signature::Ed25519KeyPair;
use minutebook_record::RecordId;
use minutebook_verify::acknowledgement::{ACKNOWLEDGED_MAX, AcknowledgedLevel, Acknowledgement};
use minutebook_verify::keys::Secret;

/// An acknowledgement and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAcknowledgement {
    /// What is said, as `Acknowledgement::decode` reads it.
    pub bytes: Vec<u8>,
    /// Ed25519, by the trail's acknowledgement key.
    pub signature: [u8; 64],
}

impl Engine {
    /// Signs that these records have reached a level, as of now: at `sealed` and above each with its leaf hash.
    ///
    /// # Errors
    /// When there are more than [`ACKNOWLEDGED_MAX`], or a sealed one comes without its leaf hash.
    pub fn acknowledge(
        &self,
        level: AcknowledgedLevel,
        records: Vec<(RecordId, Option<[u8; 32]>)>,
    ) -> Result<SignedAcknowledgement> {
        if records.len() > ACKNOWLEDGED_MAX {
            return Err(Error::Request(format!(
                "{} records are too many for one acknowledgement, which takes {ACKNOWLEDGED_MAX}",
                records.len()
            )));
        }
        if level >= AcknowledgedLevel::Sealed
            && let Some((id, _)) = records.iter().find(|(_, digest)| digest.is_none())
        {
            return Err(Error::Request(format!(
                "record {id} cannot be acknowledged as sealed without its leaf hash"
            )));
        }
        let said = Acknowledgement { trail: self.file.id, level, time: self.environment.seconds(), records };
        sign(&said, &self.keys.acknowledgement)
    }
}

fn sign(said: &Acknowledgement, seed: &Secret) -> Result<SignedAcknowledgement> {
    let unusable = |_| Error::Request("the acknowledgement key is not usable".into());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(unusable)?;
    let bytes = said.encode();
    let mut signature = [0; 64];
    signature.copy_from_slice(pair.sign(&bytes).as_ref());
    Ok(SignedAcknowledgement { bytes, signature })
}
