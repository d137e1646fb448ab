//! The index of a trail (`docs/formats/index.md`): what queries see, and the one that writes it. Edge: derived from evidence, and made anew
//! from it; never
//! evidence itself.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::execution::runtime_env::RuntimeEnv;
use minutebook_capture::{Clock, Random, SystemClock, SystemRandom};
use minutebook_trail::{IndexKeys, Place, Reader};
use minutebook_verify::Id;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::file::Footers;
use crate::indexer::Indexer;
use crate::state::State;
use crate::threads::Threads;

/// The folder of a trail that has its index.
pub const INDEX_FOLDER: &str = "index";

/// What the writer and the queries share.
pub(crate) struct Shared {
    pub folder: PathBuf,
    pub trail: Id,
    pub reader: Arc<Reader>,
    pub keys: IndexKeys,
    pub random: Arc<dyn Random>,
    pub clock: Arc<dyn Clock>,
    pub footers: Arc<Footers>,
    pub threads: Threads,
    pub runtime: Arc<RuntimeEnv>,
    pub read_only: bool,
    state: RwLock<Arc<State>>,
}

impl Shared {
    /// What there is now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }
}

/// An index to ask. Cheap to clone; every query sees one state of it from beginning to end.
#[derive(Clone)]
pub struct Index {
    pub(crate) shared: Arc<Shared>,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Entries of the log that are in the index.
    pub indexed: u64,
    /// Of these, entries that are in files: the others are read again after a restart.
    pub stored: u64,
    /// Entries of the log that are placed.
    pub log_size: u64,
    /// Rows in files and in memory.
    pub rows: u64,
    /// Rows in memory.
    pub rows_in_memory: u64,
    /// Bytes in memory.
    pub bytes_in_memory: u64,
    /// Bytes of files.
    pub bytes_in_files: u64,
    /// Files.
    pub files: u64,
    /// Tables: two, and one for each model.
    pub tables: u64,
}

/// How an index is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Makes files when no other process does; otherwise as [`Mode::Read`].
    Write,
    /// Changes nothing: what is not in files yet is kept in memory.
    Read,
}

impl Index {
    /// Opens the index of a trail as it is stored, and gives the one who brings it up to date. Blocks on files.
    ///
    /// # Errors
    /// When the index's folder cannot be read or made.
    pub fn open(place: &Place, reader: Arc<Reader>, mode: Mode) -> Result<(Self, Indexer)> {
        let folder = place.folder.join(INDEX_FOLDER);
        let shared = Shared {
            folder,
            trail: reader.trail().id,
            keys: reader.keys().folder().index_keys(),
            reader,
            random: Arc::new(SystemRandom),
            clock: Arc::new(SystemClock),
            footers: Arc::default(),
            threads: Threads::start().map_err(|error| Error::Query(error.to_string()))?,
            runtime: crate::ask::runtime()?,
            read_only: mode == Mode::Read,
            state: RwLock::default(),
        };
        let shared = Arc::new(shared);
        let indexer = Indexer::open(Arc::clone(&shared), mode == Mode::Write)?;
        Ok((Self { shared }, indexer))
    }

    /// How far it is.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn position(&self) -> Result<Position> {
        let state = self.shared.state();
        let files = state.tables.values().flat_map(|table| &table.files);
        Ok(Position {
            indexed: state.position,
            stored: state.stored,
            log_size: self.shared.reader.log_size().await?,
            rows: state.tables.values().map(|table| table.rows()).sum(),
            rows_in_memory: state.tail_rows() as u64,
            bytes_in_memory: state.tail_bytes() as u64,
            bytes_in_files: files.clone().map(|file| file.entry.bytes).sum(),
            files: files.count() as u64,
            tables: state.tables.len() as u64,
        })
    }

    /// Now, ms since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.clock.wall_ns().div_euclid(1_000_000)
    }

    /// A random id (UUID version 4, RFC 9562).
    pub(crate) fn fresh_uuid(&self) -> String {
        let mut bytes = [0; 16];
        // INVARIANT: names of exported files need not be secret, only different; without randomness nothing else works either.
        let _ = self.shared.random.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = minutebook_verify::hex(&bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Runs something on the threads of this index, which let others go first.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.shared.threads.spawn(work)
    }

    /// The trail that it is of.
    pub fn reader(&self) -> &Arc<Reader> {
        &self.shared.reader
    }
}
