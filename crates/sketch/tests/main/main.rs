//! Windows over decisions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod covers;
mod gather;
mod numbers;
mod texts;
mod vectors;
