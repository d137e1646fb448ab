//! `/v1/backup/snapshot`, `/v1/keys/copy`: what a command that copies the trail or its keys needs of the engine. Edge: copies nothing; the command
//! does.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use minutebook_trail::{KeyCopy, Snapshot};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::given::read_told;
use crate::problem::Problem;

/// Where a backup goes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BackupPlace)]
#[serde(deny_unknown_fields)]
pub(super) struct To {
    place: String,
}

/// What a backup to a place has to copy.
#[utoipa::path(
    post,
    path = "/v1/backup/snapshot",
    operation_id = "backup_snapshot",
    tag = "life",
    request_body = To,
    responses((status = 200, description = "The snapshot", body = Object)),
)]
pub(super) async fn snapshot(State(app): State<App>, body: Bytes) -> Result<Json<Snapshot>, Problem> {
    let To { place } = read_told(&body)?;
    app.sealer.snapshot(place).await.map(Json).map_err(|error| Problem::from(&*error))
}

/// When the copy is to be destroyed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeyCopyRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Copied {
    expires: Option<String>,
}

/// Notes that the keys are being copied.
#[utoipa::path(
    post,
    path = "/v1/keys/copy",
    operation_id = "copy_keys",
    tag = "settings",
    request_body = Copied,
    responses((status = 200, description = "The note", body = Object)),
)]
pub(super) async fn key_copy(State(app): State<App>, body: Bytes) -> Result<Json<KeyCopy>, Problem> {
    let Copied { expires } = read_told(&body)?;
    app.sealer.key_copy(expires).await.map(Json).map_err(|error| Problem::from(&*error))
}
