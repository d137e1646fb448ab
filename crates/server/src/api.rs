//! The paths of the HTTP API (`docs/api.md`), a file a family. Edge: requests and answers; sealing and reading are done by others.

mod access;
mod api_keys;
mod approvals;
mod backup;
mod cloudevents;
mod engine;
mod given;
mod health;
mod index;
mod intake;
mod jobs;
mod life;
mod listing;
mod log;
mod models;
mod objects;
mod openapi;
mod otlp;
mod policy;
mod records;
mod seal;
mod search;
mod sign_in;
mod spool;
mod stats;
mod stream;
mod tail;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Clock;
use minutebook_trail::Reader;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

pub(crate) use models::segment;

use crate::access::Asker;
use crate::front::Base;
use crate::indexing::Indexing;
use crate::intake::Intake;
use crate::jobs::Jobs;
use crate::limits::{BODY_BYTES_MAX, RECORDS_BYTES_MAX};
use crate::logged::LoggedCalls;
use crate::mirrors::Taking;
use crate::problem::Problem;
use crate::sealer;
use crate::versions::Versions;
use sign_in::Known;

/// Which engine this is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
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
    #[schema(value_type = String)]
    pub folder: PathBuf,
    /// The TCP address at which it answers too.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub listen: Option<SocketAddr>,
    /// It speaks TLS there.
    #[serde(default)]
    pub tls: bool,
    /// What its paths begin with there, where one server has several trails: `/t/NAME`.
    #[serde(default)]
    pub base: String,
}

impl Identity {
    /// Where it answers over TCP, as a URL.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.tls { "https" } else { "http" };
        self.listen.map(|address| format!("{scheme}://{address}{}", self.base))
    }
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) reader: Arc<Reader>,
    pub(crate) indexing: Indexing,
    pub(crate) sealer: sealer::Asker,
    pub(crate) intake: Intake,
    pub(crate) logged: LoggedCalls,
    pub(crate) versions: Versions,
    pub(crate) jobs: Jobs,
    pub(crate) taking: Taking,
    /// The public half, which epochs are sealed to.
    pub(crate) intake_key: [u8; 32],
    pub(crate) clock: Arc<dyn Clock>,
    /// Told when somebody asks the process to end.
    pub(crate) stop: Notify,
    /// Told when it is about to end: answers that wait for something new are given.
    pub(crate) closing: watch::Sender<bool>,
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
        sealer: sealer::Asker,
        (intake, logged): (Intake, LoggedCalls),
        (taking, intake_key): (Taking, [u8; 32]),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Shared {
            identity,
            reader,
            indexing,
            sealer,
            intake,
            logged,
            versions: Versions::default(),
            jobs: Jobs::new(Arc::clone(&clock)),
            taking,
            intake_key,
            clock,
            stop: Notify::new(),
            closing: watch::Sender::new(false),
        }))
    }

    pub(crate) fn router(self) -> Router {
        let (router, document) = routes();
        let document = Arc::new(openapi::whole(document));
        let described =
            async move |State(app): State<Self>,
                        asker: Asker,
                        base: Option<Extension<Base>>,
                        people: Known| { openapi::answer(&document, &app, &asker, base, people) };
        router
            .route("/v1/openapi.json", get(described))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(otlp::grpc_traces))
            .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(otlp::grpc_logs))
            .with_state(self)
    }
}

/// Every path, and what the OpenAPI document says of it: what has no description is not routed.
fn routes() -> (Router<App>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(engine::engine))
        .routes(routes!(engine::status))
        .routes(routes!(engine::stop))
        .routes(routes!(seal::seal))
        .routes(routes!(policy::policy, policy::set))
        .routes(routes!(policy::check))
        .routes(routes!(policy::rotate_key))
        .routes(routes!(life::retention, life::set_retention))
        .routes(routes!(life::dispose))
        .routes(routes!(life::holds, life::place_hold))
        .routes(routes!(life::lift_hold))
        .routes(routes!(life::erase))
        .routes(routes!(access::access, access::set_access))
        .routes(routes!(access::person))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::back))
        .routes(routes!(sign_in::session, sign_in::sign_out))
        .routes(routes!(sign_in::end_sessions))
        .routes(routes!(approvals::approvals))
        .routes(routes!(approvals::approve, approvals::refuse))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(backup::snapshot))
        .routes(routes!(backup::key_copy))
        .routes(routes!(listing::records, intake::record).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(cloudevents::cloudevents).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(otlp::traces).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(otlp::logs).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(spool::about))
        .routes(routes!(spool::seal))
        .routes(routes!(spool::standing, spool::announce).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)))
        .routes(routes!(spool::give_up))
        .routes(routes!(spool::put).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)))
        .routes(routes!(stream::stream))
        .routes(routes!(tail::tail))
        .routes(routes!(records::record))
        .routes(routes!(records::page))
        .routes(routes!(records::receipt))
        .routes(routes!(records::verify))
        .routes(routes!(search::search))
        .routes(routes!(search::facets))
        .routes(routes!(search::sql))
        .routes(routes!(index::tables))
        .routes(routes!(index::position))
        .routes(routes!(index::rebuild))
        .routes(routes!(stats::stats))
        .routes(routes!(models::models))
        .routes(routes!(models::model))
        .routes(routes!(models::register).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(models::deploy).layer(DefaultBodyLimit::max(RECORDS_BYTES_MAX)))
        .routes(routes!(verify::verify))
        .routes(routes!(jobs::job, jobs::cancel))
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::tile))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .split_for_parts()
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
