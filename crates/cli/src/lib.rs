//! The `minutebook` program, everything but `main`: a library so that its parts can be tested and measured.
//! Edge: what people and scripts type and see; what a trail is and does is in the crates below.

pub mod json;
pub mod opened;
pub mod page;
