//! What takes two: requests of one that wait until another one who may do the same has approved them (`docs/formats/access.md`, "Two people"). In
//! memory: an engine that starts again asks again. Edge: holds requests against each other; who may do what the gate knows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use minutebook_access::Action;
use minutebook_capture::{Clock, Random};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Asker, Gate, Pass};
use crate::limits::{APPROVAL_BYTES_MAX, APPROVAL_LASTS, APPROVALS_MAX};
use crate::problem::Problem;

/// The header with the id of an approval.
pub(crate) const APPROVAL: &str = "minutebook-approval";

/// The approvals of one trail.
pub(crate) struct Approvals {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    digest: [u8; 32],
    action: Action,
    since_ns: i64,
    told: Told,
}

/// A request that waits.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Told {
    pub(crate) id: String,
    /// Who asked; a person's name has `person:` before it.
    by: String,
    action: &'static str,
    /// Method and path.
    request: String,
    /// What is sent with it.
    body: String,
    /// When it was asked for, RFC 3339.
    since: String,
    /// Who approved it.
    approved_by: Option<String>,
}

/// What a request asks for, apart from its body.
pub(crate) struct Asked {
    method: Method,
    target: String,
    approval: Option<String>,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let target = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
        let approval = request.headers().get(APPROVAL).and_then(|id| id.to_str().ok()).map(str::to_owned);
        Self { method: request.method().clone(), target, approval }
    }
}

/// Why a request does not go through.
pub(crate) enum Needed {
    /// It waits under this id.
    Approval(String, Box<Problem>),
    Other(Box<Problem>),
}

impl From<Problem> for Needed {
    fn from(problem: Problem) -> Self {
        Self::Other(Box::new(problem))
    }
}

fn refused(code: &str, title: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, title, detail)
}

fn no_such() -> Problem {
    let detail = "nothing waits for approval under this id: it was used, ended after a day, or is another's";
    Problem::new(StatusCode::NOT_FOUND, "no-such-approval", "No such approval", detail)
}

impl Approvals {
    pub(crate) fn new(gate: Arc<Gate>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { gate, clock, random, waiting: Mutex::default() }
    }

    /// Those that have not ended.
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        let now = self.clock.wall_ns();
        let lasts = i64::try_from(APPROVAL_LASTS.as_nanos()).unwrap_or(i64::MAX);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|each| now.saturating_sub(each.since_ns) < lasts);
        waiting
    }

    /// Lets a request through that was approved, once. One that was not waits from now on.
    ///
    /// # Errors
    /// It has to be approved, or cannot be.
    pub(crate) async fn check(&self, pass: &Pass, asked: Asked, body: &Bytes) -> Result<(), Needed> {
        let Asked { method, target, approval } = asked;
        let digest = digest_of([method.as_str().as_bytes(), target.as_bytes(), body]);
        let by = pass.who().label();
        if let Some(id) = approval
            && let Some(approved_by) = self.take(&id, &by, &digest)
        {
            let asked = format!("{}, approved by {approved_by}", pass.asked());
            self.gate.note(pass.who(), pass.action().name(), &asked, true).await?;
            return Ok(());
        }
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= APPROVAL_BYTES_MAX);
        let Some(text) = text else {
            let detail = format!("what another one approves is text of at most {APPROVAL_BYTES_MAX} bytes");
            return Err(Problem::request(detail).into());
        };
        let request = format!("{method} {target}");
        let (id, is_new) = self.wait(Waiting {
            digest,
            action: pass.action(),
            since_ns: self.clock.wall_ns(),
            told: Told {
                id: self.new_id()?,
                by,
                action: pass.action().name(),
                request,
                body: text.to_owned(),
                since: rfc3339(self.clock.wall_ns()),
                approved_by: None,
            },
        })?;
        if is_new {
            self.gate.waits(pass).await;
        }
        let detail = format!(
            "two have to agree on this: another one who may `{}` does `POST /v1/approvals/{id}` within a day, then the same request passes with the \
             header `{APPROVAL}: {id}`",
            pass.action().name()
        );
        let problem = refused("approval-needed", "A second one has to approve it", detail);
        Err(Needed::Approval(id, Box::new(problem)))
    }

    fn take(&self, id: &str, by: &str, digest: &[u8; 32]) -> Option<String> {
        let mut waiting = self.waiting();
        let fits = |each: &Waiting| each.told.id == id && each.told.by == by && each.digest == *digest;
        let place = waiting.iter().position(|each| fits(each) && each.told.approved_by.is_some())?;
        waiting.remove(place).told.approved_by
    }

    /// Has a request wait: under the id that it has already when the same one waits.
    fn wait(&self, new: Waiting) -> Result<(String, bool), Problem> {
        let mut waiting = self.waiting();
        let same = |each: &&Waiting| each.told.by == new.told.by && each.digest == new.digest;
        if let Some(known) = waiting.iter().find(same) {
            return Ok((known.told.id.clone(), false));
        }
        if waiting.len() >= APPROVALS_MAX {
            let detail =
                format!("{APPROVALS_MAX} requests wait for approval already: see `GET /v1/approvals`");
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Problem::new(status, "too-many-approvals", "Too many wait for approval", detail));
        }
        let id = new.told.id.clone();
        waiting.push(new);
        Ok((id, true))
    }

    /// Those that somebody asked for, or may approve.
    ///
    /// # Errors
    /// It cannot be recorded that they were read.
    pub(crate) async fn of(&self, asker: &Asker) -> Result<Vec<Told>, Problem> {
        let Some(who) = asker.who() else { return Ok(Vec::new()) };
        let label = who.label();
        let seen = |each: &&Waiting| each.told.by == label || asker.may(each.action, None);
        let told: Vec<Told> = self.waiting().iter().filter(seen).map(|each| each.told.clone()).collect();
        // What waits may name persons.
        if !told.is_empty() {
            self.gate.note(who, "see-approvals", &format!("GET /v1/approvals: {}", told.len()), true).await?;
        }
        Ok(told)
    }

    /// Approves a request of another one.
    ///
    /// # Errors
    /// There is none, it is one's own, or one may not do the same.
    pub(crate) async fn approve(&self, asker: &Asker, id: &str) -> Result<Told, Problem> {
        let who = asker.who().ok_or_else(no_such)?;
        let (action, told) = self.find(id, asker)?;
        if told.by == who.label() {
            return Err(
                refused("not-permitted", "It is not permitted", "another one has to approve it").denied()
            );
        }
        let asked = format!("approves {} of {}", route_of(&told.request), told.by);
        self.gate.note(who, action.name(), &asked, true).await?;
        let mut waiting = self.waiting();
        let each = waiting.iter_mut().find(|each| each.told.id == id).ok_or_else(no_such)?;
        each.told.approved_by = Some(who.label());
        Ok(each.told.clone())
    }

    /// Takes a request away, one's own or one that one could approve.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn refuse(&self, asker: &Asker, id: &str) -> Result<(), Problem> {
        let who = asker.who().ok_or_else(no_such)?;
        let (action, told) = self.find(id, asker)?;
        let asked = format!("refuses {} of {}", route_of(&told.request), told.by);
        self.gate.note(who, action.name(), &asked, true).await?;
        self.waiting().retain(|each| each.told.id != id);
        Ok(())
    }

    fn find(&self, id: &str, asker: &Asker) -> Result<(Action, Told), Problem> {
        let waiting = self.waiting();
        let found = waiting.iter().find(|each| each.told.id == id).ok_or_else(no_such)?;
        let is_own = asker.who().is_some_and(|who| who.label() == found.told.by);
        if !is_own && !asker.may(found.action, None) {
            return Err(no_such());
        }
        Ok((found.action, found.told.clone()))
    }

    fn new_id(&self) -> Result<String, Problem> {
        let mut bytes = [0; 12];
        self.random.fill(&mut bytes).map_err(|error| {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "failed", "The request failed", error.to_string())
        })?;
        Ok(BASE64URL.encode(bytes))
    }
}

fn rfc3339(time_ns: i64) -> String {
    jiff::Timestamp::from_second(time_ns.div_euclid(1_000_000_000)).unwrap_or_default().to_string()
}

/// A request without what stands behind the question mark.
fn route_of(request: &str) -> &str {
    request.split('?').next().unwrap_or_default()
}

fn digest_of(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    // INVARIANT: SHA-256 has 32 bytes.
    context.finish().as_ref().try_into().expect("32 bytes")
}
