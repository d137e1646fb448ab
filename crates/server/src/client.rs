//! The other end of the socket: what a command asks of an engine that runs already. Edge: a connection for each request; whether to ask, and
//! what to do without an answer, is decided by who asks.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use minutebook_trail::{
    Certificate, DisposalCertificate, DisposalPlan, Hold, HoldRequest, KeyCopy, NewApiKey, Snapshot, Whom,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::access::PURPOSE;
use crate::api::{Identity, segment};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_WAIT, ROWS_BYTES_MAX};
use crate::problem::Problem;
use crate::socket;

/// An engine that runs by itself.
#[derive(Debug, Clone)]
pub struct EngineClient {
    folder: PathBuf,
    identity: Box<Identity>,
    purpose: Option<HeaderValue>,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The request is wrong: another one may work.
    #[error("{0}")]
    Wrong(String),
    /// It could not.
    #[error("{0}")]
    Told(String),
    /// It cannot be spoken to.
    #[error("the engine process does not answer: {0}")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a request to seal has sealed.
#[derive(Debug, Clone, Deserialize)]
pub struct SealedThere {
    /// Records.
    pub records: u64,
    /// Segments that they are in.
    pub segments: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Damage in the spool, by what it is.
    pub damage: std::collections::BTreeMap<String, u64>,
    /// Entries of the published log.
    pub log_size: u64,
}

/// What setting a policy has done.
#[derive(Debug, Clone, Deserialize)]
pub struct PolicySetThere {
    /// Whether it was another one before.
    pub changed: bool,
    /// Entries of the published log.
    pub log_size: u64,
}

/// A key of the API that is new.
#[derive(Clone, Deserialize)]
pub struct ApiKeyMade {
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its secret.
    pub key: String,
}

/// A sampling key that is new.
#[derive(Debug, Clone, Deserialize)]
pub struct SamplingKeyThere {
    /// Its SHA-256, in hex digits.
    pub sha256: String,
}

impl EngineClient {
    /// The engine that listens in a trail's folder; none when nobody answers there.
    pub async fn find(folder: &Path) -> Option<Self> {
        let asked = ask(folder, Method::GET, "/v1/engine", Bytes::new());
        let answer = tokio::time::timeout(ANSWER_WAIT, asked).await.ok()?.ok()?;
        let identity = serde_json::from_slice(&answer).ok()?;
        Some(Self { folder: folder.to_owned(), identity, purpose: None })
    }

    /// Which engine it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same, which says what rows, answers and tables are read for: it is in the records of these reads, where there are any.
    ///
    /// # Errors
    /// When the purpose is no line of text.
    pub fn with_purpose(mut self, purpose: Option<&str>) -> Result<Self, Refused> {
        let purpose = purpose.map(|text| HeaderValue::from_bytes(text.as_bytes())).transpose();
        self.purpose = purpose.map_err(|_| Refused::Wrong("a purpose is a line of text".into()))?;
        Ok(self)
    }

    /// Seals everything that was handed over up to now.
    ///
    /// # Errors
    /// When it could not: what was handed over is still in the spool.
    pub async fn seal(&self) -> Result<SealedThere, Refused> {
        self.told(Method::POST, "/v1/seal", Bytes::new()).await
    }

    /// Puts a sampling policy in force: durable on return.
    ///
    /// # Errors
    /// When the text is no policy, or it could not be sealed that it is in force.
    pub async fn set_policy(&self, text: &str) -> Result<PolicySetThere, Refused> {
        self.told(Method::PUT, "/v1/policy", Bytes::copy_from_slice(text.as_bytes())).await
    }

    /// Replaces the sampling key: durable on return.
    ///
    /// # Errors
    /// When there is none yet, or it could not be sealed that it is in use.
    pub async fn rotate_sampling_key(&self) -> Result<SamplingKeyThere, Refused> {
        self.told(Method::POST, "/v1/keys/sampling/rotate", Bytes::new()).await
    }

    /// Rows as an Arrow stream, and where the next page begins.
    ///
    /// # Errors
    /// When the question is wrong, or it could not be answered.
    pub async fn rows(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<(Bytes, Option<String>), Refused> {
        let body = Bytes::from(body.to_string());
        let (headers, rows) = self.read(Method::POST, path, body).await?;
        let cursor = headers.get("minutebook-cursor").and_then(|cursor| cursor.to_str().ok());
        Ok((rows, cursor.map(str::to_owned)))
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// As [`EngineClient::rows`].
    pub async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Refused> {
        let body = Bytes::from(body.to_string());
        let (_, answer) = self.read(Method::POST, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| Refused::Lost(error.into()))
    }

    /// The models that there are, with what was handed over until now, as `GET /v1/models` has each.
    ///
    /// # Errors
    /// As [`EngineClient::rows`].
    pub async fn models(&self) -> Result<Vec<Value>, Refused> {
        let mut all = self.get("/v1/models?fresh=true").await?;
        serde_json::from_value(all["models"].take()).map_err(|error| Refused::Lost(error.into()))
    }

    /// One of them, as `GET /v1/models/{name}` has it.
    ///
    /// # Errors
    /// When there is none of this name; otherwise as [`EngineClient::rows`].
    pub async fn model(&self, name: &str) -> Result<Value, Refused> {
        self.get(&format!("/v1/models/{}?fresh=true", segment(name))).await
    }

    async fn get(&self, path: &str) -> Result<Value, Refused> {
        let (_, answer) = self.read(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&answer).map_err(|error| Refused::Lost(error.into()))
    }

    /// The tables that can be asked.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn tables(&self) -> Result<Vec<minutebook_index::TableInfo>, Refused> {
        #[derive(Deserialize)]
        struct Tables {
            tables: Vec<minutebook_index::TableInfo>,
        }
        let (_, answer) = self.read(Method::GET, "/v1/tables", Bytes::new()).await?;
        let read: Tables = serde_json::from_slice(&answer).map_err(|error| Refused::Lost(error.into()))?;
        Ok(read.tables)
    }

    async fn read(&self, method: Method, path: &str, body: Bytes) -> Result<(HeaderMap, Bytes), Refused> {
        exchange(&self.folder, self.purpose.as_ref(), method, path, body, ROWS_BYTES_MAX).await
    }

    /// Puts retention settings in force: durable on return.
    ///
    /// # Errors
    /// When the text is none, or it would shorten a floor.
    pub async fn set_retention(&self, text: &str) -> Result<PolicySetThere, Refused> {
        self.told(Method::PUT, "/v1/retention", Bytes::copy_from_slice(text.as_bytes())).await
    }

    /// Puts a text in force that says who may do what: durable on return.
    ///
    /// # Errors
    /// When the text is none.
    pub async fn set_access(&self, text: &str) -> Result<PolicySetThere, Refused> {
        self.told(Method::PUT, "/v1/access", Bytes::copy_from_slice(text.as_bytes())).await
    }

    /// Makes a key of the API, and gives it with its secret: durable on return.
    ///
    /// # Errors
    /// When there is one of this name, or it is none.
    pub async fn create_api_key(&self, new: &NewApiKey) -> Result<ApiKeyMade, Refused> {
        self.asked(Method::POST, "/v1/api-keys", &json!(new)).await
    }

    /// Revokes a key of the API: durable on return.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn revoke_api_key(&self, name: &str) -> Result<(), Refused> {
        // What is no name would be another path.
        if !minutebook_capture::is_producer_name(name) {
            return Err(Refused::Wrong(format!("there is no API key `{}`", name.escape_debug())));
        }
        let _: Value = self.told(Method::DELETE, &format!("/v1/api-keys/{name}"), Bytes::new()).await?;
        Ok(())
    }

    /// What a disposal would do now, after everything that was handed over is sealed. Changes nothing else.
    ///
    /// # Errors
    /// When it could not be told.
    pub async fn disposal_plan(&self) -> Result<DisposalPlan, Refused> {
        self.asked(Method::POST, "/v1/retention/dispose", &json!({ "dry_run": true })).await
    }

    /// Disposes of what is past its retention: durable on return.
    ///
    /// # Errors
    /// When it could not; what was begun is finished by the engine.
    pub async fn dispose(&self, by: &str) -> Result<DisposalCertificate, Refused> {
        self.asked(Method::POST, "/v1/retention/dispose", &json!({ "dry_run": false, "by": by })).await
    }

    /// Places a hold: durable on return.
    ///
    /// # Errors
    /// When the request is wrong, or it could not.
    pub async fn place_hold(&self, request: &HoldRequest) -> Result<Hold, Refused> {
        self.asked(Method::POST, "/v1/holds", &json!(request)).await
    }

    /// Lifts a hold, by its id: durable on return.
    ///
    /// # Errors
    /// When there is none, or it could not.
    pub async fn lift_hold(&self, id: &str, reason: &str, by: &str) -> Result<Hold, Refused> {
        self.asked(Method::DELETE, &format!("/v1/holds/{id}"), &json!({ "reason": reason, "by": by })).await
    }

    /// Gives up an epoch of another machine: sealed on return.
    ///
    /// # Errors
    /// When no such epoch is open there, or it could not.
    pub async fn give_up(&self, producer: &str, epoch: u64, reason: &str, by: &str) -> Result<(), Refused> {
        let path = format!("/v1/spool/{producer}/{epoch}/give-up");
        let _: Value = self.asked(Method::POST, &path, &json!({ "reason": reason, "by": by })).await?;
        Ok(())
    }

    /// Erases a subject: durable on return.
    ///
    /// # Errors
    /// When nobody of that name is in the trail, a hold or a floor forbids it, or it could not.
    pub async fn erase(&self, whom: Whom<'_>, ground: &str, by: &str) -> Result<Certificate, Refused> {
        let body = match whom {
            Whom::Subject(subject) => json!({ "subject": subject, "ground": ground, "by": by }),
            Whom::OrphansOf(id) => json!({ "orphans_of": id.to_string(), "ground": ground, "by": by }),
        };
        self.asked(Method::POST, "/v1/erase", &body).await
    }

    async fn asked<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, Refused> {
        self.told(method, path, body.to_string().into()).await
    }

    /// Holds a moment of the trail for a backup to a place of this name.
    ///
    /// # Errors
    /// When it could not be sealed or held.
    pub async fn snapshot(&self, place: &str) -> Result<Snapshot, Refused> {
        let body = serde_json::json!({ "place": place }).to_string();
        self.told(Method::POST, "/v1/backup/snapshot", body.into()).await
    }

    /// Notes that the key folder is about to be copied, until a time in RFC 3339: durable on return.
    ///
    /// # Errors
    /// When it is no time, or could not be sealed.
    pub async fn note_key_copy(&self, expires: Option<&str>) -> Result<KeyCopy, Refused> {
        let body = serde_json::json!({ "expires": expires }).to_string();
        self.told(Method::POST, "/v1/keys/copy", body.into()).await
    }

    async fn told<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Refused> {
        let answer = ask(&self.folder, method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| Refused::Lost(error.into()))
    }

    /// Asks it to seal what there is and to end; does not wait for that.
    ///
    /// # Errors
    /// When it does not answer, as when it has just ended.
    pub async fn stop(&self) -> Result<(), Refused> {
        let asked = ask(&self.folder, Method::POST, "/v1/stop", Bytes::new());
        let late = |_| Refused::Lost("it is busy".into());
        tokio::time::timeout(ANSWER_WAIT, asked).await.map_err(late)?.map(drop)
    }
}

async fn ask(folder: &Path, method: Method, path: &str, body: Bytes) -> Result<Bytes, Refused> {
    exchange(folder, None, method, path, body, ANSWER_BYTES_MAX).await.map(|(_, answer)| answer)
}

async fn exchange(
    folder: &Path,
    purpose: Option<&HeaderValue>,
    method: Method,
    path: &str,
    body: Bytes,
    bytes_max: usize,
) -> Result<(HeaderMap, Bytes), Refused> {
    let lost = |error: Box<dyn std::error::Error + Send + Sync>| Refused::Lost(error);
    let stream =
        socket::connect(folder).and_then(UnixStream::from_std).map_err(|error| lost(error.into()))?;
    let (mut requests, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(error.into()))?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "engine")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, minutebook_index::rows::ARROW_STREAM)
        .body(Full::new(body))
        .map_err(|error| lost(error.into()))?;
    if let Some(purpose) = purpose {
        request.headers_mut().insert(PURPOSE, purpose.clone());
    }
    let exchange = async {
        let answer = requests.send_request(request).await.map_err(|error| lost(error.into()))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = Limited::new(answer.into_body(), bytes_max).collect().await.map_err(lost)?;
        Ok::<_, Refused>((status, headers, body.to_bytes()))
    };
    tokio::pin!(exchange);
    // The connection moves the bytes; it ends before the exchange only when it breaks, which the exchange then tells.
    let (status, headers, body) = tokio::select! {
        exchanged = &mut exchange => exchanged?,
        _ = connection => exchange.await?,
    };
    if status.is_success() { Ok((headers, body)) } else { Err(told(status, &body)) }
}

/// Whether another request may work, rather than the same one later.
fn is_of_the_request(status: StatusCode) -> bool {
    [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY]
        .contains(&status)
}

fn told(status: StatusCode, body: &[u8]) -> Refused {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if is_of_the_request(status) => Refused::Wrong(problem.detail().to_owned()),
        Ok(problem) => Refused::Told(problem.detail().to_owned()),
        Err(_) => Refused::Told(status.to_string()),
    }
}
