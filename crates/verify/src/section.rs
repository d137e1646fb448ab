//! A section of a segment: compressed, padded, encrypted (`docs/formats/segment.md`, "The object"). Edge: what the content means is
//! for `head`, `block` and `audit` to say.

use crate::keys::Cipher;

/// The largest content of a section: a block of one record, or the audit section, and some room.
pub const CONTENT_BYTES_MAX: usize = 8 << 20;

const HEADER: usize = 9;
const STEP: usize = 256;

/// Why a section could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Wrong key, or changed bytes.
    #[error(
        "does not authenticate: it was changed, or is not what its place says, or the key is another trail's"
    )]
    Authentication,
    /// Authentic and yet not well-formed: written by faulty code.
    #[error("is authentic but malformed ({0})")]
    Malformed(&'static str),
}

/// Compresses (if that helps), pads and encrypts `content` into `out`, appending; gives the length of the section.
pub fn seal(
    cipher: &Cipher,
    number: u64,
    associated: &[u8],
    content: &[u8],
    compressor: &mut zstd::bulk::Compressor<'_>,
    out: &mut Vec<u8>,
) -> usize {
    let mut clear = vec![0; HEADER];
    clear.reserve(zstd::zstd_safe::compress_bound(content.len()) + STEP + 16);
    let compressed = {
        let bound = zstd::zstd_safe::compress_bound(content.len());
        clear.resize(HEADER + bound, 0);
        compressor.compress_to_buffer(content, &mut clear[HEADER..]).ok().filter(|n| *n < content.len())
    };
    let length = match compressed {
        Some(length) => {
            clear[0] = 1;
            length
        }
        None => {
            clear[HEADER..HEADER + content.len()].copy_from_slice(content);
            content.len()
        }
    };
    clear[1..5].copy_from_slice(&(length as u32).to_le_bytes());
    clear[5..9].copy_from_slice(&(content.len() as u32).to_le_bytes());
    clear.truncate(HEADER + length);
    clear.resize((HEADER + length).next_multiple_of(STEP), 0);
    cipher.seal(number, associated, &mut clear);
    out.extend_from_slice(&clear);
    clear.len()
}

/// Decrypts and decompresses a section into `content` (cleared first). `sealed` is used as scratch.
pub fn open(
    cipher: &Cipher,
    number: u64,
    associated: &[u8],
    sealed: &mut [u8],
    decompressor: &mut zstd::bulk::Decompressor<'_>,
    content: &mut Vec<u8>,
) -> Result<(), SectionError> {
    content.clear();
    let clear = cipher.open(number, associated, sealed).ok_or(SectionError::Authentication)?;
    let Some((header, rest)) = clear.split_first_chunk::<HEADER>() else {
        return Err(SectionError::Malformed("no room for its header"));
    };
    let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let content_len = u32::from_le_bytes([header[5], header[6], header[7], header[8]]) as usize;
    if content_len > CONTENT_BYTES_MAX {
        return Err(SectionError::Malformed("content larger than any section"));
    }
    if length > rest.len() || (HEADER + length).next_multiple_of(STEP) != clear.len() {
        return Err(SectionError::Malformed("length"));
    }
    let (data, padding) = rest.split_at(length);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(SectionError::Malformed("padding is not zero"));
    }
    match header[0] {
        0 if length == content_len => content.extend_from_slice(data),
        1 => {
            content.resize(content_len, 0);
            match decompressor.decompress_to_buffer(data, content.as_mut_slice()) {
                Ok(n) if n == content_len => {}
                _ => return Err(SectionError::Malformed("compressed data")),
            }
        }
        _ => return Err(SectionError::Malformed("form")),
    }
    Ok(())
}
