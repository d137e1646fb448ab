//! Handing drafts over to the trail and acknowledging them: what `record` and `import` do with a record once
//! they have read it. Edge: where records come from is not known here.

use minutebook_capture::{CaptureError, IntakePublicKey, Level, ProducerOptions};
use minutebook_record::RecordId;
use minutebook_server::{Answer, EngineClient, HandOver, Sealer};
use minutebook_trail::{Engine, Environment, Error as TrailError, Place, Reader};
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::limits::{FULL_RETRY, LOOK_PERIOD, SEAL_AFTER_BYTES, SEAL_PERIOD, SEAL_WAIT_BYTES};
use crate::terminal::{Out, Terminal};
use minutebook_present::json::Draft;
use minutebook_present::page;

/// When a record is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Acknowledge {
    /// When it survives the death of this process.
    Process,
    /// When it is on disk.
    Disk,
    /// When it is in a published checkpoint.
    Sealed,
}

/// How records are handed over.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IntakeOptions {
    /// Name of the producer: a service, never a person.
    #[arg(long, value_name = "NAME", default_value = "command-line")]
    producer: String,
    /// When a record's id is printed: once it survives the death of this process, is on disk, or is sealed.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "disk")]
    ack: Acknowledge,
    /// Leave sealing to another engine. Needs no keys.
    #[arg(long)]
    no_seal: bool,
}

/// An open way into a trail.
pub(crate) struct Intake {
    handover: HandOver,
    level: Acknowledge,
    sealing: Sealing,
    /// Records that are handed over and not acknowledged yet: where they stood in the input, and their ids.
    waiting: Vec<(u64, RecordId)>,
    unsealed_bytes: u64,
    /// Sealing that was asked for, and the bytes that it will have sealed.
    asked: Option<(Answer, u64)>,
    /// Records handed over.
    pub(crate) records: u64,
    terminal: Terminal,
    /// How an acknowledgement is printed: the name of a place in the input when it is to be JSON.
    json: Option<&'static str>,
}

enum Sealing {
    /// By us.
    Ours(Sealer),
    /// By the engine process of the trail, which is asked.
    Process(EngineClient),
    /// By another engine; its progress is read from the trail.
    Theirs(Option<Box<Reader>>),
    /// By nobody now.
    Later,
}

impl Intake {
    /// Opens the trail, and its engine unless another one has it.
    pub(crate) async fn open(
        place: &Place,
        options: &IntakeOptions,
        terminal: Terminal,
        json: Option<&'static str>,
    ) -> Result<Self> {
        if options.no_seal && options.ack == Acknowledge::Sealed {
            let what = "with --no-seal nothing is sealed here, so --ack sealed would wait for ever";
            return Err(Failure::input(what, "leave one of the two out"));
        }
        let file = place.trail_file()?;
        let sealing =
            if options.no_seal { Sealing::Later } else { open_engine(place, options, &terminal).await? };
        let intake = IntakePublicKey::from_bytes(file.intake_key);
        let handover =
            HandOver::open(ProducerOptions::new(place.spool(), file.id, intake, &options.producer))?;
        Ok(Self {
            handover,
            level: options.ack,
            sealing,
            waiting: Vec::new(),
            unsealed_bytes: 0,
            asked: None,
            records: 0,
            terminal,
            json,
        })
    }

    /// Hands a draft over; `at` is where it stood in the input. While the spool is full it waits for room.
    ///
    /// # Errors
    ///
    /// What is wrong with this record ([`minutebook_capture::Advice::Fix`]), or with the spool as a whole.
    pub(crate) async fn hand_over(
        &mut self,
        at: u64,
        draft: &Draft,
    ) -> std::result::Result<(), CaptureError> {
        let mut told = false;
        let id = loop {
            match self.handover.hand_over(draft) {
                Err(CaptureError::Full { .. }) => {
                    if !std::mem::replace(&mut told, true) {
                        self.terminal
                            .complain("the spool is full: waiting for room, or for an engine that seals");
                    }
                    self.make_room().await;
                }
                other => break other?,
            }
        };
        self.records += 1;
        self.waiting.push((at, id));
        self.unsealed_bytes += draft.bytes() as u64;
        self.pace().await;
        Ok(())
    }

    /// Records that wait to be acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether acknowledging means to seal, so that it is better done for many at once.
    pub(crate) fn seals_to_acknowledge(&self) -> bool {
        self.level == Acknowledge::Sealed
    }

    /// Has sealing begin when much waits, and waits for it when too much does.
    async fn pace(&mut self) {
        let Sealing::Ours(sealer) = &self.sealing else { return };
        if self.asked.is_none() && self.unsealed_bytes >= SEAL_AFTER_BYTES {
            self.asked = Some((sealer.ask().await, self.unsealed_bytes));
        }
        if let Some((answer, bytes)) = &mut self.asked {
            let done = if self.unsealed_bytes >= SEAL_WAIT_BYTES {
                let _ = answer.await;
                true
            } else {
                !matches!(answer.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Empty))
            };
            if done {
                self.unsealed_bytes -= *bytes;
                self.asked = None;
            }
        }
    }

    async fn make_room(&mut self) {
        match &self.sealing {
            Sealing::Ours(sealer) if matches!(sealer.ask().await.await, Ok(Ok(_))) => {
                self.unsealed_bytes = 0;
                self.asked = None;
            }
            Sealing::Process(engine) if engine.seal().await.is_ok() => {}
            _ => tokio::time::sleep(FULL_RETRY).await,
        }
    }

    /// Brings what was handed over to the level asked for, then prints the ids, in the order of the input.
    pub(crate) async fn acknowledge(&mut self, out: &mut Out) -> Result {
        let Some((_, last)) = self.waiting.last() else { return Ok(()) };
        match self.level {
            Acknowledge::Process => self.handover.flush(Level::Process)?,
            Acknowledge::Disk => self.handover.flush(Level::Disk)?,
            Acknowledge::Sealed => {
                let last = *last;
                self.wait_until_sealed(&last).await?;
            }
        }
        for (at, id) in self.waiting.drain(..) {
            match self.json {
                Some(place) => out.json(&json!({ place: at, "id": id.to_string() }))?,
                None => out.line(&id.to_string())?,
            }
        }
        out.flush()
    }

    async fn wait_until_sealed(&mut self, last: &RecordId) -> Result {
        match &mut self.sealing {
            Sealing::Ours(sealer) => {
                match sealer.ask().await.await {
                    Ok(sealed) => sealed.map_err(|error| Failure::from(&*error))?,
                    Err(_) => return Err(TrailError::Stopped("it ended".into()).into()),
                };
                self.unsealed_bytes = 0;
                self.asked = None;
                Ok(())
            }
            Sealing::Process(engine) => Ok(engine.seal().await.map(drop)?),
            Sealing::Theirs(Some(reader)) => {
                // Numbers of one class are sealed in their order, ids of one process ascend: the last one is
                // sealed last.
                loop {
                    match reader.get(last).await {
                        Ok(_) => return Ok(()),
                        Err(TrailError::NoRecord { .. }) => tokio::time::sleep(LOOK_PERIOD).await,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            // Refused when it was opened.
            Sealing::Theirs(None) | Sealing::Later => Ok(()),
        }
    }

    /// Closes the producer and, when the engine is ours, seals all that is there. Says what was done.
    pub(crate) async fn close(self) -> Result {
        let closed = self.handover.close();
        let records = page::count(self.records);
        let sealed = match self.sealing {
            Sealing::Ours(sealer) => {
                Some(sealer.stop().await.map(|sealed| sealed.segments).map_err(Failure::from))
            }
            Sealing::Process(engine) => {
                Some(engine.seal().await.map(|sealed| sealed.segments).map_err(Failure::from))
            }
            Sealing::Theirs(_) | Sealing::Later => None,
        };
        closed?;
        match sealed {
            Some(Ok(segments)) => {
                let segments = page::count(segments);
                self.terminal.say(&format!("{records} recorded and sealed, in {segments} segments"));
                Ok(())
            }
            Some(Err(failure)) => {
                let Failure::Told { exit, what, .. } = failure else { return Err(failure) };
                let to_do =
                    format!("{records} records are in the spool, on disk; `minutebook seal` seals them");
                Err(Failure::Told { exit, what, to_do: Some(to_do) })
            }
            None => {
                self.terminal
                    .say(&format!("{records} recorded; they wait in the spool for the engine that seals"));
                Ok(())
            }
        }
    }
}

async fn open_engine(place: &Place, options: &IntakeOptions, terminal: &Terminal) -> Result<Sealing> {
    match Engine::open(place, Environment::default()).await {
        Ok(engine) => {
            Ok(Sealing::Ours(Sealer::start(place.clone(), Environment::default(), engine, SEAL_PERIOD)))
        }
        Err(TrailError::Locked { holder, .. }) => {
            if let Some(engine) = EngineClient::find(&place.folder).await {
                return Ok(Sealing::Process(engine));
            }
            terminal.say(&format!(
                "another engine works on this trail ({holder}) and will seal what is recorded here"
            ));
            let reader = match options.ack {
                Acknowledge::Sealed => Some(Box::new(Reader::open(place).await?)),
                Acknowledge::Process | Acknowledge::Disk => None,
            };
            Ok(Sealing::Theirs(reader))
        }
        Err(error @ TrailError::KeysMissing { .. }) => {
            let Failure::Told { what, to_do, .. } = Failure::from(error) else { return Ok(Sealing::Later) };
            let to_do =
                format!("{}; or leave sealing to who has them, with --no-seal", to_do.unwrap_or_default());
            Err(Failure::Told { exit: Exit::Trail, what, to_do: Some(to_do) })
        }
        Err(error) => Err(error.into()),
    }
}
