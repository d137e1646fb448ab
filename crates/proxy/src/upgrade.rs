//! Connections that change their protocol, such as to WebSocket: they pass as bytes, unrecorded.

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::headers::tokens;

/// What the client wants to change to.
pub(crate) struct Wanted {
    protocol: HeaderValue,
    client: OnUpgrade,
}

/// Whether a request wants another protocol, and how to get at its connection then.
pub(crate) fn wanted(request: &mut Request<Incoming>) -> Option<Wanted> {
    let headers = request.headers();
    if !tokens(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade")) {
        return None;
    }
    let protocol = headers.get(UPGRADE)?.clone();
    // HTTP/2 in clear is an offer, which need not be taken up (RFC 9113, section 3.1).
    if protocol.as_bytes().eq_ignore_ascii_case(b"h2c") {
        return None;
    }
    Some(Wanted { protocol, client: hyper::upgrade::on(request) })
}

impl Wanted {
    /// Says so to the next one.
    pub(crate) fn say(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// When the upstream has agreed, joins both connections until one of them ends.
    pub(crate) fn join(self, answer: &mut Response<Incoming>, headers: &mut HeaderMap) {
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, answer.headers().get(UPGRADE).unwrap_or(&self.protocol).clone());
        let upstream = hyper::upgrade::on(answer);
        tokio::spawn(async move {
            let (Ok(client), Ok(upstream)) = tokio::join!(self.client, upstream) else { return };
            // One that breaks off has ended too.
            let _ =
                tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await;
        });
    }
}
