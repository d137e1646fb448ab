//! Records as they go in and out: JSON (`docs/formats/json.md`) and pages for people, the same for the command line and for the HTTP
//! API. Edge: bytes, values and text; no files, clocks, terminals or sockets.

pub mod json;
pub mod opened;
pub mod page;
mod reasons;
pub mod redaction;
pub mod selection;
pub mod typed;
