//! Records as they go in and out: JSON (`docs/formats/json.md`), pages for people and plots, the same for the command line and for the HTTP
//! API. Edge: bytes, values and text; no files, clocks, terminals or sockets.

pub mod explained;
pub mod json;
pub mod opened;
pub mod page;
pub mod plot;
mod reasons;
pub mod redaction;
pub mod selection;
pub mod stats;
pub mod summary;
pub mod typed;
