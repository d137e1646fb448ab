//! `/v1/engine`, `/v1/status`, `/v1/stop`: which engine this is, how it goes, and its end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use minutebook_trail::WaitingEpoch;
use serde_json::{Map, Value, json};

use super::{App, Identity, base64, index};
use crate::problem::Problem;

/// Which engine this is. Looks at no disk.
#[utoipa::path(
    get,
    path = "/v1/engine",
    tag = "engine",
    responses((status = 200, description = "This engine", body = Identity)),
)]
pub(super) async fn engine(State(app): State<App>) -> Json<Identity> {
    Json(app.identity.clone())
}

/// Which engine this is and how it goes. Does not wait for sealing.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "engine",
    responses((status = 200, description = "This engine, log, spool and index", body = Object)),
)]
pub(super) async fn status(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let (segments, records) = app.reader.totals().await?;
    let spool = app.reader.spool().await?;
    let state = app.sealer.state.borrow().clone();
    let (log_size, root) = state.published;
    let alive = spool.epochs.iter().filter(|epoch| epoch.alive).count();
    let status = json!({
        "log_size": log_size,
        "root": base64(root),
        "records_sealed": records,
        "segments": segments,
        "last_sealed": last_sealed(&app),
        "spool": {
            "bytes": spool.bytes,
            "epochs_open": alive,
            "producers": spool.epochs.iter().map(producer).collect::<Vec<_>>(),
        },
        "error": state.error,
        "index": index::position_json(&app).await?,
        "witnessed": null,
    });
    let mut all = members(json!(app.identity));
    all.extend(members(status));
    Ok(Json(Value::Object(all)))
}

fn members(object: Value) -> Map<String, Value> {
    let Value::Object(members) = object else { unreachable!("both are made as objects") };
    members
}

fn producer(epoch: &WaitingEpoch) -> Value {
    let lost: Map<String, Value> =
        epoch.lost.iter().map(|(state, count)| (state.words().to_owned(), (*count).into())).collect();
    json!({
        "name": epoch.name,
        "producer": minutebook_verify::hex(&epoch.producer),
        "epoch": epoch.epoch,
        "pid": epoch.pid,
        "alive": epoch.alive,
        "heard": epoch.heard.and_then(|at| Timestamp::try_from(at).ok()).map(|at| at.to_string()),
        "drawn": epoch.drawn,
        "lost": lost,
    })
}

/// When the published checkpoint was written.
fn last_sealed(app: &App) -> Option<String> {
    let checkpoint = app.identity.folder.join(minutebook_verify::verify::CHECKPOINT);
    let written = std::fs::metadata(checkpoint).and_then(|about| about.modified()).ok()?;
    Timestamp::try_from(written).ok().map(|at| at.to_string())
}

/// Asks the engine to seal what there is and to end.
#[utoipa::path(
    post,
    path = "/v1/stop",
    tag = "engine",
    responses((status = 202, description = "It ends", body = Identity)),
)]
pub(super) async fn stop(State(app): State<App>) -> (StatusCode, Json<Identity>) {
    app.stop.notify_one();
    (StatusCode::ACCEPTED, Json(app.identity.clone()))
}
