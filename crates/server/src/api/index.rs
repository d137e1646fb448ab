//! `/v1/tables`, `/v1/index`, `/v1/index/rebuild`: what can be asked, how far the index is, and the index made anew.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::App;
use crate::access::{Asker, Told};
use crate::problem::Problem;

/// The tables that can be asked, with their columns.
#[utoipa::path(
    get,
    path = "/v1/tables",
    tag = "search",
    responses((status = 200, description = "`tables`", body = Object)),
)]
pub(super) async fn tables(State(app): State<App>, asker: Asker) -> (Extension<Told>, Json<Value>) {
    app.indexing.begun().await;
    let tables = app.indexing.index.tables_for(asker.view());
    let mut told = Told { asked: "names of columns".into(), ..Told::default() };
    tables.iter().filter(|table| table.model).for_each(|table| told.add_model(Some(&table.name)));
    (Extension(told), Json(json!({ "tables": tables })))
}

/// How far the index is behind the log.
#[utoipa::path(
    get,
    path = "/v1/index",
    operation_id = "index_position",
    tag = "search",
    responses((status = 200, description = "`indexed`, `log_size`, `lag`, `error`", body = Object)),
)]
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

/// Makes the index anew from the evidence. Answers when it is there.
#[utoipa::path(
    post,
    path = "/v1/index/rebuild",
    operation_id = "rebuild_index",
    tag = "search",
    responses((status = 200, description = "As `GET /v1/index`", body = Object)),
)]
pub(super) async fn rebuild(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.indexing.rebuild().await.map_err(|error| Problem::from(&*error))?;
    Ok(Json(position_json(&app).await?))
}
