//! The keys of a trail for whoever reads it: unwrapped as they are asked for, and read again when the engine has changed them meanwhile.
//! Edge: which keys a reader may have is decided by whoever gives it the key folder.

use crate::catalog::{Catalog, SubjectRow};
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::wrap::{self, Purpose};
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Keys, Secret, SubjectKey, audit_key, content_key};
use minutebook_verify::sampling::SamplingKey;
use minutebook_verify::trailfile::TrailFile;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Subjects' keys that a reader keeps at hand.
const SUBJECT_KEYS_KEPT: usize = 100_000;

/// How often keys are read again while an engine changes them: an erasure and a rotation at the same time make two.
const TRIES: usize = 4;

/// The keys of a trail, unwrapped as they are asked for.
#[derive(Debug, Clone)]
pub struct TrailKeys {
    shared: Arc<Shared>,
    level: u8,
}

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    trail: Id,
    runtime: tokio::runtime::Handle,
    is_copy: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    folder: Arc<KeyFolder>,
    class_epochs: HashMap<Id, Secret>,
    buckets: HashMap<u16, Vec<Secret>>,
    subjects: HashMap<u64, SubjectKey>,
    /// Erasures when `subjects` was filled.
    erasures: u64,
    /// Disposals when `class_epochs` was filled.
    disposals: u64,
}

impl TrailKeys {
    /// `is_copy`: of a trail that was restored, where a key that does not open is missing and not destroyed.
    pub(crate) async fn open(
        file: &TrailFile,
        folder: KeyFolder,
        catalog: Catalog,
        is_copy: bool,
    ) -> Result<Self> {
        let (erasures, buckets) = (catalog.erasures().await?, folder.bucket_keys()?);
        let disposals = catalog.disposals().await?;
        let mut state = State {
            folder: Arc::new(folder),
            class_epochs: HashMap::new(),
            buckets,
            subjects: HashMap::new(),
            erasures,
            disposals,
        };
        state.read_class_epochs(&catalog).await?;
        let (trail, runtime) = (file.id, tokio::runtime::Handle::current());
        let shared = Shared { catalog, trail, runtime, is_copy, state: Mutex::new(state) };
        Ok(Self { shared: Arc::new(shared), level: 2 })
    }

    /// The same keys, for reading no deeper than `level`: 0 the log, 1 the leaves, 2 everything.
    #[must_use]
    pub fn up_to(&self, level: u8) -> Self {
        Self { level, ..self.clone() }
    }

    /// The key folder they come from, as it was read last.
    pub fn folder(&self) -> Arc<KeyFolder> {
        Arc::clone(&self.shared.state().folder)
    }

    /// The sampling keys, for `verify`.
    pub fn sampling(&self) -> Vec<SamplingKey> {
        self.folder().sampling.iter().map(SamplingKey::new).collect()
    }

    /// The key of a class-epoch, whatever the level. Blocks for the catalog when it is not known yet.
    pub(crate) fn class_epoch(&self, id: &Id) -> Option<Secret> {
        let Shared { catalog, runtime, .. } = &*self.shared;
        let mut state = self.shared.state();
        match runtime.block_on(catalog.disposals()) {
            Ok(disposals) if disposals == state.disposals => {}
            Ok(disposals) => {
                state.class_epochs.clear();
                state.disposals = disposals;
            }
            Err(error) => {
                tracing::warn!("whether keys were destroyed cannot be told: {error}");
                return None;
            }
        }
        if !state.class_epochs.contains_key(id) {
            // Made since: at the beginning of a month, for a new class.
            if let Err(error) = runtime.block_on(state.read_class_epochs(catalog)) {
                tracing::warn!("class-epoch keys cannot be read: {error}");
            }
        }
        state.class_epochs.get(id).cloned()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, numbers: &[u64]) -> Result<Vec<SubjectKey>> {
        let mut state = self.state();
        // Before the keys are read: what is erased behind this look is told by the next one.
        let erasures = self.runtime.block_on(self.catalog.erasures())?;
        if state.erasures != erasures || state.subjects.len() + numbers.len() > SUBJECT_KEYS_KEPT {
            state.subjects.clear();
            state.erasures = erasures;
        }
        let unknown: Vec<u64> =
            numbers.iter().filter(|number| !state.subjects.contains_key(*number)).copied().collect();
        if !unknown.is_empty() {
            let (mut found, locked) =
                self.runtime.block_on(state.read_subjects(&self.catalog, &self.trail, &unknown))?;
            for number in unknown {
                let key = match found.remove(&number) {
                    Some(key) => SubjectKey::Known(key),
                    None if self.is_copy && locked.contains(&number) => SubjectKey::Withheld,
                    None => SubjectKey::Gone,
                };
                state.subjects.insert(number, key);
            }
        }
        Ok(numbers.iter().map(|number| state.subjects[number].clone()).collect())
    }
}

impl State {
    fn read_folder(&mut self) -> Result<()> {
        self.folder = Arc::new(self.folder.reopen()?);
        self.buckets = self.folder.bucket_keys()?;
        Ok(())
    }

    async fn read_class_epochs(&mut self, catalog: &Catalog) -> Result<()> {
        for attempt in 1.. {
            let mut unknown = false;
            for row in catalog.class_epochs().await? {
                match self.folder.unwrap(Purpose::ClassEpoch(&row.id), &row.wrapped) {
                    Some(key) => drop(self.class_epochs.insert(row.id, key)),
                    None => unknown = true,
                }
            }
            if !unknown {
                break;
            }
            if attempt == TRIES {
                let folder = self.folder.path().to_owned();
                return Err(Error::KeysDoNotMatch { what: "key-encryption key", folder });
            }
            self.read_folder()?;
        }
        Ok(())
    }

    /// The keys of those of `numbers` that have one, and those whose key is there and does not open: the bucket key is not at hand, as when the
    /// key folder is an older copy.
    async fn read_subjects(
        &mut self,
        catalog: &Catalog,
        trail: &Id,
        numbers: &[u64],
    ) -> Result<(HashMap<u64, Secret>, HashSet<u64>)> {
        let (mut found, mut locked) = (HashMap::new(), HashSet::new());
        for _ in 0..TRIES {
            let rows = catalog.subjects_by_number(numbers).await?;
            found = self.open_subjects(trail, &rows);
            let rows = rows.iter().map(|row| row.number);
            locked = rows.filter(|number| !found.contains_key(number)).collect();
            if locked.is_empty() {
                break;
            }
            // A bucket that is new, or was given a new key by the erasure of a neighbour.
            self.read_folder()?;
        }
        Ok((found, locked))
    }

    fn open_subjects(&self, trail: &Id, rows: &[SubjectRow]) -> HashMap<u64, Secret> {
        let mut ciphers: HashMap<u16, Vec<Cipher>> = HashMap::new();
        let mut found = HashMap::new();
        for row in rows {
            let ciphers = ciphers.entry(row.bucket).or_insert_with(|| {
                self.buckets
                    .get(&row.bucket)
                    .map_or(Vec::new(), |keys| keys.iter().map(Cipher::new).collect())
            });
            let purpose = Purpose::Subject(&row.lookup);
            if let Some(key) =
                ciphers.iter().find_map(|cipher| wrap::unwrap(cipher, trail, purpose, &row.wrapped))
            {
                found.insert(row.number, key);
            }
        }
        found
    }
}

/// All of these block for the catalog: not to be called on a runtime's own threads.
impl Keys for TrailKeys {
    fn audit(&self, class_epoch: &Id) -> Option<Secret> {
        (self.level >= 1).then(|| self.class_epoch(class_epoch).as_ref().map(audit_key)).flatten()
    }

    fn content(&self, class_epoch: &Id) -> Option<Secret> {
        (self.level >= 2).then(|| self.class_epoch(class_epoch).as_ref().map(content_key)).flatten()
    }

    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        if self.level < 2 || numbers.is_empty() {
            return vec![SubjectKey::Withheld; numbers.len()];
        }
        self.shared.find(numbers).unwrap_or_else(|error| {
            tracing::warn!("subjects' keys cannot be read: {error}");
            vec![SubjectKey::Withheld; numbers.len()]
        })
    }
}
