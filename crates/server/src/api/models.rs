//! `/v1/models`: which models a trail knows, their versions, and what was deployed when; registering and deploying. Edge: what is
//! told of them is put together in `known`; what is registered is a record like others, handed over by `intake`.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use minutebook_access::Action;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::App;
use super::given::recorded;
use super::intake::{body_of, take_one};
use super::records::given;
use crate::access::{Asker, Told};
use crate::front::Base;
use crate::guard::KeyName;
use crate::known;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Fresh {
    /// Seals and indexes what was handed over before it answers.
    #[serde(default)]
    fresh: bool,
}

/// The models whose statistics the asker may see.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "models",
    params(Fresh),
    responses((status = 200, description = "`models`, each with its versions, counts and times", body = Object)),
)]
pub(super) async fn models(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Fresh>, QueryRejection>,
) -> Result<(Extension<Told>, Json<Value>), Problem> {
    super::search::freshen(&app, given(query)?.fresh).await?;
    let mut told = Told { asked: "names and versions".into(), ..Told::default() };
    let found =
        known::all(&app.indexing.index, |model| asker.may(Action::ReadStatistics, Some(model))).await?;
    found.iter().for_each(|model| told.add_model(model["name"].as_str()));
    told.records = Some(found.len() as u64);
    Ok((Extension(told), Json(json!({ "models": found }))))
}

/// A model: its versions with digests, and the records that register and deploy them.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    operation_id = "show_model",
    tag = "models",
    params(("name" = String, Path, description = "The model's name"), Fresh),
    responses((status = 200, description = "`versions`, `registrations`, `deployments`", body = Object)),
)]
pub(super) async fn model(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    query: Result<Query<Fresh>, QueryRejection>,
) -> Result<(Extension<Told>, Json<Value>), Problem> {
    super::search::freshen(&app, given(query)?.fresh).await?;
    // Also for one that is not seen: the time that the answer takes tells nothing then.
    let found = known::one(&app.indexing.index, &name).await?;
    let found = found.filter(|_| asker.may(Action::ReadStatistics, Some(&name))).ok_or_else(|| {
        let detail = "no record that you may see is of a model of this name";
        Problem::new(StatusCode::NOT_FOUND, "no-such-model", "No such model", detail).denied()
    })?;
    let versions = found["versions"].as_array().map_or(0, Vec::len);
    let mut told = Told { asked: "versions".into(), records: Some(versions as u64), ..Told::default() };
    told.add_model(Some(&name));
    Ok((Extension(told), Json(found)))
}

/// Registers a version of a model: a record of kind `model`.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/versions",
    operation_id = "register_version",
    tag = "models",
    params(("name" = String, Path, description = "The model's name"),
        ("idempotency-key" = Option<String>, Header, description = "Under which a repetition is known again for 24 hours")),
    request_body(content = Object, description = "`version`, `artifact`, and what a record may have beside them (docs/formats/json.md)"),
    responses((status = 201, description = "The record's `id`", body = Object)),
)]
pub(super) async fn register(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    base: Option<Extension<Base>>,
    key: Option<Extension<KeyName>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    record(app, asker, ("model", name), base, (key, headers), body).await
}

/// Says that a version of a model is in use from now on: a record of kind `deployment`.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/deployments",
    operation_id = "deploy_version",
    tag = "models",
    params(("name" = String, Path, description = "The model's name"),
        ("idempotency-key" = Option<String>, Header, description = "Under which a repetition is known again for 24 hours")),
    request_body(content = Object, description = "`version`, `artifact`, and what a record may have beside them (docs/formats/json.md)"),
    responses((status = 201, description = "The record's `id`", body = Object)),
)]
pub(super) async fn deploy(
    State(app): State<App>,
    asker: Asker,
    Path(name): Path<String>,
    base: Option<Extension<Base>>,
    key: Option<Extension<KeyName>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    record(app, asker, ("deployment", name), base, (key, headers), body).await
}

async fn record(
    app: App,
    asker: Asker,
    (kind, name): (&str, String),
    base: Option<Extension<Base>>,
    (key, headers): (Option<Extension<KeyName>>, HeaderMap),
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let record = completed(kind, &name, recorded(&headers, &body_of(body)?)?)?;
    let key = key.map(|Extension(key)| key).unwrap_or_default();
    let taken = take_one(&app, (asker, key), &headers, &record).await?;
    let path = format!("/v1/models/{}", segment(&name));
    let location = Base::of(base.as_ref().map(|Extension(base)| base), &path);
    let answer = json!({ "id": taken.ids.first().map(ToString::to_string), "level": "disk", "repeated": taken.repeated });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(answer)))
}

/// The record that a body asks for: `version` and `artifact` are the model's, everything else is as in any record.
fn completed(kind: &str, name: &str, mut record: Map<String, Value>) -> Result<Value, Problem> {
    let wrong = |what: String| Problem::request(format!("the body: {what}"));
    for taken in ["kind", "model"] {
        if record.contains_key(taken) {
            return Err(wrong(format!("`{taken}` is said by the path")));
        }
    }
    let Some(Value::String(version)) = record.remove("version") else {
        return Err(wrong("`version` is a text, and needed".into()));
    };
    let artifact = record.remove("artifact").unwrap_or_default();
    record.insert("kind".into(), kind.into());
    record.insert("model".into(), json!({ "name": name, "version": version, "artifact": artifact }));
    Ok(Value::Object(record))
}

/// A name as a segment of a path (RFC 3986, section 2.1).
pub(crate) fn segment(name: &str) -> String {
    let mut segment = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(byte.into()),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}
