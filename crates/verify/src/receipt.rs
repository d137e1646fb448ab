//! Receipts: one record proved by a `tlog-proof` and nothing but SHA-256 and Ed25519 (`docs/formats/trail.md`, "Receipt"). Edge: whether the
//! log itself is to be trusted is what the policy says.

use crate::cursor::{Cursor, EntryError};
use crate::descriptor::{Descriptor, Entry};
use minutebook_record::cbor;
use minutebook_record::{Disclosure, Header, Preimage};
use minutebook_tlog::{
    Accepted, Hash, LeafIndex, Policy, PolicyRefusal, Proof, ProofError, TreeSize, leaf_hash, root_from_path,
};

const TAG: &str = "minutebook/receipt/1";

/// The unauthenticated part of a proof file, which the check makes good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry of the log.
    pub descriptor: Vec<u8>,
    /// The record's place in its segment.
    pub place: u32,
    /// The inner path, the leaf's sibling first.
    pub path: Vec<[u8; 32]>,
    /// What the record's leaf is the hash of.
    pub preimage: Vec<u8>,
    /// Fields shown with the receipt.
    pub disclosure: Option<Vec<u8>>,
}

/// What a good receipt proves.
#[derive(Debug)]
pub struct Proved<'p> {
    /// The record's header.
    pub header: Header,
    /// The segment it is in.
    pub descriptor: Box<Descriptor>,
    /// Which key and witnesses vouch for the log.
    pub accepted: Accepted<'p>,
    /// The fields shown, checked against the record's leaf.
    pub disclosure: Option<Disclosure>,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The file is not a `tlog-proof`.
    #[error("it is not a proof file: {0}")]
    File(ProofError),
    /// Log, witnesses or path are not what the policy asks for.
    #[error("the log's proof does not hold: {0}")]
    Log(ProofError),
    /// The policy refuses the checkpoint.
    #[error("the policy refuses the checkpoint: {0}")]
    Policy(PolicyRefusal),
    /// What goes with the proof cannot be read.
    #[error("what goes with the proof is malformed: {0}")]
    Extra(#[from] EntryError),
    /// The record is not in the segment.
    #[error("the record is not one of the segment that the log has")]
    Inner,
    /// The fields shown are not the record's.
    #[error("the fields shown are not those of the record that is proved")]
    Disclosure,
}

impl Receipt {
    /// The bytes of `extra`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::write_array(&mut out, 6);
        cbor::write_text(&mut out, TAG);
        cbor::write_bytes(&mut out, &self.descriptor);
        cbor::write_unsigned(&mut out, u64::from(self.place));
        cbor::write_array(&mut out, self.path.len() as u64);
        for hash in &self.path {
            cbor::write_bytes(&mut out, hash);
        }
        cbor::write_bytes(&mut out, &self.preimage);
        match &self.disclosure {
            Some(disclosure) => cbor::write_bytes(&mut out, disclosure),
            None => cbor::write_null(&mut out),
        }
        out
    }

    /// Reads `extra` strictly.
    ///
    /// # Errors
    /// What is malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut cursor = Cursor::new(bytes);
        cursor.array_of("receipt", 6)?;
        if cursor.text("receipt", 64)? != TAG {
            return Err(EntryError::Malformed("receipt", "tag"));
        }
        let descriptor = cursor.bytes("descriptor")?.to_vec();
        let place = cursor.unsigned("place", u64::from(u32::MAX))? as u32;
        let mut path = Vec::new();
        for _ in 0..cursor.array("path", 64)? {
            path.push(cursor.digest("path")?);
        }
        let preimage = cursor.bytes("preimage")?.to_vec();
        let disclosure = if cursor.take_null() { None } else { Some(cursor.bytes("disclosure")?.to_vec()) };
        cursor.finish()?;
        Ok(Self { descriptor, place, path, preimage, disclosure })
    }
}

/// Checks a proof file against a policy, with nothing else at hand.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_receipt<'p>(file: &[u8], policy: &'p Policy) -> Result<Proved<'p>, ReceiptError> {
    let proof = Proof::parse(file).map_err(ReceiptError::File)?;
    let receipt = Receipt::decode(proof.extra_unauthenticated())?;
    let accepted = proof.verify(leaf_hash(&receipt.descriptor), policy).map_err(ReceiptError::Log)?;
    let Entry::Segment(descriptor) = Entry::decode(&receipt.descriptor)? else {
        return Err(ReceiptError::Inner);
    };
    let leaf = leaf_hash(&receipt.preimage);
    let path: Vec<Hash> = receipt.path.iter().copied().map(Hash::new).collect();
    let size = TreeSize::new(descriptor.records).map_err(|_| ReceiptError::Inner)?;
    let root =
        root_from_path(leaf, LeafIndex::from(receipt.place), size, &path).map_err(|_| ReceiptError::Inner)?;
    if *root.as_bytes() != descriptor.root {
        return Err(ReceiptError::Inner);
    }
    let preimage = Preimage::decode(&receipt.preimage).map_err(|_| ReceiptError::Inner)?;
    let disclosure = match &receipt.disclosure {
        None => None,
        Some(bytes) => {
            let disclosure = Disclosure::decode(bytes).map_err(|_| ReceiptError::Disclosure)?;
            if disclosure.leaf().0 != *leaf.as_bytes() {
                return Err(ReceiptError::Disclosure);
            }
            Some(disclosure)
        }
    };
    Ok(Proved { header: preimage.header, descriptor, accepted, disclosure })
}
