//! `POST /v1/intake/cloudevents`: what KServe's inference logger and MLServer tell of the calls they serve. Edge: headers and the answer; what events
//! say is in `minutebook-adapters`, when they are recorded in `logged`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use axum::{Extension, Json};
use minutebook_adapters::cloudevents::{Event, Mode};
use minutebook_adapters::{Problem as Wrong, logger};
use serde_json::{Value, json};

use super::App;
use super::intake::{body_of, encoding};
use crate::guard::{KeyName, Recorded};
use crate::problem::Problem;

/// Answers 200 and nothing else once it is taken: KServe's logger takes any other status for a failure.
#[utoipa::path(
    post,
    path = "/v1/intake/cloudevents",
    operation_id = "intake_cloudevents",
    tag = "intake",
    request_body(
        content(
            (Object = "application/json"),
            (Object = "application/cloudevents+json"),
            (Object = "application/cloudevents-batch+json"),
        ),
        description = "The data of an event, its attributes in `ce-` headers, or events as JSON; `content-encoding` gzip or zstd",
    ),
    responses((
        status = 200,
        description = "Counts: decisions `recorded`, halves `waiting` for the other, halves `repeated`",
        body = Object,
    )),
)]
pub(super) async fn cloudevents(
    State(app): State<App>,
    headers: HeaderMap,
    key: Option<Extension<KeyName>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Extension<Recorded>, Json<Value>), Problem> {
    let body = body_of(body)?;
    let encoding = encoding(&headers)?;
    let KeyName(name) = key.map(|Extension(name)| name).unwrap_or_default();
    let taker = app.clone();
    let take = move || {
        let body = encoding.unpack(&body)?;
        let taken_ns = taker.clock.wall_ns();
        let of = name.unwrap_or_default();
        let events = events(&headers, &body).map_err(refused)?;
        let halves = events.into_iter().map(|event| logger::half(event, &of, taken_ns));
        let halves = halves.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        taker.logged.take(&taker, halves)
    };
    let counts = tokio::task::spawn_blocking(take).await.map_err(super::intake::broken)??;
    let answer =
        json!({ "recorded": counts.recorded, "waiting": counts.waiting, "repeated": counts.repeated });
    Ok((Extension(Recorded(counts.recorded as u64)), Json(answer)))
}

fn events(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Event>, Wrong> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match Mode::of(content_type.unwrap_or_default())? {
        Mode::Binary => {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            Ok(vec![Event::binary(pairs, body)?])
        }
        mode => Event::structured(mode, body),
    }
}

fn refused(wrong: Wrong) -> Problem {
    let to_do = wrong.to_do().map_or(String::new(), |to_do| format!(": {to_do}"));
    Problem::request(format!("{wrong}{to_do}"))
}
