//! `/v1/models`: which models a trail knows, their versions, and what was deployed when; registering and deploying. Edge: reads the index, which
//! repeats the records; what is registered is a record like others, handed over by `intake`.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use jiff::Timestamp;
use minutebook_access::Action;
use minutebook_index::{VersionInfo, VersionRecord};
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
use crate::limits::{VERSION_RECORDS_MAX, VERSIONS_MAX};
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
    let mut found = app.indexing.index.versions(None).await?;
    found.retain(|info| asker.may(Action::ReadStatistics, Some(&info.model)));
    let mut models: BTreeMap<String, Vec<VersionInfo>> = BTreeMap::new();
    for info in bounded(found)? {
        told.add_model(Some(&info.model));
        models.entry(info.model.clone()).or_default().push(info);
    }
    let models: Vec<Value> = models.into_iter().map(|(name, infos)| summed(&name, infos)).collect();
    told.records = Some(models.len() as u64);
    Ok((Extension(told), Json(json!({ "models": models }))))
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
    let infos = bounded(app.indexing.index.versions(Some(&name)).await?)?;
    if infos.is_empty() || !asker.may(Action::ReadStatistics, Some(&name)) {
        let detail = "no record that you may see is of a model of this name";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-model", "No such model", detail).denied());
    }
    let records = app.indexing.index.version_records(&name, VERSION_RECORDS_MAX + 1).await?;
    let more = records.len() > VERSION_RECORDS_MAX;
    let of = |kind: &str| -> Vec<Value> {
        records
            .iter()
            .take(VERSION_RECORDS_MAX)
            .filter(|record| record.kind == kind)
            .map(record_json)
            .collect()
    };
    let (registrations, deployments) = (of("model"), of("deployment"));
    let mut told = Told { asked: "versions".into(), records: Some(infos.len() as u64), ..Told::default() };
    told.add_model(Some(&name));
    let versions: Vec<Value> = by_version(&infos).into_iter().map(|(_, json)| json).collect();
    let mut all = summed(&name, infos);
    all["versions"] = versions.into();
    all["registrations"] = registrations.into();
    all["deployments"] = deployments.into();
    all["more"] = more.into();
    Ok((Extension(told), Json(all)))
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
fn segment(name: &str) -> String {
    let mut segment = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(byte.into()),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

fn bounded(found: Vec<VersionInfo>) -> Result<Vec<VersionInfo>, Problem> {
    if found.len() > VERSIONS_MAX {
        let detail = format!("more than {VERSIONS_MAX} versions: ask for one model, or with SQL");
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "query-limit",
            "The query is too large",
            detail,
        ));
    }
    Ok(found)
}

/// What versions come to together; those with the latest decisions first.
fn summed(name: &str, infos: Vec<VersionInfo>) -> Value {
    let versions: Vec<String> = by_version(&infos).into_iter().map(|(version, _)| version).collect();
    let mut all = counts(infos.iter());
    all["name"] = name.into();
    all["versions"] = versions.into();
    all
}

/// Each version with its counts, those with the latest decisions first, then those that have none.
fn by_version(infos: &[VersionInfo]) -> Vec<(String, Value)> {
    let mut versions: BTreeMap<&str, Vec<&VersionInfo>> = BTreeMap::new();
    for info in infos {
        versions.entry(&info.version).or_default().push(info);
    }
    let mut versions: Vec<_> = versions.into_iter().collect();
    versions.sort_by_key(|(_, infos)| std::cmp::Reverse(infos.iter().filter_map(|info| info.last_ns).max()));
    let json = |(version, infos): (&str, Vec<&VersionInfo>)| {
        let mut artifacts: Vec<String> =
            infos.iter().filter_map(|info| digest(info.artifact.as_deref())).collect();
        artifacts.sort_unstable();
        let mut json = counts(infos.into_iter());
        json["version"] = version.into();
        json["artifacts"] = artifacts.into();
        (version.to_owned(), json)
    };
    versions.into_iter().map(json).collect()
}

fn counts<'i>(infos: impl Iterator<Item = &'i VersionInfo> + Clone) -> Value {
    let (first, last) =
        (infos.clone().filter_map(|info| info.first_ns), infos.clone().filter_map(|info| info.last_ns));
    json!({
        "decisions": infos.clone().map(|info| info.decisions).sum::<u64>(),
        "weighted": infos.clone().map(|info| info.weighted).sum::<f64>(),
        "first": first.min().map(time),
        "last": last.max().map(time),
        "registrations": infos.clone().map(|info| info.registrations).sum::<u64>(),
        "deployments": infos.map(|info| info.deployments).sum::<u64>(),
    })
}

fn record_json(record: &VersionRecord) -> Value {
    let artifact = digest(record.artifact.as_deref());
    json!({ "id": record.id, "time": time(record.time_ns), "version": record.version, "artifact": artifact })
}

fn digest(hex: Option<&str>) -> Option<String> {
    hex.map(|hex| format!("sha256:{hex}"))
}

fn time(ns: i64) -> Option<String> {
    Timestamp::from_nanosecond(ns.into()).ok().map(|time| time.to_string())
}
