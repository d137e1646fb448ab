//! Ships a spool to the server that has its trail (`docs/formats/shipping.md`): asks how far the server is, sends what comes next, gives back what it
//! has.
//!
//! Edge: knows no storage engine and decrypts nothing; what is to be sent is told by `minutebook-capture`, what is taken by the server.

mod endpoint;
mod epoch;
mod error;
mod folder;
mod limits;
mod server;
mod shipper;
mod socket;

pub use endpoint::Endpoint;
pub use error::Error;
pub use folder::{Folder, Remote};
pub use server::{Server, ServerOptions};
pub use shipper::Shipper;
