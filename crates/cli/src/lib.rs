//! The `minutebook` program, everything but `main`: a library so that its parts can be tested and measured.
//! Edge: what people and scripts type and see; what a trail is and does is in the crates below.

mod auditkeys;
mod command;
mod failure;
mod import;
mod intake;
mod interrupt;
pub mod json;
mod limits;
mod lines;
mod moment;
pub mod opened;
mod options;
pub mod page;
mod recording;
mod sealer;
mod seen;
mod terminal;

pub use command::main;
