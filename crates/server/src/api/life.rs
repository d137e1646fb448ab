//! `/v1/retention`, `/v1/retention/dispose`, `/v1/holds`, `/v1/erase`: how long records are kept, and what becomes of them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use minutebook_record::RecordId;
use minutebook_trail::{HoldRequest, Whom};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::given::read;
use crate::problem::Problem;
use crate::sealer::Task;

/// The text of the retention settings in force; null when there never were any.
#[utoipa::path(
    get,
    path = "/v1/retention",
    tag = "life",
    responses((status = 200, description = "`retention`", body = Object)),
)]
pub(super) async fn retention(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "retention": app.reader.retention().await? })))
}

/// Puts retention settings in force.
#[utoipa::path(
    put,
    path = "/v1/retention",
    tag = "life",
    request_body(content = String, content_type = "text/plain", description = "The settings (docs/formats/retention.md)"),
    responses((status = 200, description = "`changed`, `log_size`", body = Object)),
)]
pub(super) async fn set_retention(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let text =
        String::from_utf8(body.into()).map_err(|_| Problem::request("retention settings are UTF-8"))?;
    let set: Task = Box::new(move |engine| {
        Box::pin(async move {
            let changed = engine.set_retention(&text).await?;
            Ok(json!({ "changed": changed, "log_size": engine.published().0 }))
        })
    });
    done(&app, set).await
}

/// How to dispose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dispose {
    #[serde(default = "yes")]
    dry_run: bool,
    #[serde(default)]
    by: String,
}

fn yes() -> bool {
    true
}

/// Disposes of what is past its end, or says what would go.
#[utoipa::path(
    post,
    path = "/v1/retention/dispose",
    tag = "life",
    request_body(content = Option<Dispose>, description = "A dry run when absent"),
    responses((status = 200, description = "The plan, or the certificate", body = Object)),
)]
pub(super) async fn dispose(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Dispose { dry_run, by } = read(if body.is_empty() { b"{}" } else { &body })?;
    if dry_run {
        app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
        let now_s = app.clock.wall_ns().div_euclid(1_000_000_000);
        return Ok(Json(json!(app.reader.disposal_plan(now_s).await?)));
    }
    let dispose: Task = Box::new(move |engine| {
        Box::pin(async move { engine.dispose(&by).await.map(|certificate| json!(certificate)) })
    });
    gone(&app, dispose).await
}

/// The holds, lifted ones among them.
#[utoipa::path(
    get,
    path = "/v1/holds",
    tag = "life",
    responses((status = 200, description = "`holds`", body = Object)),
)]
pub(super) async fn holds(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "holds": app.reader.holds().await? })))
}

/// Places a hold: what it names is neither erased nor disposed of.
#[utoipa::path(
    post,
    path = "/v1/holds",
    tag = "life",
    request_body(content = Object, description = "What is held, why, and by whom (docs/api.md)"),
    responses((status = 200, description = "The hold", body = Object)),
)]
pub(super) async fn place_hold(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: HoldRequest = read(&body)?;
    let place: Task = Box::new(move |engine| {
        Box::pin(async move { engine.place_hold(&request).await.map(|hold| json!(hold)) })
    });
    done(&app, place).await
}

/// Why a hold ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Lift {
    reason: String,
    by: String,
}

/// Lifts a hold.
#[utoipa::path(
    delete,
    path = "/v1/holds/{id}",
    tag = "life",
    params(("id" = String, Path, description = "The hold")),
    request_body = Lift,
    responses((status = 200, description = "The hold", body = Object)),
)]
pub(super) async fn lift_hold(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Lift { reason, by } = read(&body)?;
    let lift: Task = Box::new(move |engine| {
        Box::pin(async move { engine.lift_hold(&id, &reason, &by).await.map(|hold| json!(hold)) })
    });
    done(&app, lift).await
}

/// Who is erased, why, and who says so: either `subject` or `orphans_of`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erase {
    subject: Option<String>,
    orphans_of: Option<String>,
    ground: String,
    by: String,
}

/// Erases a person, by destroying keys.
#[utoipa::path(
    post,
    path = "/v1/erase",
    tag = "life",
    request_body = Erase,
    responses((status = 200, description = "The certificate", body = Object)),
)]
pub(super) async fn erase(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let Erase { subject, orphans_of, ground, by } = read(&body)?;
    let decision = orphans_of.map(|id| id.parse::<RecordId>()).transpose();
    let decision = decision.map_err(|_| Problem::request("`orphans_of` is no record id"))?;
    if subject.is_some() == decision.is_some() {
        return Err(Problem::request("give either `subject` or `orphans_of`"));
    }
    let erase: Task = Box::new(move |engine| {
        Box::pin(async move {
            let whom = match (&subject, decision) {
                (_, Some(decision)) => Whom::OrphansOf(decision),
                (subject, None) => Whom::Subject(subject.as_deref().unwrap_or_default()),
            };
            engine.erase(whom, &ground, &by).await.map(|certificate| json!(certificate))
        })
    });
    gone(&app, erase).await
}

/// The same for what takes evidence away: answered when it is gone from the index too.
async fn gone(app: &App, task: Task) -> Result<Json<Value>, Problem> {
    let answer = done(app, task).await?;
    app.indexing.catch_up().await.map_err(|error| Problem::from(&*error))?;
    Ok(answer)
}

pub(super) async fn done(app: &App, task: Task) -> Result<Json<Value>, Problem> {
    app.sealer.task(task).await.map(Json).map_err(|error| Problem::from(&*error))
}
