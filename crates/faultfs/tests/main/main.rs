//! Programs under test, run with the library in front of their libc: what a power loss leaves of their files, what a
//! planned fault does to them, and that a real database keeps its promises.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions; here the helpers are tests, too"
)]

mod database;
mod durability;
mod faults;
mod program;
mod stage;
mod transparency;
