//! What others send, log and capture about models becomes records in the form of `docs/formats/json.md`. Edge: bytes and headers in, records out;
//! no I/O and no clock, and no input makes it panic.

pub mod captures;
pub mod cloudevents;
mod columns;
pub mod exchange;
pub mod foreign;
pub mod invocations;
pub mod limits;
pub mod logger;
pub mod mapping;
pub mod oip;
pub mod openai;
pub mod otlp;
pub mod packed;
pub mod pairing;
pub mod payload;
mod print;
mod tensor;

pub use exchange::{Call, Exchange, Row, Side, Version, VersionFrom};
pub use minutebook_present::json::{Members, Problem, Tree};
