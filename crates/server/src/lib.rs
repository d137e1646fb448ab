//! The engine of a trail as a process of its own: it seals what producers hand over, and answers HTTP on a Unix socket and over TCP
//! (`docs/api.md`).
//! Edge: when and for whom, not how; no cryptography, no SQL, no terminal.

mod access;
mod api;
mod approvals;
mod client;
mod front;
mod guard;
mod handover;
mod indexing;
mod intake;
mod jobs;
pub mod known;
mod limits;
mod logged;
mod mirrors;
mod name;
mod peers;
mod people;
mod problem;
mod sealer;
mod served;
mod server;
mod socket;
mod spans;
mod starting;
mod turns;
mod versions;

pub use access::{LocalRead, record_read};
pub use api::Identity;
pub use client::{ApiKeyMade, EngineClient, PolicySetThere, Refused, SamplingKeyThere, SealedThere};
pub use handover::HandOver;
pub use limits::TRAILS_MAX;
pub use name::{NotAName, TrailName};
pub use sealer::{Answer, Sealed, Sealer};
pub use server::{DEFAULT_ADDRESS, Named, Server, Serving};
pub use starting::{Found, HOLDER, Held, find_or_become};
