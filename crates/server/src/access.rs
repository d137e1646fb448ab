//! Who may do what over TCP, and the record that it was done, there or over the socket (`docs/formats/access.md`). Edge: what a role may is told by
//! `minutebook-access`; here it is asked for each request, kept while it holds, and written down.

mod asker;
mod book;
mod gate;
mod ledger;
mod owner;
mod routes;
mod sight;

pub(crate) use asker::{Asker, Shown, Told, not_permitted};
#[cfg(test)]
pub(crate) use book::{Book, Entry};
pub use book::{LocalRead, record_read};
pub(crate) use book::{PRODUCER, SpoolBook};
pub(crate) use gate::{Denying, Gate, PURPOSE, Pass, SignedIn};
pub(crate) use owner::{Owner, stand};
