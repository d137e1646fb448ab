//! A reverse proxy in front of a model server: passes every call on as it is, and records those that are decisions (`docs/guides/proxy.md`).
//! Edge: HTTP/1.1 in, HTTP/1.1 out, over connections that `minutebook-net` takes and makes; what bodies mean is in `minutebook-adapters`, how records
//! reach the trail in `minutebook-server` and `minutebook-capture`. Nothing waits for a record: it is handed over when its call has ended.

mod body;
mod call;
mod decode;
mod forward;
mod headers;
mod kept;
pub mod limits;
mod options;
mod problem;
mod read;
mod record;
mod recorder;
mod route;
mod server;
mod upgrade;
mod upstream;

pub use options::{GivenModel, OnFailure, Options, UpstreamUrl, header_to_read};
pub use recorder::Counts;
pub use server::{Proxy, ProxyError};
