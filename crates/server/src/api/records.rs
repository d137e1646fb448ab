//! `/v1/records/{id}`: records one by one. One that was handed over and is not sealed yet is sealed first.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use jiff::tz::TimeZone;
use minutebook_access::Action;
use minutebook_present::json::Printer;
use minutebook_present::page::{self, Look};
use minutebook_present::typed;
use minutebook_record::RecordId;
use minutebook_trail::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::App;
use crate::access::{Asker, Shown as Seen, Told};
use crate::limits::PAGE_COLUMNS_MIN;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    #[serde(default)]
    types: bool,
}

/// A record, sealed first when it waits to be.
#[utoipa::path(
    get,
    path = "/v1/records/{id}",
    operation_id = "show_record",
    tag = "records",
    params(("id" = String, Path, description = "The record's id"), Shown),
    responses((status = 200, description = "The record, as docs/formats/json.md has it", body = Object)),
)]
pub(super) async fn record(
    State(app): State<App>,
    asker: Asker,
    Path(id): Path<String>,
    query: Result<Query<Shown>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Shown { types } = given(query)?;
    let (told, shown) = find(&app, &asker, parse_id(&id)?).await?;
    Ok((Extension(told), Json(Printer { types }.record(&shown.record))))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    width: Option<usize>,
}

/// A record as a page for people.
#[utoipa::path(
    get,
    path = "/v1/records/{id}/page",
    operation_id = "show_page",
    tag = "records",
    params(("id" = String, Path, description = "The record's id"), Paged),
    responses((status = 200, description = "The page, without colours", body = String)),
)]
pub(super) async fn page(
    State(app): State<App>,
    asker: Asker,
    Path(id): Path<String>,
    query: Result<Query<Paged>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Paged { width } = given(query)?;
    if width.is_some_and(|width| width < PAGE_COLUMNS_MIN) {
        return Err(Problem::request(format!("`width` is at least {PAGE_COLUMNS_MIN}")));
    }
    let (told, shown) = find(&app, &asker, parse_id(&id)?).await?;
    let look = Look { width, unicode: true, zone: TimeZone::system() };
    let page = page::record(&look, &shown.record);
    Ok((Extension(told), anstream::adapter::strip_str(&page).to_string()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Disclosed {
    /// Paths of the fields to show, with commas.
    disclose: Option<String>,
}

/// A proof that a record is in the log, which can be checked without the trail.
#[utoipa::path(
    get,
    path = "/v1/records/{id}/receipt",
    operation_id = "receipt",
    tag = "records",
    params(("id" = String, Path, description = "The record's id"), Disclosed),
    responses((status = 200, description = "The receipt (docs/formats/segment.md)", body = String)),
)]
pub(super) async fn receipt(
    State(app): State<App>,
    asker: Asker,
    Path(id): Path<String>,
    query: Result<Query<Disclosed>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let paths = given(query)?.disclose;
    let paths = paths.iter().flat_map(|paths| paths.split(',')).map(typed::path);
    let paths: Vec<_> =
        paths.collect::<Result<_, _>>().map_err(|what| Problem::request(format!("`disclose`: {what}")))?;
    let id = parse_id(&id)?;
    let (mut told, shown) = find(&app, &asker, id).await?;
    let hidden = shown.hidden();
    // Of what is asked for, whatever is masked is left out; who asks for that alone is told so.
    let of = |path: &minutebook_record::Path| {
        let fields = shown.record.schema.fields().iter().map(|field| &field.path);
        fields.filter(|field| field.is_within(path)).all(|field| hidden.contains(field))
    };
    if let Some(masked) =
        paths.iter().find(|path| hidden.iter().any(|hidden| hidden.is_within(path)) && of(path))
    {
        let name = masked.to_string();
        return Err(minutebook_index::Error::Masked { name }.into());
    }
    if paths.is_empty() {
        told.masked = false;
    }
    let receipt = app.reader.masked_receipt(&id, &paths, &hidden).await?;
    Ok((Extension(told), receipt))
}

/// A record held against its seal and the log.
#[utoipa::path(
    post,
    path = "/v1/records/{id}/verify",
    operation_id = "verify_record",
    tag = "records",
    params(("id" = String, Path, description = "The record's id")),
    responses((status = 200, description = "Whether it is `verified`, with `findings`", body = Object)),
)]
pub(super) async fn verify(
    State(app): State<App>,
    asker: Asker,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = parse_id(&id)?;
    // Whose it is has to be read only for who is not for all models: of what was tampered with it cannot be read.
    if !asker.may(Action::VerifyRecord, None) {
        find(&app, &asker, id).await?;
    }
    let checked = match app.reader.check(&id).await {
        Err(Error::NoRecord { .. }) => {
            app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
            app.reader.check(&id).await?
        }
        checked => checked?,
    };
    Ok(Json(json!({
        "verified": checked.findings.is_empty(),
        "findings": checked.findings.iter().map(page::finding_json).collect::<Vec<_>>(),
        "log_index": checked.log_index,
        "log_size": checked.log_size,
        "leaf": checked.leaf.map(super::base64),
    })))
}

fn parse_id(text: &str) -> Result<RecordId, Problem> {
    text.parse()
        .map_err(|_| Problem::request("not the id of a record, such as 0193a1b2-0000-7000-8000-000000000000"))
}

pub(super) fn given<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(given)| given).map_err(|rejection| Problem::request(rejection.body_text()))
}

/// A record as it is seen, and what is told of that. One that is not there for this asker is as one that is not there at all.
async fn find(app: &App, asker: &Asker, id: RecordId) -> Result<(Told, Seen), Problem> {
    let found = match app.reader.get(&id).await {
        Ok(record) => asker.open(record),
        Err(Error::NoRecord { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    // Also for one that is not seen: the time that the answer takes tells nothing then.
    let found = match found {
        Some(shown) => Some(shown),
        None => {
            app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
            match app.reader.get(&id).await {
                Ok(record) => asker.open(record),
                Err(Error::NoRecord { .. }) => None,
                Err(error) => return Err(error.into()),
            }
        }
    };
    let absent = || Problem::from(Error::NoRecord { id: id.to_string() }).denied();
    let shown = found.ok_or_else(absent)?;
    let mut told = Told { ids: vec![id], ..Told::default() };
    told.add(&shown);
    Ok((told, shown))
}
