//! `/v1/api-keys`: the keys by which clients are let in over TCP. Edge: requests and answers; a secret is in one answer, once.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use jiff::Timestamp;
use minutebook_trail::NewApiKey;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::given::read;
use super::life::done;
use crate::access::Asker;
use crate::problem::Problem;
use crate::sealer::Task;

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what is read as the trail's own type")]
pub(super) struct NewKey {
    name: String,
    roles: Vec<String>,
    /// All when it is left out.
    models: Option<Vec<String>>,
    /// RFC 3339, UTC, whole seconds.
    expires: Option<String>,
}

/// The keys, without their secrets.
#[utoipa::path(
    get,
    path = "/v1/api-keys",
    operation_id = "api_keys",
    tag = "settings",
    responses((status = 200, description = "`api_keys`", body = Object)),
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let keys = app.reader.keys().folder().api_keys();
    let read = tokio::task::spawn_blocking(move || keys.load()).await;
    let now_s = app.clock.wall_ns().div_euclid(1_000_000_000);
    let keys = read.map_err(|error| Problem::request(error.to_string()))??;
    let keys = keys.iter().map(|key| {
        json!({
            "name": key.name, "roles": key.roles, "models": key.models, "created": key.created,
            "expires": key.expires, "expired": key.is_expired(now_s),
        })
    });
    Ok(Json(json!({ "api_keys": keys.collect::<Vec<_>>() })))
}

/// Makes a key. Its secret is in the answer, and cannot be had again.
#[utoipa::path(
    post,
    path = "/v1/api-keys",
    operation_id = "create_api_key",
    tag = "settings",
    request_body = NewKey,
    responses((status = 200, description = "The key, with its secret as `key`, and `log_size`", body = Object)),
)]
pub(super) async fn create(
    State(app): State<App>,
    asker: Asker,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let new: NewApiKey = read(&body)?;
    asker.may_give(&new.roles, &new.models)?;
    // One that cannot be read would be past.
    if new.expires.as_ref().is_some_and(|at| at.parse::<Timestamp>().is_err()) {
        return Err(Problem::request("`expires` is a time in RFC 3339, such as 2027-02-01T00:00:00Z"));
    }
    let create: Task = Box::new(move |engine| {
        Box::pin(async move {
            let (key, secret) = engine.create_api_key(&new).await?;
            Ok(json!({
                "name": key.name, "roles": key.roles, "models": key.models, "created": key.created,
                "expires": key.expires, "key": secret.as_str(), "log_size": engine.published().0,
            }))
        })
    });
    done(&app, create).await
}

/// Revokes a key: whoever has it is refused within a second.
#[utoipa::path(
    delete,
    path = "/v1/api-keys/{name}",
    operation_id = "revoke_api_key",
    tag = "settings",
    params(("name" = String, Path, description = "The name of the key")),
    responses((status = 200, description = "`revoked`, `log_size`", body = Object)),
)]
pub(super) async fn revoke(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let revoke: Task = Box::new(move |engine| {
        Box::pin(async move {
            let key = engine.revoke_api_key(&name).await?;
            Ok(json!({ "revoked": key.name, "log_size": engine.published().0 }))
        })
    });
    done(&app, revoke).await
}
