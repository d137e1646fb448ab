//! The upstream: connections to it, kept and used again, and what became of a request that it did not answer.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::body::Passed;
use crate::call::How;
use crate::limits::{CONNECT_WAIT, HEAD_BYTES_MAX, IDLE_CONNECTIONS, IDLE_WAIT};
use crate::options::UpstreamUrl;

pub(crate) struct Upstream {
    url: UpstreamUrl,
    answer_wait: Duration,
    client: Client<HttpsConnector<HttpConnector>, Passed>,
}

impl Upstream {
    /// # Errors
    /// When it is spoken to over TLS and the system's certificates cannot be read.
    pub(crate) fn new(url: UpstreamUrl, answer_wait: Duration) -> io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WAIT));
        connector.enforce_http(false);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = HttpsConnectorBuilder::new();
        let tls = if url.is_tls() {
            tls.with_provider_and_native_roots(provider)?
        } else {
            // Reading the system's certificates takes some milliseconds, for nothing.
            let versions =
                ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
            let nobody = versions.map_err(io::Error::other)?.with_root_certificates(RootCertStore::empty());
            tls.with_tls_config(nobody.with_no_client_auth())
        };
        let connector = tls.https_or_http().enable_http1().wrap_connector(connector);
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
            Ok(Err(error)) if error.is_connect() && timed_out(&error) => Err(How::TimedOut),
            Ok(Err(error)) if error.is_connect() => Err(How::Unreachable),
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
