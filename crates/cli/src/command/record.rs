//! `minutebook record`: records lines of JSON.

use std::path::PathBuf;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::failure::{Exit, Failure, Result};
use crate::intake::IntakeOptions;
use crate::interrupt::Interrupt;
use crate::limits::{LINE_BYTES_MAX, SEAL_GATHER};
use crate::lines::{self, Batch, Line};
use crate::moment;
use crate::options::Options;
use crate::recording::Recording;
use minutebook_present::json::{Draft, DraftReader, Problem};
use minutebook_present::page;

/// Record decisions and other events, one JSON object a line.
///
/// Prints the id of each record, in the order of the input, once it has reached the level of --ack. A line
/// that is wrong is told on standard error and passed over; the program then ends with 2.
/// docs/formats/json.md says what a line may hold.
#[derive(Debug, Args)]
#[command(display_order = 2)]
pub(super) struct Record {
    /// The lines [default: standard input].
    file: Option<PathBuf>,
    #[command(flatten)]
    intake: IntakeOptions,
    /// Stop at the first line that is wrong.
    #[arg(long)]
    strict: bool,
    /// Pass over what a trail adds to the records that it prints, so that they can be recorded in another
    /// one.
    #[arg(long)]
    reimport: bool,
}

impl Record {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let lines = lines::read_ahead(self.file.as_deref())?;
        let reader = DraftReader::new(self.reimport);
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let mut recording = Recording::open(options, &self.intake, "line", self.strict).await?;
            let read = read(&mut recording, reader, lines, &mut interrupt).await;
            recording.finish(read, &mut interrupt).await
        })
    }
}

/// Records lines until they end or somebody interrupts. What was handed over is acknowledged in either case.
async fn read(
    recording: &mut Recording,
    mut reader: DraftReader,
    mut lines: mpsc::Receiver<Batch>,
    interrupt: &mut Interrupt,
) -> Result {
    let mut gathering: Option<Instant> = None;
    loop {
        let batch = match gathering {
            // Records wait to be acknowledged: for a moment more may join them.
            Some(until) => match timeout_at(until, next(&mut lines, interrupt)).await {
                Ok(batch) => batch,
                Err(_) => {
                    recording.acknowledge().await?;
                    gathering = None;
                    continue;
                }
            },
            None => next(&mut lines, interrupt).await,
        };
        let Some(batch) = batch else { break };
        let batch = batch.map_err(|error| Failure::Told {
            exit: Exit::Io,
            what: format!("cannot read the input: {error}"),
            to_do: None,
        })?;
        for line in batch {
            let (number, draft) = draft(&mut reader, line);
            if let Some(draft) = draft {
                recording.take(number, draft).await?;
            }
        }
        if recording.waiting() == 0 {
            gathering = None;
        } else if recording.seals_to_acknowledge() {
            gathering = gathering.or_else(|| Some(Instant::now() + SEAL_GATHER));
        } else if lines.is_empty() {
            recording.acknowledge().await?;
        }
    }
    Ok(())
}

/// Number and content of a line; nothing for one that is empty.
fn draft(
    reader: &mut DraftReader,
    (number, line): Line,
) -> (u64, Option<std::result::Result<Draft, Problem>>) {
    let Some(line) = line else {
        let longest = page::bytes(LINE_BYTES_MAX as u64);
        return (number, Some(Err(Problem::new(format!("longer than {longest}")))));
    };
    (number, reader.read_numbered(number, &line, moment::read_at()))
}

/// The next lines; `None` at their end, or when somebody interrupts.
async fn next(lines: &mut mpsc::Receiver<Batch>, interrupt: &mut Interrupt) -> Option<Batch> {
    tokio::select! {
        biased;
        () = interrupt.wait() => None,
        batch = lines.recv() => batch,
    }
}
