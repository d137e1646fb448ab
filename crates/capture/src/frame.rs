//! A frame's bytes, clear and sealed (`docs/formats/spool.md`, a part; what a frame says). No I/O.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use minutebook_record::{ClassName, Epoch, Kind, ProducerId, RecordId, Seq};

/// Bytes of the word before the ciphertext.
pub(crate) const WORD: usize = 8;
/// Bytes of the tag behind it.
pub(crate) const TAG: usize = 16;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u64 = 16;
/// Clear bytes of a record frame before the values.
pub(crate) const RECORD_HEAD: usize = 32;
/// Clear bytes of a blob frame before the content.
pub(crate) const BLOB_HEAD: usize = 33;

pub(crate) const RESERVED: u64 = 1 << 32;
pub(crate) const PUBLISHED: u64 = 2 << 32;

/// Bytes that a frame with `clear` bytes of text takes, without padding: what its word says.
pub(crate) const fn frame_len(clear: usize) -> usize {
    WORD + clear + TAG
}

/// The same with padding: what is reserved.
pub(crate) const fn padded(frame: usize) -> u64 {
    (frame as u64).next_multiple_of(ALIGN)
}

/// A word taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing stored yet.
    Empty,
    /// Reserved: length of the frame.
    Reserved(usize),
    /// Published: length of the frame.
    Published(usize),
    /// Not a word.
    Unknown,
}

impl Word {
    pub(crate) fn parse(word: u64) -> Self {
        let len = word as u32 as usize;
        match word >> 32 {
            0 if len == 0 => Self::Empty,
            1 if len > frame_len(0) => Self::Reserved(len),
            2 if len > frame_len(0) => Self::Published(len),
            _ => Self::Unknown,
        }
    }
}

/// Where a frame lies: what its nonce and associated data are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) producer: ProducerId,
    pub(crate) epoch: Epoch,
    pub(crate) part: u32,
    pub(crate) offset: u64,
}

impl Place {
    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.part.to_be_bytes());
        nonce[4..].copy_from_slice(&self.offset.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn associated(&self) -> Aad<[u8; 36]> {
        let mut data = [0; 36];
        data[..16].copy_from_slice(&self.producer.0);
        data[16..24].copy_from_slice(&self.epoch.get().to_be_bytes());
        data[24..28].copy_from_slice(&self.part.to_be_bytes());
        data[28..].copy_from_slice(&self.offset.to_be_bytes());
        Aad::from(data)
    }
}

/// The cipher of one epoch. Not in `Debug`; its memory is wiped by the library when dropped.
pub(crate) struct EpochCipher(LessSafeKey);

impl EpochCipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        match UnboundKey::new(&AES_256_GCM, key) {
            Ok(key) => Self(LessSafeKey::new(key)),
            // The only errors are a wrong length and no memory.
            Err(_) => panic!("no memory for a cipher"),
        }
    }

    /// Encrypts in place; `clear` becomes ciphertext. A place is used once.
    ///
    /// # Errors
    /// Never for a frame within the format's bounds: the error is the library's own failure.
    #[inline]
    pub(crate) fn seal(&self, place: &Place, clear: &mut [u8]) -> Result<[u8; TAG], CipherError> {
        let tag = self
            .0
            .seal_in_place_separate_tag(place.nonce(), place.associated(), clear)
            .map_err(|_| CipherError)?;
        tag.as_ref().try_into().map_err(|_| CipherError)
    }

    /// Decrypts `ciphertext ‖ tag` in place.
    ///
    /// # Errors
    /// When it does not authenticate; the bytes are then of no use.
    #[inline]
    pub(crate) fn open<'a>(&self, place: &Place, sealed: &'a mut [u8]) -> Result<&'a mut [u8], CipherError> {
        let Some((cipher, tag)) = sealed.split_last_chunk_mut::<TAG>() else { return Err(CipherError) };
        self.0
            .open_in_place_separate_tag(place.nonce(), place.associated(), tag, cipher)
            .map_err(|_| CipherError)
    }
}

/// A frame does not authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CipherError;

/// Why numbers have no record. The numbers of the variants are the states of `docs/formats/segment.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LostReason {
    /// The process or the call died between number and record.
    Died = 3,
    /// No room on disk, or the spill limit was reached.
    SpoolFull = 4,
    /// The record is larger than a record may be.
    TooLarge = 5,
    /// Bytes were altered, or did not reach the disk before a power loss.
    Damaged = 6,
    /// The caller gave the number back.
    Dropped = 7,
    /// The engine refused the record as malformed.
    Refused = 8,
}

impl LostReason {
    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Died, Self::SpoolFull, Self::TooLarge, Self::Damaged, Self::Dropped, Self::Refused]
            .into_iter()
            .find(|reason| *reason as u8 == number)
    }
}

pub(crate) const SHAPE: u8 = 1;
pub(crate) const RECORD: u8 = 2;
pub(crate) const BLOB: u8 = 3;
pub(crate) const LOST: u8 = 4;
pub(crate) const CLASS: u8 = 5;

/// What comes before the values of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) kind: Kind,
    pub(crate) class: u8,
    pub(crate) shape: u32,
    pub(crate) seq: u64,
    pub(crate) id: RecordId,
}

impl RecordHead {
    #[inline]
    pub(crate) fn encode(&self) -> [u8; RECORD_HEAD] {
        let mut head = [0; RECORD_HEAD];
        head[0] = RECORD;
        head[1] = self.kind.number();
        head[2] = self.class;
        head[4..8].copy_from_slice(&self.shape.to_le_bytes());
        head[8..16].copy_from_slice(&self.seq.to_le_bytes());
        head[16..].copy_from_slice(self.id.as_bytes());
        head
    }
}

pub(crate) fn encode_shape(number: u32, shape: &[u8], into: &mut Vec<u8>) {
    into.push(SHAPE);
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(shape);
}

pub(crate) fn encode_class(index: u8, name: &ClassName, into: &mut Vec<u8>) {
    into.extend_from_slice(&[CLASS, index]);
    into.extend_from_slice(name.as_str().as_bytes());
}

pub(crate) fn encode_blob(id: &[u8; 16], whole: u64, offset: u64, content: &[u8], into: &mut Vec<u8>) {
    into.push(BLOB);
    into.extend_from_slice(id);
    into.extend_from_slice(&whole.to_le_bytes());
    into.extend_from_slice(&offset.to_le_bytes());
    into.extend_from_slice(content);
}

pub(crate) fn encode_lost(class: u8, reason: LostReason, from: u64, to: u64, into: &mut Vec<u8>) {
    into.extend_from_slice(&[LOST, class, reason as u8, 0]);
    into.extend_from_slice(&from.to_le_bytes());
    into.extend_from_slice(&to.to_le_bytes());
}

/// The clear text of a frame, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clear<'a> {
    Shape { number: u32, shape: &'a [u8] },
    Record { head: RecordHead, values: &'a [u8] },
    Blob { id: [u8; 16], whole: u64, offset: u64, content: &'a [u8] },
    Lost { class: u8, reason: LostReason, from: u64, to: u64 },
    Class { index: u8, name: ClassName },
}

/// Takes a clear text apart; `None` when it says nothing that the format knows.
pub(crate) fn parse(clear: &[u8]) -> Option<Clear<'_>> {
    let (&kind, rest) = clear.split_first()?;
    match kind {
        SHAPE => {
            let (number, shape) = rest.split_first_chunk::<4>()?;
            Some(Clear::Shape { number: u32::from_le_bytes(*number), shape })
        }
        RECORD => {
            let (head, values) = clear.split_first_chunk::<RECORD_HEAD>()?;
            let seq = le64(head, 8)?;
            let valid = head[3] == 0 && Seq::new(seq).is_ok();
            let head = RecordHead {
                kind: Kind::from_number(u64::from(head[1]))?,
                class: head[2],
                shape: u32::from_le_bytes(*head[4..].first_chunk()?),
                seq,
                id: RecordId::from_bytes(*head[16..].first_chunk()?).ok()?,
            };
            valid.then_some(Clear::Record { head, values })
        }
        BLOB => {
            let (head, content) = clear.split_first_chunk::<BLOB_HEAD>()?;
            let (whole, offset) = (le64(head, 17)?, le64(head, 25)?);
            let ends = offset.checked_add(content.len() as u64)?;
            let valid = whole <= crate::limits::BLOB_BYTES_MAX && ends <= whole;
            valid.then_some(Clear::Blob { id: *head[1..].first_chunk()?, whole, offset, content })
        }
        LOST => {
            let rest: &[u8; 19] = rest.try_into().ok()?;
            let (from, to) = (le64(rest, 3)?, le64(rest, 11)?);
            let valid = rest[2] == 0 && 1 <= from && from <= to && Seq::new(to).is_ok();
            let reason = LostReason::from_number(rest[1])?;
            valid.then_some(Clear::Lost { class: rest[0], reason, from, to })
        }
        CLASS => {
            let (&index, name) = rest.split_first()?;
            let name = ClassName::new(std::str::from_utf8(name).ok()?).ok()?;
            Some(Clear::Class { index, name })
        }
        _ => None,
    }
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
