//! Sealing beside a command that hands records over: every few seconds, when asked, and at the end. Edge:
//! when, not how; that is the engine's.

use minutebook_trail::{Engine, Error, SealReport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits::SEAL_PERIOD;

/// An engine at work in the background.
pub(crate) struct Sealer {
    ask: mpsc::Sender<oneshot::Sender<Result<SealReport, Error>>>,
    task: JoinHandle<Result<SealReport, Error>>,
}

/// The answer to a request to seal.
pub(crate) type Sealed = oneshot::Receiver<Result<SealReport, Error>>;

impl Sealer {
    /// Lets `engine` work. On the runtime that this is called on.
    pub(crate) fn start(engine: Engine) -> Self {
        let (ask, asked) = mpsc::channel(1);
        Self { ask, task: tokio::spawn(work(engine, asked)) }
    }

    /// Asks for everything that was handed over up to now to be sealed. The answer ends without one when the
    /// engine is gone.
    pub(crate) async fn ask(&self) -> Sealed {
        let (reply, answer) = oneshot::channel();
        // When the engine is gone, so is the reply, and the answer ends.
        let _ = self.ask.send(reply).await;
        answer
    }

    /// Seals what is left and closes the engine. Gives all that was sealed.
    pub(crate) async fn stop(self) -> Result<SealReport, Error> {
        drop(self.ask);
        self.task.await.unwrap_or_else(|error| Err(Error::Stopped(error.to_string())))
    }
}

async fn work(
    mut engine: Engine,
    mut asked: mpsc::Receiver<oneshot::Sender<Result<SealReport, Error>>>,
) -> Result<SealReport, Error> {
    let mut total = SealReport::default();
    let mut ticks = interval(SEAL_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, when there is nothing to seal yet.
    ticks.tick().await;
    let mut failed = None;
    loop {
        let reply = tokio::select! {
            reply = asked.recv() => match reply {
                Some(reply) => Some(reply),
                None => break,
            },
            _ = ticks.tick(), if failed.is_none() => None,
        };
        let sealed = engine.seal().await;
        match (&sealed, &failed) {
            (Ok(report), _) => add(&mut total, report),
            (Err(error), None) => {
                tracing::error!("sealing failed: {error}; what is handed over waits in the spool")
            }
            (Err(_), Some(())) => {}
        }
        if sealed.is_err() {
            failed = Some(());
        }
        if let Some(reply) = reply {
            // Whoever asked may have gone.
            let _ = reply.send(sealed);
        }
    }
    add(&mut total, &engine.seal().await?);
    engine.close().await;
    Ok(total)
}

pub(crate) fn add(total: &mut SealReport, report: &SealReport) {
    total.records += report.records;
    total.segments += report.segments;
    total.bytes += report.bytes;
}
