//! `/v1/retention`, `/v1/retention/dispose`, `/v1/holds`, `/v1/erase`: how long records are kept, and what becomes of them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use minutebook_record::RecordId;
use minutebook_trail::{HoldRequest, Whom};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::App;
use crate::problem::Problem;
use crate::sealer::Task;

pub(super) async fn retention(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "retention": app.reader.retention().await? })))
}

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dispose {
    #[serde(default = "yes")]
    dry_run: bool,
    #[serde(default)]
    by: String,
}

fn yes() -> bool {
    true
}

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

pub(super) async fn holds(State(app): State<App>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "holds": app.reader.holds().await? })))
}

pub(super) async fn place_hold(State(app): State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: HoldRequest = read(&body)?;
    let place: Task = Box::new(move |engine| {
        Box::pin(async move { engine.place_hold(&request).await.map(|hold| json!(hold)) })
    });
    done(&app, place).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    reason: String,
    by: String,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    subject: Option<String>,
    orphans_of: Option<String>,
    ground: String,
    by: String,
}

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

async fn done(app: &App, task: Task) -> Result<Json<Value>, Problem> {
    app.sealer.task(task).await.map(Json).map_err(|error| Problem::from(&*error))
}

/// What is wrong is told by its place alone: the body may name a person.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::request(format!(
            "the body is not what docs/api.md asks for, at line {line}, column {column}"
        ))
    })
}
