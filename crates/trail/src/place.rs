//! Where a trail and its keys lie, and making a new one. Edge: what goes on in a trail that is there is the engine's business.

use crate::catalog::{CATALOG_FILE, Catalog, TRAIL_DIGEST};
use crate::durable;
use crate::environment::{Environment, draw};
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::lock::TrailLock;
use crate::publish::Publisher;
use crate::store::{FlushingFolder, Objects};
use crate::wrap::{self, Purpose};
use minutebook_capture::IntakePrivateKey;
use minutebook_tlog::{KeyName, Signer, leaf_hash};
use minutebook_verify::descriptor::Entry;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::restored::{RESTORED_FILE, Restored};
use minutebook_verify::trailfile::{TRAIL_FILE, TrailFile};
use minutebook_verify::{Id, hex, unhex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// In a trail's folder: where the engine listens, while one runs by itself.
pub const ENGINE_SOCKET: &str = "engine.sock";

/// A trail's folder and, unless it is the default one, its key folder.
#[derive(Debug, Clone)]
pub struct Place {
    /// The trail.
    pub folder: PathBuf,
    /// Its keys; by default in the user's own data folder.
    pub keys: Option<PathBuf>,
}

impl Place {
    /// A trail with its keys in the default place.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), keys: None }
    }

    /// The same with its keys in `keys`.
    #[must_use]
    pub fn with_keys(self, keys: impl Into<PathBuf>) -> Self {
        Self { keys: Some(keys.into()), ..self }
    }

    /// Reads `trail.toml`.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn trail_file(&self) -> Result<TrailFile> {
        let path = self.folder.join(TRAIL_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoTrail { folder: self.folder.clone() });
            }
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        TrailFile::parse(&bytes).map_err(|source| Error::TrailFile { path, source })
    }

    /// What the folder says of having been restored from a backup; none when it is no copy, or was promoted.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    pub fn restored(&self) -> Result<Option<Restored>> {
        let path = self.folder.join(RESTORED_FILE);
        let wrong = |what: String| Error::Backup {
            place: path.display().to_string(),
            what: format!("does not say what was restored here ({what}): restore the copy anew"),
        };
        match std::fs::read(&path) {
            Ok(bytes) => Restored::parse(&bytes).map(Some).map_err(wrong),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Refuses a copy that is for reading.
    pub(crate) fn refuse_copy(&self) -> Result<()> {
        match self.restored()? {
            Some(_) => Err(Error::NotPromoted { folder: self.folder.clone() }),
            None => Ok(()),
        }
    }

    /// Replaces `restored.toml`. Durable on return.
    pub(crate) fn write_restored(&self, restored: &Restored) -> Result<()> {
        let target = self.folder.join(RESTORED_FILE);
        let text = restored.render();
        durable::replace(&self.folder.join(crate::store::STAGING), "restored", &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write", &target, e))
    }

    /// Replaces `trail.toml`. Durable on return.
    pub(crate) fn write_trail_file(&self, file: &TrailFile) -> Result<()> {
        let target = self.folder.join(TRAIL_FILE);
        durable::replace(
            &self.folder.join(crate::store::STAGING),
            "trail",
            &target,
            &[file.render().as_bytes()],
        )
        .map_err(|e| Error::io("write", &target, e))
    }

    /// The key folder of a trail.
    ///
    /// # Errors
    /// When none is given and the user has no data folder.
    pub fn key_folder(&self, trail: &Id) -> Result<PathBuf> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        match data {
            Some(data) => Ok(data.join("minutebook/keys").join(hex(trail))),
            None => Err(Error::Request(
                "there is no user folder to keep keys in (HOME is not set): name one with --keys or MINUTEBOOK_KEYS".into(),
            )),
        }
    }

    /// The spool that producers write to.
    pub fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.folder.join(CATALOG_FILE)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }
}

/// What a new trail is to be.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// Origin of the log: a URL without scheme that is the trail's name for the world. By default one made of its id.
    pub name: Option<String>,
}

/// The signer of checkpoints, under the log's origin.
pub(crate) fn signer(name: &str, seed: &Secret) -> Result<Signer> {
    let name =
        KeyName::new(name).map_err(|error| Error::Request(format!("the trail's name `{name}`: {error}")))?;
    Signer::from_seed(name, Zeroizing::new(*seed.expose())).map_err(|error| Error::Request(error.to_string()))
}

/// Makes a trail: folder, keys, catalog, and a log with the entry that says what it is. Durable on return; an attempt that was interrupted is
/// taken up again by calling again.
///
/// # Errors
/// When the folder holds something else, or cannot be written. Nothing that was there is touched.
pub async fn init(place: &Place, options: &InitOptions, environment: &Environment) -> Result<TrailFile> {
    let exists = || {
        // Whoever is told so relies on it, and the attempt that made it may have died, or failed, before this.
        match durable::sync_folder(&place.folder) {
            Ok(()) => Error::TrailExists { folder: place.folder.clone() },
            Err(error) => Error::io("flush the folder", &place.folder, error),
        }
    };
    if place.folder.join(TRAIL_FILE).exists() {
        return Err(exists());
    }
    refuse_foreign(&place.folder)?;
    let random = environment.random.as_ref();
    if let Some(name) = &options.name {
        if name.contains(['"', '\\', '\n']) || name.contains("://") {
            return Err(Error::Request(format!(
                "the name `{name}` is not a URL without its scheme, such as `trail.example/credit`"
            )));
        }
        signer(name, &Secret::new([0; 32]))?;
    }
    let folder_made = |e| Error::io("make the folder", &place.folder, e);
    durable::make_folder(&place.folder).map_err(folder_made)?;
    let _lock = TrailLock::take(place, environment, "process")?;
    if place.folder.join(TRAIL_FILE).exists() {
        return Err(exists());
    }
    let staging = place.folder.join(crate::store::STAGING);
    durable::make_folder(&staging).map_err(folder_made)?;
    let begun = begun(place)?;
    let id: Id = match begun {
        Some(id) => id,
        None => begin(place, draw(random)?)?,
    };
    for below in ["spool", "segments", "blobs", "log"] {
        durable::make_folder(&place.folder.join(below)).map_err(folder_made)?;
    }
    let name = options.name.clone().unwrap_or_else(|| format!("minutebook.invalid/{}", hex(&id)));
    let key_folder = place.key_folder(&id)?;
    let keys = match KeyFolder::open(&key_folder, id) {
        // Those of the attempt that is taken up again.
        Ok(keys) if begun.is_some() => {
            keys.settle()?;
            keys
        }
        _ => KeyFolder::create(&key_folder, id, random)?,
    };
    let file = TrailFile {
        id,
        created: environment.rfc3339(),
        log_key: signer(&name, &keys.signing)?.verifier_key().to_string(),
        acknowledgement_key: signer(&format!("{name}/acknowledgement"), &keys.acknowledgement)?
            .verifier_key()
            .to_string(),
        intake_key: IntakePrivateKey::from_bytes(*keys.intake.expose()).public().to_bytes(),
        name,
        succession: Vec::new(),
    };
    let text = file.render();
    let catalog = Catalog::open(&place.catalog()).await?;
    let lookup = Secret::new(draw(random)?);
    let wrapping = Cipher::new(&keys.current().key);
    catalog.set_meta("format", b"1").await?;
    catalog.set_meta("trail", &id).await?;
    catalog.set_meta("lookup_key", &wrap::wrap(&wrapping, &id, Purpose::Lookup, &lookup, random)?).await?;
    catalog.set_meta("own_producer", &draw::<16>(random)?).await?;
    catalog.set_meta("log_size", &1u64.to_be_bytes()).await?;
    let digest = minutebook_sha256::digest(text.as_bytes());
    catalog.set_meta(TRAIL_DIGEST, &digest).await?;
    let entry = Entry::Trail { id, digest }.encode();
    let objects = Objects::new(Arc::new(FlushingFolder::new(place.folder.clone())?));
    let mut publisher = Publisher::empty(signer(&file.name, &keys.signing)?);
    publisher.publish(&objects, &[(0, entry.clone(), leaf_hash(&entry))]).await?;
    catalog.close().await;
    // Last, so that a trail is there whole or not at all.
    place.write_trail_file(&file)?;
    // The trail is there; what is left of its making, the engine sweeps.
    let _ = durable::remove(&staging.join(BEGUN));
    Ok(file)
}

/// In the folder for files that are being written: the id of a trail that is being made.
const BEGUN: &str = "init";

/// The same while it is being written itself.
const BEGUN_TEMPORARY: &str = "init.new";

/// What `init` makes in the folder beside `trail.toml`.
const MADE: [&str; 10] = [
    "spool",
    "segments",
    "blobs",
    "log",
    "tmp",
    "lock",
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
];

/// The entries of a folder, none when it is not there.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>> {
    let failed = |e| Error::io("read the folder", folder, e);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed)).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Refuses a folder with anything that an interrupted `init` does not leave. Before an attempt has left its mark it leaves empty folders only.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let staging = folder.join(crate::store::STAGING);
    let begun = staging.join(BEGUN).is_file();
    for name in names(folder)? {
        let path = folder.join(&name);
        let ours = MADE.iter().any(|made| name == *made);
        let bare = name == "lock" || path == staging || (path.is_dir() && names(&path)?.is_empty());
        if !ours || !(begun || bare) {
            return Err(Error::FolderInUse { folder: folder.to_owned() });
        }
    }
    if !begun && names(&staging)?.iter().any(|name| name != BEGUN_TEMPORARY) {
        return Err(Error::FolderInUse { folder: folder.to_owned() });
    }
    Ok(())
}

/// The id of the trail whose making was interrupted here. All of it but its keys is removed, to be made anew.
fn begun(place: &Place) -> Result<Option<Id>> {
    let staging = place.folder.join(crate::store::STAGING);
    let text = match std::fs::read_to_string(staging.join(BEGUN)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &staging.join(BEGUN), error)),
    };
    let failed = |e| Error::io("remove what an interrupted init left", &place.folder, e);
    for name in MADE.iter().filter(|name| name.starts_with(CATALOG_FILE)) {
        durable::remove(&place.folder.join(name)).map_err(failed)?;
    }
    for name in names(&staging)?.iter().filter(|name| *name != BEGUN) {
        durable::remove(&staging.join(name)).map_err(failed)?;
    }
    // An entry that was published says when that attempt was, and is not the one that will be published now.
    let log = place.folder.join("log");
    if log.is_dir() {
        std::fs::remove_dir_all(&log).and_then(|()| durable::sync_folder(&place.folder)).map_err(failed)?;
    }
    Ok(unhex(text.trim()))
}

/// Leaves the mark that a trail is being made here. Durable on return.
fn begin(place: &Place, id: Id) -> Result<Id> {
    let staging = place.folder.join(crate::store::STAGING);
    let mark = staging.join(BEGUN);
    durable::replace(&staging, BEGUN_TEMPORARY, &mark, &[hex(&id).as_bytes()])
        .map_err(|e| Error::io("write", &mark, e))?;
    Ok(id)
}
