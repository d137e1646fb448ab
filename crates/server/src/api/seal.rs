//! `/v1/seal`: waits until what was handed over is in a published checkpoint.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::given::read_told;
use super::{App, base64};
use crate::problem::Problem;
use crate::sealer::Sealed;

/// What a sealing is waited for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = SealRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default)]
    level: Level,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = SealLevel)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    Sealed,
    Witnessed,
}

/// Waits until what was handed over before is in a published checkpoint.
#[utoipa::path(
    post,
    path = "/v1/seal",
    tag = "engine",
    request_body(content = Option<Request>, description = "`sealed` when absent"),
    responses((status = 200, description = "The log, and what this sealing sealed", body = Object)),
)]
pub(super) async fn seal(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let request = if body.trim_ascii().is_empty() { Request::default() } else { read_told(&body)? };
    if let Level::Witnessed = request.level {
        let detail = "this trail has no witness that could cosign its checkpoints";
        return Err(Problem::new(StatusCode::CONFLICT, "no-witness", "No witness", detail));
    }
    let sealed = app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
    Ok(Json(answer(&sealed)))
}

fn answer(sealed: &Sealed) -> Value {
    json!({
        "log_size": sealed.log_size,
        "root": base64(sealed.root),
        "records": sealed.report.records,
        "segments": sealed.report.segments,
        "bytes": sealed.report.bytes,
        "damage": sealed.report.drained.damage,
    })
}
