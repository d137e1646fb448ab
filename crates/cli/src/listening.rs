//! Options of the commands that listen at an address. Edge: words; what an address and a certificate have to be is `minutebook-net`'s to say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use minutebook_net::{TlsFiles, Transport};

/// What is between a client and this process.
#[derive(Debug, Clone, Args)]
pub(crate) struct TransportOptions {
    /// Speak HTTP without TLS at an address that others can reach: who is between reads and changes what is said.
    #[arg(long)]
    insecure_http: bool,
    /// Speak TLS with the certificate in this PEM file, then those between it and an authority; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "insecure_http")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file that not everybody may read.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TransportOptions {
    pub(crate) fn transport(&self) -> Transport {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Transport::Tls(TlsFiles { certificate, key }),
            _ if self.insecure_http => Transport::InsecureHttp,
            _ => Transport::Plain,
        }
    }
}

/// An address to listen at, with its port; `localhost` is one.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}
