//! The upstream: connections to it, kept and used again, and what became of a request that it did not answer.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use minutebook_net::{Connector, TrustError};

use crate::body::Passed;
use crate::call::How;
use crate::limits::{CONNECT_WAIT, HEAD_BYTES_MAX, IDLE_CONNECTIONS, IDLE_WAIT};
use crate::options::UpstreamUrl;

pub(crate) struct Upstream {
    url: UpstreamUrl,
    answer_wait: Duration,
    client: Client<Connector, Passed>,
}

impl Upstream {
    /// What reaches this URL; over TLS, by the authorities of a file or those of the system.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub(crate) fn new(
        url: UpstreamUrl,
        ca: Option<&Path>,
        answer_wait: Duration,
    ) -> Result<Self, TrustError> {
        let connector = minutebook_net::connector(ca, url.is_tls(), CONNECT_WAIT)?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_WAIT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_preserve_header_case(true)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self { url, answer_wait, client })
    }

    pub(crate) fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    /// Where a request for this path goes; nothing for one that is none.
    pub(crate) fn uri(&self, asked: &Uri) -> Option<Uri> {
        let asked = asked.path_and_query().filter(|path| path.as_str().starts_with('/'))?;
        let path = match self.url.base.as_str() {
            "" => asked.clone(),
            base => format!("{base}{asked}").parse::<PathAndQuery>().ok()?,
        };
        let uri = Uri::builder().scheme(self.url.scheme.clone()).authority(self.url.authority.clone());
        uri.path_and_query(path).build().ok()
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self, request: Request<Passed>) -> Result<Response<Incoming>, How> {
        match tokio::time::timeout(self.answer_wait, self.client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_connect() => {
                tracing::debug!("no connection to the upstream: {:?}", error.source());
                Err(if timed_out(&error) { How::TimedOut } else { How::Unreachable })
            }
            Ok(Err(_)) => Err(How::BrokeOff),
            Err(_) => Err(How::TimedOut),
        }
    }
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
