//! `/v1/verify`: the whole trail computed again from its stored bytes, while the request waits or as a job. Edge: the work; what a job is, is in
//! `jobs`.

use std::io;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use minutebook_present::page::{self, Verification};
use minutebook_trail::{FolderSource, TrailKeys, lasting};
use minutebook_verify::{Options, Report, Source};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::App;
use super::records::given;
use crate::front::Base;
use crate::jobs::{Awaited, Job, State as JobState};
use crate::problem::Problem;

/// All of it: the engine has the keys.
const LEVEL: u8 = 2;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `false`: a job is begun, and the answer says where it is.
    wait: Option<bool>,
}

/// The whole trail computed again from its stored bytes.
#[utoipa::path(
    post,
    path = "/v1/verify",
    operation_id = "verify_trail",
    tag = "records",
    params(Wanted, ("prefer" = Option<String>, Header, description = "`respond-async` (RFC 7240): as `wait=false`")),
    responses(
        (status = 200, description = "The report, as `minutebook verify --json` prints it", body = Object),
        (status = 202, description = "The job, which `location` names", body = Object),
    ),
)]
pub(super) async fn verify(
    State(app): State<App>,
    query: Result<Query<Wanted>, QueryRejection>,
    base: Option<Extension<Base>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let waits = given(query)?.wait;
    let prefers = prefers_async(&headers);
    let (folder, keys) = (app.identity.folder.clone(), app.reader.keys().clone());
    let job = app.jobs.begin("verify", "segments", move |job| {
        Ok(report(&Looked { folder: FolderSource::new(folder), job }, &keys))
    })?;
    if waits.unwrap_or(!prefers) {
        return wait(&app, job).await;
    }
    let location = Base::of(base.as_ref().map(|Extension(base)| base), &format!("/v1/jobs/{}", job.id()));
    let mut answer = (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(job.json())).into_response();
    if prefers {
        let applied = header::HeaderValue::from_static("respond-async");
        answer.headers_mut().insert(HeaderName::from_static("preference-applied"), applied);
    }
    Ok(answer)
}

/// Waits for the report. When whoever asked goes away, nobody wants it.
async fn wait(app: &App, job: Arc<Job>) -> Result<Response, Problem> {
    let awaited = Awaited(job);
    let done = awaited.0.done().await;
    app.jobs.forget(awaited.0.id());
    match done {
        JobState::Done(report) => Ok(Json(report).into_response()),
        JobState::Failed(what) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, "failed", "The verification failed", what))
        }
        JobState::Running | JobState::Cancelled => {
            Err(minutebook_trail::Error::Stopped("it ends".into()).into())
        }
    }
}

/// Whether it is asked for an answer before the work is done (RFC 7240, section 4.1).
fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(','));
    preferences
        .map(|preference| preference.split([';', '=']).next().unwrap_or_default().trim())
        .any(|name| name.eq_ignore_ascii_case("respond-async"))
}

/// A trail's folder for as long as its job is not cancelled: then nothing can be read any more, and the verification is soon over.
struct Looked<'j> {
    folder: FolderSource,
    job: &'j Job,
}

impl Looked<'_> {
    fn go_on(&self) -> io::Result<()> {
        if self.job.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl Source for Looked<'_> {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.go_on()?;
        self.folder.read(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.go_on()?;
        self.folder.list()
    }
}

/// Reads and computes for long, and the keys wait for the catalog.
fn report(source: &Looked<'_>, keys: &TrailKeys) -> Value {
    let report = look(source, keys);
    // This engine may have been writing meanwhile.
    let report = if report.is_clean() || source.job.is_cancelled() {
        report
    } else {
        lasting(&report, look(source, keys))
    };
    page::report_json(&Verification {
        report: &report,
        level: LEVEL,
        earlier: None,
        witnesses: false,
        all_accounts: true,
    })
}

fn look(source: &Looked<'_>, keys: &TrailKeys) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = Options {
        keys,
        pinned: None,
        policy: None,
        sampling: &keys.sampling(),
        in_progress: Vec::new(),
        threads,
        progress: &|done, all| source.job.reached(done, all),
    };
    minutebook_verify::verify(source, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_at_once_is_asked_for_as_in_the_rfc() {
        let prefers = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", header::HeaderValue::from_static(value));
            }
            prefers_async(&headers)
        };
        assert!(prefers(&["respond-async"]) && prefers(&["Respond-Async, wait=10"]));
        assert!(prefers(&["return=minimal", "wait=10, respond-async; x=1"]));
        assert!(!prefers(&[]) && !prefers(&["return=minimal"]) && !prefers(&["x-respond-async", ""]));
    }
}
