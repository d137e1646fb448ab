//! TCP and TLS for every process that listens, and for those that ask over HTTPS: an address with its certificate, connections that are taken,
//! bounded and ended in order, and the authorities by which a server is known.
//! Edge: bytes and heads of HTTP; what is asked, by whom it may be and what an answer means is for those above.

mod asking;
mod connections;
mod door;
mod limits;
mod tls;

pub use asking::{Connector, TrustError, connector};
pub use connections::{Broken, Connections, Handler, Speaks};
pub use door::{Door, DoorError, Listening, Transport};
pub use tls::{TlsError, TlsFiles};
