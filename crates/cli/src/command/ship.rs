//! `minutebook ship`: sends what waits in a local spool to the server that has the trail.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use minutebook_ship::{Endpoint, Error, Folder, Remote, Server, ServerOptions, Shipper};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::detached;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::serving::VERSION;
use crate::terminal::Terminal;

/// Ship what producers hand over in a folder of this machine to the server that has their trail, until nothing is left.
///
/// Started by `minutebook.connect` of the Python package; one for each folder. The API key is in the folder's file `api-key`.
#[derive(Debug, Args)]
#[command(display_order = 12)]
pub(super) struct Ship {
    /// The folder with the spool.
    folder: PathBuf,
    /// The server: https://HOST[:PORT][/PREFIX].
    #[arg(long, value_name = "URL")]
    to: String,
    /// A PEM file with the authorities that the server's certificate may be from [default: those of the system].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak HTTP without TLS to another machine: who is between reads the key.
    #[arg(long)]
    insecure_http: bool,
    /// End after so many seconds with nothing to ship and no producer that lives.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=31_536_000))]
    idle: u64,
    /// Run in the background: return as soon as it is known which trail the server has.
    #[arg(long)]
    detach: bool,
    /// What --detach starts.
    #[arg(long, hide = true, conflicts_with = "detach")]
    daemon: bool,
}

impl Ship {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let endpoint = Endpoint::parse(&self.to, self.insecure_http)?;
        let folder = Folder::make(&self.folder)?;
        runtime.block_on(async {
            if self.detach {
                return self.start_detached(options, &folder).await;
            }
            if self.daemon {
                // Only who leads a process group already cannot; then there is no session to leave.
                let _ = crate::sys::leave_session();
            }
            self.ship(options, endpoint, folder).await
        })
    }

    async fn ship(&self, options: &Options, endpoint: Endpoint, folder: Folder) -> Result {
        let terminal = options.terminal();
        let mut interrupt = Interrupt::listen()?;
        let known = folder.remote(&endpoint)?;
        let server = Server::new(ServerOptions { endpoint, ca: self.ca.clone() }, folder.clone())?;
        let shipper = match Shipper::begin(folder.clone(), server, known.clone()).await {
            Ok(shipper) => shipper,
            Err(Error::Running(_)) if known.is_some() => {
                return known.map_or(Ok(()), |remote| tell(&terminal, &remote, options.json, true));
            }
            Err(error) => return Err(error.into()),
        };
        tell(&terminal, shipper.remote(), options.json, false)?;
        if self.daemon {
            detached::turn_away_to(&folder.log())?;
        }
        tokio::select! {
            shipped = shipper.run(Duration::from_secs(self.idle)) => Ok(shipped?),
            () = interrupt.wait() => {
                terminal.say("what is not shipped stays in the spool");
                Ok(())
            }
        }
    }

    async fn start_detached(&self, options: &Options, folder: &Folder) -> Result {
        let mut arguments: Vec<OsString> = vec!["ship".into(), folder.path().into(), "--daemon".into()];
        arguments.extend(["--to".into(), self.to.clone().into()]);
        arguments.extend(["--idle".into(), self.idle.to_string().into()]);
        if let Some(ca) = &self.ca {
            let ca = std::fs::canonicalize(ca).map_err(|error| Failure::file("read", ca, &error))?;
            arguments.extend(["--ca".into(), ca.into()]);
        }
        let switches =
            [(self.insecure_http, "--insecure-http"), (options.json, "--json"), (options.quiet, "--quiet")];
        arguments.extend(switches.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.into()));
        arguments.extend((0..options.verbose).map(|_| "--verbose".into()));
        detached::start(&options.terminal(), &arguments).await
    }
}

/// The first word: which trail it is for.
fn tell(terminal: &Terminal, remote: &Remote, json: bool, already: bool) -> Result {
    let mut out = terminal.out();
    let pid = (!already).then(std::process::id);
    if json {
        let mut line = json!({
            "trail": remote.trail,
            "name": remote.name,
            "intake_key": remote.intake_key,
            "url": remote.url,
            "pid": pid,
            "version": VERSION,
        });
        if already {
            line["already"] = true.into();
        }
        out.json(&line)?;
    } else {
        let who = pid.map_or("another process already".into(), |pid| format!("process {pid}"));
        out.line(&format!("{who} ships to the trail {} at {}", remote.trail, remote.url))?;
    }
    out.flush()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, to_do) = match &error {
            Error::Url { .. } => (Exit::Input, None),
            Error::Running(_) => (Exit::InUse, Some("wait until it has reached the server")),
            Error::Refused(_) => (Exit::Trail, None),
            Error::Away(_) | Error::Later { .. } => {
                (Exit::Io, Some("what was handed over waits in the spool; ship it again later"))
            }
            _ => (Exit::Io, None),
        };
        Self::Told { exit, what: error.to_string(), to_do: to_do.map(str::to_owned) }
    }
}
