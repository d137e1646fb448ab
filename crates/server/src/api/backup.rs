//! `/v1/backup/snapshot`, `/v1/keys/copy`: what a command that copies the trail or its keys needs of the engine. Edge: copies nothing; the command
//! does.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use minutebook_trail::{KeyCopy, Snapshot};
use serde::Deserialize;

use super::App;
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    place: String,
}

pub(super) async fn snapshot(State(app): State<App>, body: Bytes) -> Result<Json<Snapshot>, Problem> {
    let To { place } = serde_json::from_slice(&body).map_err(|error| Problem::request(error.to_string()))?;
    app.sealer.snapshot(place).await.map(Json).map_err(|error| Problem::from(&*error))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    expires: Option<String>,
}

pub(super) async fn key_copy(State(app): State<App>, body: Bytes) -> Result<Json<KeyCopy>, Problem> {
    let Copied { expires } =
        serde_json::from_slice(&body).map_err(|error| Problem::request(error.to_string()))?;
    app.sealer.key_copy(expires).await.map(Json).map_err(|error| Problem::from(&*error))
}
