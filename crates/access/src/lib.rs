//! Who may do what in a trail: the roles as Cedar policies, which fields are personal, and what an operator says of both
//! (`docs/formats/access.md`). Edge: decides from values; no I/O, no clock, and no idea of HTTP or of how records are stored.

mod action;
mod allowance;
mod asker;
mod error;
pub mod limits;
mod owner;
mod people;
mod policies;
mod rights;
mod role;
mod settings;

#[cfg(test)]
mod tests;

pub use action::Action;
pub use allowance::Allowance;
pub use asker::{Asker, Proof, fits};
pub use error::AccessError;
pub use owner::Reads;
pub use people::SignIn;
pub use rights::{Circumstances, Rights, Verdict};
pub use role::Role;
pub use settings::{FORMAT, Settings};
