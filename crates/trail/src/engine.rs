//! The engine of a trail: the one holder of its lock, its catalog and its keys. Opens and recovers; what it does then is in `seal`, `erase`
//! and `rotate`. Edge: no HTTP, no roles; one engine at a time.

use crate::catalog::{Catalog, ClassEpochRow};
use crate::drain::{Drainer, SYSTEM};
use crate::environment::{Environment, draw};
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::lock::TrailLock;
use crate::place::{Place, signer};
use crate::publish::Publisher;
use crate::store::{FlushingFolder, Objects};
use crate::subjects::{LookupKey, Subjects};
use crate::windows::Windows;
use crate::wrap::{self, Purpose};
use minutebook_capture::IntakePrivateKey;
use minutebook_tlog::leaf_hash;
use minutebook_verify::Id;
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::{blob_name, segment_name};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Placed numbers by (producer, epoch) and class.
pub(crate) type Placed = HashMap<(Id, u64), BTreeMap<String, RangeSet>>;

/// An open trail, for writing. All calls are async and must run on a tokio runtime; CPU work goes to its blocking threads.
#[derive(Debug)]
pub struct Engine {
    pub(crate) place: Place,
    pub(crate) file: TrailFile,
    pub(crate) keys: KeyFolder,
    pub(crate) catalog: Catalog,
    pub(crate) objects: Objects,
    pub(crate) environment: Environment,
    pub(crate) publisher: Publisher,
    pub(crate) subjects: Subjects,
    pub(crate) lookup: LookupKey,
    pub(crate) drainer: Option<Drainer>,
    pub(crate) placed: Placed,
    pub(crate) class_epochs: HashMap<(String, String), (Id, Secret)>,
    pub(crate) log_size: u64,
    pub(crate) own_producer: Id,
    pub(crate) intents: Vec<Id>,
    pub(crate) windows: Windows,
    /// The next round seals all windows.
    pub(crate) all_windows: bool,
    /// Why the engine does not go on: after a failure what is in memory and what is stored may differ.
    pub(crate) stopped: Option<String>,
    lock: TrailLock,
}

impl Engine {
    /// Opens a trail for writing: takes its lock, finishes what a crash interrupted, and checks that catalog, keys and log are of one time.
    ///
    /// # Errors
    /// Each obstacle its own: [`Error::Locked`], keys missing or of another trail, a newer format, a catalog older than the log. Nothing is
    /// damaged then.
    pub async fn open(place: &Place, environment: Environment) -> Result<Self> {
        Self::open_as(place, environment, "process").await
    }

    /// The same for one who calls itself otherwise to those who find the lock taken.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_as(place: &Place, environment: Environment, holder: &str) -> Result<Self> {
        // Without the right keys nothing is touched, not even the lock.
        place.refuse_copy()?;
        read_keys(place)?;
        let lock = TrailLock::take(place, &environment, holder)?;
        Self::open_under(place, environment, &lock).await
    }

    /// Opens a trail whose lock this process has already, as when the engine that had it failed.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_under(place: &Place, environment: Environment, lock: &TrailLock) -> Result<Self> {
        place.refuse_copy()?;
        Self::open_copy(place, environment, lock).await
    }

    /// The same, also of a copy that was restored and is being promoted.
    pub(crate) async fn open_copy(place: &Place, environment: Environment, lock: &TrailLock) -> Result<Self> {
        // With the lock held: an engine that has just ended may have rotated them.
        let (file, keys) = read_keys(place)?;
        keys.settle()?;
        let signer = signer(&file.name, keys.signs_for(&file)?)?;
        let their_key = |what| Error::KeysDoNotMatch { what, folder: keys.path().to_owned() };
        let folder = FlushingFolder::new(place.folder.clone())?;
        folder.sweep().map_err(|e| Error::io("sweep temporary files in", &place.folder, e))?;
        let objects = Objects::new(Arc::new(folder));
        if !place.catalog().exists() {
            return Err(Error::CatalogMissing { path: place.catalog() });
        }
        let catalog = Catalog::open(&place.catalog()).await?;
        let missing =
            |what: &str| Error::CatalogUnusable { path: place.catalog(), what: format!("it has no {what}") };
        if catalog.meta("trail").await?.as_deref() != Some(&file.id) {
            return Err(Error::CatalogUnusable {
                path: place.catalog(),
                what: "it is another trail's".into(),
            });
        }
        let wrapped = catalog.meta("lookup_key").await?.ok_or_else(|| missing("lookup key"))?;
        let lookup_key = keys.unwrap(Purpose::Lookup, &wrapped).ok_or(their_key("key-encryption key"))?;
        let own_producer = catalog.meta("own_producer").await?.and_then(|id| Id::try_from(id).ok());
        let own_producer = own_producer.ok_or_else(|| missing("producer of its own"))?;
        let publisher = Publisher::open(&objects, &file, signer).await?;
        let subjects = Subjects::open(file.id, &catalog, keys.buckets()?).await?;
        let lookup = LookupKey::new(&lookup_key);
        let log_size = catalog.log_size().await?;
        let mut engine = Self {
            place: place.clone(),
            file,
            keys,
            catalog,
            objects,
            environment,
            publisher,
            subjects,
            lookup,
            drainer: None,
            placed: Placed::new(),
            class_epochs: HashMap::new(),
            log_size,
            own_producer,
            intents: Vec::new(),
            windows: Windows::default(),
            all_windows: false,
            stopped: None,
            lock: lock.clone(),
        };
        engine.recover().await?;
        Ok(engine)
    }

    /// Finishes what was interrupted: the steps are those of normal work.
    async fn recover(&mut self) -> Result<()> {
        if self.publisher.size() > self.log_size {
            return Err(Error::CatalogBehindLog { published: self.publisher.size(), known: self.log_size });
        }
        self.check_buckets().await?;
        for (segment, blobs) in self.catalog.intents().await? {
            self.objects.remove(&segment_name(&segment)).await?;
            for blob in blobs {
                self.objects.remove(&blob_name(&blob)).await?;
            }
        }
        self.catalog.forget_intents().await?;
        self.finish_signing_rotation().await?;
        self.publish_pending().await?;
        for row in self.catalog.class_epochs().await? {
            let key = self.keys.unwrap(Purpose::ClassEpoch(&row.id), &row.wrapped);
            let key = key.ok_or_else(|| Error::KeysDoNotMatch {
                what: "key-encryption key",
                folder: self.keys.path().to_owned(),
            })?;
            self.class_epochs.insert((row.class, row.month), (row.id, key));
        }
        self.load_windows().await?;
        self.finish_erasures().await?;
        self.finish_disposals().await?;
        self.finish_rotation().await?;
        let own = self.catalog.coverage(&self.own_producer, 1).await?;
        let own =
            own.into_iter().find(|(class, _)| class == SYSTEM).map(|(_, ranges)| ranges).unwrap_or_default();
        self.placed.entry((self.own_producer, 1)).or_default().insert(SYSTEM.into(), own.clone());
        self.drainer = Some(Drainer::new(
            self.place.spool(),
            self.file.id,
            IntakePrivateKey::from_bytes(*self.keys.intake.expose()),
            self.lookup.clone(),
            (self.own_producer, own),
        ));
        self.load_policy().await
    }

    /// Steps 5 and 6 for entries that are placed and not published.
    pub(crate) async fn publish_pending(&mut self) -> Result<()> {
        let published = self.publisher.size();
        let pending = self.catalog.pending_entries().await?;
        let mut entries = Vec::new();
        for (index, entry) in pending {
            if index >= published {
                let leaf = leaf_hash(&entry);
                entries.push((index, entry, leaf));
            }
        }
        let follows = entries.iter().zip(published..).all(|((index, ..), expected)| *index == expected);
        if !follows || published + entries.len() as u64 != self.log_size {
            return Err(Error::LogDisagrees {
                what: format!(
                    "{} entries are placed, {published} published, and those between are not all in the catalog",
                    self.log_size
                ),
            });
        }
        if !entries.is_empty() {
            self.publisher.publish(&self.objects, &entries).await?;
        }
        Ok(())
    }

    /// The class-epoch key for what is sealed now, made when the month begins.
    pub(crate) async fn class_epoch(&mut self, class: &str) -> Result<(Id, Secret)> {
        let month = self.environment.month();
        if let Some(known) = self.class_epochs.get(&(class.to_owned(), month.clone())) {
            return Ok(known.clone());
        }
        let random = self.environment.random.as_ref();
        let (id, key) = (draw(random)?, Secret::new(draw(random)?));
        let wrapping = Cipher::new(&self.keys.current().key);
        let wrapped = wrap::wrap(&wrapping, &self.file.id, Purpose::ClassEpoch(&id), &key, random)?.to_vec();
        self.catalog
            .add_class_epoch(&ClassEpochRow { id, class: class.to_owned(), month: month.clone(), wrapped })
            .await?;
        self.class_epochs.insert((class.to_owned(), month), (id, key.clone()));
        Ok((id, key))
    }

    /// What the trail is.
    pub fn trail(&self) -> &TrailFile {
        &self.file
    }

    /// Size and root of the published log.
    pub fn published(&self) -> (u64, [u8; 32]) {
        (self.publisher.size(), *self.publisher.root().as_bytes())
    }

    /// The lock, to open the trail again without giving it up in between.
    pub fn lock(&self) -> TrailLock {
        self.lock.clone()
    }

    /// Epochs that the last round left open: their producers live, or have more than a round takes.
    pub fn open_epochs(&self) -> usize {
        self.drainer.as_ref().map_or(0, Drainer::open_epochs)
    }

    /// Stops in order: closes the catalog. The lock goes with the value.
    pub async fn close(self) {
        self.catalog.close().await;
    }

    /// Refuses to go on after a failure.
    pub(crate) fn check_running(&self) -> Result<()> {
        self.stopped.as_ref().map_or(Ok(()), |why| Err(Error::Stopped(why.clone())))
    }

    /// Notes a failure, so that nothing follows it.
    pub(crate) fn stop_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.stopped = Some(error.to_string());
        }
        result
    }
}

/// What the trail is, and the keys that fit it.
fn read_keys(place: &Place) -> Result<(TrailFile, KeyFolder)> {
    let file = place.trail_file()?;
    let keys = KeyFolder::open(&place.key_folder(&file.id)?, file.id)?;
    keys.signs_for(&file)?;
    if IntakePrivateKey::from_bytes(*keys.intake.expose()).public().to_bytes() != file.intake_key {
        return Err(Error::KeysDoNotMatch { what: "intake key", folder: keys.path().to_owned() });
    }
    Ok((file, keys))
}

impl std::fmt::Debug for Drainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drainer")
    }
}

impl std::fmt::Debug for Subjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subjects")
    }
}

impl std::fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookupKey")
    }
}
