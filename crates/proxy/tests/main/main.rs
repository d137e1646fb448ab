//! The proxy between real sockets: an upstream that plays what a test says, clients that send bytes, and the trail read afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failing;
mod fixture;
mod message;
mod passing;
mod recording;
