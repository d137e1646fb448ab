//! Acknowledgements: what an engine says, signed, of records that were handed over (`docs/formats/trail.md`). Edge: the bytes and their
//! check; who signs and when is the engine's business.

use crate::cursor::{Cursor, EntryError};
use crate::descriptor::Id;
use crate::succession::signed_by;
use minutebook_record::{RecordId, cbor};
use minutebook_tlog::VerifierKey;

const TAG: &str = "minutebook/acknowledgement/1";

/// Records of one acknowledgement: far more than a batch has.
pub const ACKNOWLEDGED_MAX: usize = 65_536;

/// What has happened to the records. A higher level says what the lower ones say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcknowledgedLevel {
    /// In the spool: survives the death of the process.
    Process,
    /// Flushed.
    Disk,
    /// In a published checkpoint.
    Sealed,
    /// Cosigned by the configured quorum.
    Witnessed,
}

impl AcknowledgedLevel {
    /// All of them, ascending.
    pub const ALL: [Self; 4] = [Self::Process, Self::Disk, Self::Sealed, Self::Witnessed];

    /// As the format writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Disk => "disk",
            Self::Sealed => "sealed",
            Self::Witnessed => "witnessed",
        }
    }
}

/// What is said of each of some records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The trail.
    pub trail: Id,
    /// What has happened.
    pub level: AcknowledgedLevel,
    /// When it is said, unix seconds.
    pub time: i64,
    /// The records: at `sealed` and above with their leaf hash, else with the SHA-256 of the frame as delivered, or nothing.
    pub records: Vec<(RecordId, Option<[u8; 32]>)>,
}

/// Why an acknowledgement says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// Not signed by the key.
    #[error("it is not signed by this acknowledgement key")]
    Signature,
    /// Signed and malformed.
    #[error(transparent)]
    Malformed(#[from] EntryError),
    /// A record at `sealed` or above without its leaf hash.
    #[error("record {0} is acknowledged as sealed without its leaf hash")]
    NoLeaf(RecordId),
}

impl Acknowledgement {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + self.records.len() * 52);
        cbor::write_array(&mut out, 5);
        cbor::write_text(&mut out, TAG);
        cbor::write_bytes(&mut out, &self.trail);
        cbor::write_text(&mut out, self.level.name());
        cbor::write_signed(&mut out, self.time);
        cbor::write_array(&mut out, self.records.len() as u64);
        for (id, digest) in &self.records {
            cbor::write_array(&mut out, 2);
            cbor::write_bytes(&mut out, id.as_bytes());
            match digest {
                Some(digest) => cbor::write_bytes(&mut out, digest),
                None => cbor::write_null(&mut out),
            }
        }
        out
    }

    /// Reads the bytes strictly. Says nothing of who wrote them: that is [`Acknowledgement::verify`].
    ///
    /// # Errors
    /// What is malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, AcknowledgementError> {
        let mut cursor = Cursor::new(bytes);
        cursor.array_of("acknowledgement", 5)?;
        let tag = cursor.text("acknowledgement", 64)?;
        if tag != TAG {
            return Err(EntryError::Unknown(tag.to_owned()).into());
        }
        let trail = cursor.id("trail")?;
        let name = cursor.text("level", 16)?;
        let level = AcknowledgedLevel::ALL.into_iter().find(|level| level.name() == name);
        let level = level.ok_or(EntryError::Malformed("level", "not one that there is"))?;
        let time = cursor.signed("time")?;
        let mut records = Vec::new();
        for _ in 0..cursor.array("records", ACKNOWLEDGED_MAX as u64)? {
            cursor.array_of("record", 2)?;
            let id = RecordId::from_bytes(cursor.id("record")?);
            let id = id.map_err(|_| EntryError::Malformed("record", "not an id of a record"))?;
            let digest = if cursor.take_null() { None } else { Some(cursor.digest("digest")?) };
            if digest.is_none() && level >= AcknowledgedLevel::Sealed {
                return Err(AcknowledgementError::NoLeaf(id));
            }
            records.push((id, digest));
        }
        cursor.finish()?;
        Ok(Self { trail, level, time, records })
    }

    /// Checks the signature, then reads what was signed.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(bytes: &[u8], signature: &[u8], key: &VerifierKey) -> Result<Self, AcknowledgementError> {
        if signed_by(key, bytes, signature) {
            Self::decode(bytes)
        } else {
            Err(AcknowledgementError::Signature)
        }
    }
}
