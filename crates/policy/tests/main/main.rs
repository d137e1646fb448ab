//! Policies through the crate's API: what is told of wrong ones, and what conditions mean.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod meaning;
mod vectors;
