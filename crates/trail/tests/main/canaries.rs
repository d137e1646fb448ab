//! Values that occur nowhere else, and the search for them in everything that is stored, raw and decrypted with every key that somebody holds.

use crate::keyring::Keyring;
use aws_lc_rs::{agreement, hmac};
use minutebook_verify::check::{Scratch, open_audit};
use minutebook_verify::keys::{Cipher, Secret, audit_key, blob_key, content_key, segment_key, subjects_key};
use minutebook_verify::segment::body::{open_sealed, read_entry};
use minutebook_verify::segment::{Entry, Layout, audit_associated, block_associated, head_associated};
use minutebook_verify::{blob, section, unhex};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Unique values, by what they stand for.
#[derive(Default)]
pub struct Canaries {
    all: Vec<(String, Vec<u8>)>,
    by_start: HashMap<[u8; 4], Vec<usize>>,
}

impl Canaries {
    fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        minutebook_capture::Random::fill(&minutebook_capture::SystemRandom, &mut bytes).unwrap();
        bytes
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.by_start.entry(bytes[..4].try_into().unwrap()).or_default().push(self.all.len());
        self.all.push((name.to_owned(), bytes.to_vec()));
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> String {
        let text = format!("{} {name}", minutebook_verify::hex(&Self::random::<10>()));
        self.add(name, text.as_bytes());
        text
    }

    /// Bytes, at least four.
    pub fn bytes<const N: usize>(&mut self, name: &str) -> [u8; N] {
        let bytes = Self::random();
        self.add(name, &bytes);
        bytes
    }

    /// A number as CBOR has it.
    pub fn float(&mut self, name: &str) -> f64 {
        let float = Self::random_float();
        self.add(name, &float.to_be_bytes());
        float
    }

    /// A number as a tensor has it.
    pub fn element(&mut self, name: &str) -> f64 {
        let float = Self::random_float();
        self.add(name, &float.to_le_bytes());
        float
    }

    fn random_float() -> f64 {
        f64::from_bits(0x3ff0_0000_0000_0000 | u64::from_be_bytes(Self::random()) >> 12)
    }

    /// The names of all.
    pub fn names(&self) -> BTreeSet<&str> {
        self.all.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn find(&self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for (at, start) in bytes.windows(4).enumerate() {
            let start: &[u8; 4] = start.try_into().unwrap();
            for &canary in self.by_start.get(start).map_or(&[][..], Vec::as_slice) {
                let (name, value) = &self.all[canary];
                if bytes[at..].starts_with(value) {
                    each(name);
                }
            }
        }
    }
}

/// What a search looked at, and where it found what.
#[derive(Default, Debug)]
pub struct Found {
    /// Canary, then the places.
    pub canaries: BTreeMap<String, BTreeSet<String>>,
    /// Sections, bodies, blobs and frames that opened.
    pub opened: BTreeMap<&'static str, usize>,
}

impl Found {
    pub fn names(&self) -> BTreeSet<&str> {
        self.canaries.keys().map(String::as_str).collect()
    }
}

/// Stored files, by name, and the keys that open what is in them.
pub struct Search<'a> {
    pub canaries: &'a Canaries,
    pub ring: &'a Keyring,
    pub found: Found,
}

impl<'a> Search<'a> {
    pub fn new(canaries: &'a Canaries, ring: &'a Keyring) -> Self {
        Self { canaries, ring, found: Found::default() }
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        let canaries = &mut self.found.canaries;
        self.canaries
            .find(bytes, |name| canaries.entry(name.to_owned()).or_default().extend([place.to_owned()]));
    }

    fn opened(&mut self, what: &'static str) {
        *self.found.opened.entry(what).or_default() += 1;
    }

    /// Searches all files of a folder: raw, and what is segment, blob or spool decrypted.
    pub fn folder(&mut self, label: &str, files: &BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files {
            let place = format!("{label}: {name}");
            self.look(&place, name.as_bytes());
            self.look(&place, bytes);
            if name.contains("segments/") {
                self.segment(&place, bytes);
            } else if let Some((_, id)) = name.rsplit_once("blobs/") {
                self.blob(&place, unhex(id).unwrap(), bytes);
            } else if let Some(stem) = name.strip_suffix(".epoch") {
                let parts =
                    files.iter().filter(|(part, _)| part.starts_with(stem) && part.ends_with(".spool"));
                for (part, frames) in parts {
                    self.part(&format!("{label}: {part}"), bytes, part, frames);
                }
            }
        }
    }

    /// Keys of subjects, alone and in pairs.
    fn owners(&self) -> Vec<Secret> {
        let keys: Vec<&Secret> = self.ring.subjects.iter().map(|(.., key)| key).collect();
        let mut owners: Vec<Secret> = keys.iter().map(|key| (*key).clone()).collect();
        for first in &keys {
            owners.extend(
                keys.iter().filter_map(|second| subjects_key(&[(*first).clone(), (*second).clone()])),
            );
        }
        owners
    }

    fn segment(&mut self, place: &str, object: &[u8]) {
        let layout = Layout::parse(object).unwrap();
        for (_, class_epoch) in &self.ring.class_epochs {
            let Ok(audit) = open_audit(object, &layout, &audit_key(class_epoch), &mut Scratch::default())
            else {
                continue;
            };
            let leaves = audit.leaves();
            let audit_cipher = Cipher::new(&segment_key(&audit_key(class_epoch), &layout.segment));
            let associated = audit_associated(&layout.segment);
            self.section(place, &audit_cipher, 0, &associated, &object[layout.audit.clone()]);
            let cipher = Cipher::new(&segment_key(&content_key(class_epoch), &layout.segment));
            let associated = head_associated(&layout.segment);
            self.section(place, &cipher, 0, &associated, &object[layout.head.clone()]);
            for (block, (_, range)) in layout.blocks.iter().enumerate() {
                let places = layout.places(block);
                let of_block = &leaves[places.start as usize..places.end as usize];
                let associated = block_associated(&layout.segment, block as u32, of_block);
                let content =
                    self.section(place, &cipher, block as u64 + 1, &associated, &object[range.clone()]);
                let mut rest = content.as_slice();
                for at in places {
                    if let Entry::Sealed { sealed, .. } = read_entry(&mut rest).unwrap() {
                        self.body(place, &layout.segment, at, sealed);
                    }
                }
            }
        }
    }

    fn section(
        &mut self,
        place: &str,
        cipher: &Cipher,
        number: u64,
        associated: &[u8],
        sealed: &[u8],
    ) -> Vec<u8> {
        let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
        let (mut sealed, mut content) = (sealed.to_vec(), Vec::new());
        section::open(cipher, number, associated, &mut sealed, &mut decompressor, &mut content).unwrap();
        self.look(place, &content);
        self.opened("section");
        content
    }

    fn body(&mut self, place: &str, segment: &[u8; 16], at: u32, sealed: &[u8]) {
        let mut decompressor = zstd::bulk::Decompressor::new().unwrap();
        for owner in self.owners() {
            if let Ok(body) = open_sealed(segment, at, &owner, sealed, &mut decompressor) {
                self.look(place, &body);
                self.opened("body");
            }
        }
    }

    fn blob(&mut self, place: &str, id: [u8; 16], object: &[u8]) {
        let content_keys = self.ring.class_epochs.iter().map(|(_, key)| content_key(key));
        for owner in self.owners().into_iter().chain(content_keys) {
            if let Some(content) = blob::open(&id, &blob_key(&owner, &id), object) {
                self.look(place, &content);
                self.opened("blob");
            }
        }
    }

    /// All that is or was a frame in a part, whatever its header says.
    fn part(&mut self, place: &str, epoch: &[u8], name: &str, part: &[u8]) {
        let Some(key) = epoch_key(self.ring.intake.expose(), epoch) else { return };
        let cipher = Cipher::new(&Secret::new(key));
        let number: u32 = name[name.len() - 12..name.len() - 6].parse().unwrap();
        for offset in (4096..part.len().saturating_sub(24)).step_by(16) {
            let length = u32::from_le_bytes(part[offset..offset + 4].try_into().unwrap()) as usize;
            if length < 24 || offset + length > part.len() {
                continue;
            }
            let mut nonce = [0; 12];
            nonce[..4].copy_from_slice(&number.to_be_bytes());
            nonce[4..].copy_from_slice(&(offset as u64).to_be_bytes());
            let mut associated = epoch[24..40].to_vec();
            associated
                .extend_from_slice(&u64::from_le_bytes(epoch[40..48].try_into().unwrap()).to_be_bytes());
            associated.extend_from_slice(&number.to_be_bytes());
            associated.extend_from_slice(&(offset as u64).to_be_bytes());
            let mut sealed = part[offset + 8..offset + length].to_vec();
            if let Some(clear) = cipher.open_with(nonce, &associated, &mut sealed) {
                let clear = clear.to_vec();
                self.look(place, &clear);
                self.opened("frame");
            }
        }
    }
}

/// Opens an epoch's key: HPKE (RFC 9180) base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
fn epoch_key(intake: &[u8; 32], epoch: &[u8]) -> Option<[u8; 32]> {
    let private = agreement::PrivateKey::from_private_key(&agreement::X25519, intake).ok()?;
    let public = private.compute_public_key().ok()?;
    let encapsulated = &epoch[128..160];
    let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, encapsulated);
    let shared = agreement::agree(&private, peer, (), |secret| Ok::<_, ()>(secret.to_vec())).ok()?;
    let kem = b"KEM\x00\x20";
    let suite = b"HPKE\x00\x20\x00\x01\x00\x02";
    let prk = labeled_extract(kem, &[], "eae_prk", &shared);
    let shared = labeled_expand(kem, &prk, "shared_secret", &[encapsulated, public.as_ref()].concat(), 32);
    let mut context = vec![0];
    context.extend(labeled_extract(suite, &[], "psk_id_hash", &[]));
    context.extend(labeled_extract(suite, &[], "info_hash", b"minutebook/spool/1"));
    let secret = labeled_extract(suite, &shared, "secret", &[]);
    let key: [u8; 32] = labeled_expand(suite, &secret, "key", &context, 32).try_into().ok()?;
    let nonce = labeled_expand(suite, &secret, "base_nonce", &context, 12).try_into().ok()?;
    let mut sealed = epoch[160..208].to_vec();
    let key = Cipher::new(&Secret::new(key)).open_with(nonce, &epoch[..128], &mut sealed)?;
    (&*key).try_into().ok()
}

fn labeled_extract(suite: &[u8], salt: &[u8], label: &str, ikm: &[u8]) -> Vec<u8> {
    let salt = if salt.is_empty() { &[0; 32] } else { salt };
    let labeled = [b"HPKE-v1", suite, label.as_bytes(), ikm].concat();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), &labeled).as_ref().to_vec()
}

fn labeled_expand(suite: &[u8], prk: &[u8], label: &str, info: &[u8], length: u16) -> Vec<u8> {
    let labeled = [&length.to_be_bytes()[..], b"HPKE-v1", suite, label.as_bytes(), info, &[1]].concat();
    let mut block = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, prk), &labeled).as_ref().to_vec();
    block.truncate(usize::from(length));
    block
}
