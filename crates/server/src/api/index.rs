//! `/v1/tables`, `/v1/index`, `/v1/index/rebuild`: what can be asked, how far the index is, and the index made anew.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use crate::problem::Problem;

pub(super) async fn tables(State(app): State<App>) -> Json<Value> {
    Json(json!({ "tables": app.indexing.index.tables() }))
}

pub(super) async fn position(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(position_json(&app).await?))
}

/// How far the index is; `error` says why it does not go on.
pub(super) async fn position_json(app: &App) -> Result<Value, Problem> {
    let position = app.indexing.index.position().await?;
    let mut json = json!(position);
    json["lag"] = position.log_size.saturating_sub(position.indexed).into();
    json["error"] = app.indexing.error().into();
    Ok(json)
}

pub(super) async fn rebuild(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.indexing.rebuild().await.map_err(|error| Problem::from(&*error))?;
    Ok(Json(position_json(&app).await?))
}
