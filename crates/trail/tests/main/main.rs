//! The trail as its users meet it: through the crate's API, on real files.

mod fixture;
mod round_trip;
mod tamper;
