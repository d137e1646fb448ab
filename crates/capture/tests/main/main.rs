//! Behaviour of the spool through the crate's API: what is handed over is read, whatever happens to the process in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod ending;
mod faults;
mod fork;
mod identity;
mod reading;
mod reserve;
mod round_trip;
mod shipping;
mod support;
mod threads;
