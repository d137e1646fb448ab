use std::fs::Permissions;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::program::User;
use crate::tcp::Answer;

/// A certificate for this machine, as it is.
pub type Known = CertificateDer<'static>;

fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Makes a certificate anew.
pub fn certify(user: &User) -> Known {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    put(&user.path("cert.pem"), &cert.pem());
    put(&user.path("key.pem"), &signing_key.serialize_pem());
    cert.der().clone()
}

pub struct Client {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Client {
    pub fn new(known: &Known, address: SocketAddr, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(known.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config: Arc::new(config), address }
    }

    /// A connection on which nothing was said yet, not even of TLS.
    pub fn connect(&self) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        Ok(StreamOwned::new(connection, TcpStream::connect(self.address)?))
    }

    pub fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let mut stream = self.connect()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        Ok(Answer::read(&mut stream))
    }
}
