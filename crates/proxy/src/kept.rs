//! A body that passes, as much of it as is kept for its record: all of it up to a bound, else its digest and length.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{Context, SHA256};

use crate::limits::{BODY_BYTES_KEPT, BYTES_KEPT};

/// What all bodies that are kept take together.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// Whether so many bytes more may be kept; they are, then.
    fn take(&self, bytes: usize) -> bool {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= BYTES_KEPT {
            return true;
        }
        self.0.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A body as far as it has passed.
pub(crate) struct Kept {
    budget: Arc<Budget>,
    bytes: Vec<u8>,
    /// From when there is more than is kept.
    digest: Option<Context>,
    length: u64,
    is_whole: bool,
}

impl Kept {
    /// Nothing yet, of a body of `length` bytes where that is known.
    pub(crate) fn new(budget: Arc<Budget>, length: Option<u64>) -> Self {
        let is_too_large = length.is_some_and(|length| length > BODY_BYTES_KEPT as u64);
        let digest = is_too_large.then(|| Context::new(&SHA256));
        Self { budget, bytes: Vec::new(), digest, length: 0, is_whole: false }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        if self.digest.is_none()
            && self.bytes.len() + piece.len() <= BODY_BYTES_KEPT
            && self.budget.take(piece.len())
        {
            self.bytes.extend_from_slice(piece);
            return;
        }
        let digest = self.digest.get_or_insert_with(|| Context::new(&SHA256));
        if !self.bytes.is_empty() {
            digest.update(&self.bytes);
            self.budget.give_back(self.bytes.len());
            self.bytes = Vec::new();
        }
        digest.update(piece);
    }

    /// The body has come to its end.
    pub(crate) fn end(&mut self) {
        self.is_whole = true;
    }

    /// Whether all of it has passed.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The body, or as much as passed of it; nothing when that is more than is kept.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.digest.is_none().then_some(&self.bytes)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The SHA-256 of what passed.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let digest = match &self.digest {
            Some(digest) => digest.clone().finish(),
            None => aws_lc_rs::digest::digest(&SHA256, &self.bytes),
        };
        // INVARIANT: SHA-256 has 32 bytes.
        digest.as_ref().try_into().unwrap_or([0; 32])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> Vec<u8> {
        aws_lc_rs::digest::digest(&SHA256, bytes).as_ref().to_vec()
    }

    #[test]
    fn up_to_the_bound_the_bytes_are_kept_and_beyond_it_the_digest() {
        let budget = Arc::new(Budget::default());
        let whole = vec![7; BODY_BYTES_KEPT];
        for (length, extra) in
            [(None, 0), (Some(BODY_BYTES_KEPT as u64), 0), (None, 1), (Some(BODY_BYTES_KEPT as u64 + 1), 1)]
        {
            let mut kept = Kept::new(Arc::clone(&budget), length);
            whole.chunks(1 << 20).for_each(|piece| kept.take(piece));
            kept.take(&whole[..extra]);
            assert_eq!(kept.bytes().is_some(), extra == 0);
            let all = [&whole[..], &whole[..extra]].concat();
            assert_eq!((kept.sha256().to_vec(), kept.length()), (sha256(&all), all.len() as u64));
        }
        assert_eq!(budget.0.load(Ordering::Relaxed), 0, "what is not kept any more was given back");
    }

    #[test]
    fn bodies_share_what_may_be_kept() {
        let budget = Arc::new(Budget::default());
        assert!(budget.take(BYTES_KEPT - 1));
        let mut kept = Kept::new(Arc::clone(&budget), None);
        kept.take(b"a");
        assert_eq!(kept.bytes(), Some(&b"a"[..]));
        kept.take(b"b");
        assert_eq!((kept.bytes(), kept.sha256().to_vec()), (None, sha256(b"ab")));
        drop(kept);
        assert!(budget.take(1) && !budget.take(1));
    }
}
