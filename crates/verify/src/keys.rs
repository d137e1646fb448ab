//! The keys that a reader holds and what is derived from them, as `docs/formats/keys.md` says. Edge: where keys are stored and how
//! they are wrapped is the business of whoever holds them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use minutebook_record::cbor;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A 256-bit secret. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes over 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to hand to a cipher or to a key file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// HKDF-Expand (RFC 5869 §2.3) for one block of SHA-256: `key` is uniformly random, so there is no extract step.
pub fn derive(key: &Secret, label: &str, context: &[u8]) -> Secret {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
    mac.update(b"minutebook/");
    mac.update(label.as_bytes());
    mac.update(b"/1\0");
    mac.update(context);
    mac.update(&[1]);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(mac.sign().as_ref());
    Secret(bytes)
}

/// The key of a class-epoch's audit sections (level 1), from the class-epoch key.
pub fn audit_key(class_epoch: &Secret) -> Secret {
    derive(class_epoch, "audit", &[])
}

/// The key of a class-epoch's contents (level 2), from the class-epoch key.
pub fn content_key(class_epoch: &Secret) -> Secret {
    derive(class_epoch, "content", &[])
}

/// A segment's own key, from the audit or the content key of its class-epoch.
pub fn segment_key(class_epoch_part: &Secret, segment: &[u8; 16]) -> Secret {
    derive(class_epoch_part, "segment", segment)
}

/// The key that stands for the subjects of a record: their key, or for several one that needs all of them.
pub fn subjects_key(keys: &[Secret]) -> Option<Secret> {
    match keys {
        [] => None,
        [one] => Some(one.clone()),
        several => {
            let mut joined = b"minutebook/subjects/1\0".to_vec();
            for key in several {
                joined.extend_from_slice(key.expose());
            }
            let digest = minutebook_sha256::digest(&joined);
            joined.zeroize();
            Some(Secret(digest))
        }
    }
}

/// The key of one record's body, from its subjects' key.
pub fn record_key(subjects: &Secret, segment: &[u8; 16], place: u32) -> Secret {
    let mut context = [0; 20];
    context[..16].copy_from_slice(segment);
    context[16..].copy_from_slice(&place.to_be_bytes());
    derive(subjects, "record", &context)
}

/// The key of a blob, from its subjects' key or the class-epoch's content key.
pub fn blob_key(owner: &Secret, blob: &[u8; 16]) -> Secret {
    derive(owner, "blob", blob)
}

/// An AES-256-GCM cipher under one key, with a counter for a nonce: each (key, number) is used once.
pub struct Cipher(LessSafeKey);

impl Cipher {
    /// Expands the key.
    pub fn new(key: &Secret) -> Self {
        // INVARIANT: a 32-byte key is always accepted by AES-256-GCM.
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).expect("a 32-byte key");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `clear` in place and appends the tag.
    pub fn seal(&self, number: u64, associated: &[u8], clear: &mut Vec<u8>) {
        // INVARIANT: fails only beyond 2^36 bytes of clear text, far above every limit here.
        self.0
            .seal_in_place_append_tag(nonce(number), Aad::from(associated), clear)
            .expect("bounded clear text");
    }

    /// Decrypts `sealed` in place and gives the clear part of it; `None` when it does not authenticate.
    pub fn open<'a>(&self, number: u64, associated: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0.open_in_place(nonce(number), Aad::from(associated), sealed).ok()
    }

    /// The same with a nonce given whole, for keys that are used with random nonces.
    pub fn seal_with(&self, nonce: [u8; 12], associated: &[u8], clear: &mut Vec<u8>) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        // INVARIANT: as in `seal`.
        self.0.seal_in_place_append_tag(nonce, Aad::from(associated), clear).expect("bounded clear text");
    }

    /// The counterpart of [`Cipher::seal_with`].
    pub fn open_with<'a>(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(associated), sealed).ok()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// `cbor([label, id])` and the like: associated data of the stored formats.
pub(crate) fn associated(
    label: &str,
    id: &[u8; 16],
    rest: impl FnOnce(&mut Vec<u8>),
    entries: u64,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    cbor::write_array(&mut out, entries);
    cbor::write_text(&mut out, label);
    cbor::write_bytes(&mut out, id);
    rest(&mut out);
    out
}

/// What a verifier is given to read with. Each answer may be "no key", and then that part is left unread and said so.
pub trait Keys: Sync {
    /// The audit key of a class-epoch (`docs/formats/keys.md`).
    fn audit(&self, class_epoch: &[u8; 16]) -> Option<Secret>;
    /// The content key of a class-epoch.
    fn content(&self, class_epoch: &[u8; 16]) -> Option<Secret>;
    /// The keys of subjects by their numbers (ascending, no duplicates), in that order.
    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey>;
}

/// What is known of a subject's key.
#[derive(Clone, Debug)]
pub enum SubjectKey {
    /// Here it is.
    Known(Secret),
    /// The holder of the keys has none for this subject: it was erased, or deleted without an erasure.
    Gone,
    /// The reader was not given subjects' keys.
    Withheld,
}

/// No keys at all: level 0.
pub struct NoKeys;

impl Keys for NoKeys {
    fn audit(&self, _: &[u8; 16]) -> Option<Secret> {
        None
    }
    fn content(&self, _: &[u8; 16]) -> Option<Secret> {
        None
    }
    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        vec![SubjectKey::Withheld; numbers.len()]
    }
}
