//! Who may do what over TCP, and the record that it was done (`docs/formats/access.md`). Edge: what a role may is told by `minutebook-access`;
//! here it is asked for each request, kept while it holds, and written down.

mod asker;
mod book;
mod gate;
mod routes;
mod sight;

pub(crate) use asker::{Asker, Shown, Told, not_permitted};
#[cfg(test)]
pub(crate) use book::{Book, Entry};
pub use book::{LocalRead, record_read};
pub(crate) use book::{PRODUCER, SpoolBook};
pub(crate) use gate::{Denying, Gate, Pass, SignedIn};
