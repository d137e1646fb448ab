//! Randomness, the one place where the crate draws it.

/// The source of random bytes did not answer. Nothing was drawn; the call may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of random bytes failed")]
pub struct RandomError;

/// Where keys and ids come from. Bytes must be unpredictable, also after a fork.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`RandomError`] when the source does not answer; what `bytes` holds then is not to be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The generator of the cryptographic library, seeded by the operating system; notices forks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(clippy::disallowed_methods, reason = "the crate's one source of randomness")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| RandomError)
    }
}
