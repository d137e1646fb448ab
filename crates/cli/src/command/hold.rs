//! `minutebook hold`: what must not be erased or disposed of until the hold is lifted.

use std::io;

use clap::{Args, Subcommand};
use minutebook_present::page;
use minutebook_trail::{Hold as Placed, HoldFilter, HoldRequest, Reader};
use serde_json::json;
use tokio::runtime::Runtime;

use super::erase::{orderer, read_subject};
use crate::access::Access;
use crate::failure::{Failure, Result};
use crate::moment;
use crate::options::Options;

/// Place, list and lift holds: what they are over is neither erased nor disposed of.
#[derive(Debug, Subcommand)]
#[command(display_order = 15)]
pub(super) enum Hold {
    Add(Add),
    List(List),
    Lift(Lift),
}

/// Place a hold on the records to which all given conditions apply; a record says so.
///
/// Also while an engine runs. The subject is stored as a keyed hash, never by its name.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// A short name for the hold, such as a case number. It is recorded; name no person.
    name: String,
    /// Why. It is recorded; name no person.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who orders it [default: the user of this process].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Records about this subject; `-` reads it from standard input, which keeps it out of the shell's history.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Records of this model.
    #[arg(long, value_name = "NAME[@VERSION]")]
    model: Option<String>,
    /// Records of this retention class.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<i64>,
}

/// Show the holds in force.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Lift a hold; a record says so.
#[derive(Debug, Args)]
pub(super) struct Lift {
    /// Its name or its id, as `hold list` shows them.
    hold: String,
    /// Why. It is recorded; name no person.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who orders it [default: the user of this process].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Hold {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Add(add) => add.run(options, runtime),
            Self::List(list) => list.run(options, runtime),
            Self::Lift(lift) => lift.run(options, runtime),
        }
    }
}

impl Add {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let subject = match self.subject.as_deref() {
            Some("-") => Some(read_subject(&mut io::stdin().lock())?),
            subject => subject.map(str::to_owned),
        };
        let filter = HoldFilter {
            subject,
            model: self.model,
            class: self.class,
            from_ns: self.since,
            to_ns: self.until,
        };
        let by = orderer(self.by.as_deref());
        let request = HoldRequest { name: self.name, reason: self.reason, by, filter };
        let hold = runtime.block_on(async {
            match Access::open(&options.place()).await? {
                Access::Ours(mut engine) => {
                    let hold = engine.place_hold(&request).await?;
                    engine.close().await;
                    Ok::<_, Failure>(hold)
                }
                Access::Process(engine) => Ok(engine.place_hold(&request).await?),
            }
        })?;
        tell(options, &hold, "in force")
    }
}

impl List {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let holds = runtime.block_on(holds(options))?;
        let mut out = options.terminal().out();
        for hold in &holds {
            if options.json {
                out.json(&json!(hold))?;
            } else {
                out.line(&line(hold))?;
            }
        }
        if holds.is_empty() {
            options.terminal().say("no hold is in force");
        }
        out.flush()
    }
}

impl Lift {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let by = orderer(self.by.as_deref());
        let hold = runtime.block_on(async {
            let known = holds(options).await?;
            let hold = known.into_iter().find(|hold| hold.id == self.hold || hold.name == self.hold);
            let id = hold.ok_or(minutebook_trail::Error::NoHold)?.id;
            match Access::open(&options.place()).await? {
                Access::Ours(mut engine) => {
                    let hold = engine.lift_hold(&id, &self.reason, &by).await?;
                    engine.close().await;
                    Ok::<_, Failure>(hold)
                }
                Access::Process(engine) => Ok(engine.lift_hold(&id, &self.reason, &by).await?),
            }
        })?;
        tell(options, &hold, "lifted")
    }
}

async fn holds(options: &Options) -> Result<Vec<Placed>> {
    let reader = Reader::open(&options.place()).await?;
    Ok(reader.holds().await?)
}

fn tell(options: &Options, hold: &Placed, what: &str) -> Result {
    let mut out = options.terminal().out();
    if options.json {
        out.json(&json!(hold))?;
    } else {
        out.line(&format!("hold {}, {what}", line(hold)))?;
    }
    out.flush()
}

fn line(hold: &Placed) -> String {
    let mut over = Vec::new();
    if hold.one_subject {
        over.push(match hold.subject {
            Some(number) => format!("subject number {number}"),
            None => "a subject that no record is about yet".to_owned(),
        });
    }
    if let Some(model) = &hold.model {
        let version = hold.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        over.push(format!("model {model}{version}"));
    }
    over.extend(hold.class.as_ref().map(|class| format!("class {class}")));
    let time = |ns: i64| {
        jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| String::new(), |at| at.to_string())
    };
    over.extend(hold.from_ns.map(|from| format!("since {}", time(from))));
    over.extend(hold.to_ns.map(|to| format!("until {}", time(to))));
    let text = format!(
        "{} ({}), over {}, placed on {} by {}: {}",
        hold.name,
        hold.id,
        over.join(", "),
        hold.at,
        hold.by,
        hold.reason
    );
    page::printable(&text).into_owned()
}
