//! Records as JSON (`docs/formats/json.md`): one object a line becomes a [`Draft`], a stored record becomes
//! an object. Edge: bytes and values only; files, clocks, trails and terminals are elsewhere.

mod draft;
mod elements;
mod explanation;
mod found;
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
pub use elements::{Number, number, write_whole};
pub use given::{Fields, Given};
pub use instant::{date_tree, instant_tree};
pub use print::{Printer, decimal, field_value};
pub use problem::Problem;
pub use tree::{Members, Tree};

pub(crate) use elements::elements;
pub(crate) use print::{attribution_rows, feature_name, float, value};
pub(crate) use tree::float_name;
