//! Hashes of leaves and nodes (RFC 6962 §2.1) and their text forms. Edge: how hashes make up a tree is in `tree.rs`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A SHA-256 hash: of a leaf, of a node, or the root of a tree. Shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Hash([u8; 32]);

/// Why a text or a slice is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The text is not standard base64 with padding (RFC 4648 §4).
    #[error("hash is not base64")]
    NotBase64,
    /// Not 32 bytes.
    #[error("hash has {bytes} bytes instead of 32")]
    Length {
        /// How many bytes there are.
        bytes: usize,
    },
}

impl Hash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// Takes over 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a hash out of a slice of exactly 32 bytes.
    ///
    /// # Errors
    /// [`HashError::Length`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, HashError> {
        bytes.try_into().map(Self).map_err(|_| HashError::Length { bytes: bytes.len() })
    }

    /// Standard base64 with padding: 44 characters.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Hash::to_base64`] writes, and nothing else: padding and unused bits are checked.
    ///
    /// # Errors
    /// [`HashError::NotBase64`], [`HashError::Length`].
    pub fn from_base64(text: &str) -> Result<Self, HashError> {
        Self::from_slice(&STANDARD.decode(text).map_err(|_| HashError::NotBase64)?)
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of an entry as a leaf: SHA-256(00 ‖ entry), RFC 6962 §2.1.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of the node over two subtrees: SHA-256(01 ‖ left ‖ right), RFC 6962 §2.1.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(&left.0);
    input[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(input).into())
}

/// The root of a tree without leaves: SHA-256 of nothing, RFC 6962 §2.1.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}
