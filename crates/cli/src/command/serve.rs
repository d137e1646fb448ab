//! `minutebook serve`: the engine of a trail in the foreground, for a service manager, on its socket and over TCP.

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::Args;
use minutebook_access::Reads;
use minutebook_server::DEFAULT_ADDRESS;
use tokio::runtime::Runtime;

use crate::failure::Result;
use crate::listening::{TransportOptions, address};
use crate::options::Options;
use crate::serving::{Listen, Wanted, serve};
use crate::several;

/// Run the engine of a trail until it is stopped: the same as `engine` without an end of its own, over TCP too.
///
/// Several trails can be served by one process: each has its own keys and records, and is at `/t/NAME` of the one address.
///
/// Over TCP a request needs an API key: `minutebook api-key create`. What can be asked is in docs/api.md.
#[derive(Debug, Args)]
#[command(display_order = 11)]
pub(super) struct Serve {
    /// The trail's folder, or those of several, NAME=DIR where a trail is to have another name than its folder [default: what --trail says].
    #[arg(value_name = "DIR")]
    trails: Vec<OsString>,
    /// Make a trail when there is none.
    #[arg(long)]
    create: bool,
    /// The address to listen at, IP:PORT, port 0 for any that is free; `none`: the socket alone [default: 127.0.0.1:6262].
    #[arg(long, value_name = "ADDRESS", value_parser = parse)]
    listen: Option<Address>,
    #[command(flatten)]
    transport: TransportOptions,
}

#[derive(Debug, Clone, Copy)]
enum Address {
    Nowhere,
    At(SocketAddr),
}

fn parse(text: &str) -> std::result::Result<Address, String> {
    if text == "none" {
        return Ok(Address::Nowhere);
    }
    let wrong = "not an address and a port, such as 127.0.0.1:6262 or [::1]:6262, nor `none`";
    address(text).map(Address::At).ok_or_else(|| wrong.to_owned())
}

impl Serve {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let trails = several::read(options, &self.trails)?;
        let (create, json) = (self.create, options.json);
        let transport = self.transport.transport();
        let is_asked_for = self.listen.is_some();
        let at = |address| Some(Listen { address, transport, is_asked_for });
        let listen = match self.listen {
            Some(Address::Nowhere) => None,
            Some(Address::At(address)) => at(address),
            None => at(DEFAULT_ADDRESS),
        };
        let reads_of_owner = Reads::Recorded;
        let wanted = Wanted { trails, create, idle: None, daemon: false, json, listen, reads_of_owner };
        runtime.block_on(serve(&options.terminal(), wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_number_and_a_port() {
        for (text, address) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:6262", "[::1]:6262"), ("localhost:80", "127.0.0.1:80")]
        {
            assert!(matches!(parse(text), Ok(Address::At(found)) if found.to_string() == address), "{text}");
        }
        assert!(matches!(parse("none"), Ok(Address::Nowhere)));
        for text in ["", "6262", "127.0.0.1", "example.com:80", "localhost:", "127.0.0.1:70000"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
