//! The trail as its users meet it: through the crate's API, on real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access_request;
mod acknowledgements;
mod backup;
mod canaries;
mod crash;
mod doctor;
mod erasure;
mod files;
mod fixture;
mod keyring;
mod life;
mod obstacles;
mod rotation;
mod round_trip;
mod sampling;
mod scale;
mod slots;
mod tamper;
mod windows;
