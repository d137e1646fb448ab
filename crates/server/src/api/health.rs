//! `/healthz`, `/readyz`: for who watches over the process. Edge: they say yes or no, to anybody.

use axum::extract::State;
use axum::http::StatusCode;

use super::App;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, description = "`ok`", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The engine seals: it is there, and its last round did not fail.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "`ready`", body = String),
        (status = 503, description = "`not ready`", body = String),
    )
)]
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.sealer.works() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
