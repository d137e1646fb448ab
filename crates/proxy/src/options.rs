//! What a proxy is told when it is started. Edge: words and values; the command line is elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION, SET_COOKIE};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Uri, header};
use minutebook_adapters::mapping::Mapping;
use minutebook_record::ClassName;

use crate::limits::ANSWER_WAIT;

/// What becomes of calls when they cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They pass, and are told as lost.
    Open,
    /// They are refused before the upstream is asked.
    Closed,
}

/// How the model is called that the upstream serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenModel {
    /// Its name.
    pub name: String,
    /// Its version, where that is known.
    pub version: Option<String>,
}

/// Where calls go: scheme, host and port, and what their paths begin with.
#[derive(Debug, Clone)]
pub struct UpstreamUrl {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// Without a slash at its end.
    pub(crate) base: String,
}

impl UpstreamUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What it has to be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "not a URL such as http://127.0.0.1:8080 or https://models.example/base".to_owned();
        let parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(wrong()) };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong());
        }
        if authority.as_str().contains('@') {
            return Err("a name or a password in the URL is not sent on: leave it out".to_owned());
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err("a query in the URL is not sent on: leave it out".to_owned());
        }
        let base = path.map_or(String::new(), |path| path.path().trim_end_matches('/').to_owned());
        Ok(Self { scheme, authority, base })
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}

/// Options of a proxy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where calls go.
    pub upstream: UpstreamUrl,
    /// A PEM file with the authorities that its certificate may be from, over TLS; those of the system when absent.
    pub upstream_ca: Option<PathBuf>,
    /// Send the client's `Host` on, rather than the upstream's.
    pub keeps_host: bool,
    /// How long the upstream has for the head of an answer.
    pub answer_wait: Duration,
    /// What becomes of calls that cannot be recorded.
    pub on_failure: OnFailure,
    /// The retention class of decisions, unless a mapping says another.
    pub class: ClassName,
    /// How the model is called; else the calls say so.
    pub model: Option<GivenModel>,
    /// The header that names whom a decision is about.
    pub subject_header: Option<HeaderName>,
    /// The header that names on whose behalf it is.
    pub actor_header: Option<HeaderName>,
    /// Where in other calls decisions are.
    pub mapping: Mapping,
}

impl Options {
    /// The defaults, before this upstream.
    ///
    /// # Panics
    /// Never: `standard` is the name of a class.
    pub fn new(upstream: UpstreamUrl) -> Self {
        Self {
            upstream,
            upstream_ca: None,
            keeps_host: false,
            answer_wait: ANSWER_WAIT,
            on_failure: OnFailure::Open,
            // INVARIANT: the name has the form of a class.
            class: ClassName::new("standard").expect("a class"),
            model: None,
            subject_header: None,
            actor_header: None,
            mapping: Mapping::default(),
        }
    }
}

/// The header of this name, to read a subject or an actor from.
///
/// # Errors
/// When it is no name, or that of a header that carries a secret.
pub fn header_to_read(name: &str) -> Result<HeaderName, String> {
    let name: HeaderName = name.parse().map_err(|_| "not the name of a header".to_owned())?;
    if is_secret(&name) {
        return Err(format!("`{name}` carries secrets, which are never recorded"));
    }
    Ok(name)
}

/// Whether the values of a header let somebody in.
pub(crate) fn is_secret(name: &HeaderName) -> bool {
    const SECRET: [HeaderName; 5] =
        [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE, header::SEC_WEBSOCKET_KEY];
    let parts = ["api-key", "apikey", "token", "secret", "password", "authorization", "cookie"];
    SECRET.contains(name) || parts.iter().any(|part| name.as_str().contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_has_a_scheme_and_a_host_and_carries_nothing_else() {
        for (text, base) in
            [("http://127.0.0.1:8080", ""), ("https://models.example/a/b/", "/a/b"), ("http://[::1]:1/", "")]
        {
            assert_eq!(UpstreamUrl::parse(text).unwrap().base, base, "{text}");
        }
        for text in ["", "127.0.0.1:8080", "ftp://x", "/a", "http://u:p@x", "http://x/?a=b"] {
            assert!(UpstreamUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_read() {
        for name in ["Authorization", "cookie", "X-API-Key", "x-auth-token", "Ocp-Apim-Subscription-ApiKey"] {
            assert!(header_to_read(name).is_err(), "{name}");
        }
        assert_eq!(header_to_read("X-Applicant").unwrap(), "x-applicant");
    }
}
