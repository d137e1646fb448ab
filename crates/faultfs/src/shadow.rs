//! The folder that keeps what is durable. Both halves read and write it: the session to prepare and to evaluate, the
//! preloaded library after each flush.
//!
//! | name | what it holds |
//! |---|---|
//! | `state` | two little-endian `u64`: operations counted in this run, objects named so far; its lock orders
//! operations |
//! | `live/<device>-<inode>` | a symbolic link that names the object which this inode is at present |
//! | `objects/<object>` | a file's content as of its last flush; absent: never flushed |
//! | `listings/<object>` | a directory's entries as of its last flush; absent: never flushed |
//! | `abandoned/<object>` | little-endian `u64` numbers of pages that a failed flush gave up |
//!
//! The state is on disk alone, not in the memory of a process, so that processes that fork, start others or share the
//! roots stay one run, and a process can be killed at any point.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::listing::{self, Entry, EntryKind};
use crate::{Error, pages};

/// The identity of a file or directory over its life. The kernel gives the inode number of a deleted file to the next
/// new one; an object is never used again, as the deleted name may still be the durable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u64);

/// What a shadow folder holds, for messages.
const SHADOW_FOLDER: &str = "a shadow";

/// A shadow folder, by its path; holds no descriptor.
#[derive(Clone, Debug)]
pub struct Shadow {
    folder: PathBuf,
}

/// The shadow while this thread alone, of all processes of the run, may change it. Unlocked when dropped or when the
/// process dies.
pub struct Locked<'a> {
    shadow: &'a Shadow,
    state: File,
}

impl Shadow {
    /// Uses the shadow in this folder; if there is none yet, takes what lies under `roots` as durable.
    ///
    /// # Errors
    /// When the folder lies under a root, when it holds something else, or when a file cannot be read or written.
    pub fn open(folder: &Path, roots: &[PathBuf]) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::at(folder))?;
        let folder = folder.canonicalize().map_err(Error::at(folder))?;
        if let Some(root) = roots.iter().find(|root| folder.starts_with(root)) {
            return Err(Error::ShadowUnderRoot { shadow: folder, root: root.clone() });
        }
        let shadow = Shadow { folder };
        let mut locked = shadow.lock()?;
        if locked.read_state()?.is_none() {
            locked.initialise(roots)?;
        }
        drop(locked);
        Ok(shadow)
    }

    /// Uses the shadow that the folder holds.
    pub(crate) fn existing(folder: &Path) -> Result<Self, Error> {
        let shadow = Shadow { folder: folder.to_owned() };
        if shadow.path("state").exists() {
            return Ok(shadow);
        }
        Err(Error::Malformed { path: folder.to_owned(), expected: SHADOW_FOLDER })
    }

    /// Removes the shadow in this folder, if there is one. Refuses a folder that holds anything else.
    pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
        let empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::at(folder)(error)),
        };
        if !empty && !folder.join("state").exists() {
            return Err(Error::Occupied { path: folder.to_owned(), expected: SHADOW_FOLDER });
        }
        fs::remove_dir_all(folder).map_err(Error::at(folder))
    }

    /// Waits for the lock. A new description each time: it excludes other threads and other processes alike.
    ///
    /// # Errors
    /// When the state file cannot be opened or locked.
    pub fn lock(&self) -> Result<Locked<'_>, Error> {
        let path = self.path("state");
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let state = open().map_err(Error::at(&path))?;
        loop {
            match state.lock() {
                Ok(()) => return Ok(Locked { shadow: self, state }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::at(&path)(error)),
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn object_path(&self, object: ObjectId) -> PathBuf {
        self.folder.join(format!("objects/{}", object.0))
    }

    fn listing_path(&self, object: ObjectId) -> PathBuf {
        self.folder.join(format!("listings/{}", object.0))
    }

    fn abandoned_path(&self, object: ObjectId) -> PathBuf {
        self.folder.join(format!("abandoned/{}", object.0))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Explicit, because a child forked in between shares the description: closing ours would not release the lock.
        // An unlock of a locked descriptor has no error to report.
        let _ = self.state.unlock();
    }
}

impl Locked<'_> {
    /// Counts an operation; returns its number, from 1.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub fn next_operation(&mut self) -> Result<u64, Error> {
        let [operations, objects] = self.state()?;
        self.write_state([operations + 1, objects])?;
        Ok(operations + 1)
    }

    /// Starts a new run: the next operation is number 1. What is durable stays.
    pub(crate) fn restart_numbering(&mut self) -> Result<(), Error> {
        let [_, objects] = self.state()?;
        self.write_state([0, objects])
    }

    /// The object that an inode is at present; one that was not seen before becomes an object that was never flushed.
    ///
    /// # Errors
    /// When the shadow cannot be read or written.
    pub fn object(&mut self, device: u64, inode: u64) -> Result<ObjectId, Error> {
        let link = self.live_path(device, inode);
        match fs::read_link(&link) {
            Ok(target) => {
                let number = target.to_str().and_then(|number| number.parse().ok());
                number.map(ObjectId).ok_or(Error::Malformed { path: link, expected: "the name of an object" })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.new_object(&link),
            Err(error) => Err(Error::at(&link)(error)),
        }
    }

    /// Makes an inode a new object that was never flushed, for a file that has just been created.
    ///
    /// # Errors
    /// When the shadow cannot be read or written.
    pub fn renew(&mut self, device: u64, inode: u64) -> Result<ObjectId, Error> {
        let link = self.live_path(device, inode);
        match fs::remove_file(&link) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::at(&link)(error)),
        }
        self.new_object(&link)
    }

    /// Makes a file's content and length durable. `live` must be readable; neither its offset nor its locks are
    /// touched. Pages that a failed flush gave up, and that were not written since, stay as they were before.
    ///
    /// # Errors
    /// When either file cannot be read or written.
    pub fn flush_file(&mut self, object: ObjectId, live: &File) -> Result<(), Error> {
        let abandoned = self.abandoned(object)?;
        pages::flush(live, &self.durable_file(object)?, &abandoned)
            .map_err(Error::at(&self.shadow.object_path(object)))
    }

    /// Records that a flush of the file failed. Linux then marks the pages as clean: a second `fsync` succeeds without
    /// writing them, and they are lost unless the program writes them anew. (Rebello et al., "Can Applications Recover
    /// from fsync Failures?", USENIX ATC 2020.)
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn fail_flush(&mut self, object: ObjectId, live: &File) -> Result<(), Error> {
        let mut abandoned = self.abandoned(object)?;
        let durable = self.durable_file(object)?;
        pages::for_each_difference(live, &durable, |page, _| {
            abandoned.insert(page);
            Ok(())
        })
        .map_err(Error::at(&self.shadow.object_path(object)))?;
        self.write_abandoned(object, &abandoned)
    }

    /// Records that the program wrote to the file, so that pages given up by a failed flush are dirty again.
    ///
    /// # Errors
    /// When the shadow cannot be read or written.
    pub fn mark_written(&mut self, object: ObjectId, offset: u64, bytes: u64) -> Result<(), Error> {
        let page = pages::PAGE_BYTES as u64;
        let mut abandoned = self.abandoned(object)?;
        let before = abandoned.len();
        abandoned.retain(|number| (number + 1) * page <= offset || number * page >= offset + bytes);
        if abandoned.len() == before { Ok(()) } else { self.write_abandoned(object, &abandoned) }
    }

    /// Whether any flush failed so far; if not, there is no use in [`Self::mark_written`].
    pub fn has_failed_flushes(&self) -> bool {
        self.shadow.path("abandoned").exists()
    }

    /// Makes a directory's entries durable as they are.
    ///
    /// # Errors
    /// When the directory cannot be read or the shadow not written.
    pub fn flush_directory(&mut self, object: ObjectId, directory: &Path) -> Result<(), Error> {
        let entries = listing::scan(self, directory)?;
        self.write_listing(object, &entries)
    }

    /// The durable content of a file, to be read and written; made empty if it was never flushed.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn durable_file(&mut self, object: ObjectId) -> Result<File, Error> {
        let path = self.shadow.object_path(object);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).open(&path).map_err(Error::at(&path))
    }

    /// The durable content of a file as it was, or `None` if it was never flushed.
    pub(crate) fn durable_content(&self, object: ObjectId) -> Result<Option<File>, Error> {
        let path = self.shadow.object_path(object);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::at(&path)(error)),
        }
    }

    /// A directory's durable entries; none if it was never flushed.
    pub(crate) fn listing(&self, object: ObjectId) -> Result<Vec<Entry>, Error> {
        let path = self.shadow.listing_path(object);
        match fs::read(&path) {
            Ok(bytes) => listing::decode(&bytes)
                .ok_or(Error::Malformed { path, expected: "the listing of a directory" }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::at(&path)(error)),
        }
    }

    fn write_listing(&mut self, object: ObjectId, entries: &[Entry]) -> Result<(), Error> {
        // Renamed into place, so that a kill from outside leaves the old listing or the new one.
        let (path, new) = (self.shadow.listing_path(object), self.shadow.path("listings/new"));
        fs::write(&new, listing::encode(entries)).map_err(Error::at(&new))?;
        fs::rename(&new, &path).map_err(Error::at(&path))
    }

    fn abandoned(&self, object: ObjectId) -> Result<BTreeSet<u64>, Error> {
        let path = self.shadow.abandoned_path(object);
        match fs::read(&path) {
            Ok(bytes) => Ok(bytes.as_chunks().0.iter().map(|page| u64::from_le_bytes(*page)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(Error::at(&path)(error)),
        }
    }

    fn write_abandoned(&mut self, object: ObjectId, abandoned: &BTreeSet<u64>) -> Result<(), Error> {
        let folder = self.shadow.path("abandoned");
        fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        let path = self.shadow.abandoned_path(object);
        let bytes = abandoned.iter().flat_map(|page| page.to_le_bytes()).collect::<Vec<_>>();
        fs::write(&path, bytes).map_err(Error::at(&path))
    }

    fn initialise(&mut self, roots: &[PathBuf]) -> Result<(), Error> {
        for name in ["live", "objects", "listings"] {
            let path = self.shadow.path(name);
            fs::create_dir(&path).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    Error::Occupied { path: self.shadow.folder.clone(), expected: SHADOW_FOLDER }
                }
                _ => Error::at(&path)(error),
            })?;
        }
        self.write_state([0, 0])?;
        roots.iter().try_for_each(|root| {
            let metadata = fs::metadata(root).map_err(Error::at(root))?;
            let object = self.object(metadata.dev(), metadata.ino())?;
            self.adopt(object, root)
        })
    }

    /// Takes a directory as durable, with all that it holds.
    fn adopt(&mut self, object: ObjectId, directory: &Path) -> Result<(), Error> {
        let entries = listing::scan(self, directory)?;
        for entry in &entries {
            let path = directory.join(&entry.name);
            match entry.kind {
                EntryKind::Directory => self.adopt(entry.object, &path)?,
                EntryKind::File if self.durable_content(entry.object)?.is_none() => {
                    let live = File::open(&path).map_err(Error::at(&path))?;
                    pages::copy(&live, &self.durable_file(entry.object)?).map_err(Error::at(&path))?;
                }
                EntryKind::File | EntryKind::Symlink(_) => {}
            }
        }
        self.write_listing(object, &entries)
    }

    fn live_path(&self, device: u64, inode: u64) -> PathBuf {
        self.shadow.folder.join(format!("live/{device:x}-{inode}"))
    }

    fn new_object(&mut self, link: &Path) -> Result<ObjectId, Error> {
        let [operations, objects] = self.state()?;
        self.write_state([operations, objects + 1])?;
        symlink((objects + 1).to_string(), link).map_err(Error::at(link))?;
        Ok(ObjectId(objects + 1))
    }

    fn state(&self) -> Result<[u64; 2], Error> {
        let missing =
            || Error::Malformed { path: self.shadow.path("state"), expected: "the state of a shadow" };
        self.read_state()?.ok_or_else(missing)
    }

    /// `None` for a state file that has just been created.
    fn read_state(&self) -> Result<Option<[u64; 2]>, Error> {
        let mut bytes = [0; 16];
        let path = self.shadow.path("state");
        match self.state.read_at(&mut bytes, 0).map_err(Error::at(&path))? {
            0 => Ok(None),
            16 => {
                Ok(Some([0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index])))))
            }
            _ => Err(Error::Malformed { path, expected: "the state of a shadow" }),
        }
    }

    fn write_state(&mut self, [operations, objects]: [u64; 2]) -> Result<(), Error> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&operations.to_le_bytes());
        bytes[8..].copy_from_slice(&objects.to_le_bytes());
        self.state.write_all_at(&bytes, 0).map_err(Error::at(&self.shadow.path("state")))
    }
}
