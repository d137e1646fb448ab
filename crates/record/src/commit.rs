//! Commitment and leaf of a record (`docs/formats/record.md`, "Commitment and leaf").

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::cbor::{self, Reader};
use crate::error::{DecodeError, Fault, ValuesError};
use crate::header::Header;
use crate::limits::PREIMAGE_BYTES_MAX;
use crate::schema::{Schema, SchemaDigest};

/// The secret of a record from which the salts of its fields are made: 32 random bytes, fresh for each attempt to seal. Not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// The salt of a field.
pub type Salt = [u8; 16];

/// What a record's fields are committed to by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; 32]);

/// The RFC 6962 leaf hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafHash(pub [u8; 32]);

/// A record's two hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Over its fields.
    pub commitment: Commitment,
    /// Over header, schema and commitment.
    pub leaf: LeafHash,
}

/// The first text of every preimage.
const PREIMAGE_TAG: &str = "minutebook/record/1";

/// The prefix of a leaf (RFC 6962 §2.1).
const LEAF_PREFIX: u8 = 0;

/// Bytes of salted fields that are gathered before they are hashed, so that they are still in the second-level cache then.
const BATCH_BYTES: usize = 128 << 10;

/// Records that are gathered before they are hashed, however small they are.
const BATCH_RECORDS: usize = 1_024;

/// Counter blocks that are encrypted at once.
const SALTS_AT_ONCE: usize = 64;

/// The salts of a record's fields from the first on: the key stream of AES-256-CTR.
pub fn salts(seed: &Seed, count: usize) -> Vec<Salt> {
    let cipher = cipher(seed);
    let mut salts = Vec::with_capacity(count);
    let mut blocks = [aes::Block::default(); SALTS_AT_ONCE];
    while salts.len() < count {
        let blocks = &mut blocks[..(count - salts.len()).min(SALTS_AT_ONCE)];
        key_stream(&cipher, salts.len(), blocks);
        salts.extend(blocks.iter().map(|block| Salt::from(*block)));
    }
    salts
}

fn cipher(seed: &Seed) -> Aes256 {
    Aes256::new(&seed.0.into())
}

fn key_stream(cipher: &Aes256, first: usize, blocks: &mut [aes::Block]) {
    for (place, block) in blocks.iter_mut().enumerate() {
        *block = ((first + place) as u128).to_be_bytes().into();
    }
    cipher.encrypt_blocks(blocks);
}

/// The digest of one field: SHA-256(salt ‖ encoded value).
pub fn field_digest(salt: &Salt, value: &[u8]) -> [u8; 32] {
    let mut message = Vec::with_capacity(salt.len() + value.len());
    message.extend_from_slice(salt);
    message.extend_from_slice(value);
    minutebook_sha256::digest(&message)
}

/// The commitment to fields of these digests.
pub fn commitment(digests: &[[u8; 32]]) -> Commitment {
    let mut list = Vec::with_capacity(5 + digests.len() * 34);
    write_digests(&mut list, digests);
    Commitment(minutebook_sha256::digest(&list))
}

fn write_digests(out: &mut Vec<u8>, digests: &[[u8; 32]]) {
    cbor::write_array(out, digests.len() as u64);
    for digest in digests {
        let mut item = [0; 34];
        item[..2].copy_from_slice(&[0x58, 32]);
        item[2..].copy_from_slice(digest);
        out.extend_from_slice(&item);
    }
}

/// What a leaf is the hash of. It shows header and schema of a record and hides its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preimage {
    /// The record's header.
    pub header: Header,
    /// Its schema.
    pub schema: SchemaDigest,
    /// Its commitment.
    pub commitment: Commitment,
}

impl Preimage {
    /// Appends the encoding, at most [`crate::limits::PREIMAGE_BYTES_MAX`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 4);
        cbor::write_text(out, PREIMAGE_TAG);
        self.header.write(out);
        cbor::write_bytes(out, &self.schema.0);
        cbor::write_bytes(out, &self.commitment.0);
    }

    /// Decodes a preimage that fills `bytes`.
    ///
    /// # Errors
    ///
    /// Anything that [`Preimage::write`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(4, "a preimage of four parts")?;
        let at = reader.position();
        if reader.text()? != PREIMAGE_TAG {
            return Err(DecodeError { at, fault: Fault::Content("not the preimage of a record") });
        }
        let header = Header::read(&mut reader)?;
        let schema = SchemaDigest(reader.bytes_of()?);
        let commitment = Commitment(reader.bytes_of()?);
        reader.finish()?;
        Ok(Self { header, schema, commitment })
    }

    /// The leaf hash.
    pub fn leaf(&self) -> LeafHash {
        let mut message = Vec::with_capacity(1 + PREIMAGE_BYTES_MAX);
        message.push(LEAF_PREFIX);
        self.write(&mut message);
        LeafHash(minutebook_sha256::digest(&message))
    }
}

/// Computes commitments and leaves of many records, their hashes interleaved. Reusable: it keeps its memory, which is bounded by the
/// largest record and 128 KiB of small ones, besides 64 bytes for each result that is not fetched yet. What it has hashed is not wiped.
#[derive(Default)]
pub struct Committer {
    /// `salt ‖ value` of every field of the records that are gathered.
    salted: Vec<u8>,
    ends: Vec<usize>,
    gathered: Vec<Gathered>,
    digests: Vec<[u8; 32]>,
    messages: Vec<u8>,
    message_ends: Vec<usize>,
    commitments: Vec<[u8; 32]>,
    leaves: Vec<[u8; 32]>,
    done: Vec<Sealed>,
}

struct Gathered {
    header: Header,
    schema: SchemaDigest,
    fields: usize,
}

impl Committer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record: its encoded values, one for each field of the schema, in order. Whether they fit their types is for the caller
    /// to have checked ([`Schema::split`]).
    ///
    /// # Errors
    ///
    /// [`ValuesError::Count`] when there is not one value for each field; the record is then not added.
    pub fn push<'v>(
        &mut self,
        header: &Header,
        schema: &Schema,
        values: impl IntoIterator<Item = &'v [u8]>,
        seed: &Seed,
    ) -> Result<(), ValuesError> {
        self.gather(schema, values, seed)?;
        self.gathered.push(Gathered { header: *header, schema: schema.digest(), fields: schema.len() });
        if self.salted.len() >= BATCH_BYTES || self.gathered.len() >= BATCH_RECORDS {
            self.hash();
        }
        Ok(())
    }

    /// Hashes what was added since the last call and gives it in the order of adding. Begins anew.
    pub fn finish(&mut self) -> Vec<Sealed> {
        self.hash();
        std::mem::take(&mut self.done)
    }

    /// The commitment of one record alone; what has been added stays as it is.
    ///
    /// # Errors
    ///
    /// [`ValuesError::Count`] when there is not one value for each field.
    pub fn commit<'v>(
        &mut self,
        schema: &Schema,
        values: impl IntoIterator<Item = &'v [u8]>,
        seed: &Seed,
    ) -> Result<Commitment, ValuesError> {
        self.hash();
        self.gather(schema, values, seed)?;
        self.digests.clear();
        minutebook_sha256::digest_many(&self.salted, &self.ends, &mut self.digests);
        self.salted.clear();
        self.ends.clear();
        self.messages.clear();
        write_digests(&mut self.messages, &self.digests);
        Ok(Commitment(minutebook_sha256::digest(&self.messages)))
    }

    fn gather<'v>(
        &mut self,
        schema: &Schema,
        values: impl IntoIterator<Item = &'v [u8]>,
        seed: &Seed,
    ) -> Result<(), ValuesError> {
        let fields = schema.len();
        let (bytes_before, ends_before) = (self.salted.len(), self.ends.len());
        let cipher = cipher(seed);
        let mut blocks = [aes::Block::default(); SALTS_AT_ONCE];
        let mut count = 0;
        for value in values {
            if count == fields {
                count += 1;
                break;
            }
            let place = count % SALTS_AT_ONCE;
            if place == 0 {
                key_stream(&cipher, count, &mut blocks[..(fields - count).min(SALTS_AT_ONCE)]);
            }
            self.salted.extend_from_slice(&blocks[place]);
            self.salted.extend_from_slice(value);
            self.ends.push(self.salted.len());
            count += 1;
        }
        if count != fields {
            self.salted.truncate(bytes_before);
            self.ends.truncate(ends_before);
            return Err(ValuesError::Count { fields, values: count });
        }
        Ok(())
    }

    /// Three runs over all gathered records: fields, then commitments, then leaves.
    fn hash(&mut self) {
        self.digests.clear();
        minutebook_sha256::digest_many(&self.salted, &self.ends, &mut self.digests);
        self.salted.clear();
        self.ends.clear();

        self.messages.clear();
        self.message_ends.clear();
        let mut rest = self.digests.as_slice();
        for record in &self.gathered {
            let (digests, others) = rest.split_at(record.fields);
            rest = others;
            write_digests(&mut self.messages, digests);
            self.message_ends.push(self.messages.len());
        }
        self.commitments.clear();
        minutebook_sha256::digest_many(&self.messages, &self.message_ends, &mut self.commitments);

        self.messages.clear();
        self.message_ends.clear();
        for (record, commitment) in self.gathered.iter().zip(&self.commitments) {
            self.messages.push(LEAF_PREFIX);
            let commitment = Commitment(*commitment);
            Preimage { header: record.header, schema: record.schema, commitment }.write(&mut self.messages);
            self.message_ends.push(self.messages.len());
        }
        self.leaves.clear();
        minutebook_sha256::digest_many(&self.messages, &self.message_ends, &mut self.leaves);
        self.gathered.clear();

        let pairs = self.commitments.iter().zip(&self.leaves);
        self.done.extend(
            pairs.map(|(commitment, leaf)| Sealed {
                commitment: Commitment(*commitment),
                leaf: LeafHash(*leaf),
            }),
        );
    }
}
