//! What a request shows of who sends it. Edge: headers; whose they are is looked up by others.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::people::{CSRF, Session};

/// A browser sends the cookie of a session with whatever any page makes it send. What changes something has to be of a page of this server: it shows
/// what only such a page can read.
pub(super) fn is_of_a_page_of_ours(request: &Request, session: &Session) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return true;
    }
    let headers = request.headers();
    let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let shown = headers.get(CSRF).is_some_and(|shown| {
        aws_lc_rs::constant_time::verify_slices_are_equal(shown.as_bytes(), session.csrf.as_bytes()).is_ok()
    });
    shown && !is_foreign
}

/// The secret in `Bearer <secret>` (RFC 6750, section 2.1), or the password in `Basic …` (RFC 7617), whoever the user: senders that know of no
/// tokens have it in their address.
pub(super) fn secret(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(credentials));
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(credentials).ok())??;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded.split_once(':').map(|(_, password)| Cow::Owned(password.to_owned()))
}
