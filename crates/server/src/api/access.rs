//! `/v1/access`, `/v1/person`: who may do what, and all about one person. Edge: requests and answers; what settings mean is told by
//! `minutebook-access`.

use std::ops::ControlFlow;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use minutebook_access::Rights;
use minutebook_present::json::Printer;
use minutebook_present::page;
use minutebook_trail::StoredRecord;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::given::read;
use super::life::done;
use crate::access::{Asker, Told};
use crate::limits::LIST_BYTES_MAX;
use crate::problem::Problem;
use crate::sealer::Task;

/// The text that says who may do what.
#[utoipa::path(
    get,
    path = "/v1/access",
    tag = "settings",
    responses((status = 200, description = "`access`, null when nobody said anything", body = Object)),
)]
pub(super) async fn access(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let file = app.reader.keys().folder().access_file();
    let read = tokio::task::spawn_blocking(move || file.load()).await;
    let text = read.map_err(|error| Problem::request(error.to_string()))??;
    Ok(Json(json!({ "access": text })))
}

/// Puts a text in force that says who may do what.
#[utoipa::path(
    put,
    path = "/v1/access",
    tag = "settings",
    request_body(content = String, content_type = "text/plain", description = "The settings (docs/formats/access.md)"),
    responses((status = 200, description = "`changed`, `log_size`", body = Object)),
)]
pub(super) async fn set_access(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let text =
        String::from_utf8(body.into()).map_err(|_| Problem::request("settings of access are UTF-8"))?;
    Rights::parse(Some(&text)).map_err(|error| {
        let title = "The settings of access are wrong";
        Problem::new(StatusCode::BAD_REQUEST, "wrong-access", title, error.to_string())
    })?;
    let set: Task = Box::new(move |engine| {
        Box::pin(async move {
            let changed = engine.set_access(&text).await?;
            Ok(json!({ "changed": changed, "log_size": engine.published().0 }))
        })
    });
    done(&app, set).await
}

/// Whom it is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    subject: String,
    #[serde(default)]
    types: bool,
}

/// All records about one person, in clear.
#[utoipa::path(
    post,
    path = "/v1/person",
    tag = "records",
    request_body = Person,
    responses((status = 200, description = "`records`, each as docs/formats/json.md has it", body = Object)),
)]
pub(super) async fn person(
    State(app): State<App>,
    body: Bytes,
) -> Result<(Extension<Told>, Json<Value>), Problem> {
    let Person { subject, types } = read(&body)?;
    app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
    // Whose records they are is not in the record of the read: it names no person.
    let mut told = Told { asked: "all about one person".into(), records: Some(0), ..Told::default() };
    let (mut records, mut bytes) = (Vec::new(), 0);
    let printer = Printer { types };
    let mut each = |record: StoredRecord| {
        if let Some(shown) = Asker::Owner.open(record) {
            told.add(&shown);
            let printed = printer.record(&shown.record);
            bytes += printed.to_string().len();
            records.push(printed);
        }
        if bytes > LIST_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    app.reader.of_subject(&subject, &mut each).await?;
    if bytes > LIST_BYTES_MAX {
        let longest = page::bytes(LIST_BYTES_MAX as u64);
        return Err(Problem::request(format!(
            "the answer would be longer than {longest}: `minutebook access-request` writes it to a folder"
        )));
    }
    Ok((Extension(told), Json(json!({ "records": records }))))
}
