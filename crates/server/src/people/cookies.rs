//! What a browser keeps: while it signs in what the answer has to fit, afterwards the session's secret. Edge: names and attributes of cookies (RFC
//! 6265bis); nothing is looked up.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use minutebook_access::SignIn;
use serde::{Deserialize, Serialize};

use super::sha256;
use crate::limits::SIGNING_IN_WAIT;

/// What a browser that was sent to the provider has to come back with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) state: String,
    pub(super) nonce: String,
    /// Of PKCE (RFC 7636).
    pub(super) verifier: String,
    /// Where it goes on to.
    pub(super) to: String,
    /// Seconds since 1970.
    pub(super) since: i64,
}

/// The cookies of one trail.
pub(super) struct Cookies {
    is_secure: bool,
    session: String,
    pending: String,
}

impl Cookies {
    /// Named after the trail's address, since several may have one host. The prefix `__Host-` makes a browser take them from this host alone.
    pub(super) fn of(sign_in: &SignIn) -> Self {
        let is_secure = sign_in.is_secure();
        let prefix = if is_secure { "__Host-" } else { "" };
        let of = &BASE64URL.encode(sha256(sign_in.public_url.as_str()))[..8];
        Self {
            is_secure,
            session: format!("{prefix}minutebook-{of}"),
            pending: format!("{prefix}minutebook-sign-in-{of}"),
        }
    }

    /// The name of that of a session.
    pub(super) fn into_session(self) -> String {
        self.session
    }

    pub(super) fn session(&self, headers: &HeaderMap) -> Option<String> {
        read(headers, &self.session)
    }

    pub(super) fn pending(&self, headers: &HeaderMap) -> Option<Pending> {
        let bytes = BASE64URL.decode(read(headers, &self.pending)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn keep_session(&self, token: &str) -> HeaderValue {
        self.keep(&self.session, token, None)
    }

    pub(super) fn keep_pending(&self, pending: &Pending) -> HeaderValue {
        let text = BASE64URL.encode(serde_json::to_vec(pending).unwrap_or_default());
        self.keep(&self.pending, &text, Some(SIGNING_IN_WAIT.as_secs() as i64))
    }

    pub(super) fn forget_session(&self) -> HeaderValue {
        self.keep(&self.session, "", Some(0))
    }

    pub(super) fn forget_pending(&self) -> HeaderValue {
        self.keep(&self.pending, "", Some(0))
    }

    /// `SameSite=Lax`: it goes with whoever follows a link to here, which is how a browser comes back from the provider, and with nothing else that
    /// another site makes it send.
    fn keep(&self, name: &str, value: &str, seconds: Option<i64>) -> HeaderValue {
        let mut cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.is_secure)
            .same_site(SameSite::Lax);
        if let Some(seconds) = seconds {
            cookie = cookie.max_age(Duration::seconds(seconds));
        }
        // INVARIANT: letters, digits, `-`, `_`, `=`, `;` and spaces.
        HeaderValue::from_str(&cookie.to_string()).expect("plain ASCII")
    }
}

/// The one cookie of a name; none where there are several, since one may be somebody else's.
fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = texts
        .flat_map(|text| Cookie::split_parse(text).flatten())
        .filter(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned());
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
