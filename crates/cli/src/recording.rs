//! Recording drafts one after the other: each is handed over or told as wrong, groups are acknowledged, and
//! the end is orderly whatever happened. Edge: what `record` and `import` share; where drafts come from is
//! theirs.

use minutebook_capture::Advice;

use crate::failure::{Exit, Failure, Result};
use crate::intake::{Intake, IntakeOptions};
use crate::interrupt::Interrupt;
use crate::limits::GROUP_RECORDS_MAX;
use crate::options::Options;
use crate::terminal::{Out, Terminal};
use minutebook_present::json::{Draft, Problem};
use minutebook_present::page;

/// A run of recording.
pub(crate) struct Recording {
    intake: Intake,
    out: Out,
    terminal: Terminal,
    /// What a place in the input is called: `line`, `row`.
    place: &'static str,
    refused: u64,
    strict: bool,
}

impl Recording {
    /// Opens the trail.
    pub(crate) async fn open(
        options: &Options,
        intake: &IntakeOptions,
        place: &'static str,
        strict: bool,
    ) -> Result<Self> {
        let terminal = options.terminal();
        let json = options.json.then_some(place);
        let intake = Intake::open(&options.place(), intake, terminal.clone(), json).await?;
        Ok(Self { intake, out: terminal.out(), terminal, place, refused: 0, strict })
    }

    /// Hands a draft over, or tells what is wrong with it.
    ///
    /// # Errors
    ///
    /// What ends the run: the spool failed, nobody reads, or with `strict` anything that is wrong.
    pub(crate) async fn take(&mut self, at: u64, draft: std::result::Result<Draft, Problem>) -> Result {
        let draft = match draft {
            Ok(draft) => draft,
            Err(problem) => return self.refuse(at, &problem),
        };
        match self.intake.hand_over(at, &draft).await {
            Ok(()) => {}
            Err(error) if error.advice() == Advice::Fix => {
                return self.refuse(at, &Problem::new(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        if self.intake.waiting() >= GROUP_RECORDS_MAX && !self.intake.seals_to_acknowledge() {
            self.acknowledge().await?;
        }
        Ok(())
    }

    fn refuse(&mut self, at: u64, problem: &Problem) -> Result {
        let to_do = problem.to_do().map_or(String::new(), |to_do| format!("\n  {to_do}"));
        let path = problem.path();
        let path = if path.is_empty() { String::new() } else { format!(", `{path}`") };
        self.terminal.complain(&format!("error: {} {at}{path}: {}{to_do}", self.place, problem.what()));
        self.refused += 1;
        if self.strict { Err(Failure::Said(Exit::Input)) } else { Ok(()) }
    }

    /// Acknowledges all that was handed over.
    pub(crate) async fn acknowledge(&mut self) -> Result {
        self.intake.acknowledge(&mut self.out).await
    }

    /// Records that wait to be acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.intake.waiting()
    }

    /// Whether acknowledging means to seal, so that it is better done for many at once.
    pub(crate) fn seals_to_acknowledge(&self) -> bool {
        self.intake.seals_to_acknowledge()
    }

    /// Acknowledges and seals what there is, however reading ended. A second interrupt gives sealing up.
    ///
    /// # Errors
    ///
    /// What ended reading, else what went wrong here, else that something was refused.
    pub(crate) async fn finish(mut self, read: Result, interrupt: &mut Interrupt) -> Result {
        let acknowledged = match &read {
            Err(Failure::NobodyReads) => Ok(()),
            _ => self.acknowledge().await,
        };
        let closed = tokio::select! {
            closed = self.intake.close() => closed,
            () = interrupt.wait() => {
                self.terminal.complain("stopped before all was sealed; the rest is in the spool: `minutebook seal`");
                Err(Failure::Said(Exit::Io))
            }
        };
        if self.refused > 0 {
            let refused = page::count(self.refused);
            let (place, were) = if self.refused == 1 {
                (self.place.to_owned(), "was")
            } else {
                (format!("{}s", self.place), "were")
            };
            self.terminal.complain(&format!("{refused} {place} {were} wrong and not recorded"));
        }
        read.and(acknowledged).and(closed)?;
        if self.refused > 0 { Err(Failure::Said(Exit::Input)) } else { Ok(()) }
    }
}
