//! How a client reaches a server over HTTP/1.1: with TLS or without, and by which authorities it knows it. Edge: connections; what is asked is
//! not known here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::limits::CA_FILE_BYTES_MAX;

/// Makes connections, to `http://` and to `https://`.
pub type Connector = HttpsConnector<HttpConnector>;

/// Why no server can be known by its certificate.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file that was named cannot be used.
    #[error("`{}`: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system's authorities cannot be read.
    #[error("the system's certificates cannot be read: {0}; SSL_CERT_FILE names a file of others")]
    System(#[source] io::Error),
}

/// What makes connections to a server that has a certificate from an authority in this PEM file, or from one that the system knows. Reads them, which
/// blocks for some milliseconds; without a file and without TLS there is nothing to read.
///
/// # Errors
/// They cannot be read: name other ones.
pub fn connector(ca: Option<&Path>, is_tls: bool, connect_wait: Duration) -> Result<Connector, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::System(io::Error::other(error)))?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None if is_tls => builder.with_native_roots().map_err(TrustError::System)?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    // What is sent should not wait for more to come.
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_wait));
    let https = HttpsConnectorBuilder::new().with_tls_config(builder.with_no_client_auth());
    Ok(https.https_or_http().enable_http1().wrap_connector(http))
}

/// Reads a file of certificates.
fn authorities(path: &Path) -> Result<RootCertStore, TrustError> {
    let wrong = |what: String| TrustError::File { path: path.to_owned(), what };
    let system = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => wrong("there is no such file".into()),
        _ => wrong(format!("it cannot be read: {error}")),
    };
    if std::fs::metadata(path).map_err(system)?.len() > CA_FILE_BYTES_MAX {
        return Err(wrong(format!(
            "it is longer than {} MiB, too long for a file of certificates",
            CA_FILE_BYTES_MAX >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(system)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(format!("it is no PEM file: {error}")))?;
        roots.add(certificate).map_err(|error| wrong(format!("a certificate is malformed: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("no certificate is in it (`-----BEGIN CERTIFICATE-----`)".into()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use rcgen::generate_simple_self_signed;

    #[test]
    fn a_file_of_authorities_is_read_whole_or_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let made = || generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        fs::write(&path, made() + &made()).unwrap();
        assert_eq!(authorities(&path).unwrap().len(), 2);
        let long = "x".repeat(CA_FILE_BYTES_MAX as usize + 1);
        let garbled = "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n";
        let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, what) in [
            ("", "no certificate"),
            (garbled, "no PEM file"),
            (&(made() + malformed), "malformed"),
            (&long, "longer than 4 MiB"),
        ] {
            fs::write(&path, text).unwrap();
            let error = authorities(&path).unwrap_err().to_string();
            assert!(error.contains("ca.pem`: ") && error.contains(what), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(authorities(&path).unwrap_err().to_string().ends_with("there is no such file"));
    }
}
