//! The epoch file's bytes (`docs/formats/spool.md`, the epoch file): its header, and where the counters and slots lie. No I/O.

use minutebook_record::{ClassName, Epoch, ProducerId};

use crate::damage::Damage;
use crate::intake::SealedKey;
use crate::limits::CLASSES_MAX;
use crate::sys::ProcessIdentity;

pub(crate) const LEN: u64 = 65_536;
pub(crate) const HEADER: usize = 240;
const DIGESTED: usize = 208;
/// What the epoch key is bound to: everything before the encapsulated key.
pub(crate) const SEALED_WITH: usize = 128;
const MAGIC: &[u8; 8] = b"mbepoch1";

pub(crate) const CLASSES_AT: u64 = 4096;
pub(crate) const CLASS_LEN: u64 = 64;
const CLASS_NAME: u64 = 32;
pub(crate) const STATE_AT: u64 = CLASSES_AT + CLASS_LEN * CLASSES_MAX as u64;
pub(crate) const SLOTS_AT: u64 = 8192;
pub(crate) const SLOT_LEN: u64 = 32;

pub(crate) const STATE_CLOSED: u64 = 1;
/// Of a mirror (`docs/formats/shipping.md`): its owner is elsewhere and may write.
pub(crate) const STATE_REMOTE: u64 = 2;
/// Of a mirror: its owner was seen dead, and all that it left is here.
pub(crate) const STATE_REMOTE_DEAD: u64 = 3;
/// Of a mirror: the last part that is here to its end.
pub(crate) const WHOLE_PART_AT: u64 = STATE_AT + 8;

/// In a class' counter: no more numbers are drawn.
pub(crate) const COUNTER_CLOSED: u64 = 1 << 63;
/// In a slot: taken, number not yet known.
pub(crate) const SLOT_TAKEN: u64 = u64::MAX;

pub(crate) const fn class_at(index: usize) -> u64 {
    CLASSES_AT + CLASS_LEN * index as u64
}

pub(crate) const fn counter_at(index: usize) -> u64 {
    class_at(index) + CLASS_NAME
}

pub(crate) const fn slot_at(slot: usize) -> u64 {
    SLOTS_AT + SLOT_LEN * slot as u64
}

/// A class' name as its entry holds it.
pub(crate) fn class_name_bytes(name: &ClassName) -> [u8; CLASS_NAME as usize] {
    let mut bytes = [0; CLASS_NAME as usize];
    let name = name.as_str().as_bytes();
    bytes[..name.len()].copy_from_slice(name);
    bytes
}

/// The name in an entry; `None` when the entry is free.
pub(crate) fn class_name(bytes: &[u8; CLASS_NAME as usize]) -> Result<Option<ClassName>, Damage> {
    let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    if bytes[len..].iter().any(|&b| b != 0) {
        return Err(Damage::ClassTable);
    }
    if len == 0 {
        return Ok(None);
    }
    let name = std::str::from_utf8(&bytes[..len]).ok().and_then(|name| ClassName::new(name).ok());
    name.map(Some).ok_or(Damage::ClassTable)
}

/// What stands at the beginning of an epoch file and never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EpochHeader {
    pub(crate) trail: [u8; 16],
    pub(crate) producer: ProducerId,
    pub(crate) epoch: Epoch,
    pub(crate) made_ns: i64,
    pub(crate) process: ProcessIdentity,
    pub(crate) mark_key: [u8; 32],
    pub(crate) key: SealedKey,
}

impl EpochHeader {
    /// The bytes that the epoch key is sealed with, which are the first of the file.
    pub(crate) fn sealed_with(&self) -> [u8; SEALED_WITH] {
        let mut bytes = [0; SEALED_WITH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.trail);
        bytes[24..40].copy_from_slice(&self.producer.0);
        bytes[40..48].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[48..56].copy_from_slice(&self.made_ns.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.process.pid.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.process.start_ticks.to_le_bytes());
        bytes[72..88].copy_from_slice(&self.process.boot_id);
        bytes[88..96].copy_from_slice(&self.process.pid_namespace.to_le_bytes());
        bytes[96..128].copy_from_slice(&self.mark_key);
        bytes
    }

    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..SEALED_WITH].copy_from_slice(&self.sealed_with());
        bytes[128..160].copy_from_slice(&self.key.encapsulated);
        bytes[160..DIGESTED].copy_from_slice(&self.key.ciphertext);
        let digest = sha256(&bytes[..DIGESTED]);
        bytes[DIGESTED..].copy_from_slice(&digest);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER]) -> Result<Self, Damage> {
        if &bytes[..8] != MAGIC {
            return Err(Damage::EpochMagic);
        }
        if sha256(&bytes[..DIGESTED]) != bytes[DIGESTED..] || bytes[60..64] != [0; 4] {
            return Err(Damage::EpochHeader);
        }
        Ok(Self {
            trail: field(bytes, 8),
            producer: ProducerId(field(bytes, 24)),
            epoch: Epoch::new(u64::from_le_bytes(field(bytes, 40))).map_err(|_| Damage::EpochHeader)?,
            made_ns: i64::from_le_bytes(field(bytes, 48)),
            process: ProcessIdentity {
                pid: u32::from_le_bytes(field(bytes, 56)),
                start_ticks: u64::from_le_bytes(field(bytes, 64)),
                boot_id: field(bytes, 72),
                pid_namespace: u64::from_le_bytes(field(bytes, 88)),
            },
            mark_key: field(bytes, 96),
            key: SealedKey { encapsulated: field(bytes, 128), ciphertext: field(bytes, 160) },
        })
    }
}

/// The `N` bytes at `at`, which the caller knows to be there.
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    field(digest.as_ref(), 0)
}
