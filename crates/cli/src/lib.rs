//! The `minutebook` program, everything but `main`: a library so that its parts can be tested and measured.
//! Edge: what people and scripts type and see; what a trail is and does is in the crates below.

mod access;
mod asking;
mod auditkeys;
mod command;
mod detached;
mod failure;
mod import;
mod inforce;
mod intake;
mod interrupt;
mod limits;
mod lines;
mod listening;
mod moment;
mod options;
mod progress;
mod recording;
mod rows;
mod samplingkeys;
mod seen;
mod serving;
mod several;
mod sys;
mod terminal;

pub use command::main;
