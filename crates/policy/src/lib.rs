//! Sampling policies (`docs/formats/policy.md`): reads the conditions of a policy's text, and says of a record which rule decides about it.
//!
//! Edge: no I/O, no clock, no draw. What a number's draw is, and what a rate keeps, is in `minutebook_verify::sampling`; who asks, and what
//! becomes of a record, is the engine's business. A condition is read and checked once, its fields are found once for each shape of record, and
//! for a record no more is done than to decode the fields that it asks for.

mod check;
mod error;
mod evaluate;
mod expression;
mod lex;
pub mod limits;
pub mod nearest;
mod parse;
mod policy;
mod quota;
mod redaction;
mod shape;
mod strata;
mod value;

pub use error::PolicyError;
pub use policy::{Decision, Policy, Share};
pub use quota::Quotas;
pub use shape::ShapePlan;
