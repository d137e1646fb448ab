//! `/v1/spool`: the spools of other machines (`docs/formats/shipping.md`). Edge: requests and answers; writing is in `mirrors`.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use minutebook_capture::{GivenUp, MirrorId, Owner, Piece, Standing, StandingState};
use minutebook_record::{Epoch, ProducerId};
use minutebook_verify::{hex, unhex};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinError;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::given::read;
use super::records::given;
use crate::guard::{KeyName, Recorded};
use crate::limits::BODY_BYTES_MAX;
use crate::mirrors::{About, Taking};
use crate::problem::Problem;

/// The header with the secret of a spool.
const SECRET: &str = "minutebook-spool-secret";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Announced {
    /// The producer's name.
    name: String,
    #[serde(default)]
    #[param(inline)]
    state: OwnerState,
}

/// What became of the owner.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OwnerState {
    #[default]
    Open,
    Closed,
    Dead,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// The producer's name.
    name: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    /// The producer's name.
    name: String,
    /// Where the bytes begin in the part.
    offset: u64,
    /// Of the part, in bytes.
    capacity: u64,
    /// They are the last of the part.
    #[serde(default)]
    end: bool,
    /// They are what a dead owner left, whatever that is.
    #[serde(default)]
    torn: bool,
}

type Key = Option<Extension<KeyName>>;

/// What a spool of another machine has to know of the trail.
#[utoipa::path(
    get,
    path = "/v1/spool",
    tag = "spool",
    operation_id = "spool",
    responses((status = 200, description = "`trail`, `name`, `intake_key`", body = Object))
)]
pub(super) async fn about(State(app): State<App>) -> Json<Value> {
    let identity = &app.identity;
    Json(json!({
        "format": "minutebook/remote/1",
        "trail": identity.trail,
        "name": identity.name,
        "intake_key": hex(&app.intake_key),
        "version": identity.version,
    }))
}

/// An epoch of another machine: its file, at the beginning, now and then, and at the end.
#[utoipa::path(
    put,
    path = "/v1/spool/{producer}/{epoch}",
    tag = "spool",
    operation_id = "announce_epoch",
    params(
        ("producer" = String, Path, description = "32 hex digits"),
        ("epoch" = u64, Path, description = "From 1"),
        ("minutebook-spool-secret" = String, Header, description = "64 hex digits, drawn by the spool"),
        Announced,
    ),
    request_body(content = [u8], content_type = "application/octet-stream", description = "The epoch file"),
    responses((status = 200, description = "Where the server is: `state`, `part`, `offset`, `end_part`", body = Object))
)]
pub(super) async fn announce(
    State(app): State<App>,
    path: Result<Path<(String, u64)>, PathRejection>,
    query: Result<Query<Announced>, QueryRejection>,
    headers: HeaderMap,
    key: Key,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Announced { name, state } = given(query)?;
    let Path((producer, epoch)) = placed(path)?;
    let about = found(&producer, epoch, &name, &headers, key)?;
    let body = whole(body)?;
    let ended = match state {
        OwnerState::Open => None,
        OwnerState::Closed => Some(Owner::Closed),
        OwnerState::Dead => Some(Owner::Dead),
    };
    apart(app, move |taking| taking.announce(&about, &body, ended)).await
}

/// How far an epoch of another machine is on disk here.
#[utoipa::path(
    get,
    path = "/v1/spool/{producer}/{epoch}",
    tag = "spool",
    operation_id = "epoch_standing",
    params(
        ("producer" = String, Path, description = "32 hex digits"),
        ("epoch" = u64, Path, description = "From 1"),
        ("minutebook-spool-secret" = String, Header, description = "64 hex digits, drawn by the spool"),
        Named,
    ),
    responses((status = 200, description = "Where the server is: `state`, `part`, `offset`, `end_part`", body = Object))
)]
pub(super) async fn standing(
    State(app): State<App>,
    path: Result<Path<(String, u64)>, PathRejection>,
    query: Result<Query<Named>, QueryRejection>,
    headers: HeaderMap,
    key: Key,
) -> Result<Json<Value>, Problem> {
    let Named { name } = given(query)?;
    let Path((producer, epoch)) = placed(path)?;
    let about = found(&producer, epoch, &name, &headers, key)?;
    apart(app, move |taking| taking.standing(&about)).await
}

/// Frames of a part, in order. On disk when it answers.
#[utoipa::path(
    put,
    path = "/v1/spool/{producer}/{epoch}/{part}",
    tag = "spool",
    operation_id = "put_frames",
    params(
        ("producer" = String, Path, description = "32 hex digits"),
        ("epoch" = u64, Path, description = "From 1"),
        ("part" = u32, Path, description = "From 1"),
        ("minutebook-spool-secret" = String, Header, description = "64 hex digits, drawn by the spool"),
        Sent,
    ),
    request_body(content = [u8], content_type = "application/octet-stream", description = "The frames"),
    responses((status = 200, description = "Where the server is: `state`, `part`, `offset`, `end_part`", body = Object))
)]
pub(super) async fn put(
    State(app): State<App>,
    path: Result<Path<(String, u64, u32)>, PathRejection>,
    query: Result<Query<Sent>, QueryRejection>,
    headers: HeaderMap,
    key: Key,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Extension<Recorded>, Json<Value>), Problem> {
    let Sent { name, offset, capacity, end, torn } = given(query)?;
    let Path((producer, epoch, part)) = placed(path)?;
    let about = found(&producer, epoch, &name, &headers, key)?;
    let piece = Piece { part, offset, capacity, bytes: whole(body)?.into(), end, torn };
    let recorded = Extension(Recorded(piece.frames()));
    Ok((recorded, apart(app, move |taking| taking.put(&about, &piece)).await?))
}

/// As `POST /v1/seal`, for who may record.
#[utoipa::path(
    post,
    path = "/v1/spool/seal",
    tag = "spool",
    operation_id = "seal_spools",
    request_body(content = Option<super::seal::Request>, description = "`sealed` when absent"),
    responses((status = 200, description = "The log, and what this sealing sealed", body = Object))
)]
pub(super) async fn seal(app: State<App>, body: Bytes) -> Result<Json<Value>, Problem> {
    super::seal::seal(app, body).await
}

/// Why an epoch is given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveUp {
    reason: String,
    by: String,
}

/// Gives up an epoch whose machine is gone for good: what is here of it is sealed, the rest is told as lost, and nothing more is taken.
#[utoipa::path(
    post,
    path = "/v1/spool/{producer}/{epoch}/give-up",
    tag = "spool",
    operation_id = "give_up_epoch",
    params(
        ("producer" = String, Path, description = "32 hex digits"),
        ("epoch" = u64, Path, description = "From 1"),
    ),
    request_body = GiveUp,
    responses((status = 200, description = "`producer`, `epoch`, `log_size` once it is sealed", body = Object))
)]
pub(super) async fn give_up(
    State(app): State<App>,
    path: Result<Path<(String, u64)>, PathRejection>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Path((producer, epoch)) = placed(path)?;
    let (id, number) = named(&producer, epoch)?;
    let GiveUp { reason, by } = read(&body)?;
    let said = GivenUp::new(app.clock.wall_ns().div_euclid(1_000_000_000), &by, &reason);
    let taker = app.clone();
    let taken = tokio::task::spawn_blocking(move || taker.taking.give_up(id, number, &said)).await;
    taken.map_err(broken)??;
    let sealed = app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
    Ok(Json(json!({ "producer": id.to_string(), "epoch": epoch, "log_size": sealed.log_size })))
}

fn placed<T>(path: Result<Path<T>, PathRejection>) -> Result<Path<T>, Problem> {
    path.map_err(|_| Problem::request("the path is `/v1/spool/<producer>/<epoch>[/<part>]`"))
}

fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(BODY_BYTES_MAX),
        _ => Problem::request("the body broke off"),
    })
}

fn found(producer: &str, epoch: u64, name: &str, headers: &HeaderMap, key: Key) -> Result<About, Problem> {
    let (producer, epoch) = named(producer, epoch)?;
    let secret = headers.get(SECRET).and_then(|secret| unhex::<32>(secret.to_str().ok()?));
    let secret = secret.ok_or_else(|| Problem::request("`minutebook-spool-secret` is 64 hex digits"))?;
    let id = MirrorId::new(name, producer, &secret);
    let key = key.and_then(|Extension(KeyName(name))| name).unwrap_or_default();
    Ok(About { id, epoch, key })
}

fn named(producer: &str, epoch: u64) -> Result<(ProducerId, Epoch), Problem> {
    let wrong = |what: &str| Problem::request(what);
    let producer = producer.parse::<ProducerId>().map_err(|_| wrong("a producer is 32 hex digits"))?;
    let epoch = Epoch::new(epoch).map_err(|_| wrong("epochs are counted from 1"))?;
    Ok((producer, epoch))
}

/// The thread that wrote gave up.
fn broken(error: JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "Taking failed", error.to_string())
}

/// On a thread that may block.
async fn apart(
    app: App,
    take: impl FnOnce(&Taking) -> Result<Standing, Problem> + Send + 'static,
) -> Result<Json<Value>, Problem> {
    let taken = tokio::task::spawn_blocking(move || take(&app.taking)).await;
    let standing = taken.map_err(broken)??;
    let state = match standing.state {
        StandingState::Open => "open",
        StandingState::Ended => "ended",
        StandingState::Sealed => "sealed",
    };
    let at = standing.position;
    Ok(Json(json!({ "state": state, "part": at.part, "offset": at.offset, "end_part": standing.end_part })))
}
