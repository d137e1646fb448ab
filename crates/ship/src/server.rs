//! Requests to a server: one at a time for each epoch, over connections that are kept. Edge: what answers mean for an epoch is `epoch`'s.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use minutebook_capture::{Piece, Position, Shipment};
use minutebook_net::Connector;
use serde::Deserialize;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::folder::{Folder, Remote};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_WAIT, CONNECT_WAIT, FIRST_WAIT};

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where it is.
    pub endpoint: Endpoint,
    /// A PEM file with the authorities that its certificate may be from; those of the system when absent.
    pub ca: Option<PathBuf>,
}

/// A server.
pub struct Server {
    endpoint: Endpoint,
    folder: Folder,
    secret: String,
    client: Client<Connector, Full<Bytes>>,
}

/// How far the server is in an epoch.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Standing {
    pub(crate) state: State,
    part: u32,
    offset: u64,
    pub(crate) end_part: Option<u32>,
}

/// Whether it takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Open,
    Ended,
    Sealed,
}

impl Standing {
    pub(crate) fn position(&self) -> Position {
        Position { part: self.part, offset: self.offset }
    }
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
    code: String,
}

impl Server {
    /// The server that a folder is for. Asks nothing yet.
    ///
    /// # Errors
    /// The authorities cannot be read, or the folder has no secret and none can be made.
    pub fn new(options: ServerOptions, folder: Folder) -> Result<Self, Error> {
        let secret = folder.secret()?;
        let is_tls = options.endpoint.as_str().starts_with("https://");
        let connector = minutebook_net::connector(options.ca.as_deref(), is_tls, CONNECT_WAIT)?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { endpoint: options.endpoint, folder, secret, client })
    }

    /// Which trail it has.
    ///
    /// # Errors
    /// It does not answer, refuses, or says what is none.
    pub async fn remote(&self) -> Result<Remote, Error> {
        let answer = self.exchange(Method::GET, "/v1/spool", Bytes::new(), FIRST_WAIT).await?;
        let read = serde_json::from_slice::<Remote>(&answer).ok();
        let remote = read.map(|remote| Remote { url: self.endpoint.as_str().to_owned(), ..remote });
        let what = || Error::Refused(format!("`{}` is no minutebook server", self.endpoint.as_str()));
        remote.filter(Remote::is_sound).ok_or_else(what)
    }

    pub(crate) async fn announce(&self, epoch: &Shipment, state: &str) -> Result<Standing, Error> {
        let path = format!("{}?name={}&state={state}", path(epoch), epoch.name());
        self.stand(Method::PUT, &path, epoch.file_bytes()?.into()).await
    }

    pub(crate) async fn standing(&self, epoch: &Shipment) -> Result<Standing, Error> {
        self.stand(Method::GET, &format!("{}?name={}", path(epoch), epoch.name()), Bytes::new()).await
    }

    pub(crate) async fn put(&self, epoch: &Shipment, piece: Piece) -> Result<Standing, Error> {
        let Piece { part, offset, capacity, bytes, end, torn } = piece;
        let path = format!(
            "{}/{part}?name={}&offset={offset}&capacity={capacity}&end={end}&torn={torn}",
            path(epoch),
            epoch.name()
        );
        self.stand(Method::PUT, &path, bytes.into()).await
    }

    async fn stand(&self, method: Method, path: &str, body: Bytes) -> Result<Standing, Error> {
        let answer = self.exchange(method, path, body, ANSWER_WAIT).await?;
        let what = |_| Error::Away("its answer cannot be read".into());
        serde_json::from_slice(&answer).map_err(what)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Bytes, Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.as_str()))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.folder.api_key()?))
            .header("minutebook-spool-secret", &self.secret)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(body))
            // Its text may hold the key.
            .map_err(|_| Error::Refused("the API key has characters that no header takes".into()))?;
        let away = |what: String| Error::Away(what);
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| away(cause(&error)))?;
            let (status, later) = (answer.status(), later(answer.headers()));
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, Error>((
                status,
                later,
                body.map_err(|_| away("it broke off its answer".into()))?.to_bytes(),
            ))
        };
        let late = |_| away(format!("no answer within {} s", wait.as_secs()));
        let (status, later, body) = tokio::time::timeout(wait, exchange).await.map_err(late)??;
        if status.is_success() { Ok(body) } else { Err(told(status, later, &body)) }
    }
}

fn path(epoch: &Shipment) -> String {
    format!("/v1/spool/{}/{}", epoch.producer(), epoch.epoch().get())
}

/// What is wrong at the bottom: the errors above it say only that a request failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(below) = last.source() {
        last = below;
    }
    last.to_string()
}

/// When to come again, where an answer says so in seconds.
fn later(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn told(status: StatusCode, later: Option<Duration>, body: &[u8]) -> Error {
    let (detail, code) = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => (problem.detail, problem.code),
        Err(_) => (format!("it answered with {status}"), String::new()),
    };
    match (status, code.as_str()) {
        (_, "spool-position") => Error::Position,
        (_, "no-such-epoch") => Error::Unknown,
        (_, "spool-given-up") => Error::GivenUp(detail),
        (StatusCode::BAD_REQUEST, "wrong-spool" | "bad-request") => Error::Refused(detail),
        (StatusCode::TOO_MANY_REQUESTS, _) => match later {
            Some(wait) => Error::Later { what: detail, wait },
            None => Error::Away(detail),
        },
        _ => Error::Away(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_when_to_come_again_is_believed() {
        let mut headers = HeaderMap::new();
        let body = br#"{"detail": "more than 5 records in a second", "code": "too-many-records"}"#;
        let wait = |headers: &HeaderMap| told(StatusCode::TOO_MANY_REQUESTS, later(headers), body).wait();
        assert_eq!(wait(&headers), Duration::ZERO);
        for (said, expected) in [("7", 7), ("3600", 60), ("soon", 0)] {
            headers.insert(header::RETRY_AFTER, said.parse().unwrap());
            assert_eq!(wait(&headers), Duration::from_secs(expected), "{said}");
        }
        let error = told(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(7)), body);
        assert!(error.to_string().ends_with("more than 5 records in a second"), "{error}");
    }
}
