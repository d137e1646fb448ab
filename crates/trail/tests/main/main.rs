//! The trail as its users meet it: through the crate's API, on real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledgements;
mod crash;
mod doctor;
mod files;
#[allow(dead_code, reason = "what tests share is not all used by each of them")]
mod fixture;
#[allow(dead_code, reason = "what tests share is not all used by each of them")]
mod keyring;
mod obstacles;
mod rotation;
mod round_trip;
mod scale;
#[allow(dead_code, reason = "what tests share is not all used by each of them")]
mod slots;
mod tamper;
