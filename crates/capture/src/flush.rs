//! Flushing to disk, shared by all threads that wait for it: one round serves everybody who asked before it began.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::CaptureError;
use crate::run::Run;
use crate::sys;

/// How safe what was handed over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// It survives the death of the process: so does everything that was handed over.
    Process,
    /// It is on disk.
    Disk,
}

#[derive(Default)]
pub(crate) struct FlushGroup {
    rounds: Mutex<Rounds>,
    done: Condvar,
}

/// Rounds are numbered from 1.
#[derive(Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    running: bool,
}

impl FlushGroup {
    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Blocks until everything handed over before the call is on disk.
    pub(crate) fn flush_all(&self) -> Result<(), CaptureError> {
        let mut rounds = self.flush.rounds();
        // A round that runs already may have missed what this caller handed over.
        let needed = rounds.begun + 1;
        loop {
            if self.is_poisoned() {
                return Err(CaptureError::Poisoned);
            }
            if rounds.ended >= needed {
                return Ok(());
            }
            if rounds.running {
                rounds = self.flush.done.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.running = true;
            rounds.begun += 1;
            let round = rounds.begun;
            drop(rounds);
            let flushed = self.flush_round();
            rounds = self.flush.rounds();
            rounds.running = false;
            match flushed {
                Ok(()) => rounds.ended = round,
                // What reached the disk is unknown, and the kernel reports it once only.
                Err(_) => self.poison(),
            }
            self.flush.done.notify_all();
            flushed?;
        }
    }

    fn flush_round(&self) -> Result<(), CaptureError> {
        let io = CaptureError::io;
        let storage = &*self.settings.storage;
        let (full, current, folder_changed) = {
            let mut rotation = self.rotation();
            let folder_changed = std::mem::take(&mut rotation.folder_changed);
            (rotation.unflushed.clone(), self.current.load_full(), folder_changed)
        };
        let mut complete = Vec::new();
        for part in &full {
            // Before the flush: what is published after may not be in it.
            if part.is_complete() {
                complete.push(Arc::clone(part));
            }
            storage.flush(part.file()).map_err(io("flushing a part"))?;
        }
        storage.flush(current.file()).map_err(io("flushing a part"))?;
        if folder_changed {
            sys::sync_folder(self.folder()).map_err(io("flushing the producer's folder"))?;
        }
        storage.flush(self.epoch.file()).map_err(io("flushing the epoch file"))?;
        self.rotation().unflushed.retain(|part| !complete.iter().any(|other| Arc::ptr_eq(part, other)));
        current.prefault_again();
        Ok(())
    }
}
