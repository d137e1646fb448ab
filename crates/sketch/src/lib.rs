//! Windows (`docs/formats/window.md`): counts and sketches over all decisions of a model version in a span of time, whether they are kept or not.
//!
//! Edge: no I/O, no clock, no keys. Decisions come encoded and checked; which numbers they have, and what became of them, is said by who counts
//! them. Sketches are Apache `DataSketches`; how they are kept small and without what few people are known by is decided here.

pub mod covers;
mod encoding;
mod gather;
pub mod limits;
mod numbers;
mod record;
mod texts;
mod window;

pub use encoding::SealedWindow;
pub use gather::{Counted, Gathered, Plan, duration_path};
pub use numbers::{Moments, Numbers};
pub use record::fields;
pub use texts::{Item, Texts};
pub use window::{Feature, Judged, Key, Length, Sort, Window};
