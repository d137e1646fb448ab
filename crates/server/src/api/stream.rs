//! `POST /v1/records/stream`: records without an end, one a line; an answer that tells, line after line, how far they are taken. Edge: headers, the
//! answer, and its order; blocks are cut and taken in `intake`.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use minutebook_present::json::ReadAt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::intake::{encoding, form, repeat, take, unsupported};
use super::records::given;
use crate::access::{Asker, Denying};
use crate::guard::{KeyName, Terms};
use crate::intake::{Block, Blocks, Cut, Encoding, Form, RepeatKey, Sent, Taken};
use crate::limits::REPEAT_KEY_BYTES_MAX;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// When a block is answered.
    #[serde(default)]
    #[param(inline)]
    level: Level,
    /// Whether the ids are told.
    #[serde(default)]
    ids: bool,
}

/// When blocks are acknowledged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = StreamLevel)]
#[serde(rename_all = "lowercase")]
enum Level {
    Process,
    #[default]
    Disk,
}

/// Records as they come, block after block, each taken whole or not at all.
#[utoipa::path(
    post,
    path = "/v1/records/stream",
    operation_id = "record_stream",
    tag = "records",
    params(Wanted, ("idempotency-key" = Option<String>, Header, description = "Under which a repetition is known again for 24 hours")),
    request_body(content = String, content_type = "application/x-ndjson", description = "A record a line (docs/formats/json.md), without an end"),
    responses((
        status = 200,
        description = "A line a block: through which of the `lines` all is `recorded`, or was before (`repeated`); the last has `end`, or `error`",
        body = String,
        content_type = "application/x-ndjson",
    )),
)]
pub(super) async fn stream(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
    (key, terms): (Option<Extension<KeyName>>, Option<Extension<Terms>>),
    body: Body,
) -> Result<Response, Problem> {
    let Wanted { level, ids } = given(query)?;
    if !matches!(form(&headers, super::intake::Wanted::default())?, Form::Lines { .. }) {
        return Err(unsupported("`content-type` is `application/x-ndjson`"));
    }
    if encoding(&headers)? != Encoding::Plain {
        return Err(unsupported("a stream is not packed: `POST /v1/records` takes gzip and zstd"));
    }
    let repeat = repeat(&headers, key.map(|Extension(name)| name).unwrap_or_default())?;
    if repeat.as_ref().is_some_and(|repeat| repeat.key.len() > REPEAT_KEY_BYTES_MAX - NUMBER_BYTES) {
        let most = REPEAT_KEY_BYTES_MAX - NUMBER_BYTES;
        return Err(Problem::request(format!(
            "the `idempotency-key` of a stream has {most} characters at most"
        )));
    }
    let cut = if repeat.is_some() { Cut::BySize } else { Cut::ByPause };
    let taking = Taking {
        closing: app.closing.subscribe(),
        blocks: Blocks::new(body, cut),
        app,
        asker,
        repeat,
        terms: terms.map(|Extension(terms)| terms),
        denying: None,
        flush: level == Level::Disk,
        ids,
        told: Progress::default(),
        is_over: false,
    };
    let lines = stream::unfold(taking, |mut taking| async {
        if taking.is_over {
            return None;
        }
        let line = taking.next().await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("{line}\n"))), taking))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// Room for the number of a block behind an idempotency key.
const NUMBER_BYTES: usize = 15;

/// A stream that is being taken.
struct Taking {
    app: App,
    asker: Asker,
    blocks: Blocks,
    repeat: Option<RepeatKey>,
    terms: Option<Terms>,
    denying: Option<Denying>,
    flush: bool,
    ids: bool,
    closing: watch::Receiver<bool>,
    told: Progress,
    is_over: bool,
}

/// How far a stream is taken.
#[derive(Debug, Default)]
struct Progress {
    lines: u64,
    recorded: u64,
    repeated: u64,
}

impl Progress {
    fn with(&self, name: &str, value: Value) -> Value {
        let Self { lines, recorded, repeated } = self;
        json!({ "lines": lines, "recorded": recorded, "repeated": repeated, name: value })
    }
}

impl Taking {
    /// The next line of the answer.
    async fn next(&mut self) -> Value {
        let block = tokio::select! {
            block = self.blocks.next() => block,
            _ = self.closing.wait_for(|closes| *closes) => {
                Err(minutebook_trail::Error::Stopped("it ends".into()).into())
            }
        };
        let taken = match block {
            Ok(None) => {
                self.is_over = true;
                return self.told.with("end", true.into());
            }
            Ok(Some(block)) => self.take(block).await,
            Err(problem) => Err(problem),
        };
        match taken {
            Ok(taken) if self.ids => {
                let ids: Vec<String> = taken.ids.iter().map(ToString::to_string).collect();
                self.told.with("ids", ids.into())
            }
            Ok(_) => self.told.with("end", false.into()),
            Err(problem) => {
                self.is_over = true;
                if let (Some(denying), Some(asked)) = (&self.denying, problem.denial()) {
                    denying.denied(asked).await;
                }
                // INVARIANT: texts and numbers always serialise.
                self.told.with("error", serde_json::to_value(problem).unwrap_or_default())
            }
        }
    }

    async fn take(&mut self, block: Block) -> Result<Taken, Problem> {
        // Each block as if it were a request: who has begun may have lost their key since.
        if let Some(terms) = &self.terms {
            let (asker, denying) = terms.again().await?;
            (self.asker, self.denying) = (asker, Some(denying));
        }
        let clock = &self.app.clock;
        let repeat = self.repeat.as_ref();
        let sent = Sent {
            asker: self.asker.clone(),
            body: block.bytes,
            encoding: Encoding::Plain,
            form: Form::Lines { first: block.first },
            at: ReadAt { time_ns: clock.wall_ns(), clock_error_ns: clock.error_ns() },
            flush: self.flush,
            repeat: repeat
                .map(|key| RepeatKey { of: key.of.clone(), key: format!("{}/{}", key.key, block.number) }),
        };
        let taken = take(self.app.clone(), sent).await?;
        let count = taken.ids.len() as u64;
        self.told.lines = block.last;
        if taken.repeated {
            self.told.repeated += count;
        } else {
            self.told.recorded += count;
            if let Some(terms) = &self.terms {
                terms.recorded(count).await;
            }
        }
        Ok(taken)
    }
}
