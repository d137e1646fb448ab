//! `minutebook seal`: seals what waits in the spool.

use std::time::Duration;

use clap::Args;
use minutebook_server::SealedThere;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::access::Access;
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
            let mut access = Access::open(&options.place()).await?;
            loop {
                let sealed = seal(&mut access).await?;
                if self.watch.is_none() || sealed.segments > 0 {
                    tell(&mut out, &terminal, options.json, &sealed)?;
                }
                let Some(seconds) = self.watch else { break };
                tokio::select! {
                    () = interrupt.wait() => break,
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                }
            }
            if let Access::Ours(mut engine) = access {
                engine.seal_windows().await?;
                engine.close().await;
            }
            Ok(())
        })
    }
}

async fn seal(access: &mut Access) -> Result<SealedThere> {
    let engine = match access {
        Access::Process(engine) => return Ok(engine.seal().await?),
        Access::Ours(engine) => engine,
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
