//! A TCP address to listen at: whether that may be so, and taking it. Edge: who connects is for `connections`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::tls::{Tls, TlsError, TlsFiles};

/// An address that is taken; nobody is answered yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

/// What is between a client and this process.
#[derive(Debug, Clone)]
pub enum Transport {
    /// HTTP as it is, where only this machine can reach it.
    Plain,
    /// HTTP as it is, anywhere.
    InsecureHttp,
    /// TLS 1.3.
    Tls(TlsFiles),
}

/// Why an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Others can reach it, and what is said could be read on the way.
    #[error(
        "`{address}` can be reached from other machines, and over plain HTTP what is said could be read on the way: name a certificate \
         with --tls-cert and --tls-key, or say --insecure-http where the network itself is encrypted"
    )]
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// Somebody has it.
    #[error(
        "another process listens at `{address}`, perhaps the server or the proxy of another trail: name another address with --listen, such \
         as 127.0.0.1:0 for any free port"
    )]
    Taken {
        /// The address.
        address: SocketAddr,
    },
    /// It cannot be kept private.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The system refused.
    #[error("cannot listen at `{address}`: {source}")]
    System {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

impl Door {
    /// Takes an address. Port 0 is any that is free. Reads the certificate, which blocks.
    ///
    /// # Errors
    /// When the address is not to be used so, or cannot be had, or the certificate cannot be used.
    pub fn open(address: SocketAddr, transport: Transport) -> Result<Self, DoorError> {
        let tls = match transport {
            Transport::Plain if !address.ip().to_canonical().is_loopback() => {
                return Err(DoorError::Plain { address });
            }
            Transport::Plain | Transport::InsecureHttp => None,
            Transport::Tls(files) => Some(Arc::new(Tls::load(files)?)),
        };
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => DoorError::Taken { address },
            _ => DoorError::System { address, source },
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls })
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether nobody but this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Takes connections on the runtime that this is called on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(self) -> io::Result<Listening> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        Ok(Listening { listener, tls: self.tls })
    }
}

/// What takes connections, for [`Connections::answer`](crate::Connections::answer).
#[derive(Debug)]
pub struct Listening {
    pub(crate) listener: tokio::net::TcpListener,
    pub(crate) tls: Option<Arc<Tls>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, transport: Transport) -> Result<Door, DoorError> {
        Door::open(address.parse().unwrap(), transport)
    }

    #[test]
    fn plain_http_leaves_the_machine_only_when_somebody_says_so() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            assert!(matches!(open(address, Transport::Plain), Err(DoorError::Plain { .. })), "{address}");
        }
        assert!(!open("0.0.0.0:0", Transport::InsecureHttp).unwrap().is_loopback());
        for address in ["127.0.0.1:0", "127.8.9.1:0"] {
            let door = open(address, Transport::Plain).unwrap();
            assert!(door.is_loopback() && door.address().port() != 0, "{address}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_told_as_such() {
        let first = open("127.0.0.1:0", Transport::Plain).unwrap();
        let second = Door::open(first.address(), Transport::Plain).err().unwrap();
        assert!(matches!(second, DoorError::Taken { .. }), "{second}");
        assert!(second.to_string().contains("--listen"));
    }
}
