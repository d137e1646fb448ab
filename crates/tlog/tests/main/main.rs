//! The crate's behaviour through its public interface.

#![allow(clippy::unwrap_used, reason = "a test stops where a value is missing, helper functions too")]

mod arbitrary;
mod keys;
mod naive;
mod notes;
mod policies;
mod proofs;
mod tiles;
mod trees;
mod vectors;
