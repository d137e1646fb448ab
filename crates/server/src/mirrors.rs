//! What comes from the spools of other machines, on its way into their mirrors: one request of a producer after the other, and no more of an API
//! key than it may have waiting. Edge: what requests look like is in `api/spool.rs`; files are `minutebook-capture`'s.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use minutebook_capture::{
    GivenUp, Mirror, MirrorError, MirrorId, Mirrors, Owner, Piece, Standing, give_up, list_mirrors,
};
use minutebook_record::{Epoch, ProducerId};
use tokio::time::Instant;

use crate::limits::{MIRROR_LOCKS, SPOOL_BYTES_PER_KEY, SPOOL_EPOCHS_PER_KEY, SPOOL_LOOK_PERIOD};
use crate::problem::Problem;

/// Takes epochs of other machines.
pub(crate) struct Taking {
    mirrors: Mirrors,
    spool: PathBuf,
    /// One for some producers each: what they hold is which epochs were settled since the start.
    locks: Vec<Mutex<HashSet<(ProducerId, Epoch)>>>,
    used: Mutex<Used>,
}

/// What is waiting of each API key, as it was looked up last, with what came since.
#[derive(Default)]
struct Used {
    looked: Option<Instant>,
    by_key: HashMap<String, (u64, u64)>,
}

/// What a request is about.
pub(crate) struct About {
    pub(crate) id: MirrorId,
    pub(crate) epoch: Epoch,
    /// Name of the API key that it came with; empty over the socket.
    pub(crate) key: String,
}

impl Taking {
    pub(crate) fn new(mirrors: Mirrors, spool: PathBuf) -> Self {
        let locks = (0..MIRROR_LOCKS).map(|_| Mutex::default()).collect();
        Self { mirrors, spool, locks, used: Mutex::default() }
    }

    /// Announces an epoch, or takes its counters anew; with an owner that ended, ends it. Blocks.
    pub(crate) fn announce(
        &self,
        about: &About,
        file: &[u8],
        ended: Option<Owner>,
    ) -> Result<Standing, Problem> {
        let mut settled = self.lock(about.id.producer);
        self.room(&about.key, file.len() as u64, 1)?;
        let found = self.mirrors.announce(&about.id, about.epoch, file, &about.key).map_err(told)?;
        let Some(mirror) = found else { return Ok(Standing::sealed()) };
        let done = settle(&mut settled, about, &mirror).and_then(|()| match ended {
            Some(owner) => mirror.end(file, owner),
            None => mirror.refresh(file).and_then(|()| mirror.standing()),
        });
        finish(&mut settled, about, done)
    }

    /// How far an epoch is. Blocks.
    pub(crate) fn standing(&self, about: &About) -> Result<Standing, Problem> {
        let mut settled = self.lock(about.id.producer);
        let Some(mirror) = self.mirrors.open(&about.id, about.epoch).map_err(told)? else {
            return Ok(Standing::sealed());
        };
        let done = settle(&mut settled, about, &mirror).and_then(|()| mirror.standing());
        finish(&mut settled, about, done)
    }

    /// Takes bytes of a part. Durable on return. Blocks.
    pub(crate) fn put(&self, about: &About, piece: &Piece) -> Result<Standing, Problem> {
        let mut settled = self.lock(about.id.producer);
        self.room(&about.key, piece.bytes.len() as u64, 0)?;
        let Some(mirror) = self.mirrors.open(&about.id, about.epoch).map_err(told)? else {
            return Ok(Standing::sealed());
        };
        let done = settle(&mut settled, about, &mirror).and_then(|()| mirror.put(piece));
        finish(&mut settled, about, done)
    }

    /// Gives an epoch up whose machine is gone. Durable on return; it is to be sealed then. Blocks.
    pub(crate) fn give_up(&self, producer: ProducerId, epoch: Epoch, said: &GivenUp) -> Result<(), Problem> {
        let mut settled = self.lock(producer);
        settled.remove(&(producer, epoch));
        give_up(&self.spool, producer, epoch, said).map_err(told)
    }

    fn lock(&self, producer: ProducerId) -> MutexGuard<'_, HashSet<(ProducerId, Epoch)>> {
        let which = usize::from(producer.0[0]) % self.locks.len();
        self.locks[which].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a key may bring so much more.
    fn room(&self, key: &str, bytes: u64, epochs: u64) -> Result<(), Problem> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if used.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= SPOOL_LOOK_PERIOD) {
            used.by_key.clear();
            let found = list_mirrors(&self.spool).map_err(|error| told(error.into()))?;
            for (key, bytes, epochs) in found {
                let sum = used.by_key.entry(key).or_default();
                *sum = (sum.0 + bytes, sum.1 + epochs);
            }
            used.looked = Some(now);
        }
        let sum = used.by_key.entry(key.to_owned()).or_default();
        if sum.0 + bytes > SPOOL_BYTES_PER_KEY || (epochs > 0 && sum.1 >= SPOOL_EPOCHS_PER_KEY) {
            return Err(full("as much waits to be sealed of this API key as may"));
        }
        sum.0 += bytes;
        Ok(())
    }
}

/// The first time since the start, and again after a failure: what an epoch has is flushed before anybody is told.
fn settle(
    settled: &mut HashSet<(ProducerId, Epoch)>,
    about: &About,
    mirror: &Mirror,
) -> Result<(), MirrorError> {
    if !settled.contains(&(about.id.producer, about.epoch)) {
        mirror.settle()?;
        settled.insert((about.id.producer, about.epoch));
    }
    Ok(())
}

fn finish(
    settled: &mut HashSet<(ProducerId, Epoch)>,
    about: &About,
    done: Result<Standing, MirrorError>,
) -> Result<Standing, Problem> {
    use minutebook_capture::StandingState::Open;
    if !matches!(&done, Ok(standing) if standing.state == Open) {
        settled.remove(&(about.id.producer, about.epoch));
    }
    done.map_err(told)
}

fn full(detail: &str) -> Problem {
    let detail = format!("{detail}: it is sealed meanwhile, so try again in a moment");
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "spool-full", "No room for more", detail)
}

fn told(error: MirrorError) -> Problem {
    let detail = error.to_string();
    match error {
        MirrorError::Position(_) => {
            Problem::new(StatusCode::CONFLICT, "spool-position", "Not where the server is", detail)
        }
        MirrorError::Secret => {
            Problem::new(StatusCode::FORBIDDEN, "not-your-producer", "Not your producer", detail)
        }
        MirrorError::GivenUp(_) => {
            Problem::new(StatusCode::CONFLICT, "spool-given-up", "The epoch was given up", detail)
        }
        MirrorError::Unknown => Problem::new(StatusCode::NOT_FOUND, "no-such-epoch", "No such epoch", detail),
        MirrorError::Wrong(_) | MirrorError::Damage(_) => {
            Problem::new(StatusCode::BAD_REQUEST, "wrong-spool", "What was sent is wrong", detail)
        }
        error if error.is_full() => full("the server's disk is full"),
        _ => {
            tracing::error!("the mirror of a spool cannot be written: {detail}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "storage-failed", "Disk, store or catalog failed", detail)
        }
    }
}
