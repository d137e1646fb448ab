//! People: they sign in at a provider of OpenID Connect (`docs/formats/access.md`, "People"), and a session stands for them afterwards. Edge: who may
//! do what is told by `minutebook-access`, and records are written by the gate.

mod cookies;
mod provider;
mod sessions;

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use minutebook_access::SignIn;
use minutebook_capture::{Clock, Random};
use tokio::time::Instant;

use crate::access::{Asker, Gate, SignedIn};
use crate::limits::{SIGNING_IN_WAIT, TO_BYTES_MAX};
use crate::problem::Problem;
use cookies::{Cookies, Pending};
use provider::Provider;
pub(crate) use sessions::Session;
use sessions::Sessions;

/// The header in which a page shows that it is of this server: what else a browser sends by itself it lacks.
pub(crate) const CSRF: &str = "minutebook-csrf";

/// The path to which the provider sends browsers back, behind the public URL.
pub(crate) const BACK: &str = "/v1/sign-in/back";

/// Who signs in to one trail, and who has.
pub(crate) struct People {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sessions: Sessions,
    /// As the settings were when somebody signed in last.
    provider: Mutex<Option<Arc<Provider>>>,
}

/// Where a browser goes next, and what it keeps.
pub(crate) struct Onward {
    pub(crate) to: String,
    pub(crate) cookies: Vec<HeaderValue>,
}

/// What a provider sends with a browser (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Default)]
pub(crate) struct Returned {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
}

fn sha256(text: &str) -> [u8; 32] {
    // INVARIANT: SHA-256 has 32 bytes.
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("32 bytes")
}

fn failed(status: StatusCode, detail: impl Into<String>) -> Problem {
    Problem::new(status, "sign-in-failed", "Signing in failed", detail)
}

impl People {
    pub(crate) fn new(gate: Arc<Gate>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { gate, clock, random, sessions: Sessions::default(), provider: Mutex::default() }
    }

    /// The session of a request, if it has one that lasts.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        if !headers.contains_key(axum::http::header::COOKIE) {
            return Ok(None);
        }
        let Some(sign_in) = self.gate.rights_now()?.settings().sign_in().cloned() else { return Ok(None) };
        let token = Cookies::of(&sign_in).session(headers);
        Ok(token.and_then(|token| self.sessions.find(&sha256(&token), Instant::now())))
    }

    /// What the cookie of a session is called here; none where nobody signs in.
    pub(crate) fn cookie(&self) -> Option<String> {
        let rights = self.gate.rights_now().ok()?;
        rights.settings().sign_in().map(|sign_in| Cookies::of(sign_in).into_session())
    }

    /// Begins to sign in: the provider's page, from which the browser comes back to go on to `to`.
    ///
    /// # Errors
    /// Nobody signs in here, `to` is elsewhere, or the provider does not answer.
    pub(crate) async fn begin(&self, to: Option<String>) -> Result<Onward, Problem> {
        let sign_in = self.sign_in()?;
        let to = to.unwrap_or_else(|| format!("{}/v1/session", base(&sign_in)));
        let is_local = to.starts_with('/') && !to.starts_with("//") && to.len() <= TO_BYTES_MAX;
        if !is_local || to.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(Problem::request("`to` is a path of this server, such as `/v1/session`"));
        }
        let (url, pending) = self.provider(&sign_in)?.ask(to, self.now_s()).await?;
        Ok(Onward { to: url, cookies: vec![Cookies::of(&sign_in).keep_pending(&pending)] })
    }

    /// Takes a browser back from the provider.
    ///
    /// # Errors
    /// It was not sent from here, the provider does not say who it is, or whoever it is has no role here.
    pub(crate) async fn finish(&self, headers: &HeaderMap, returned: Returned) -> Result<Onward, Problem> {
        let sign_in = self.sign_in()?;
        let cookies = Cookies::of(&sign_in);
        let again =
            |what: &str| failed(StatusCode::BAD_REQUEST, format!("{what}: begin again at `/v1/sign-in`"));
        let pending = cookies.pending(headers).filter(|pending| {
            let age = self.now_s().saturating_sub(pending.since);
            (0..=SIGNING_IN_WAIT.as_secs() as i64).contains(&age)
        });
        let pending = pending.ok_or_else(|| again("this browser did not begin to sign in, or long ago"))?;
        let state = returned.state.unwrap_or_default();
        if sha256(&state) != sha256(&pending.state) {
            return Err(again("this answer is to another question (`state`)"));
        }
        if returned.iss.is_some_and(|iss| iss != sign_in.issuer) {
            return Err(again("this answer is of another provider (`iss`)"));
        }
        if let Some(error) = returned.error {
            let known =
                error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let error = if known { error } else { "another error".into() };
            return Err(failed(StatusCode::FORBIDDEN, format!("the provider says: {error}")));
        }
        let code = returned.code.ok_or_else(|| again("the provider sent no code"))?;
        let Pending { to, .. } = pending.clone();
        let known = self.provider(&sign_in)?.exchange(code, &pending).await?;
        let who = self.gate.rights_now()?.settings().person(&known.name, &known.groups);
        let may = !who.roles.is_empty();
        self.gate.signed_in(&who, SignedIn::In, may).await?;
        if !may {
            let detail = format!(
                "`{}` has no role here: an administrator gives one, `[[people]]` in the settings of access",
                who.name
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, "not-permitted", "No role here", detail));
        }
        let (token, csrf) = (self.secret()?, self.secret()?);
        let session = Session::new(known.name, known.groups, csrf, Instant::now());
        self.sessions.add(sha256(&token), session);
        Ok(Onward { to, cookies: vec![cookies.keep_session(&token), cookies.forget_pending()] })
    }

    /// Ends the session of a request.
    ///
    /// # Errors
    /// It cannot be recorded; the session has ended nevertheless.
    pub(crate) async fn sign_out(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let sign_in = self.sign_in()?;
        let cookies = Cookies::of(&sign_in);
        let ended = cookies.session(headers).and_then(|token| self.sessions.end(&sha256(&token)));
        let Some(session) = ended else { return Ok(None) };
        let who = self.gate.rights_now()?.settings().person(&session.name, &session.groups);
        self.gate.signed_in(&who, SignedIn::Out, true).await?;
        Ok(Some(cookies.forget_session()))
    }

    /// Ends all sessions of somebody, or with none everybody's. Gives how many.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub(crate) async fn end_sessions(&self, asker: &Asker, name: Option<&str>) -> Result<usize, Problem> {
        if let Some(who) = asker.who() {
            let of = if name.is_some() { "of one person" } else { "of everybody" };
            self.gate.note(who, "end-sessions", &format!("DELETE /v1/sessions: {of}"), true).await?;
        }
        Ok(self.sessions.end_of(name))
    }

    fn sign_in(&self) -> Result<SignIn, Problem> {
        self.gate.rights_now()?.settings().sign_in().cloned().ok_or_else(nobody_signs_in)
    }

    fn provider(&self, sign_in: &SignIn) -> Result<Arc<Provider>, Problem> {
        let mut kept = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = kept.as_ref().filter(|provider| provider.is_for(sign_in)) {
            return Ok(Arc::clone(provider));
        }
        let made = Provider::new(sign_in.clone()).map_err(|what| {
            tracing::error!("nobody can sign in: {what}");
            failed(StatusCode::SERVICE_UNAVAILABLE, "this server is not set up for it; its log says why")
        })?;
        Ok(Arc::clone(kept.insert(Arc::new(made))))
    }

    fn secret(&self) -> Result<String, Problem> {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes).map_err(|error| {
            tracing::error!("nobody can sign in: {error}");
            failed(StatusCode::SERVICE_UNAVAILABLE, "the server's log says why")
        })?;
        Ok(BASE64URL.encode(bytes))
    }

    fn now_s(&self) -> i64 {
        self.clock.wall_ns().div_euclid(1_000_000_000)
    }
}

/// There is no provider: the same is said where there is no trail.
pub(crate) fn nobody_signs_in() -> Problem {
    let detail = "nobody signs in to this trail: `[sign-in]` in the settings of access says with whom";
    Problem::new(StatusCode::NOT_FOUND, "no-sign-in", "No sign-in", detail)
}

/// The path that stands before those of the API, without a slash at its end.
fn base(sign_in: &SignIn) -> &str {
    sign_in.public_url.path().trim_end_matches('/')
}
