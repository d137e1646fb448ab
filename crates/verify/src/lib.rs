//! The offline verifier of Minutebook trails, and the stored formats that it reads: segments, descriptors, keys' derivation, receipts.
//!
//! Edge: no files, no network, no catalog, no clock. Bytes come from a [`Source`], keys from [`keys::Keys`]; what this crate computes anybody can
//! compute again. It knows nothing of the code that writes.

pub mod acknowledgement;
pub mod blob;
pub mod check;
pub mod coverage;
mod cursor;
pub mod descriptor;
pub mod disposal;
mod foreign;
pub mod keys;
pub mod leb;
pub mod limits;
pub mod log;
mod pinned;
pub mod receipt;
pub mod report;
pub mod restored;
pub mod retention;
mod said;
pub mod sampling;
pub mod section;
pub mod segment;
pub mod succession;
pub mod trailfile;
pub mod verify;
pub mod windows;

pub use cursor::EntryError;
pub use descriptor::Id;
pub use pinned::Pinned;
pub use report::{Finding, Report, Severity};
pub use verify::{Options, verify};

/// Where a trail's bytes come from. Names are those of `docs/formats/trail.md`, with `/` between folders.
pub trait Source: Sync {
    /// The whole content of an object; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be told or read.
    fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>>;

    /// The names of all objects, in any order.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn list(&self) -> std::io::Result<Vec<String>>;
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Bytes of exactly `2 * N` lower-case hex digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Gives `bytes` to every reader of this crate, for fuzzing: none may panic, and what an entry or a receipt is read as encodes to the same bytes.
#[doc(hidden)]
pub fn fuzz_readers(bytes: &[u8]) {
    if let Ok(entry) = descriptor::Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes, "an entry has one encoding");
    }
    if let Ok(receipt) = receipt::Receipt::decode(bytes) {
        assert_eq!(receipt.encode(), bytes, "a receipt has one encoding");
    }
    if let Ok(audit) = segment::Audit::decode(bytes) {
        assert_eq!(audit.encode(), bytes, "an audit section has one encoding");
        let _ = audit.leaves();
    }
    let _ = segment::Layout::parse(bytes);
    let _ = segment::Head::decode(bytes);
    let _ = segment::Body::parse(bytes);
    let mut rest = bytes;
    while !rest.is_empty() && segment::body::read_entry(&mut rest).is_ok() {}
    let _ = trailfile::TrailFile::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = retention::Settings::parse(text);
    }
    let _ = blob::open(&[0; 16], &keys::Secret::new([0; 32]), bytes);
    let _ = receipt::verify_receipt(bytes, &minutebook_tlog::Policy::default());
}
