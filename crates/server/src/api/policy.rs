//! `/v1/policy`, `/v1/policy/check`, `/v1/keys/sampling/rotate`: the sampling policy in force, another one,
//! whether one is right, and another key of the draws.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use minutebook_access::Action;
use minutebook_policy::Policy;
use minutebook_trail::Error;
use minutebook_verify::sampling::ModelRules;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::App;
use crate::access::{Asker, not_permitted};
use crate::problem::Problem;
use crate::sealer::{Change, Changed};

/// The text of the sampling policy in force; null when none was ever set.
#[utoipa::path(
    get,
    path = "/v1/policy",
    tag = "settings",
    responses((status = 200, description = "`policy`", body = Object)),
)]
pub(super) async fn policy(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "policy": app.reader.sampling_policy().await? })))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Against {
    /// Whose latest decision's fields it is held against.
    model: Option<String>,
}

/// Checks a sampling policy without using it.
#[utoipa::path(
    post,
    path = "/v1/policy/check",
    operation_id = "check_policy",
    tag = "settings",
    params(Against),
    request_body(content = String, content_type = "text/plain", description = "The policy (docs/sampling.md)"),
    responses((status = 200, description = "How many `models` and `rules` it has", body = Object)),
)]
pub(super) async fn check(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Against>, QueryRejection>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Query(against) = query.map_err(|error| Problem::request(error.body_text()))?;
    // What is wrong tells names of its fields.
    if let Some(model) = &against.model
        && !asker.may(Action::CheckSampling, Some(model))
    {
        return Err(not_permitted(Action::CheckSampling, "against this model"));
    }
    let policy = app.reader.check_policy(&text(body)?, against.model.as_deref()).await?;
    let models = &policy.text().models;
    let rules: usize = models.iter().map(|table| table.rules.len()).sum();
    Ok(Json(json!({ "models": models.len(), "rules": rules })))
}

fn text(body: Bytes) -> Result<String, Problem> {
    String::from_utf8(body.into()).map_err(|_| Problem::request("a policy is UTF-8"))
}

/// Puts a sampling policy in force.
#[utoipa::path(
    put,
    path = "/v1/policy",
    operation_id = "set_policy",
    tag = "settings",
    request_body(content = String, content_type = "text/plain", description = "The policy (docs/sampling.md)"),
    responses((status = 200, description = "`changed`, `log_size`", body = Object)),
)]
pub(super) async fn set(State(app): State<App>, asker: Asker, body: Bytes) -> Result<Json<Value>, Problem> {
    let text = text(body)?;
    if !asker.may(Action::SetSampling, None) {
        let before = app.reader.sampling_policy().await?;
        only_own(&asker, before.as_deref(), &text)?;
    }
    let Changed { changed, log_size, .. } = change(&app, Change::Policy(text)).await?;
    Ok(Json(json!({ "changed": changed, "log_size": log_size })))
}

/// Replaces the sampling key.
#[utoipa::path(
    post,
    path = "/v1/keys/sampling/rotate",
    operation_id = "rotate_sampling_key",
    tag = "settings",
    responses((status = 200, description = "`sha256` of the new key, `log_size`", body = Object)),
)]
pub(super) async fn rotate_key(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let Changed { sha256, log_size, .. } = change(&app, Change::SamplingKey).await?;
    Ok(Json(json!({ "sha256": sha256, "log_size": log_size })))
}

async fn change(app: &App, change: Change) -> Result<Changed, Problem> {
    app.sealer.change(change).await.map_err(|error| Problem::from(&*error))
}

/// Whether two policies differ in tables only that are of models with which the asker may do so; a table of others stays as it is, and where it is
/// among those of others.
fn only_own(asker: &Asker, before: Option<&str>, after: &str) -> Result<(), Problem> {
    let tables = |text: &str| -> Result<Vec<ModelRules>, Problem> {
        Ok(Policy::parse(text).map_err(Error::Policy)?.text().models.clone())
    };
    // A pattern is one's own when whatever it fits is: `*` in it is met by `*` alone.
    let is_own =
        |table: &ModelRules| table.names.iter().all(|name| asker.may(Action::SetSampling, Some(name)));
    let others =
        |tables: Vec<ModelRules>| tables.into_iter().filter(|table| !is_own(table)).collect::<Vec<_>>();
    let (before, after) = (before.map(tables).transpose()?.unwrap_or_default(), tables(after)?);
    if others(before) != others(after) {
        return Err(not_permitted(
            Action::SetSampling,
            "with models of others: leave their tables as they are (`GET /v1/policy`)",
        ));
    }
    Ok(())
}
