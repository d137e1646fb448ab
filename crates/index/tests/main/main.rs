//! The index through its public calls, over real trails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod evolution;
mod exporting;
mod fixture;
mod life;
mod viewing;
