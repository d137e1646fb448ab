//! `/v1/approvals`: what takes two. Edge: requests and answers; what waits is kept in `approvals`.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::access::Asker;
use crate::approvals::{Approvals, Told};
use crate::problem::Problem;

/// There are none on the socket: its owner needs nobody.
type Known = Option<Extension<Arc<Approvals>>>;

fn known(known: Known) -> Result<Arc<Approvals>, Problem> {
    known.map(|Extension(approvals)| approvals).ok_or_else(|| {
        let detail = "nothing waits for approval over the socket: it is its owner's";
        Problem::new(StatusCode::NOT_FOUND, "no-such-approval", "No such approval", detail)
    })
}

/// The requests that wait for a second one, as far as they are of who asks, or theirs to approve.
#[utoipa::path(
    get,
    path = "/v1/approvals",
    tag = "people",
    responses((status = 200, description = "`approvals`, a list of `Told`", body = Object)),
)]
pub(super) async fn approvals(asker: Asker, of: Known) -> Result<Json<Value>, Problem> {
    let approvals = known(of)?.of(&asker).await?;
    Ok(Json(json!({ "approvals": approvals })))
}

/// Approves a request of another one.
#[utoipa::path(
    post,
    path = "/v1/approvals/{id}",
    tag = "people",
    params(("id" = String, Path, description = "As the refused request was answered")),
    responses(
        (status = 200, description = "It is approved", body = Told),
        (status = 403, description = "It is one's own"),
        (status = 404, description = "None waits under this id"),
    ),
)]
pub(super) async fn approve(asker: Asker, of: Known, Path(id): Path<String>) -> Result<Json<Told>, Problem> {
    Ok(Json(known(of)?.approve(&asker, &id).await?))
}

/// Refuses a request of another one, or takes one's own back.
#[utoipa::path(
    delete,
    path = "/v1/approvals/{id}",
    tag = "people",
    params(("id" = String, Path, description = "As the refused request was answered")),
    responses(
        (status = 204, description = "It waits no longer"),
        (status = 404, description = "None waits under this id"),
    ),
)]
pub(super) async fn refuse(asker: Asker, of: Known, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    known(of)?.refuse(&asker, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
