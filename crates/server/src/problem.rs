//! Errors as the API tells them: `application/problem+json` (RFC 9457). Edge: what is wrong in words and as a code; the words are those of
//! the crates below, and carry no key and no content.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use minutebook_present::page;
use minutebook_trail::{Error, Remedy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::known::Unknown;

/// What is wrong with a request, or why it failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    title: String,
    status: u16,
    detail: String,
    code: String,
    /// Where several places of a request are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    errors: Vec<Value>,
    /// Where it denies something to who asks: what was asked, for the record of it.
    #[serde(skip)]
    denied: Option<Box<str>>,
}

/// That something was denied, and what was asked; an extension of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Denied(pub(crate) String);

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let (title, code) = (title.to_owned(), code.to_owned());
        Self { title, status: status.as_u16(), detail: detail.into(), code, errors: Vec::new(), denied: None }
    }

    /// The request cannot be understood.
    pub(crate) fn request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is wrong", detail)
    }

    /// A body is longer than this takes.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("the body is longer than {}", page::bytes(bytes_max as u64));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// A request has more records than this.
    pub(crate) fn too_many(records_max: usize) -> Self {
        let detail =
            format!("more than {} records: send them in several requests", page::count(records_max as u64));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// The records that a request becomes are larger than this.
    pub(crate) fn too_large_records(bytes_max: usize) -> Self {
        let bytes = page::bytes(bytes_max as u64);
        let detail = format!("its records are longer than {bytes}: send them in several requests");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// Records are wrong, each at its place.
    pub(crate) fn wrong_records(detail: String, errors: Vec<Value>) -> Self {
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "wrong-records", "Records are wrong", detail) }
    }

    /// Whether the same request may do later.
    pub(crate) fn is_for_later(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// It denies something to who asks.
    pub(crate) fn denied(self) -> Self {
        Self { denied: Some("".into()), ..self }
    }

    /// The same problem with what was asked, for the record when it denies something.
    pub(crate) fn asked(self, asked: &str) -> Self {
        Self { denied: self.denied.map(|_| asked.into()), ..self }
    }

    /// Where it denies something, what was asked.
    pub(crate) fn denial(&self) -> Option<&str> {
        self.denied.as_deref()
    }

    /// What is wrong, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, code, title) = match (error, error.remedy()) {
            (Error::NoRecord { .. }, _) => (StatusCode::NOT_FOUND, "no-such-record", "No such record"),
            (Error::NoHold, _) => (StatusCode::NOT_FOUND, "no-such-hold", "No such hold"),
            (Error::NoSubject, _) => (StatusCode::NOT_FOUND, "no-such-subject", "No such subject"),
            (Error::Disposed { .. }, _) => (StatusCode::GONE, "disposed", "It was disposed of"),
            (Error::Held { .. }, _) => (StatusCode::CONFLICT, "held", "A hold forbids it"),
            (Error::InsideFloor { .. }, _) => {
                (StatusCode::CONFLICT, "inside-floor", "A retention floor forbids it")
            }
            (Error::FloorShortened { .. }, _) => {
                (StatusCode::CONFLICT, "floor-shortened", "A floor is not shortened")
            }
            (Error::Retention(_), _) => {
                (StatusCode::BAD_REQUEST, "wrong-retention", "The retention settings are wrong")
            }
            (Error::Policy(_), _) => (StatusCode::BAD_REQUEST, "wrong-policy", "The policy is wrong"),
            (Error::Stopped(_), _) => {
                (StatusCode::SERVICE_UNAVAILABLE, "engine-stopped", "The engine stopped")
            }
            (_, Remedy::FixRequest) => (StatusCode::BAD_REQUEST, "bad-request", "The request is wrong"),
            (_, Remedy::FixSetup) => {
                (StatusCode::SERVICE_UNAVAILABLE, "trail-unusable", "The trail cannot be used as it is")
            }
            (_, Remedy::Retry) => {
                (StatusCode::SERVICE_UNAVAILABLE, "storage-failed", "Disk, store or catalog failed")
            }
            (_, Remedy::Inspect) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "contradiction", "Stored data contradicts itself")
            }
        };
        Self::new(status, code, title, error.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&minutebook_index::Error> for Problem {
    fn from(error: &minutebook_index::Error) -> Self {
        use minutebook_index::Error as E;
        let (status, code, title) = match error {
            E::Trail(error) => return Self::from(error),
            E::Masked { .. } => {
                let title = "The column is masked";
                return Self::new(StatusCode::FORBIDDEN, "masked", title, error.to_string()).denied();
            }
            E::Question(_) => (StatusCode::BAD_REQUEST, "wrong-question", "The question is wrong"),
            E::NoTable { .. } => (StatusCode::NOT_FOUND, "no-such-table", "No such model or table"),
            E::Time { .. } | E::Memory | E::Answer { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "query-limit", "The query is too large")
            }
            E::Tampered { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "contradiction", "Stored data contradicts itself")
            }
            E::Locked { .. } | E::Damaged { .. } | E::Io { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "index-failed", "The index cannot be used")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "query-failed", "The query failed"),
        };
        Self::new(status, code, title, error.to_string())
    }
}

impl From<minutebook_index::Error> for Problem {
    fn from(error: minutebook_index::Error) -> Self {
        Self::from(&error)
    }
}

impl From<Unknown> for Problem {
    fn from(error: Unknown) -> Self {
        match error {
            Unknown::Index(error) => Self::from(error),
            Unknown::TooMany => {
                let title = "The query is too large";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "query-limit", title, error.to_string())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // INVARIANT: made from a status above.
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let denied = self.denied.clone();
        let mut answer =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response();
        if let Some(asked) = denied {
            answer.extensions_mut().insert(Denied(asked.into()));
        }
        answer
    }
}
