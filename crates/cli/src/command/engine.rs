//! `minutebook engine`: the engine of a trail as a process of its own, for producers that do not seal themselves.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use minutebook_access::Reads;
use minutebook_server::EngineClient;
use minutebook_trail::{Place, TrailLock};
use tokio::runtime::Runtime;

use crate::detached;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::limits::LOOK_PERIOD;
use crate::options::Options;
use crate::serving::{VERSION, Wanted, serve, tell};
use crate::several::Trail;

/// Seconds after which an engine that nobody needs ends, unless somebody says otherwise.
const IDLE: u64 = 30;

/// Run the engine of a trail: it seals what producers hand over, answers on the socket `engine.sock` in the trail's folder, and ends when
/// nobody needs it.
///
/// When one runs already, that is told. One of another version is asked to end, and replaced.
#[derive(Debug, Args)]
#[command(display_order = 10)]
pub(super) struct Engine {
    /// The trail's folder [default: what --trail says].
    dir: Option<PathBuf>,
    /// Make the trail when there is none.
    #[arg(long)]
    create: bool,
    /// End after so many seconds without a connection, a producer that lives, or anything to seal.
    #[arg(long, value_name = "SECONDS", default_value_t = IDLE, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    idle: u64,
    /// Run in the background: return as soon as it answers.
    #[arg(long)]
    detach: bool,
    /// Stop the one that runs: it seals what there is. Waits until it has ended.
    #[arg(long, conflicts_with_all = ["create", "detach", "idle"])]
    stop: bool,
    /// What --detach starts.
    #[arg(long, hide = true, conflicts_with_all = ["detach", "stop"])]
    daemon: bool,
}

impl Engine {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place_in(self.dir.clone().unwrap_or_else(|| options.trail.clone()));
        runtime.block_on(async {
            if self.stop {
                return stop(options, &place).await;
            }
            if self.detach {
                return self.start_detached(options, &place).await;
            }
            if self.daemon {
                // Only who leads a process group already cannot; then there is no session to leave.
                let _ = crate::sys::leave_session();
            }
            let idle = Some(Duration::from_secs(self.idle));
            let (create, daemon, json) = (self.create, self.daemon, options.json);
            serve(
                &options.terminal(),
                Wanted {
                    trails: vec![Trail { name: None, place }],
                    create,
                    idle,
                    daemon,
                    json,
                    listen: None,
                    reads_of_owner: Reads::Unrecorded,
                },
            )
            .await
        })
    }

    async fn start_detached(&self, options: &Options, place: &Place) -> Result {
        let terminal = options.terminal();
        // The common case needs no process.
        if let Some(found) = EngineClient::find(&place.folder).await
            && found.identity().version == VERSION
        {
            return tell(&terminal, found.identity(), options.json, true);
        }
        detached::start(&terminal, &background(options, place, self.create, self.idle)).await
    }
}

/// The arguments of an engine in the background.
fn background(options: &Options, place: &Place, create: bool, idle: u64) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["engine".into(), "--daemon".into(), "--idle".into(), idle.to_string().into()];
    arguments.extend(["--trail".into(), place.folder.clone().into()]);
    if let Some(keys) = &place.keys {
        arguments.extend(["--keys".into(), keys.clone().into()]);
    }
    let switches = [(create, "--create"), (options.json, "--json"), (options.quiet, "--quiet")];
    arguments.extend(switches.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.into()));
    arguments.extend((0..options.verbose).map(|_| "--verbose".into()));
    arguments
}

/// Makes sure that an engine of this version runs in the background, for who hands over records and does not seal.
pub(super) async fn ensure(options: &Options, place: &Place, create: bool) -> Result {
    let runs =
        EngineClient::find(&place.folder).await.is_some_and(|found| found.identity().version == VERSION);
    if !runs {
        detached::start_quietly(&options.terminal(), &background(options, place, create, IDLE)).await?;
    }
    Ok(())
}

/// Whether an engine answers that is not the process `pid`: somebody was quick to start the next one.
async fn is_another(place: &Place, pid: u32) -> bool {
    EngineClient::find(&place.folder).await.is_some_and(|found| found.identity().pid != pid)
}

/// Asks the engine to end, and waits for the lock that it has.
async fn stop(options: &Options, place: &Place) -> Result {
    place.trail_file()?;
    let terminal = options.terminal();
    let Some(engine) = EngineClient::find(&place.folder).await else {
        if TrailLock::is_held(place)? {
            return Err(Failure::Told {
                exit: Exit::InUse,
                what: "somebody works on the trail who is no engine process, or does not answer".into(),
                to_do: Some("`minutebook doctor` says who; wait until it is done, or stop it".into()),
            });
        }
        terminal.say("no engine runs");
        return Ok(());
    };
    let mut interrupt = Interrupt::listen()?;
    // When it does not answer any more, it is about to end.
    let _ = engine.stop().await;
    while TrailLock::is_held(place)? && !is_another(place, engine.identity().pid).await {
        tokio::select! {
            () = interrupt.wait() => {
                terminal.complain("it still seals, and ends then");
                return Err(Failure::Said(Exit::InUse));
            }
            () = tokio::time::sleep(LOOK_PERIOD) => {}
        }
    }
    terminal.say(&format!("engine process {} has ended", engine.identity().pid));
    Ok(())
}
