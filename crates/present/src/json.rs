//! Records as JSON (`docs/formats/json.md`): one object a line becomes a [`Draft`], a stored record becomes
//! an object. Edge: bytes and values only; files, clocks, trails and terminals are elsewhere.

mod draft;
mod explanation;
mod given;
mod instant;
pub mod limits;
mod member;
mod print;
mod problem;
mod shapes;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use draft::{Draft, DraftReader, ReadAt};
pub use given::{Fields, Given};
pub use instant::{date_tree, instant_tree};
pub use print::{Printer, decimal, field_value};
pub use problem::Problem;
pub use tree::{Members, Tree};

pub(crate) use print::float;
pub(crate) use print::{attribution_rows, elements, feature_name, value};
pub(crate) use tree::float_name;
