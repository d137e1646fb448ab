//! `/v1/jobs/{id}`: work that goes on behind the request that began it. Edge: what the work is, other paths say.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::App;
use crate::problem::Problem;

/// How far a job is, and its report when it is done.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "show_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "`state`, `progress`, and `report` when it is done", body = Object)),
)]
pub(super) async fn job(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let job = app.jobs.find(&id).ok_or_else(|| no_job(&id))?;
    Ok(Json(job.json()))
}

/// Ends a job before it is done. One that has ended stays as it is.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    operation_id = "cancel_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job as it is now", body = Object)),
)]
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let job = app.jobs.find(&id).ok_or_else(|| no_job(&id))?;
    job.cancel();
    Ok(Json(job.json()))
}

fn no_job(id: &str) -> Problem {
    let id = id.escape_default();
    let detail =
        format!("no job `{id}`: it was forgotten some time after its end, or the server was started anew");
    Problem::new(StatusCode::NOT_FOUND, "no-such-job", "No such job", detail)
}
