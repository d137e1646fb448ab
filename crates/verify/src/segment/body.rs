//! The entries of a block: bodies in clear (within the encrypted block), and bodies under their subjects' keys.

use super::body_associated;
use crate::descriptor::Id;
use crate::keys::{Cipher, Secret, record_key};
use crate::{leb, section};

const SEED: usize = 32;

/// One entry of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// About no subject.
    Clear(&'a [u8]),
    /// Under the key of its subjects.
    Sealed {
        /// Their numbers, in order.
        subjects: Vec<u64>,
        /// Ciphertext and tag.
        sealed: &'a [u8],
    },
}

/// What was recorded: the seed of the salts, and the values.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// Seed of the record's salts.
    pub seed: &'a [u8; 32],
    /// Index into the head's shapes.
    pub shape: u64,
    /// Values of the places that are no constants.
    pub values: &'a [u8],
}

impl<'a> Body<'a> {
    /// Reads the front of a body.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (seed, mut rest) = bytes.split_first_chunk::<SEED>().ok_or("is cut short")?;
        let shape = leb::read_unsigned(&mut rest).ok_or("is cut short")?;
        Ok(Self { seed, shape, values: rest })
    }
}

/// Appends a body in clear.
pub fn write_clear(out: &mut Vec<u8>, body: &[u8]) {
    leb::write_unsigned(out, body.len() as u64 + 1);
    out.push(0);
    out.extend_from_slice(body);
}

/// Appends a body under its subjects' key. Bodies above `compress_from` bytes are compressed if that helps.
pub fn write_sealed(
    out: &mut Vec<u8>,
    segment: &Id,
    place: u32,
    subjects: &[u64],
    key: &Secret,
    body: &[u8],
    compressor: &mut zstd::bulk::Compressor<'_>,
) {
    let compressed = (body.len() >= COMPRESS_FROM)
        .then(|| compressor.compress(body).ok())
        .flatten()
        .filter(|data| data.len() < body.len());
    let (form, data) = compressed.as_deref().map_or((0, body), |data| (1, data));
    let mut clear = Vec::with_capacity(data.len() + 64);
    clear.push(form);
    leb::write_unsigned(&mut clear, data.len() as u64);
    clear.extend_from_slice(data);
    clear.resize(padded_len(clear.len()), 0);
    Cipher::new(&record_key(key, segment, place)).seal(0, &body_associated(segment, place), &mut clear);
    let numbers: usize = subjects.iter().map(|number| leb::unsigned_len(*number)).sum();
    let length = 1 + leb::unsigned_len(subjects.len() as u64) + numbers + clear.len();
    leb::write_unsigned(out, length as u64);
    out.push(1);
    leb::write_unsigned(out, subjects.len() as u64);
    for number in subjects {
        leb::write_unsigned(out, *number);
    }
    out.extend_from_slice(&clear);
}

/// Below this a frame of its own does not pay: a record of numbers has little to compress.
const COMPRESS_FROM: usize = 512;

fn padded_len(len: usize) -> usize {
    len.next_multiple_of(if len > 1_024 { 256 } else { 32 })
}

/// Takes the next entry off the front of a block's content.
pub fn read_entry<'a>(content: &mut &'a [u8]) -> Result<Entry<'a>, &'static str> {
    let length = leb::read_unsigned(content).ok_or("has no length")?;
    let length =
        usize::try_from(length).ok().filter(|length| *length <= content.len()).ok_or("passes its block")?;
    let (entry, rest) = content.split_at(length);
    *content = rest;
    match entry.split_first() {
        Some((0, body)) => Ok(Entry::Clear(body)),
        Some((1, mut rest)) => {
            let count = leb::read_unsigned(&mut rest).ok_or("has no subjects")?;
            if count == 0 || count > minutebook_record::limits::SUBJECTS_MAX as u64 {
                return Err("has a number of subjects that cannot be");
            }
            let mut subjects = Vec::with_capacity(count as usize);
            for _ in 0..count {
                subjects.push(leb::read_unsigned(&mut rest).ok_or("has no subjects")?);
            }
            Ok(Entry::Sealed { subjects, sealed: rest })
        }
        _ => Err("is of an unknown form"),
    }
}

/// Opens a sealed body.
///
/// # Errors
/// When it does not authenticate under this key, or is malformed.
pub fn open_sealed(
    segment: &Id,
    place: u32,
    subjects: &Secret,
    sealed: &[u8],
    decompressor: &mut zstd::bulk::Decompressor<'_>,
) -> Result<Vec<u8>, &'static str> {
    let mut sealed = sealed.to_vec();
    let clear = Cipher::new(&record_key(subjects, segment, place))
        .open(0, &body_associated(segment, place), &mut sealed)
        .ok_or("does not open with its subjects' keys")?;
    let whole = clear.len();
    let Some((&form, mut rest)) = clear.split_first() else {
        return Err("is empty");
    };
    let length = leb::read_unsigned(&mut rest).ok_or("has no length")?;
    let length =
        usize::try_from(length).ok().filter(|length| *length <= rest.len()).ok_or("passes its end")?;
    let (data, padding) = rest.split_at(length);
    if padded_len(whole - padding.len()) != whole || padding.iter().any(|byte| *byte != 0) {
        return Err("is padded wrongly");
    }
    match form {
        0 => Ok(data.to_vec()),
        1 => decompressor.decompress(data, section::CONTENT_BYTES_MAX).map_err(|_| "cannot be decompressed"),
        _ => Err("is of an unknown form"),
    }
}
