//! Ctrl-C and the request to end, as something to wait for: the work at hand is finished first.

use std::task::{Context, Waker};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure, Result};

/// Interrupts of this process from now on.
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Begins to listen: from now on an interrupt does not end the process by itself.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::Told {
                exit: Exit::Io,
                what: format!("cannot listen for interrupts: {error}"),
                to_do: None,
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Whether one came meanwhile, without waiting.
    pub(crate) fn came(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.interrupt.poll_recv(&mut context).is_ready() || self.terminate.poll_recv(&mut context).is_ready()
    }

    /// Waits for the next one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
