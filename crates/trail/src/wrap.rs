//! Wrapping one key under another (`docs/formats/keys.md`, "Wrapping"). Edge: which key wraps which is for the callers to know.

use crate::environment::draw;
use crate::error::Result;
use minutebook_capture::Random;
use minutebook_record::cbor;
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use zeroize::Zeroize;

/// A wrapped key: nonce, key, tag.
pub const WRAPPED_BYTES: usize = 60;

/// What a wrapped key is for; part of what is authenticated, so that one cannot be put in another's place.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A class-epoch key, by its id.
    ClassEpoch(&'a Id),
    /// The key of the keyed hash that finds subjects.
    Lookup,
    /// A bucket key.
    Bucket {
        /// Which bucket.
        bucket: u16,
        /// Which of its successive keys.
        generation: u32,
    },
    /// A subject's key, by the subject's lookup hash.
    Subject(&'a [u8; 32]),
    /// The key of the file of requests that may come again.
    Repeats,
    /// The key of the file of halves of calls that wait.
    Halves,
}

fn associated(trail: &Id, purpose: Purpose<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    cbor::write_array(&mut out, 4);
    cbor::write_text(&mut out, "minutebook/wrap/1");
    cbor::write_bytes(&mut out, trail);
    match purpose {
        Purpose::ClassEpoch(id) => {
            cbor::write_text(&mut out, "class-epoch");
            cbor::write_bytes(&mut out, id);
        }
        Purpose::Lookup => {
            cbor::write_text(&mut out, "lookup");
            cbor::write_bytes(&mut out, &[]);
        }
        Purpose::Bucket { bucket, generation } => {
            let mut id = [0; 8];
            id[..4].copy_from_slice(&u32::from(bucket).to_be_bytes());
            id[4..].copy_from_slice(&generation.to_be_bytes());
            cbor::write_text(&mut out, "bucket");
            cbor::write_bytes(&mut out, &id);
        }
        Purpose::Subject(lookup) => {
            cbor::write_text(&mut out, "subject");
            cbor::write_bytes(&mut out, lookup);
        }
        Purpose::Repeats => {
            cbor::write_text(&mut out, "repeats");
            cbor::write_bytes(&mut out, &[]);
        }
        Purpose::Halves => {
            cbor::write_text(&mut out, "halves");
            cbor::write_bytes(&mut out, &[]);
        }
    }
    out
}

/// Wraps `key` with a fresh nonce.
pub fn wrap(
    under: &Cipher,
    trail: &Id,
    purpose: Purpose<'_>,
    key: &Secret,
    random: &dyn Random,
) -> Result<[u8; WRAPPED_BYTES]> {
    Ok(wrap_with(draw(random)?, under, trail, purpose, key))
}

/// Wraps `key` with a nonce that was drawn for it alone.
pub fn wrap_with(
    nonce: [u8; 12],
    under: &Cipher,
    trail: &Id,
    purpose: Purpose<'_>,
    key: &Secret,
) -> [u8; WRAPPED_BYTES] {
    let mut sealed = Vec::with_capacity(48);
    sealed.extend_from_slice(key.expose());
    under.seal_with(nonce, &associated(trail, purpose), &mut sealed);
    let mut wrapped = [0; WRAPPED_BYTES];
    wrapped[..12].copy_from_slice(&nonce);
    wrapped[12..].copy_from_slice(&sealed);
    sealed.zeroize();
    wrapped
}

/// The key in `wrapped`; `None` when it is not one of this trail, purpose and wrapping key.
pub fn unwrap(under: &Cipher, trail: &Id, purpose: Purpose<'_>, wrapped: &[u8]) -> Option<Secret> {
    let wrapped: &[u8; WRAPPED_BYTES] = wrapped.try_into().ok()?;
    let (nonce, sealed) = wrapped.split_first_chunk::<12>()?;
    let mut sealed = sealed.to_vec();
    let key = under
        .open_with(*nonce, &associated(trail, purpose), &mut sealed)
        .and_then(|clear| <[u8; 32]>::try_from(&*clear).ok())
        .map(Secret::new);
    sealed.zeroize();
    key
}
