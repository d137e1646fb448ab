//! The keys of persons: from a name to its keyed hash, number and key. Edge: knows nothing of records; erasing is `erase`'s business.

use crate::catalog::{Catalog, SubjectRow};
use crate::error::{Error, Result};
use crate::keyfolder::{BUCKETS, Buckets};
use crate::wrap::{self, Purpose};
use aws_lc_rs::hmac;
use minutebook_capture::Random;
use minutebook_record::RecordId;
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Subjects whose keys are kept at hand: about 100 bytes each.
const CACHE_MAX: usize = 200_000;

/// A fresh key, and the nonce that it is wrapped with.
const KEY_AND_NONCE: usize = 32 + 12;

/// A subject's number and key.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Opaque number.
    pub number: u64,
    /// The key.
    pub key: Secret,
}

/// The keyed hash that finds subjects without naming them.
#[derive(Clone)]
pub struct LookupKey(hmac::Key);

impl LookupKey {
    /// From the trail's lookup key.
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// The lookup hash of a subject.
    pub fn lookup(&self, subject: &[u8]) -> [u8; 32] {
        let mut lookup = [0; 32];
        lookup.copy_from_slice(hmac::sign(&self.0, subject).as_ref());
        lookup
    }

    /// Whom records are about that link to a decision which says no more, or never said, whom it is about.
    pub fn orphans_of(&self, decision: &RecordId) -> [u8; 32] {
        self.lookup(format!("\0decision:{decision}").as_bytes())
    }
}

/// The bucket of a lookup hash: its first 12 bits.
pub fn bucket_of(lookup: &[u8; 32]) -> u16 {
    u16::from_be_bytes([lookup[0], lookup[1]]) >> 4
}

/// Finds and makes subjects' keys.
pub struct Subjects {
    trail: Id,
    known: HashMap<[u8; 32], Subject>,
    ciphers: Vec<Option<Cipher>>,
    last_number: u64,
    /// The highest number that is in the catalog, as far as this run placed any.
    placed_number: u64,
    /// Buckets that have a row in the catalog.
    placed_buckets: Vec<bool>,
    pub(crate) buckets: Buckets,
}

impl Subjects {
    /// Over the catalog's rows and the key folder's buckets.
    pub async fn open(trail: Id, catalog: &Catalog, buckets: Buckets) -> Result<Self> {
        let last_number = catalog.last_subject_number().await?;
        let ciphers = (0..BUCKETS).map(|_| None).collect();
        let mut placed_buckets = vec![false; usize::from(BUCKETS)];
        for bucket in catalog.buckets().await? {
            if let Some(placed) = placed_buckets.get_mut(usize::from(bucket)) {
                *placed = true;
            }
        }
        Ok(Self {
            trail,
            known: HashMap::new(),
            ciphers,
            last_number,
            placed_number: last_number,
            placed_buckets,
            buckets,
        })
    }

    /// The subjects of `lookups` (no duplicates), in that order, made where they are not known. Gives the rows of the new ones, which have to be
    /// committed with the first segment that uses them.
    pub async fn resolve(
        &mut self,
        lookups: &[[u8; 32]],
        catalog: &Catalog,
        random: &dyn Random,
    ) -> Result<(Vec<Subject>, Vec<SubjectRow>)> {
        if self.known.len() + lookups.len() > CACHE_MAX {
            // Those that no transaction has placed yet are nowhere else: without them a second key would be made for the same person.
            let placed = self.placed_number;
            self.known.retain(|_, subject| subject.number > placed);
        }
        let unknown: Vec<[u8; 32]> =
            lookups.iter().filter(|lookup| !self.known.contains_key(*lookup)).copied().collect();
        for row in catalog.subjects(&unknown).await? {
            let subject = self.unwrap(&row)?;
            self.known.insert(row.lookup, subject);
        }
        let mut new: Vec<[u8; 32]> =
            unknown.into_iter().filter(|lookup| !self.known.contains_key(lookup)).collect();
        // In the order of the catalog's index, so that neighbours are inserted one after the other.
        new.sort_unstable();
        let mut buckets: Vec<u16> = new.iter().map(bucket_of).collect();
        buckets.sort_unstable();
        buckets.dedup();
        self.buckets.ensure(&buckets, random)?;
        let mut rows = Vec::with_capacity(new.len());
        // Drawn at once: a call for each key and nonce costs as much as wrapping.
        let mut drawn = Zeroizing::new(vec![[0; KEY_AND_NONCE]; new.len()]);
        random.fill(drawn.as_flattened_mut()).map_err(|_| Error::NoRandomness)?;
        for (lookup, drawn) in new.into_iter().zip(drawn.iter()) {
            // INVARIANT: the two parts are as long as what is drawn.
            let (key, nonce) = drawn.split_first_chunk().expect("a key");
            let nonce = nonce.try_into().expect("a nonce");
            let bucket = bucket_of(&lookup);
            self.last_number += 1;
            let subject = Subject { number: self.last_number, key: Secret::new(*key) };
            let trail = self.trail;
            let cipher = self.cipher(bucket)?;
            let wrapped = wrap::wrap_with(nonce, cipher, &trail, Purpose::Subject(&lookup), &subject.key);
            rows.push(SubjectRow { lookup, number: subject.number, bucket, wrapped: wrapped.to_vec() });
            self.known.insert(lookup, subject);
        }
        let subjects = lookups.iter().map(|lookup| self.known[lookup].clone()).collect();
        Ok((subjects, rows))
    }

    /// Notes that `rows` are being placed, in the order of their numbers; gives those of their buckets that have no row in the catalog yet.
    pub fn placing(&mut self, rows: &[SubjectRow]) -> Vec<u16> {
        if let Some(last) = rows.last() {
            self.placed_number = last.number;
        }
        let fresh = |row: &SubjectRow| {
            let placed = &mut self.placed_buckets[usize::from(row.bucket)];
            (!std::mem::replace(placed, true)).then_some(row.bucket)
        };
        rows.iter().filter_map(fresh).collect()
    }

    /// The key in a catalog's row.
    ///
    /// # Errors
    /// When the row does not open under its bucket's key.
    pub fn unwrap(&mut self, row: &SubjectRow) -> Result<Subject> {
        let trail = self.trail;
        let generation = self.buckets.key(row.bucket).map_or(0, |(generation, _)| generation);
        let cipher = self.cipher(row.bucket)?;
        let key = wrap::unwrap(cipher, &trail, Purpose::Subject(&row.lookup), &row.wrapped);
        let key = key.ok_or(Error::BucketGeneration { bucket: row.bucket, generation })?;
        Ok(Subject { number: row.number, key })
    }

    /// Forgets what is cached of a bucket, and of a subject: after an erasure.
    pub fn forget(&mut self, lookup: &[u8; 32]) {
        self.known.remove(lookup);
        self.ciphers[usize::from(bucket_of(lookup))] = None;
    }

    /// Forgets the key of a bucket that was given another one.
    pub fn forget_bucket(&mut self, bucket: u16) {
        self.ciphers[usize::from(bucket)] = None;
    }

    fn cipher(&mut self, bucket: u16) -> Result<&Cipher> {
        let slot = &mut self.ciphers[usize::from(bucket)];
        if slot.is_none() {
            let (_, key) =
                self.buckets.key(bucket).ok_or(Error::BucketGeneration { bucket, generation: 1 })?;
            *slot = Some(Cipher::new(key));
        }
        // INVARIANT: filled just above.
        Ok(slot.as_ref().expect("a cipher"))
    }
}
