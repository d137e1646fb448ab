//! What every request over TCP has to pass: where it says it goes, the key or session that it brings, what roles permit, whether two have to agree,
//! and how much it takes.
//! Edge: the socket has none of this; it is its owner's.

mod bounds;
mod credentials;
mod failures;
mod hosts;
mod keyring;
mod rates;
mod terms;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use minutebook_access::{Asker as Who, Proof};
use minutebook_capture::{Clock, SystemRandom};
use minutebook_trail::ApiKeys;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::access::{Gate, Pass};
use crate::approvals::{APPROVAL, Approvals, Asked, Needed};
use crate::front::Peer;
use crate::limits::{BODY_BYTES_MAX, BODY_WAIT, FAILURES_PERIOD, RECORDS_BYTES_MAX, STREAM_BYTES};
use crate::people::{BACK, CSRF, People, nobody_signs_in};
use crate::problem::Problem;
pub(crate) use bounds::Bounds;
pub(crate) use hosts::Hosts;
use keyring::Keyring;
pub(crate) use rates::Recorded;
use rates::{Rates, Ticket};
pub(crate) use terms::Terms;

/// The name of the API key that a request came with, or of who signed in; an extension of it. None over the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(pub(crate) Option<String>);

/// Stands in front of the router of a listener.
pub(crate) struct Guard {
    hosts: Hosts,
    keys: Keyring,
    /// None where there is no trail any more, or never was: known keys are told so, others as everywhere that they are not known.
    inside: Option<Inside>,
    bounds: Bounds,
    rates: Rates,
    clock: Arc<dyn Clock>,
    body_wait: Duration,
}

/// What stands between a request and a trail that is there.
struct Inside {
    gate: Arc<Gate>,
    people: Arc<People>,
    approvals: Arc<Approvals>,
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

impl Inside {
    fn new(gate: Arc<Gate>, clock: &Arc<dyn Clock>) -> Self {
        let people = People::new(Arc::clone(&gate), Arc::clone(clock), Arc::new(SystemRandom));
        let approvals = Approvals::new(Arc::clone(&gate), Arc::clone(clock), Arc::new(SystemRandom));
        Self { gate, people: Arc::new(people), approvals: Arc::new(approvals) }
    }

    /// Where two have to agree: that a second one has approved this very request.
    async fn agreed(&self, pass: &Pass, asked: Asked, body: &Bytes) -> Result<(), Refusal> {
        if !pass.takes_two() {
            return Ok(());
        }
        self.approvals.check(pass, asked, body).await.map_err(|needed| match needed {
            Needed::Approval(id, problem) => {
                // INVARIANT: letters, digits, `-` and `_`.
                let id = HeaderValue::from_str(&id).expect("plain ASCII");
                Refusal::from(*problem).with(HeaderName::from_static(APPROVAL), id)
            }
            Needed::Other(problem) => Refusal::from(*problem),
        })
    }
}

/// What every answer tells a browser: it is no page, it loads nothing, and it is for no other site.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets a request through, or answers it.
pub(crate) async fn stand(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let signs_in = request.uri().path() == BACK;
    let answer = match guard.pass(request).await {
        Ok((request, None, held)) => {
            let answer = next.run(request).await;
            drop(held);
            answer
        }
        Ok((request, Some((pass, ticket, gate)), held)) => {
            let streams = pass.streams();
            let answering = async { gate.account(pass, next.run(request).await).await };
            let answer = ticket.answer(answering).await;
            // What is taken as it comes has its place until the last of it.
            if streams { rates::holding(answer, held) } else { answer }
        }
        Err(refusal) => refusal.into_response(),
    };
    if signs_in && answer.status().is_client_error() {
        guard.bounds.failures.failed(peer, Instant::now());
    }
    finished(answer)
}

/// With the headers that every answer over TCP has.
pub(crate) fn finished(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers are about persons: no cache keeps one that does not say it may.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// What a request was let through with, and whom to tell of it.
type Admitted = (Pass, Ticket, Arc<Gate>);

/// What a request has taken of what there is, given back with it.
type Held = Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)>;

impl Guard {
    /// Of a trail with these keys; without a gate, of one that has ended, and without keys, of none.
    pub(crate) fn new(
        hosts: Hosts,
        keys: Option<ApiKeys>,
        gate: Option<Arc<Gate>>,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
    ) -> Self {
        let inside = gate.map(|gate| Inside::new(gate, &clock));
        Self {
            hosts,
            keys: Keyring::new(keys),
            inside,
            bounds,
            rates: Rates::default(),
            clock,
            body_wait: BODY_WAIT,
        }
    }

    async fn pass(
        self: &Arc<Self>,
        mut request: Request,
    ) -> Result<(Request, Option<Admitted>, Held), Refusal> {
        if let Some(problem) = self.hosts.refuse(&request) {
            return Err(problem.into());
        }
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            *request.body_mut() = Body::empty();
            return Ok((request, None, None));
        }
        if let Some(inside) = &self.inside {
            request.extensions_mut().insert(Arc::clone(&inside.people));
            request.extensions_mut().insert(Arc::clone(&inside.approvals));
        }
        if matches!(request.uri().path(), "/v1/sign-in" | BACK) {
            self.may_try(&request)?;
            if self.inside.is_none() {
                return Err(nobody_signs_in().into());
            }
            *request.body_mut() = Body::empty();
            return Ok((request, None, None));
        }
        let who = self.admit(&mut request)?;
        let (method, path) = (request.method(), request.uri().path());
        let name = who.label();
        let inside = self.inside.as_ref().ok_or_else(ended)?;
        let pass = inside.gate.enter(who, method, path, request.headers()).await?;
        let gate = Arc::clone(&inside.gate);
        let ticket = self.rates.enter(&name, pass.allowance(), rates::cost(method, path), Instant::now())?;
        request.extensions_mut().insert(KeyName(Some(name)));
        request.extensions_mut().insert(pass.asker());
        if pass.goes_on() {
            let terms = Terms::of(self, &request, ticket.payer());
            request.extensions_mut().insert(terms);
        }
        let bytes_max = if pass.records() { RECORDS_BYTES_MAX } else { BODY_BYTES_MAX };
        let busy = || {
            let detail = "more requests at once than this server works on: try again in a moment";
            refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail).later()
        };
        let place = Arc::clone(&self.bounds.requests).try_acquire_owned().map_err(|_| busy())?;
        if request.body().is_end_stream() {
            inside.agreed(&pass, Asked::of(&request), &Bytes::new()).await?;
            return Ok((request, Some((pass, ticket, gate)), Some((place, None))));
        }
        let bytes = match request.body().size_hint().upper() {
            _ if pass.streams() => STREAM_BYTES as u64,
            Some(bytes) if bytes > bytes_max as u64 => return Err(Problem::too_large(bytes_max).into()),
            bytes => bytes.unwrap_or(bytes_max as u64),
        };
        // INVARIANT: at most `RECORDS_BYTES_MAX`, so it fits.
        let room = Arc::clone(&self.bounds.bodies)
            .try_acquire_many_owned((bytes as u32 >> 10) + 1)
            .map_err(|_| busy())?;
        if pass.streams() {
            return Ok((request, Some((pass, ticket, gate)), Some((place, Some(room)))));
        }
        let body = self.read(std::mem::take(request.body_mut()), bytes_max).await?;
        inside.agreed(&pass, Asked::of(&request), &body).await?;
        *request.body_mut() = Body::from(body);
        Ok((request, Some((pass, ticket, gate)), Some((place, Some(room)))))
    }

    async fn read(&self, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
        match timeout(self.body_wait, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
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

    /// Whether somebody from there may try to show who it is.
    fn may_try(&self, request: &Request) -> Result<(), Refusal> {
        if self.bounds.failures.may_try(peer(request), Instant::now()) {
            return Ok(());
        }
        let detail =
            format!("too many wrong keys from this address: try again in {} s", FAILURES_PERIOD.as_secs());
        let status = StatusCode::TOO_MANY_REQUESTS;
        Err(refuse(status, "too-many-wrong-keys", "Too many wrong keys", detail).later())
    }

    /// Who sends a request: by the key that it brings, or else by its session.
    fn admit(&self, request: &mut Request) -> Result<Who, Refusal> {
        self.may_try(request)?;
        if !request.headers().contains_key(header::AUTHORIZATION)
            && let Some(inside) = &self.inside
            && let Some(session) = inside.people.session(request.headers())?
        {
            if !credentials::is_of_a_page_of_ours(request, &session) {
                return Err(foreign());
            }
            let who = inside.gate.rights_now()?.settings().person(&session.name, &session.groups);
            request.extensions_mut().insert(session);
            return Ok(who);
        }
        let (peer, now) = (peer(request), Instant::now());
        let Some(presented) = request.headers().get(header::AUTHORIZATION) else {
            return Err(unknown(
                "an API key is needed: `authorization: Bearer mbk_…`, which `minutebook api-key create` makes. People sign in at `/v1/sign-in`",
            ));
        };
        let found = credentials::secret(presented)
            .map_or(Ok(None), |secret| self.keys.find(&secret, now))
            .map_err(|error| {
                tracing::error!("nobody is let in over TCP: {error}");
                let detail = "the server cannot read its API keys; its log says why";
                let title = "The trail cannot be used as it is";
                refuse(StatusCode::SERVICE_UNAVAILABLE, "trail-unusable", title, detail)
            })?;
        let now_s = self.clock.wall_ns().div_euclid(1_000_000_000);
        let Some(key) = found.filter(|key| !key.is_expired(now_s)) else {
            self.bounds.failures.failed(peer, now);
            self.inside.iter().for_each(|inside| inside.gate.unknown());
            return Err(unknown("this API key is not known here: it is wrong, revoked, or past its end"));
        };
        Ok(Who { proof: Proof::Key, name: key.name, roles: key.roles, models: key.models })
    }
}

fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|Peer(address)| *address)
}

fn ended() -> Problem {
    let detail = "the engine of this trail has ended, or its folder is gone; the server's log says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "trail-ended", "The trail has ended", detail)
}

fn unknown(detail: &str) -> Refusal {
    refuse(StatusCode::UNAUTHORIZED, "no-such-key", "No such key", detail)
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn foreign() -> Refusal {
    let detail = format!(
        "with a session, requests that change something have the header `{CSRF}`: `GET /v1/session` says which"
    );
    refuse(StatusCode::FORBIDDEN, "foreign-request", "Not of a page of this server", detail)
}

#[cfg(test)]
mod tests;
