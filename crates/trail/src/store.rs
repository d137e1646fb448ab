//! Where objects lie: anything that `object_store` reaches, and for folders a writer of our own that flushes (the one of
//! `object_store` does not). Edge: knows names and bytes, not what they mean.

use crate::durable;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The folder for files that are being written, beside those that are there.
pub const STAGING: &str = "tmp";

/// In that folder: what an engine that runs by itself has to say. It stays.
pub const ENGINE_LOG: &str = "engine.log";

/// A folder whose writes are durable when they return. Overwrites whole objects atomically; creates when told to create only.
#[derive(Clone, Debug)]
pub struct FlushingFolder {
    inner: LocalFileSystem,
    folders: Arc<Folders>,
}

/// Numbers temporary files, for all engines of the process: a write that goes on after its engine failed must not meet that of the next one.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl FlushingFolder {
    /// Objects below `root`, which is there already.
    pub fn new(root: PathBuf) -> Result<Self> {
        // The store behind makes its root absolute, and folders are compared with what it gives.
        let root = root.canonicalize().map_err(|error| generic(&Path::from("."), error))?;
        let inner = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self { inner, folders: Arc::new(Folders { root, settled: Mutex::default() }) })
    }

    /// Removes what an interrupted write left behind. Only for who holds the trail's lock.
    pub fn sweep(&self) -> std::io::Result<()> {
        self.sweep_staging()?;
        ["segments", "blobs", "log"]
            .iter()
            .try_for_each(|below| self.folders.settle(&self.folders.root.join(below)))
    }

    /// The same for a folder that is no trail's.
    pub fn sweep_staging(&self) -> std::io::Result<()> {
        let staging = self.folders.root.join(STAGING);
        durable::make_folder(&staging)?;
        for entry in std::fs::read_dir(&staging)? {
            let path = entry?.path();
            if path.is_file() && !path.ends_with(ENGINE_LOG) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Folders whose names are durable, as far as this process goes.
#[derive(Debug)]
struct Folders {
    root: PathBuf,
    settled: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes `folder`, below the root, with those above it, and everything durable that is named there. Once for each folder: an earlier process
    /// may have died between a change of names and its flush, and what is there would be taken for durable.
    fn settle(&self, folder: &std::path::Path) -> std::io::Result<()> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let below = folder.strip_prefix(&self.root).map_err(std::io::Error::other)?;
        let mut at = self.root.clone();
        if settled.insert(at.clone()) {
            durable::sync_folder(&at)?;
        }
        for step in below {
            at.push(step);
            if !settled.contains(&at) {
                if !durable::make_folder(&at)? {
                    durable::sync_folder(&at)?;
                }
                settled.insert(at.clone());
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for FlushingFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "folder {}", self.folders.root.display())
    }
}

fn generic(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "folder", source: format!("`{path}`: {}", source.into()).into() }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::AlreadyExists { path: path.to_string(), source: Box::new(error) }
            }
            _ => generic(path, error),
        }),
        Err(stopped) => Err(generic(path, stopped)),
    }
}

#[async_trait]
impl ObjectStore for FlushingFolder {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(path)?;
        let folders = Arc::clone(&self.folders);
        let unique = format!("{}-{}", std::process::id(), TEMPORARY.fetch_add(1, Ordering::Relaxed));
        let create_only = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "conditional update".into(),
                    implementer: "folder".into(),
                });
            }
        };
        blocking(path, move || {
            if let Some(parent) = target.parent() {
                folders.settle(parent)?;
            }
            if create_only && target.exists() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            let parts: Vec<&[u8]> = payload.iter().map(|part| part.as_ref()).collect();
            durable::replace(&folders.root.join(STAGING), &unique, &target, &parts)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "multipart upload".into(), implementer: "folder".into() })
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        paths
            .then(move |path| {
                let store = store.clone();
                async move {
                    let path = path?;
                    let target = store.inner.path_to_filesystem(&path)?;
                    let remove = move || {
                        // One that is gone already may be so for this boot only.
                        if let Some(parent) = target.parent().filter(|parent| parent.is_dir()) {
                            store.folders.settle(parent)?;
                        }
                        durable::remove(&target)
                    };
                    blocking(&path, remove).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".into(), implementer: "folder".into() })
    }
}

/// The objects of one trail. Every write is durable on return, as far as the store behind can say so.
#[derive(Clone, Debug)]
pub struct Objects(Arc<dyn ObjectStore>);

impl Objects {
    /// Over any store whose `put` is durable on return.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }

    /// Writes an object whole, replacing one that is there.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.0.put(&Path::from(name), bytes.into()).await.map(drop)
    }

    /// Writes an object that must not exist, or must be the same byte for byte.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when another object has that name.
    pub async fn put_same(&self, name: &str, bytes: Bytes) -> Result<()> {
        match self.get(name).await? {
            // Written again: it may be from before a crash that came before its flush.
            Some(there) if there == bytes => self.put(name, bytes).await,
            Some(_) => Err(Error::AlreadyExists {
                path: name.to_owned(),
                source: "an object of that name has other content".into(),
            }),
            None => self.put(name, bytes).await,
        }
    }

    /// Reads an object whole; `None` when it is not there.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        match self.0.get(&Path::from(name)).await {
            Ok(found) => found.bytes().await.map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an object is there.
    pub async fn has(&self, name: &str) -> Result<bool> {
        match self.0.head(&Path::from(name)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of all objects below a folder, with their lengths.
    pub async fn list(&self, folder: &str) -> Result<HashMap<String, u64>> {
        let mut found = HashMap::new();
        let mut listed = self.0.list(Some(&Path::from(folder)));
        while let Some(meta) = listed.next().await {
            let meta = meta?;
            found.insert(meta.location.to_string(), meta.size);
        }
        Ok(found)
    }

    /// Removes an object; that it is gone already is no error.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match self.0.delete(&Path::from(name)).await {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}
