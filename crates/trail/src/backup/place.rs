//! Where a backup lies: a folder, or whatever an address leads to that `object_store` was built for. Edge: finds and checks the place; what is
//! put there is for the others.

use crate::durable::{self, Lock};
use crate::error::{Error, Result};
use crate::store::{FlushingFolder, Objects, STAGING};
use bytes::Bytes;
use minutebook_verify::{Id, hex};
use object_store::prefix::PrefixStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// Names the trail whose backup a place has.
const LABEL: &str = "backup.toml";

const FORMAT: &str = "minutebook/backup/1";

/// A place for the backup of one trail.
#[derive(Debug, Clone)]
pub struct BackupPlace {
    name: String,
    folder: Option<FlushingFolder>,
    pub(crate) objects: Objects,
}

impl BackupPlace {
    /// A folder, made when it is not there, or an address such as `s3://…`.
    ///
    /// # Errors
    /// When the folder cannot be made, or this program was built without what the address asks for.
    pub fn open(name: &str) -> Result<Self> {
        // An address of a folder is that folder: only our own writer flushes.
        if let Some(folder) = folder_of(name) {
            return Self::open(&folder);
        }
        if !name.contains("://") {
            let folder = Path::new(name);
            durable::make_folder(&folder.join(STAGING))
                .map_err(|e| Error::io("make the folder", folder, e))?;
        }
        Self::existing(name)
    }

    /// The same without making anything.
    ///
    /// # Errors
    /// When it is not there.
    pub fn existing(name: &str) -> Result<Self> {
        if let Some(folder) = folder_of(name) {
            return Self::existing(&folder);
        }
        let wrong = |what: String| Error::Backup { place: name.to_owned(), what };
        if !name.contains("://") {
            if !Path::new(name).join(STAGING).is_dir() {
                return Err(wrong("is not there, or is none: name a folder with a backup in it".into()));
            }
            let folder = FlushingFolder::new(name.into())?;
            let objects = Objects::new(Arc::new(folder.clone()));
            return Ok(Self { name: name.to_owned(), folder: Some(folder), objects });
        }
        let url = Url::parse(name).map_err(|error| wrong(format!("is no address: {error}")))?;
        let settings = std::env::vars().map(|(key, value)| (key.to_ascii_lowercase(), value));
        let opened = object_store::parse_url_opts(&url, settings);
        let (store, prefix) = opened.map_err(|error| wrong(format!("cannot be reached: {error}")))?;
        let objects = Objects::new(Arc::new(PrefixStore::new(store, prefix)));
        Ok(Self { name: name.to_owned(), folder: None, objects })
    }

    /// As it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, when it is one.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|_| PathBuf::from(&self.name))
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Backup { place: self.name.clone(), what: what.into() }
    }

    /// Takes a folder for as long as a backup is written there: one at a time. Elsewhere that is for the caller to see to.
    pub(crate) fn lock(&self) -> Result<Option<Lock>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = Path::new(&self.name).join("lock");
        let lock = Lock::try_take(&path).map_err(|e| Error::io("lock", &path, e))?;
        let lock = lock.ok_or_else(|| self.wrong("is being written by another backup: wait for it"))?;
        folder
            .sweep_staging()
            .map_err(|e| Error::io("sweep temporary files in", Path::new(&self.name), e))?;
        Ok(Some(lock))
    }

    fn label(trail: &Id) -> String {
        format!("format = \"{FORMAT}\"\ntrail = \"{}\"\n", hex(trail))
    }

    /// Takes the place for a trail. Durable on return.
    ///
    /// # Errors
    /// When it has another trail's backup, or a folder has something else in it.
    pub(crate) async fn claim(&self, trail: &Id) -> Result<()> {
        if self.objects.get(LABEL).await?.is_none() {
            let others = self.objects.list("").await?;
            // What an interrupted write left lies in the folder for files that are being written.
            if others.keys().any(|name| !name.starts_with("tmp/") && name != "lock") {
                return Err(self.wrong("is not empty and has no backup: name a new or an empty folder"));
            }
            self.objects.put(LABEL, Bytes::from(Self::label(trail))).await?;
        }
        self.check_trail(trail).await
    }

    /// Refuses a place that has no backup of this trail.
    pub(crate) async fn check_trail(&self, trail: &Id) -> Result<()> {
        let label = self.objects.get(LABEL).await?;
        let label = label.ok_or_else(|| self.wrong("has no backup: there is no `backup.toml`"))?;
        if label == Self::label(trail) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&label);
        if text.contains("minutebook/backup/") && !text.contains(FORMAT) {
            return Err(self.wrong("was made by a newer program: use a newer program"));
        }
        Err(self.wrong("is that of another trail: name another place"))
    }
}

/// The folder that a `file:` address names.
fn folder_of(name: &str) -> Option<String> {
    let url = Url::parse(name).ok().filter(|url| url.scheme() == "file")?;
    url.to_file_path().ok().map(|path| path.to_string_lossy().into_owned())
}
