//! `POST /v1/records`: records in, in the form that `minutebook record` reads. Edge: headers and the answer; how records are read and handed over is
//! in `intake`.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::{Extension, Json};
use minutebook_index::rows::ARROW_STREAM;
use minutebook_present::json::ReadAt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinError;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::records::given;
use crate::access::Asker;
use crate::guard::{KeyName, Recorded};
use crate::intake::{Defaults, Encoding, Form, RepeatKey, Sent, Taken};
use crate::limits::{RECORDS_BYTES_MAX, REPEAT_KEY_BYTES_MAX};
use crate::problem::Problem;

#[derive(Default, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// When it is answered.
    #[serde(default)]
    #[param(inline)]
    level: Level,
    /// Of a table: the model of rows that do not say theirs.
    model: Option<String>,
    /// Of a table: the version of the model.
    version: Option<String>,
    /// Of a table: the digest of the model's artifact.
    artifact: Option<String>,
    /// Of a table: whether columns that a trail adds to its answers are passed over.
    reimport: Option<bool>,
}

/// When records are acknowledged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = RecordLevel)]
#[serde(rename_all = "lowercase")]
enum Level {
    Process,
    #[default]
    Disk,
    Sealed,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Disk => "disk",
            Self::Sealed => "sealed",
        }
    }
}

/// Records in: all of a request, or none of it.
#[utoipa::path(
    post,
    path = "/v1/records",
    operation_id = "record",
    tag = "records",
    params(Wanted, ("idempotency-key" = Option<String>, Header, description = "Under which a repetition is known again for 24 hours")),
    request_body(
        content((Object = "application/json"), (String = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.arrow.stream")),
        description = "A record, an array of them, or one a line (docs/formats/json.md), or a table of decisions; `content-encoding` gzip or zstd",
    ),
    responses((status = 200, description = "Their `ids`, the `level`, and whether they were `repeated`", body = Object)),
)]
pub(super) async fn record(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
    key: Option<Extension<KeyName>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Extension<Recorded>, Json<Value>), Problem> {
    let wanted = given(query)?;
    let level = wanted.level;
    let sent = Sent {
        asker,
        body: body_of(body)?,
        encoding: encoding(&headers)?,
        form: form(&headers, wanted)?,
        at: ReadAt { time_ns: app.clock.wall_ns(), clock_error_ns: app.clock.error_ns() },
        flush: level != Level::Process,
        repeat: repeat(&headers, key.map(|Extension(name)| name).unwrap_or_default())?,
    };
    let taken = take(app.clone(), sent).await?;
    if level == Level::Sealed {
        app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
    }
    let ids: Vec<String> = taken.ids.iter().map(ToString::to_string).collect();
    let recorded = if taken.repeated { 0 } else { ids.len() as u64 };
    let answer = json!({ "ids": ids, "level": level.word(), "repeated": taken.repeated });
    Ok((Extension(Recorded(recorded)), Json(answer)))
}

pub(super) async fn take(app: App, sent: Sent) -> Result<Taken, Problem> {
    tokio::task::spawn_blocking(move || app.intake.take(sent)).await.map_err(broken)?
}

/// Has one record taken, which is on disk then, in the name of who asks. The same request comes again under its idempotency key.
pub(super) async fn take_one(
    app: &App,
    (asker, key): (Asker, KeyName),
    headers: &HeaderMap,
    record: &Value,
) -> Result<Taken, Problem> {
    let sent = Sent {
        asker,
        body: record.to_string().into(),
        encoding: Encoding::Plain,
        form: Form::Json,
        at: ReadAt { time_ns: app.clock.wall_ns(), clock_error_ns: app.clock.error_ns() },
        flush: true,
        repeat: repeat(headers, key)?,
    };
    take(app.clone(), sent).await
}

/// A body with what is to be recorded.
pub(super) fn body_of(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(RECORDS_BYTES_MAX),
        _ => Problem::request("the body broke off"),
    })
}

/// The thread that recorded gave up.
pub(super) fn broken(error: JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "Recording failed", error.to_string())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.to_str());
    match (first.transpose(), values.next()) {
        (Ok(first), None) => Ok(first),
        _ => Err(Problem::request(format!("`{name}` is there more than once, or not in ASCII"))),
    }
}

pub(super) fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", "Not in a form that is read here", detail)
}

pub(super) fn form(headers: &HeaderMap, wanted: Wanted) -> Result<Form, Problem> {
    let media_type = text(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Wanted { model, version, artifact, reimport, .. } = wanted;
    let is_said = reimport.is_some() || [&model, &version, &artifact].into_iter().any(Option::is_some);
    let form = match media_type.as_str() {
        "application/json" => Form::Json,
        "application/x-ndjson" | "application/jsonl" => Form::Lines { first: 1 },
        ARROW_STREAM => {
            let reimport = reimport.unwrap_or_default();
            return Ok(Form::Arrow(Defaults { model, version, artifact, reimport }));
        }
        _ => {
            let detail = "`content-type` is `application/json`, `application/x-ndjson` or";
            return Err(unsupported(&format!("{detail} `{ARROW_STREAM}`")));
        }
    };
    if is_said {
        let detail =
            "`model`, `version`, `artifact` and `reimport` are for tables: a record in JSON says them itself";
        return Err(Problem::request(detail));
    }
    Ok(form)
}

pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let encoding = text(headers, &header::CONTENT_ENCODING)?.unwrap_or("identity").trim();
    match encoding.to_ascii_lowercase().as_str() {
        "identity" => Ok(Encoding::Plain),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(unsupported("`content-encoding` is `gzip` or `zstd`")),
    }
}

pub(super) fn repeat(headers: &HeaderMap, of: KeyName) -> Result<Option<RepeatKey>, Problem> {
    let name = HeaderName::from_static("idempotency-key");
    let Some(key) = text(headers, &name)? else { return Ok(None) };
    if key.is_empty() || key.len() > REPEAT_KEY_BYTES_MAX {
        return Err(Problem::request(format!("`{name}` has from 1 to {REPEAT_KEY_BYTES_MAX} characters")));
    }
    Ok(Some(RepeatKey { of, key: key.to_owned() }))
}
