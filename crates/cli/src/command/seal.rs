//! `minutebook seal`: seals what waits in the spool.

use std::time::Duration;

use clap::Args;
use minutebook_server::{EngineClient, SealedThere};
use minutebook_trail::{Engine, Environment, Error, Place};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::terminal::{Out, Terminal};
use minutebook_present::page;

/// Seal what was recorded and waits in the spool.
#[derive(Debug, Args)]
#[command(display_order = 9)]
pub(super) struct Seal {
    /// Go on until interrupted, looking every so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,
}

impl Seal {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let terminal = options.terminal();
        let mut out = terminal.out();
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let mut sealing = Sealing::open(&options.place()).await?;
            loop {
                let sealed = sealing.seal().await?;
                if self.watch.is_none() || sealed.segments > 0 {
                    tell(&mut out, &terminal, options.json, &sealed)?;
                }
                let Some(seconds) = self.watch else { break };
                tokio::select! {
                    () = interrupt.wait() => break,
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                }
            }
            if let Sealing::Ours(engine) = sealing {
                engine.close().await;
            }
            Ok(())
        })
    }
}

/// Who seals.
enum Sealing {
    // Boxed: it is far larger than the other.
    Ours(Box<Engine>),
    Process(EngineClient),
}

impl Sealing {
    async fn open(place: &Place) -> Result<Self> {
        match Engine::open(place, Environment::default()).await {
            Ok(engine) => Ok(Self::Ours(Box::new(engine))),
            Err(error @ Error::Locked { .. }) => match EngineClient::find(&place.folder).await {
                Some(engine) => Ok(Self::Process(engine)),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn seal(&mut self) -> Result<SealedThere> {
        let engine = match self {
            Self::Process(engine) => return Ok(engine.seal().await?),
            Self::Ours(engine) => engine,
        };
        let report = engine.seal().await?;
        Ok(SealedThere {
            records: report.records,
            segments: report.segments,
            bytes: report.bytes,
            damage: report.drained.damage,
            log_size: engine.published().0,
        })
    }
}

fn tell(out: &mut Out, terminal: &Terminal, json: bool, report: &SealedThere) -> Result {
    for (damage, times) in &report.damage {
        terminal.complain(&format!("warning: damage in the spool, {times} times: {damage}"));
    }
    if json {
        out.json(&json!({
            "records": report.records,
            "segments": report.segments,
            "bytes": report.bytes,
            "damage": report.damage,
            "log_size": report.log_size,
        }))?;
    } else if report.segments == 0 {
        out.line("nothing to seal")?;
    } else {
        let (records, segments) = (page::count(report.records), page::count(report.segments));
        let bytes = page::bytes(report.bytes);
        out.line(&format!(
            "sealed {records} records in {segments} segments, {bytes}; the log has {} entries",
            report.log_size
        ))?;
    }
    out.flush()
}
