//! The trail's intake key: X25519, to which producers seal the key of each epoch with HPKE (RFC 9180), so that they can write what
//! only the engine reads.

use std::convert::Infallible;
use std::fmt;

use hpke::aead::AesGcm256;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::{Zeroize, Zeroizing};

use crate::random::{Random, RandomError};

const INFO: &[u8] = b"minutebook/spool/1";

/// Public half: 32 bytes, X25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IntakePublicKey([u8; 32]);

impl IntakePublicKey {
    /// The key with these bytes. Any 32 bytes name a point; those of small order are refused when something is sealed to them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As it stands in `trail.toml`.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for IntakePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntakePublicKey(…)")
    }
}

/// Private half. Wiped when dropped, not in `Debug`.
#[derive(Clone)]
pub struct IntakePrivateKey(Zeroizing<[u8; 32]>);

impl IntakePrivateKey {
    /// The key made of 32 random bytes; RFC 7748 §5 says which bits of them count.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws a key.
    ///
    /// # Errors
    /// [`RandomError`] when the source does not answer.
    pub fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, for the key folder.
    #[must_use]
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The other half.
    #[must_use]
    pub fn public(&self) -> IntakePublicKey {
        let public = X25519HkdfSha256::sk_to_pk(&self.secret());
        let mut bytes = [0; 32];
        public.write_exact(&mut bytes);
        IntakePublicKey(bytes)
    }

    fn secret(&self) -> <X25519HkdfSha256 as Kem>::PrivateKey {
        match <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&*self.0) {
            Ok(key) => key,
            // The only error is a wrong length.
            Err(_) => unreachable!("an X25519 key has 32 bytes"),
        }
    }
}

impl fmt::Debug for IntakePrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntakePrivateKey(…)")
    }
}

/// An epoch's key as the epoch file holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) encapsulated: [u8; 32],
    pub(crate) ciphertext: [u8; 48],
}

/// Why a key was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the intake key is not usable")]
    Key,
    #[error("sealed to another key, or altered")]
    Open,
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Seals an epoch's key; `aad` is the epoch file's first 128 bytes.
pub(crate) fn seal(
    to: &IntakePublicKey,
    key: &[u8; 32],
    aad: &[u8],
    random: &dyn Random,
) -> Result<SealedKey, SealError> {
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&to.0).map_err(|_| SealError::Key)?;
    let mut drawn = Drawn { bytes: Zeroizing::new([0; 64]), used: 0 };
    random.fill(&mut *drawn.bytes)?;
    let mut ciphertext = [0; 48];
    ciphertext[..32].copy_from_slice(key);
    let sealed = hpke::single_shot_seal_inout_detached_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        INFO,
        InOutBuf::from(&mut ciphertext[..32]),
        aad,
        &mut drawn,
    );
    let Ok((encapsulated, tag)) = sealed else {
        ciphertext.zeroize();
        return Err(SealError::Key);
    };
    tag.write_exact(&mut ciphertext[32..]);
    let mut bytes = [0; 32];
    encapsulated.write_exact(&mut bytes);
    Ok(SealedKey { encapsulated: bytes, ciphertext })
}

/// Opens an epoch's key.
pub(crate) fn open(
    with: &IntakePrivateKey,
    sealed: &SealedKey,
    aad: &[u8],
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.encapsulated)
        .map_err(|_| SealError::Open)?;
    let tag = hpke::aead::AeadTag::<AesGcm256>::from_bytes(&sealed.ciphertext[32..])
        .map_err(|_| SealError::Open)?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&sealed.ciphertext[..32]);
    hpke::single_shot_open_inout_detached::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &with.secret(),
        &encapsulated,
        INFO,
        InOutBuf::from(&mut key[..]),
        aad,
        &tag,
    )
    .map_err(|_| SealError::Open)?;
    Ok(key)
}

/// Random bytes drawn beforehand, in the form that `hpke` takes them: it needs 32, and its generator may not fail.
struct Drawn {
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used + into.len();
        assert!(end <= self.bytes.len(), "sealing draws one key's worth of randomness");
        into.copy_from_slice(&self.bytes[self.used..end]);
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn what_is_sealed_opens_with_the_private_key_and_the_same_data_only() {
        let ours = IntakePrivateKey::generate(&SystemRandom).unwrap();
        let other = IntakePrivateKey::generate(&SystemRandom).unwrap();
        let sealed = seal(&ours.public(), &[7; 32], b"aad", &SystemRandom).unwrap();
        assert_eq!(*open(&ours, &sealed, b"aad").unwrap(), [7; 32]);
        assert_eq!(open(&ours, &sealed, b"bad").unwrap_err(), SealError::Open);
        assert_eq!(open(&other, &sealed, b"aad").unwrap_err(), SealError::Open);
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let zero = IntakePublicKey::from_bytes([0; 32]);
        assert_eq!(seal(&zero, &[7; 32], b"", &SystemRandom).unwrap_err(), SealError::Key);
    }
}
