//! What all that listen at one address share: requests at once, bytes of bodies, wrong keys by address. Edge: counts; what becomes of who is beyond
//! them is the guard's.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::failures::Failures;
use crate::limits::{BODIES_BYTES_MAX, REQUESTS_AT_ONCE};

/// One set for a listener, however many trails are behind it.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(super) failures: Arc<Failures>,
    pub(super) requests: Arc<Semaphore>,
    /// In KiB.
    pub(super) bodies: Arc<Semaphore>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            failures: Arc::default(),
            requests: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX >> 10)),
        }
    }
}
