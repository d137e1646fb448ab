//! Answers of the proxy itself, as `application/problem+json` (RFC 9457): the upstream gave none.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::body::AnswerBody;
use crate::call::How;

/// What the proxy answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// The upstream did not answer, for this reason.
    Upstream(How),
    /// The call cannot be recorded, and calls are to be recorded or refused.
    NotRecorded,
    /// It asks for what is not passed on.
    NotPassed,
}

impl Own {
    fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Upstream(How::Unreachable) => (
                StatusCode::BAD_GATEWAY,
                "upstream-unreachable",
                "The upstream cannot be reached",
                "no connection to the upstream could be made: see whether it runs, whether --upstream names it, and over https:// whether its \
                 certificate is from an authority that is known (--upstream-ca)",
            ),
            Self::Upstream(How::TimedOut) => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-timeout",
                "The upstream did not answer in time",
                "the upstream had not begun its answer when the time for it was over; it may have done what was asked",
            ),
            Self::Upstream(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream-broke-off",
                "The upstream hung up",
                "the upstream closed the connection before its answer began; it may have done what was asked",
            ),
            Self::NotRecorded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not-recorded",
                "Decisions cannot be recorded now",
                "the trail takes no records, and this proxy lets no decision pass unrecorded (--on-failure closed); the upstream was not asked",
            ),
            Self::NotPassed => (
                StatusCode::NOT_IMPLEMENTED,
                "not-passed",
                "Not passed on",
                "this proxy passes on requests for paths: neither CONNECT nor `*`",
            ),
        }
    }

    pub(crate) fn answer(self) -> Response<AnswerBody> {
        let (status, code, title, detail) = self.parts();
        let body = json!({ "title": title, "status": status.as_u16(), "detail": detail, "code": code });
        let mut answer = Response::new(Either::Right(Full::new(Bytes::from(body.to_string()))));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self == Self::NotRecorded {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}
