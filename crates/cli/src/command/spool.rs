//! `minutebook spool`: what waits of producers, and giving up what a machine that is gone had still to send.

use clap::{Args, Subcommand};
use minutebook_capture::GivenUp;
use minutebook_present::page;
use minutebook_record::{Epoch, ProducerId};
use minutebook_trail::{Reader, WaitingEpoch};
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use super::erase::orderer;
use crate::access::Access;
use crate::failure::{Exit, Failure, Result};
use crate::moment;
use crate::options::Options;

/// See what producers have not had sealed yet, and give up what a machine that is gone had still to send.
#[derive(Debug, Subcommand)]
#[command(display_order = 16)]
pub(super) enum Spool {
    List(List),
    GiveUp(GiveUp),
}

/// Show the epochs of all producers that are not sealed whole: one a line.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Give up an epoch of a machine that is gone for good; a record says so.
///
/// What came of it is sealed, and what is known to be missing is told as lost. Should the machine come back, what it still has is refused.
#[derive(Debug, Args)]
pub(super) struct GiveUp {
    /// The producer's id, 32 hex digits, or its name if no other has it, as `spool list` shows them.
    producer: String,
    /// The epoch.
    epoch: u64,
    /// Why. It is recorded; name no person.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who orders it [default: the user of this process].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Spool {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::List(list) => list.run(options, runtime),
            Self::GiveUp(give_up) => give_up.run(options, runtime),
        }
    }
}

impl List {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let epochs = runtime.block_on(waiting(options))?;
        let mut out = options.terminal().out();
        for epoch in &epochs {
            if options.json {
                out.json(&json!({
                    "producer": hex(&epoch.producer),
                    "name": epoch.name,
                    "epoch": epoch.epoch,
                    "alive": epoch.alive,
                    "heard": heard(epoch),
                    "drawn": epoch.drawn,
                }))?;
            } else {
                out.line(&line(epoch))?;
            }
        }
        if epochs.is_empty() {
            options.terminal().say("nothing waits");
        }
        out.flush()
    }
}

impl GiveUp {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let by = orderer(self.by.as_deref());
        let epoch = Epoch::new(self.epoch).map_err(|_| wrong("epochs are counted from 1".to_owned()))?;
        let producer = runtime.block_on(async {
            let producer = find(&waiting(options).await?, &self.producer, self.epoch)?;
            match Access::open(&options.place()).await? {
                Access::Ours(mut engine) => {
                    let now_s = moment::now_ns().div_euclid(1_000_000_000);
                    engine.give_up(producer, epoch, &GivenUp::new(now_s, &by, &self.reason)).await?;
                    engine.close().await;
                }
                Access::Process(engine) => {
                    engine.give_up(&producer.to_string(), self.epoch, &self.reason, &by).await?;
                }
            }
            Ok::<_, Failure>(producer)
        })?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "producer": producer.to_string(), "epoch": self.epoch }))?;
        } else {
            let told = "what came of it is sealed, and a record of kind `loss` says what is missing";
            out.line(&format!("epoch {} of {producer} is given up: {told}", self.epoch))?;
        }
        out.flush()
    }
}

async fn waiting(options: &Options) -> Result<Vec<WaitingEpoch>> {
    Ok(Reader::open(&options.place()).await?.spool().await?.epochs)
}

/// Which producer is meant.
fn find(epochs: &[WaitingEpoch], given: &str, epoch: u64) -> Result<ProducerId> {
    let of = |name: &str| name.rsplit_once('.').map_or(name, |(name, _)| name).to_owned();
    let fits = |found: &&WaitingEpoch| {
        found.epoch == epoch
            && (hex(&found.producer) == given || found.name == given || of(&found.name) == given)
    };
    let found: Vec<&WaitingEpoch> = epochs.iter().filter(fits).collect();
    match found[..] {
        [one] if one.heard.is_none() => Err(wrong(format!(
            "`{}` is a producer of this machine: the engine sees by itself when it ends",
            one.name
        ))),
        [one] => Ok(ProducerId(one.producer)),
        [] => Err(wrong(format!(
            "no epoch {epoch} of `{given}` waits here: `minutebook spool list` shows those that do"
        ))),
        _ => Err(wrong(format!(
            "several producers are called `{given}`: give the id, as `minutebook spool list` shows it"
        ))),
    }
}

fn wrong(what: String) -> Failure {
    Failure::Told { exit: Exit::Input, what, to_do: None }
}

fn heard(epoch: &WaitingEpoch) -> Option<String> {
    let at = jiff::Timestamp::try_from(epoch.heard?).ok()?;
    jiff::Timestamp::from_second(at.as_second()).ok().map(|at| at.to_string())
}

fn line(epoch: &WaitingEpoch) -> String {
    let state = match (epoch.alive, heard(epoch)) {
        (true, Some(at)) => format!("open, last heard of {at}"),
        (true, None) => "open".to_owned(),
        (false, _) => "ended".to_owned(),
    };
    let drawn: u64 = epoch.drawn.values().sum();
    let text = format!(
        "{}  {}  epoch {}  {state}  {} numbers drawn",
        hex(&epoch.producer),
        epoch.name,
        epoch.epoch,
        page::count(drawn)
    );
    page::printable(&text).into_owned()
}
