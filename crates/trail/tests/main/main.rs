//! The trail as its users meet it: through the crate's API, on real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod round_trip;
mod tamper;
