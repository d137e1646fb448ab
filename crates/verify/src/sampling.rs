//! Sampling that can be proved (`docs/formats/policy.md`): the draw that decides about a number, and the text that gives the rates. Edge: a
//! condition is a text here; what it means for a record is for the crate that judges to say.

mod keep;
pub(crate) mod proof;
mod text;

pub use keep::{Keep, RatesByValue, ValueRate};
pub use proof::{PolicyReport, RuleReport, SamplingReport};
pub use text::{ModelRules, PolicyText, Rule, TextError};
pub(crate) use text::{OneOrMany, fits};

use crate::descriptor::Id;
use crate::keys::Secret;
use aws_lc_rs::hmac;

/// `policy / what` of the record that puts a text in force.
pub const POLICY: &str = "sampling";

/// `policy / what` of the record that commits to a sampling key.
pub const KEY: &str = "sampling key";

/// The rule that keeps what no other one decides about.
pub const DEFAULT_RULE: &str = "default";

/// A sampling key, ready to draw with.
#[derive(Debug, Clone)]
pub struct SamplingKey {
    key: hmac::Key,
    digest: [u8; 32],
}

impl SamplingKey {
    /// Over 32 random bytes.
    pub fn new(secret: &Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self { key, digest: minutebook_sha256::digest(secret.expose()) }
    }

    /// SHA-256 of the key, to which the log is committed.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The draw of one number, uniform over all 64-bit values.
    pub fn draw(&self, producer: &Id, epoch: u64, class: &str, seq: u64) -> u64 {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(producer);
        mac.update(&epoch.to_be_bytes());
        // INVARIANT: a class has at most 32 bytes.
        mac.update(&[class.len() as u8]);
        mac.update(class.as_bytes());
        mac.update(&seq.to_be_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&mac.sign().as_ref()[..8]);
        u64::from_be_bytes(first)
    }
}

/// Whether a rate keeps a number with this draw: draw / 2^64 < rate, exactly.
pub fn keeps(rate: f64, draw: u64) -> bool {
    // A product with a power of two is exact.
    f64::ceil(rate * 18_446_744_073_709_551_616.0) as u128 > u128::from(draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_exactly_the_draws_below_it() {
        for (rate, draw, kept) in [
            (1.0, u64::MAX, true),
            (0.0, 0, false),
            (0.5, (1 << 63) - 1, true),
            (0.5, 1 << 63, false),
            (f64::MIN_POSITIVE, 0, true),
            (f64::MIN_POSITIVE, 1, false),
            (0.05, 922_337_203_685_477_631, true),
            (0.05, 922_337_203_685_477_632, false),
        ] {
            assert_eq!(keeps(rate, draw), kept, "{rate} {draw}");
        }
    }
}
