//! `minutebook erase`: destroys the keys of a subject.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use minutebook_record::RecordId;
use minutebook_trail::{Certificate, Whom};
use serde_json::json;
use tokio::runtime::Runtime;

use super::show::parse_id;
use crate::access::Access;
use crate::asking;
use crate::failure::{Failure, Result};
use crate::options::Options;

/// Erase a subject: destroy its keys, so that no record about it can be read any more.
///
/// The records stay in their places, and that they were there can still be proved. It cannot be undone. An
/// `erasure` record says that it was done, on what ground and by whom; it does not name the subject.
/// Refused under a hold and inside a retention floor. Also while an engine runs.
#[derive(Debug, Args)]
#[command(display_order = 12)]
pub(super) struct Erase {
    /// The subject as it stands in records; `-` reads it from standard input, which keeps it out of the
    /// shell's history.
    #[arg(required_unless_present = "orphans_of")]
    subject: Option<String>,
    /// Erase what links to this decision, which is not in the trail.
    #[arg(long, value_name = "ID", value_parser = parse_id, conflicts_with = "subject")]
    orphans_of: Option<RecordId>,
    /// On what ground, such as "GDPR Art. 17, request 2026-118". It is recorded; name no person.
    #[arg(long, value_name = "TEXT")]
    ground: String,
    /// Who orders it [default: the user of this process].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl Erase {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let by = orderer(self.by.as_deref());
        let from_input = self.subject.as_deref() == Some("-");
        let subject = match &self.subject {
            Some(_) if from_input => read_subject(&mut io::stdin().lock())?,
            Some(subject) => subject.clone(),
            None => String::new(),
        };
        let whom = match self.orphans_of {
            Some(decision) => Whom::OrphansOf(decision),
            None => Whom::Subject(&subject),
        };
        if !self.yes {
            confirm(from_input)?;
        }
        let certificate = runtime.block_on(async {
            match Access::open(&options.place()).await? {
                Access::Ours(mut engine) => {
                    let certificate = engine.erase(whom, &self.ground, &by).await?;
                    engine.close().await;
                    asking::follow(&options.place()).await?;
                    Ok::<_, Failure>(certificate)
                }
                Access::Process(engine) => Ok(engine.erase(whom, &self.ground, &by).await?),
            }
        })?;
        tell(options, &certificate)
    }
}

/// Who orders something, as given, or else the user of this process.
pub(super) fn orderer(given: Option<&str>) -> String {
    given.map(str::to_owned).or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown".into())
}

/// The subject in the first line of standard input.
pub(super) fn read_subject(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| Failure::Told {
        exit: crate::failure::Exit::Io,
        what: format!("cannot read the subject from standard input: {error}"),
        to_do: None,
    })?;
    let subject = line.trim_end_matches(['\r', '\n']);
    if subject.is_empty() {
        return Err(Failure::input("standard input names no subject", "write it as one line"));
    }
    Ok(subject.to_owned())
}

/// Asks, where somebody is there to answer.
fn confirm(input_is_taken: bool) -> Result {
    let refused =
        || Failure::input("erasing cannot be undone, and nobody is there to ask", "add --yes if it is meant");
    if input_is_taken || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused());
    }
    let _ = write!(
        anstream::stderr(),
        "Destroy the keys of this subject? It cannot be undone. Type `erase` to go on: "
    );
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|_| refused())?;
    if answer.trim() == "erase" {
        Ok(())
    } else {
        Err(Failure::input("not confirmed: nothing was erased", "run the command again to go on"))
    }
}

/// What a certificate is worth.
const MEANS: &str = "\
The keys of this subject were destroyed, and its neighbours' wrapped anew. That no copy of a
key is left elsewhere, such as in a backup of the key folder, is a statement of who runs the
trail; it cannot be proved.
";

fn tell(options: &Options, certificate: &Certificate) -> Result {
    let mut out = options.terminal().out();
    if options.json {
        out.json(&json!(certificate))?;
        return out.flush();
    }
    out.line("Certificate of erasure")?;
    out.line("")?;
    for (name, value) in [
        ("trail", certificate.trail.clone()),
        ("subject", format!("number {}", certificate.subject)),
        ("at", certificate.at.clone()),
        ("ground", minutebook_present::page::printable(&certificate.ground).into_owned()),
        ("by", minutebook_present::page::printable(&certificate.by).into_owned()),
        (
            "key copies",
            match certificate.key_copies_until.as_deref() {
                None => "none that was noted".to_owned(),
                Some("never") => {
                    "one from before has no end: with it, and a backup from before, it can still be read"
                        .to_owned()
                }
                Some(until) => format!("the last one from before expires {until}"),
            },
        ),
        ("recorded", format!("in the log of {} entries", certificate.log_size)),
    ] {
        out.line(&format!("{name:<10} {value}"))?;
    }
    out.line("")?;
    out.text(MEANS)?;
    out.flush()
}
