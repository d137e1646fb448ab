//! The stored formats, as the verifier reads them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledgements;
mod assembled;
mod formats;
mod sampling;
mod vectors;
