//! TLS 1.3 in front of a listener: its certificate and key, read again when their files change. Edge: bytes in and out are for `connections`.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::limits::TLS_FILE_BYTES_MAX;

/// What a listener shows and signs with, each a PEM file.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, then those between it and an authority that clients know.
    pub certificate: PathBuf,
    /// Its private key, which not everybody may read.
    pub key: PathBuf,
}

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsError {
    path: PathBuf,
    what: String,
}

/// A certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    now: Mutex<Now>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

struct Now {
    config: Arc<ServerConfig>,
    /// What is spoken inside, by the names of RFC 7301; clients that offer nothing else are refused.
    protocols: Vec<Vec<u8>>,
    /// The files as they were when they were last read, whether they could be used or not.
    seen: Option<[Stamp; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, u64, i64, i64);

impl Tls {
    /// Reads both files. Blocks on them.
    ///
    /// # Errors
    /// When one cannot be read or is not what it should be, the key can be read by everybody, or is that of another certificate.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        // Before they are read: what changes meanwhile is read the next time.
        let seen = stamps(&files);
        let config = Arc::new(read(&files)?);
        Ok(Self { files, now: Mutex::new(Now { config, protocols: Vec::new(), seen }) })
    }

    /// Says what is spoken inside.
    pub(crate) fn speak(&self, protocols: &[&str]) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = ServerConfig::clone(&now.config);
        now.put(config);
    }

    /// Takes a connection with the certificate of now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&now.config))
    }

    /// Reads the files again when they have changed. While they cannot be used the former certificate stays. Blocks on small files.
    pub(crate) fn renew(&self) {
        let seen = stamps(&self.files);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.seen == seen {
            return;
        }
        now.seen = seen;
        match read(&self.files) {
            Ok(config) => {
                now.put(config);
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::error!("the former certificate stays in use: {error}"),
        }
    }
}

impl Now {
    fn put(&mut self, mut config: ServerConfig) {
        config.alpn_protocols.clone_from(&self.protocols);
        self.config = Arc::new(config);
    }
}

fn stamps(files: &TlsFiles) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some(Stamp(about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
    };
    Some([stamp(&files.certificate)?, stamp(&files.key)?])
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let wrong = |path: &Path, what: String| TlsError { path: path.to_owned(), what };
    let bytes = |path: &Path| {
        let about = std::fs::metadata(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => wrong(path, "there is no such file".into()),
            _ => wrong(path, format!("it cannot be looked at: {error}")),
        })?;
        if about.len() > TLS_FILE_BYTES_MAX {
            return Err(wrong(path, format!("it is longer than {} KiB", TLS_FILE_BYTES_MAX >> 10)));
        }
        let bytes =
            std::fs::read(path).map_err(|error| wrong(path, format!("it cannot be read: {error}")))?;
        Ok((bytes, about.mode()))
    };
    let (certificate, _) = bytes(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| wrong(&files.certificate, format!("it is no PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(
            &files.certificate,
            "no certificate is in it (`-----BEGIN CERTIFICATE-----`)".into(),
        ));
    }
    let (key, mode) = bytes(&files.key)?;
    if mode & 0o007 != 0 {
        let what = "everybody on this machine can read or change the private key: `chmod o-rwx` it";
        return Err(wrong(&files.key, what.into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            wrong(&files.key, "no private key is in it that could be used without a passphrase".into())
        }
        // What is wrong with a key is told without a byte of it.
        _ => wrong(&files.key, "it is no PEM file".into()),
    })?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| {
            wrong(&files.key, format!("it does not go with `{}`: {error}", files.certificate.display()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    struct Pair {
        folder: tempfile::TempDir,
        files: TlsFiles,
    }

    impl Pair {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let files =
                TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
            let pair = Self { folder, files };
            pair.put(&made());
            pair
        }

        fn put(&self, made: &(String, String)) {
            self.put_file("cert.pem", &made.0);
            self.put_file("key.pem", &made.1);
        }

        /// Replaces a file whole, as those who renew certificates do.
        fn put_file(&self, name: &str, text: &str) {
            let new = self.folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
            fs::rename(new, self.folder.path().join(name)).unwrap();
        }

        #[track_caller]
        fn is_wrong(&self, file: &str, what: &str) {
            let error = Tls::load(self.files.clone()).err().unwrap().to_string();
            assert!(error.contains(file) && error.contains(what), "{error}");
            assert!(!error.contains("PRIVATE"), "{error}");
        }
    }

    /// A certificate and its key.
    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn config(tls: &Tls) -> Arc<ServerConfig> {
        Arc::clone(tls.acceptor().config())
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_file() {
        let pair = Pair::new();
        assert!(Tls::load(pair.files.clone()).is_ok());
        fs::set_permissions(&pair.files.key, Permissions::from_mode(0o644)).unwrap();
        pair.is_wrong("key.pem", "chmod o-rwx");
        pair.put_file("key.pem", &made().1);
        pair.is_wrong("key.pem", "does not go with");
        pair.put_file("key.pem", "-----BEGIN PRIVATE KEY-----\n%%\n-----END PRIVATE KEY-----\n");
        pair.is_wrong("key.pem", "no PEM file");
        pair.put_file("key.pem", &made().0);
        pair.is_wrong("key.pem", "no private key");
        pair.put_file("cert.pem", "");
        pair.is_wrong("cert.pem", "no certificate");
        pair.put_file("cert.pem", &"x".repeat(TLS_FILE_BYTES_MAX as usize + 1));
        pair.is_wrong("cert.pem", "longer than 256 KiB");
        fs::remove_file(&pair.files.certificate).unwrap();
        pair.is_wrong("cert.pem", "no such file");
    }

    #[test]
    fn files_that_change_are_read_again_once_and_the_former_stay_while_they_cannot_be_used() {
        let pair = Pair::new();
        let tls = Tls::load(pair.files.clone()).unwrap();
        tls.speak(&["http/1.1"]);
        let first = config(&tls);
        tls.renew();
        assert!(Arc::ptr_eq(&first, &config(&tls)));
        let next = made();
        pair.put_file("cert.pem", &next.0);
        tls.renew();
        assert!(Arc::ptr_eq(&first, &config(&tls)), "its key is not there yet");
        pair.put_file("key.pem", &next.1);
        tls.renew();
        let second = config(&tls);
        assert_eq!(second.alpn_protocols, [b"http/1.1"], "what is spoken stays the same");
        assert!(!Arc::ptr_eq(&first, &second));
        tls.renew();
        assert!(Arc::ptr_eq(&second, &config(&tls)));
        fs::remove_file(&pair.files.key).unwrap();
        tls.renew();
        assert!(Arc::ptr_eq(&second, &config(&tls)));
    }
}
