//! What every request over TCP has to pass: where it says it goes, the key that it brings, what the key's roles permit, and how much it takes.
//! Edge: the socket has none of this; it is its owner's.

mod failures;
mod hosts;
mod keyring;
mod rates;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use minutebook_capture::Clock;
use minutebook_trail::{ApiKey, ApiKeys};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::access::{Gate, Pass};
use crate::connections::Peer;
use crate::limits::{
    BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_WAIT, FAILURES_PERIOD, RECORDS_BYTES_MAX, REQUESTS_AT_ONCE,
};
use crate::problem::Problem;
use failures::Failures;
pub(crate) use hosts::Hosts;
use keyring::Keyring;
pub(crate) use rates::Recorded;
use rates::{Rates, Ticket};

/// The name of the API key that a request came with; an extension of it. None over the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(pub(crate) Option<String>);

/// Stands in front of the router of a listener.
pub(crate) struct Guard {
    hosts: Hosts,
    keys: Keyring,
    gate: Arc<Gate>,
    failures: Failures,
    rates: Rates,
    clock: Arc<dyn Clock>,
    requests: Arc<Semaphore>,
    /// In KiB.
    bodies: Arc<Semaphore>,
    body_wait: Duration,
}

/// A refusal, with the headers that go with it.
struct Refusal(Box<Problem>, Vec<(HeaderName, HeaderValue)>);

impl Refusal {
    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.1.push((name, value));
        self
    }

    /// To come again after a second.
    fn later(self) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem), Vec::new())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = (*self.0).into_response();
        answer.headers_mut().extend(self.1);
        answer
    }
}

fn refuse(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Refusal {
    Problem::new(status, code, title, detail).into()
}

/// Lets a request through, or answers it.
pub(crate) async fn stand(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut answer = match guard.pass(request).await {
        Ok((request, None, held)) => {
            let answer = next.run(request).await;
            drop(held);
            answer
        }
        Ok((request, Some((pass, ticket)), held)) => {
            let answering = async { guard.gate.account(pass, next.run(request).await).await };
            let answer = ticket.answer(answering).await;
            drop(held);
            answer
        }
        Err(refusal) => refusal.into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are about persons: no cache keeps one that does not say it may.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// What a request has taken of what there is, given back with it.
type Held = Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)>;

impl Guard {
    pub(crate) fn new(hosts: Hosts, keys: ApiKeys, gate: Arc<Gate>, clock: Arc<dyn Clock>) -> Self {
        Self {
            hosts,
            keys: Keyring::new(keys),
            gate,
            failures: Failures::default(),
            rates: Rates::default(),
            clock,
            requests: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX >> 10)),
            body_wait: BODY_WAIT,
        }
    }

    async fn pass(&self, mut request: Request) -> Result<(Request, Option<(Pass, Ticket)>, Held), Refusal> {
        if let Some(problem) = self.hosts.refuse(&request) {
            return Err(problem.into());
        }
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            *request.body_mut() = Body::empty();
            return Ok((request, None, None));
        }
        let key = self.admit(&request)?;
        let (method, path) = (request.method(), request.uri().path());
        let pass = self.gate.enter(&key, method, path, request.headers()).await?;
        let ticket =
            self.rates.enter(&key.name, pass.allowance(), rates::cost(method, path), Instant::now())?;
        request.extensions_mut().insert(KeyName(Some(key.name)));
        request.extensions_mut().insert(pass.asker());
        let bytes_max = if pass.records() { RECORDS_BYTES_MAX } else { BODY_BYTES_MAX };
        let pass = Some((pass, ticket));
        let busy = || {
            let detail = "more requests at once than this server works on: try again in a moment";
            refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail).later()
        };
        let place = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| busy())?;
        if request.body().is_end_stream() {
            return Ok((request, pass, Some((place, None))));
        }
        let bytes = request.body().size_hint().upper().unwrap_or(bytes_max as u64);
        if bytes > bytes_max as u64 {
            return Err(Problem::too_large(bytes_max).into());
        }
        // INVARIANT: at most `RECORDS_BYTES_MAX`, so it fits.
        let room =
            Arc::clone(&self.bodies).try_acquire_many_owned((bytes as u32 >> 10) + 1).map_err(|_| busy())?;
        let (head, body) = request.into_parts();
        let body = self.read(body, bytes_max).await?;
        Ok((Request::from_parts(head, body), pass, Some((place, Some(room)))))
    }

    async fn read(&self, body: Body, bytes_max: usize) -> Result<Body, Refusal> {
        match timeout(self.body_wait, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(body)) => Ok(Body::from(body.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(bytes_max).into()),
            Ok(Err(_)) => Err(Problem::request("the body broke off").into()),
            Err(_) => {
                let detail = format!("the body did not come within {} s", self.body_wait.as_secs());
                let refusal =
                    refuse(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request came too slowly", detail);
                Err(refusal.with(header::CONNECTION, HeaderValue::from_static("close")))
            }
        }
    }

    /// The key that a request brings.
    fn admit(&self, request: &Request) -> Result<ApiKey, Refusal> {
        let peer = request.extensions().get::<Peer>().map(|Peer(address)| *address);
        let now = Instant::now();
        if !self.failures.may_try(peer, now) {
            let detail = format!(
                "too many wrong keys from this address: try again in {} s",
                FAILURES_PERIOD.as_secs()
            );
            return Err(refuse(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-wrong-keys",
                "Too many wrong keys",
                detail,
            )
            .later());
        }
        let Some(presented) = request.headers().get(header::AUTHORIZATION) else {
            return Err(unknown(
                "an API key is needed: `authorization: Bearer mbk_…`. `minutebook api-key create` makes one",
            ));
        };
        let found =
            secret(presented).map_or(Ok(None), |secret| self.keys.find(&secret, now)).map_err(|error| {
                tracing::error!("nobody is let in over TCP: {error}");
                let detail = "the server cannot read its API keys; its log says why";
                let title = "The trail cannot be used as it is";
                refuse(StatusCode::SERVICE_UNAVAILABLE, "trail-unusable", title, detail)
            })?;
        let now_s = self.clock.wall_ns().div_euclid(1_000_000_000);
        let Some(key) = found.filter(|key| !key.is_expired(now_s)) else {
            self.failures.failed(peer, now);
            self.gate.unknown();
            return Err(unknown("this API key is not known here: it is wrong, revoked, or past its end"));
        };
        Ok(key)
    }
}

fn unknown(detail: &str) -> Refusal {
    refuse(StatusCode::UNAUTHORIZED, "no-such-key", "No such key", detail)
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// The secret in `Bearer <secret>` (RFC 6750, section 2.1), or the password in `Basic …` (RFC 7617), whoever the user: senders that know of no
/// tokens have it in their address.
fn secret(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(credentials));
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(credentials).ok())??;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded.split_once(':').map(|(_, password)| Cow::Owned(password.to_owned()))
}

#[cfg(test)]
mod tests;
