//! The TCP address that an engine answers at beside its socket: whether it may, and taking it. Edge: who is let in is for `guard` to say.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::limits::DEFAULT_PORT;

/// Where `serve` listens when nobody says where.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);

/// An address that is taken; nobody is answered yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Others can reach it, and what is said could be read on the way.
    #[error(
        "`{address}` can be reached from other machines, and this version speaks plain HTTP only: keys and records could be read on the way. Listen \
         at 127.0.0.1 and put a proxy that speaks TLS in front, or say --insecure-http where the network itself is encrypted"
    )]
    Plain {
        /// The address.
        address: SocketAddr,
    },
    /// Somebody has it.
    #[error(
        "another process listens at `{address}`, perhaps the server of another trail: name another address with --listen, such as \
         127.0.0.1:0 for any free port, or --listen none for the socket alone"
    )]
    Taken {
        /// The address.
        address: SocketAddr,
    },
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
    /// Takes an address. Port 0 is any that is free. Outside of loopback only with `insecure_http`.
    ///
    /// # Errors
    /// When the address is not to be used so, or cannot be had.
    pub fn open(address: SocketAddr, insecure_http: bool) -> Result<Self, DoorError> {
        if !address.ip().to_canonical().is_loopback() && !insecure_http {
            return Err(DoorError::Plain { address });
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => DoorError::Taken { address },
            _ => DoorError::System { address, source },
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether nobody but this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// What takes connections, for the runtime that this is called on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn into_listener(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, insecure_http: bool) -> Result<Door, DoorError> {
        Door::open(address.parse().unwrap(), insecure_http)
    }

    #[test]
    fn plain_http_leaves_the_machine_only_when_somebody_says_so() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            assert!(matches!(open(address, false), Err(DoorError::Plain { .. })), "{address}");
        }
        assert!(!open("0.0.0.0:0", true).unwrap().is_loopback());
        for address in ["127.0.0.1:0", "127.8.9.1:0"] {
            let door = open(address, false).unwrap();
            assert!(door.is_loopback() && door.address().port() != 0, "{address}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_told_as_such() {
        let first = open("127.0.0.1:0", false).unwrap();
        let second = Door::open(first.address(), false).unwrap_err();
        assert!(matches!(second, DoorError::Taken { .. }), "{second}");
        assert!(second.to_string().contains("--listen"));
    }
}
