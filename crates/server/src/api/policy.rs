//! `/v1/policy`, `/v1/keys/sampling/rotate`: the sampling policy in force, another one, and another key of its draws.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use crate::problem::Problem;
use crate::sealer::{Change, Changed};

pub(super) async fn policy(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "policy": app.reader.sampling_policy().await? })))
}

pub(super) async fn set(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let text = String::from_utf8(body.into()).map_err(|_| Problem::request("a policy is UTF-8"))?;
    let Changed { changed, log_size, .. } = change(&app, Change::Policy(text)).await?;
    Ok(Json(json!({ "changed": changed, "log_size": log_size })))
}

pub(super) async fn rotate_key(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let Changed { sha256, log_size, .. } = change(&app, Change::SamplingKey).await?;
    Ok(Json(json!({ "sha256": sha256, "log_size": log_size })))
}

async fn change(app: &App, change: Change) -> Result<Changed, Problem> {
    app.sealer.change(change).await.map_err(|error| Problem::from(&*error))
}
