//! Requests to the provider: bounded in time and size, and never sent on to where an answer points. Edge: bytes; what they mean is not known here.

use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use minutebook_net::{Connector, TrustError};
use openidconnect::{HttpRequest, HttpResponse};
use tokio::time::timeout;

use crate::limits::{PROVIDER_BYTES_MAX, PROVIDER_WAIT};

type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

/// Why there is no answer. Holds nothing of what was sent or received.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("it does not answer within {} s", PROVIDER_WAIT.as_secs())]
    Slow,
    #[error("it cannot be reached: {0}")]
    Away(String),
    #[error("its answer breaks off, or is longer than {PROVIDER_BYTES_MAX} bytes")]
    Body,
    #[error("its answer is none")]
    Head,
}

#[derive(Clone)]
pub(super) struct Http(Client<Connector, Full<Bytes>>);

impl Http {
    /// A client that trusts these certificates, or the system's.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn new(ca_file: Option<&str>, is_tls: bool) -> Result<Self, String> {
        let connector = minutebook_net::connector(ca_file.map(Path::new), is_tls, PROVIDER_WAIT);
        let connector = connector.map_err(|error| match error {
            TrustError::File { .. } => format!("`ca-file`: {error}"),
            TrustError::System(_) => error.to_string(),
        })?;
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// As the library takes it.
    pub(super) fn as_function(&self) -> impl Fn(HttpRequest) -> Answering + use<> {
        let http = self.clone();
        move |request| {
            let http = http.clone();
            Box::pin(async move { http.call(request).await })
        }
    }

    /// Sends a request, and gives the whole answer.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let exchange = async {
            let answer = self.0.request(request.map(|body| Full::new(Bytes::from(body)))).await;
            let (head, body) = answer.map_err(|error| HttpError::Away(error.to_string()))?.into_parts();
            let body = Limited::new(body, PROVIDER_BYTES_MAX).collect().await.map_err(|_| HttpError::Body)?;
            Ok((head, body.to_bytes().to_vec()))
        };
        let (head, body) = timeout(PROVIDER_WAIT, exchange).await.map_err(|_| HttpError::Slow)??;
        let mut answer = openidconnect::http::Response::builder().status(head.status.as_u16());
        for (name, value) in &head.headers {
            answer = answer.header(name.as_str(), value.as_bytes());
        }
        answer.body(body).map_err(|_| HttpError::Head)
    }
}
