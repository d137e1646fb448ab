//! The paths of the HTTP API (`docs/api.md`), a file a family. Edge: requests and answers; sealing and reading are done by others.

mod backup;
mod cloudevents;
mod engine;
mod health;
mod index;
mod intake;
mod life;
mod log;
mod otlp;
mod policy;
mod records;
mod seal;
mod search;
mod stats;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Clock;
use minutebook_trail::Reader;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::indexing::Indexing;
use crate::intake::Intake;
use crate::limits::RECORDS_BYTES_MAX;
use crate::logged::LoggedCalls;
use crate::problem::Problem;
use crate::sealer::Asker;
use crate::versions::Versions;

/// Which engine this is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// The trail's id, 32 hex digits.
    pub trail: String,
    /// The log's name for the world.
    pub name: String,
    /// When the process began to serve, RFC 3339.
    pub started: String,
    /// Seconds without work after which it ends by itself.
    pub idle_after_s: Option<u64>,
    /// The trail's folder.
    pub folder: PathBuf,
    /// The TCP address at which it answers too.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) reader: Arc<Reader>,
    pub(crate) indexing: Indexing,
    pub(crate) sealer: Asker,
    pub(crate) intake: Intake,
    pub(crate) logged: LoggedCalls,
    pub(crate) versions: Versions,
    pub(crate) clock: Arc<dyn Clock>,
    /// Told when somebody asks the process to end.
    pub(crate) stop: Notify,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(crate) fn new(
        identity: Identity,
        reader: Arc<Reader>,
        indexing: Indexing,
        sealer: Asker,
        intake: Intake,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Shared {
            identity,
            reader,
            indexing,
            sealer,
            intake,
            logged: LoggedCalls::new(),
            versions: Versions::default(),
            clock,
            stop: Notify::new(),
        }))
    }

    pub(crate) fn router(self) -> Router {
        let (traces, logs) = (otlp::trace_service(self.clone()), otlp::logs_service(self.clone()));
        Router::new()
            .route("/v1/engine", get(engine::engine))
            .route("/v1/status", get(engine::status))
            .route("/v1/stop", post(engine::stop))
            .route("/v1/seal", post(seal::seal))
            .route("/v1/policy", get(policy::policy).put(policy::set))
            .route("/v1/policy/check", post(policy::check))
            .route("/v1/keys/sampling/rotate", post(policy::rotate_key))
            .route("/v1/retention", get(life::retention).put(life::set_retention))
            .route("/v1/retention/dispose", post(life::dispose))
            .route("/v1/holds", get(life::holds).post(life::place_hold))
            .route("/v1/holds/{id}", delete(life::lift_hold))
            .route("/v1/erase", post(life::erase))
            .route("/v1/backup/snapshot", post(backup::snapshot))
            .route("/v1/keys/copy", post(backup::key_copy))
            .route(
                "/v1/records",
                get(records::records).post(intake::record).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)),
            )
            .route(
                "/v1/intake/cloudevents",
                post(cloudevents::cloudevents).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)),
            )
            .merge(otlp_paths())
            .route("/v1/records/{id}", get(records::record))
            .route("/v1/records/{id}/page", get(records::page))
            .route("/v1/records/{id}/receipt", get(records::receipt))
            .route("/v1/records/{id}/verify", post(records::verify))
            .route("/v1/search", post(search::search))
            .route("/v1/facets", post(search::facets))
            .route("/v1/sql", post(search::sql))
            .route("/v1/tables", get(index::tables))
            .route("/v1/index", get(index::position))
            .route("/v1/index/rebuild", post(index::rebuild))
            .route("/v1/stats", get(stats::stats))
            .route("/v1/verify", post(verify::verify))
            .route("/log/checkpoint", get(log::checkpoint))
            .route("/log/tile/{*path}", get(log::tile))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .with_state(self)
            .route_service("/opentelemetry.proto.collector.trace.v1.TraceService/Export", traces)
            .route_service("/opentelemetry.proto.collector.logs.v1.LogsService/Export", logs)
    }
}

/// An exporter appends `/v1/traces` to whatever address it is given.
fn otlp_paths() -> Router<App> {
    let limit = || DefaultBodyLimit::max(RECORDS_BYTES_MAX);
    let signals = || {
        Router::new()
            .route("/v1/traces", post(otlp::traces).layer(limit()))
            .route("/v1/logs", post(otlp::logs).layer(limit()))
    };
    signals().nest("/v1/otlp", signals())
}

/// Digests as they stand in checkpoints.
fn base64(digest: [u8; 32]) -> String {
    BASE64.encode(digest)
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("nothing is at `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "No such path", detail)
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "No such method", detail)
}
