//! Requests to the provider: bounded in time and size, and never sent on to where an answer points. Edge: bytes; what they mean is not known here.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{HttpRequest, HttpResponse};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::limits::{PROVIDER_BYTES_MAX, PROVIDER_WAIT, TLS_FILE_BYTES_MAX};

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
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    /// A client that trusts these certificates, or the system's.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn new(ca_file: Option<&str>, is_tls: bool) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(PROVIDER_WAIT));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let roots = match ca_file {
            Some(path) => roots(Path::new(path)).map_err(|error| format!("`ca-file`: {error}"))?,
            None if !is_tls => RootCertStore::empty(),
            None => {
                use hyper_rustls::ConfigBuilderExt;
                let native = builder.with_native_roots().map_err(|error| error.to_string())?;
                return Ok(Self::with(connector, native.with_no_client_auth()));
            }
        };
        Ok(Self::with(connector, builder.with_root_certificates(roots).with_no_client_auth()))
    }

    fn with(connector: HttpConnector, tls: ClientConfig) -> Self {
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Self(Client::builder(TokioExecutor::new()).build(https.wrap_connector(connector)))
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

fn roots(path: &Path) -> io::Result<RootCertStore> {
    if std::fs::metadata(path)?.len() > TLS_FILE_BYTES_MAX {
        return Err(io::Error::other("it is too long for a file of certificates"));
    }
    let bytes = std::fs::read(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    if roots.is_empty() {
        return Err(io::Error::other("no certificate is in it (`-----BEGIN CERTIFICATE-----`)"));
    }
    Ok(roots)
}
