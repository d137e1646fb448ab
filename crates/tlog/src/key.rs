//! Names and keys of signers (signed-note, "Signatures" and "Verifier keys"), and the secret halves of our own. Edge: what is
//! signed is decided in `note.rs` and `cosignature.rs`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::limits::VERIFIER_KEY_BYTES_MAX;

/// The name of a key: not empty, without Unicode spaces, control characters or `+`. A URL without scheme, by convention.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Four bytes that tell apart the keys of one name; shown as eight hex digits. No cryptographic strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u32);

/// What a key signs, and how (signed-note, "Signature types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// Ed25519 over the text of a note: a log's key.
    Ed25519 = 0x01,
    /// Timestamped Ed25519 over a checkpoint: a witness's key.
    Cosignature = 0x04,
}

/// A public key with its name: who is trusted. Shown as `name+id+base64`, a *vkey*.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    kind: KeyKind,
    public: [u8; 32],
}

/// Why a text is no key, or a key is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name has at least one character.
    #[error("key name is empty")]
    NameEmpty,
    /// A name has no space, control character or `+`.
    #[error("key name has the character {character:?}")]
    NameCharacter {
        /// The character.
        character: char,
    },
    /// Longer than [`VERIFIER_KEY_BYTES_MAX`].
    #[error("verifier key has {bytes} bytes, above {VERIFIER_KEY_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not three parts with `+` between.
    #[error("verifier key is not `name+id+key`")]
    Parts,
    /// The id is not eight lower-case hex digits.
    #[error("key id is not eight lower-case hex digits")]
    IdText,
    /// The third part is not standard base64.
    #[error("public key is not base64")]
    NotBase64,
    /// A type that this crate does not verify.
    #[error("key type {kind:#04x} is not supported (only 0x01 and 0x04 are)")]
    Kind {
        /// The type byte.
        kind: u8,
    },
    /// An Ed25519 public key has 32 bytes.
    #[error("public key has {bytes} bytes instead of 32")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// The id does not belong to this name and key: one of the three was altered.
    #[error("key id {stated} does not belong to this name and key, {computed} does")]
    IdMismatch {
        /// The id in the text.
        stated: KeyId,
        /// The id of name and key.
        computed: KeyId,
    },
    /// The seed was refused.
    #[error("seed makes no Ed25519 key")]
    Seed,
    /// The cryptographic library failed to sign.
    #[error("signing failed")]
    Signing,
}

impl KeyName {
    /// Takes over a name.
    ///
    /// # Errors
    /// [`KeyError::NameEmpty`], [`KeyError::NameCharacter`].
    pub fn new(name: impl Into<String>) -> Result<Self, KeyError> {
        let name = name.into();
        let refused = |character: &char| character.is_whitespace() || *character < ' ' || *character == '+';
        match name.chars().find(refused) {
            Some(character) => Err(KeyError::NameCharacter { character }),
            None if name.is_empty() => Err(KeyError::NameEmpty),
            None => Ok(Self(name)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyId {
    /// The id as it stands in a signature, big-endian there.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The id of a key: SHA-256(name ‖ 0A ‖ kind ‖ public key), its first four bytes.
    fn of(name: &KeyName, kind: KeyKind, public: &[u8; 32]) -> Self {
        let hash = Sha256::new()
            .chain_update(&name.0)
            .chain_update([b'\n', kind as u8])
            .chain_update(public)
            .finalize();
        Self(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl VerifierKey {
    /// A key from its public half, 32 bytes as in RFC 8032 §5.1.5.
    pub fn new(name: KeyName, kind: KeyKind, public: [u8; 32]) -> Self {
        Self { id: KeyId::of(&name, kind, &public), name, kind, public }
    }

    /// The name, for a log also its origin.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id that stands in this key's signatures.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// Whether this is the Ed25519 signature of this key over these bytes.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.kind as u8];
        key.extend(self.public);
        write!(f, "{}+{}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() > VERIFIER_KEY_BYTES_MAX {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        // The base64 of the key may hold a `+` too: only the first two separate.
        let (name, rest) = text.split_once('+').ok_or(KeyError::Parts)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Parts)?;
        let name = KeyName::new(name)?;
        if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::IdText);
        }
        let stated = KeyId(u32::from_str_radix(id, 16).map_err(|_| KeyError::IdText)?);
        let key = STANDARD.decode(key).map_err(|_| KeyError::NotBase64)?;
        let (kind, public) = key.split_first().ok_or(KeyError::Length { bytes: 0 })?;
        let kind = match *kind {
            0x01 => KeyKind::Ed25519,
            0x04 => KeyKind::Cosignature,
            kind => return Err(KeyError::Kind { kind }),
        };
        let public = public.try_into().map_err(|_| KeyError::Length { bytes: public.len() })?;
        let key = Self::new(name, kind, public);
        if key.id != stated {
            return Err(KeyError::IdMismatch { stated, computed: key.id });
        }
        Ok(key)
    }
}

/// A secret key with its public half. The secret lies in memory of AWS-LC, which clears what it frees (`OPENSSL_free`).
pub(crate) struct SigningKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    pub(crate) fn from_seed(
        name: KeyName,
        kind: KeyKind,
        seed: Zeroizing<[u8; 32]>,
    ) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyError::Seed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Seed)?;
        Ok(Self { verifier: VerifierKey::new(name, kind, public), pair })
    }

    pub(crate) fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.pair.try_sign(message).map_err(|_| KeyError::Signing)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Signing)
    }
}
