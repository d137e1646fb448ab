//! Content encodings undone (RFC 9110, section 8.4; RFC 8878 for Zstandard), never to more than a bound. Edge: bytes; which encodings are taken, and
//! what becomes of a body that broke off, is for who asks.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::limits::ZSTD_WINDOW_LOG;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// One or more members of gzip.
    Gzip,
    /// The zlib form, or bare: some send it so.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// All of it, or as much as there was.
    pub bytes: Vec<u8>,
    /// It broke off before its end.
    pub broke_off: bool,
}

/// Why bytes cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// They are not packed so.
    Damaged,
    /// More would come out than may.
    TooLarge,
}

impl Packing {
    /// That of a coding in `content-encoding`, in lower case; none for `identity` and those that are not read.
    pub fn named(coding: &str) -> Option<Self> {
        match coding {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Unpacks at most `bytes_max` bytes, and holds little more than came out in memory.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub fn unpack(self, packed: &[u8], bytes_max: usize) -> Result<Unpacked, Wrong> {
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(packed), bytes_max),
            Self::Deflate => match bounded(ZlibDecoder::new(packed), bytes_max) {
                Ok(unpacked) if !unpacked.bytes.is_empty() || packed.is_empty() => Ok(unpacked),
                Err(Wrong::TooLarge) => Err(Wrong::TooLarge),
                _ => bounded(DeflateDecoder::new(packed), bytes_max),
            },
            Self::Brotli => bounded(brotli_decompressor::Decompressor::new(packed, 4096), bytes_max),
            Self::Zstd => {
                let damaged = |_| Wrong::Damaged;
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
                bounded(decoder, bytes_max)
            }
        }
    }
}

fn bounded(from: impl Read, bytes_max: usize) -> Result<Unpacked, Wrong> {
    let mut bytes = Vec::new();
    let read = from.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    if bytes.len() > bytes_max {
        return Err(Wrong::TooLarge);
    }
    match read {
        Ok(_) => Ok(Unpacked { bytes, broke_off: false }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Unpacked { bytes, broke_off: true }),
        Err(_) => Err(Wrong::Damaged),
    }
}
