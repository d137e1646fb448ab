//! The paths of the HTTP API (`docs/api.md`), a file a family. Edge: requests and answers; sealing and reading are done by others.

mod engine;
mod records;
mod seal;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use minutebook_trail::Reader;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::problem::Problem;
use crate::sealer::Asker;

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
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) reader: Reader,
    pub(crate) sealer: Asker,
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
    pub(crate) fn new(identity: Identity, reader: Reader, sealer: Asker) -> Self {
        Self(Arc::new(Shared { identity, reader, sealer, stop: Notify::new() }))
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/v1/engine", get(engine::engine))
            .route("/v1/status", get(engine::status))
            .route("/v1/stop", post(engine::stop))
            .route("/v1/seal", post(seal::seal))
            .route("/v1/records/{id}", get(records::record))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .with_state(self)
    }
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("nothing is at `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "No such path", detail)
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "No such method", detail)
}
