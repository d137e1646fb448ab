//! Entry bundles (tlog-tiles, "Log entries"): up to 256 entries, each behind its length. Edge: entries are bytes here.

use crate::limits::{ENTRY_BYTES_MAX, TILE_WIDTH_MAX};

/// Why entries make no bundle, or bytes are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than [`ENTRY_BYTES_MAX`].
    #[error("entry has {bytes} bytes, above {ENTRY_BYTES_MAX}")]
    EntryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A bundle has 1 to 256 entries.
    #[error("bundle of {entries} entries, not 1 to 256")]
    Width {
        /// How many were given or asked for.
        entries: usize,
    },
    /// The bytes end before the entry does.
    #[error("bundle ends within entry {entry}")]
    Truncated {
        /// Its number in the bundle, from 0.
        entry: usize,
    },
    /// There is more than the bundle's width.
    #[error("bundle has {bytes} bytes after its last entry")]
    Trailing {
        /// How many bytes.
        bytes: usize,
    },
}

/// A bundle of these entries.
///
/// # Errors
/// [`BundleError::Width`], [`BundleError::EntryTooLong`].
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    check_width(entries.len())?;
    let mut bundle = Vec::new();
    for entry in entries {
        push_entry(&mut bundle, entry.as_ref())?;
    }
    Ok(bundle)
}

/// Puts an entry behind those of a bundle. Whether the bundle is full already is for the caller to know.
///
/// # Errors
/// [`BundleError::EntryTooLong`]; the bundle is unchanged then.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let too_long = |_| BundleError::EntryTooLong { bytes: entry.len() };
    let length: u16 = entry.len().try_into().map_err(too_long)?;
    const { assert!(ENTRY_BYTES_MAX == u16::MAX as usize) };
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    Ok(())
}

/// The entries of a bundle of exactly this width.
///
/// # Errors
/// [`BundleError::Width`], [`BundleError::Truncated`], [`BundleError::Trailing`].
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    check_width(width.into())?;
    let mut rest = bytes;
    let mut entries = Vec::new();
    for entry in 0..width.into() {
        let truncated = BundleError::Truncated { entry };
        let (length, after) = rest.split_first_chunk().ok_or(truncated.clone())?;
        let (content, after) = after.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(truncated)?;
        entries.push(content);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(BundleError::Trailing { bytes: rest.len() }) }
}

fn check_width(entries: usize) -> Result<(), BundleError> {
    if (1..=TILE_WIDTH_MAX.into()).contains(&entries) { Ok(()) } else { Err(BundleError::Width { entries }) }
}
