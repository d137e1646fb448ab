//! The folder as the disk holds it after a power loss, built from the shadow and, where unflushed changes may survive,
//! from the folder as the dead program left it.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::listing::{self, Entry, EntryKind};
use crate::pages::{self, PAGE_BYTES};
use crate::shadow::{Locked, ObjectId, Shadow};
use crate::survival::{Draw, Survival};

/// What becomes of changes that were not flushed. All modes are pure functions of the shadow, the folder and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaterialiseMode {
    /// Everything that was not flushed is gone. A durable name of a file that was never flushed is an empty file.
    Strict,
    /// As `Strict`, but a file that was never flushed has the length that was written, filled with noise from the seed.
    Garbage(u64),
    /// Names as `Strict`. Of the unflushed pages of each file a subset survives, drawn by the seed: none, all or any.
    /// The length is the durable one, the written one or one in between; a page that did not survive reads as it was
    /// at the last flush, or as zeros.
    TornTail(u64),
    /// As `TornTail`, and of the unflushed changes to each directory's names none or all survive, drawn by the seed.
    /// The general mode: each of its outcomes is one that a power loss may have, `Strict` among them.
    Seeded(u64),
}

/// Builds in `into`, which is created and must be empty, the folder `root` as a power loss leaves it. Call it after the
/// program is dead, before anything else changes `root`. Permissions are those of the last flush of the directory;
/// sockets, pipes and devices are left out. Files are read whole into memory.
///
/// # Errors
/// When `into` is not empty, when the shadow is damaged or was not prepared with this root, or when a file cannot be
/// read or written.
pub fn materialise(shadow: &Path, root: &Path, into: &Path, mode: MaterialiseMode) -> Result<(), Error> {
    fs::create_dir_all(into).map_err(Error::at(into))?;
    if fs::read_dir(into).map_err(Error::at(into))?.next().is_some() {
        return Err(Error::Occupied { path: into.to_owned(), expected: "a folder to build in" });
    }
    let shadow = Shadow::existing(shadow)?;
    let mut shadow = shadow.lock()?;
    let metadata = fs::metadata(root).map_err(Error::at(root))?;
    let object = shadow.object(metadata.dev(), metadata.ino())?;
    let mut live = HashMap::new();
    if mode != MaterialiseMode::Strict {
        live.insert(object, root.to_owned());
        find_live(&mut shadow, root, &mut live)?;
    }
    let mut disk = Disk { shadow, live, mode, built: HashMap::new(), above: Vec::new() };
    disk.build_directory(object, into)
}

/// Finds where each object under `directory` lies now.
fn find_live(
    shadow: &mut Locked<'_>,
    directory: &Path,
    live: &mut HashMap<ObjectId, PathBuf>,
) -> Result<(), Error> {
    for entry in listing::scan(shadow, directory)? {
        let path = directory.join(&entry.name);
        if entry.kind == EntryKind::Directory {
            find_live(shadow, &path, live)?;
        }
        live.insert(entry.object, path);
    }
    Ok(())
}

struct Disk<'a> {
    shadow: Locked<'a>,
    live: HashMap<ObjectId, PathBuf>,
    mode: MaterialiseMode,
    /// Files that have one of their names already.
    built: HashMap<ObjectId, PathBuf>,
    /// The directories that the one being built lies in.
    above: Vec<ObjectId>,
}

impl Disk<'_> {
    fn build_directory(&mut self, object: ObjectId, into: &Path) -> Result<(), Error> {
        self.above.push(object);
        for entry in self.entries(object)? {
            self.build_entry(&entry, &into.join(&entry.name))?;
        }
        self.above.pop();
        Ok(())
    }

    fn build_entry(&mut self, entry: &Entry, path: &Path) -> Result<(), Error> {
        match &entry.kind {
            EntryKind::Symlink(target) => return symlink(target, path).map_err(Error::at(path)),
            // Two directories moved into each other, each flushed at another time: a file system has no such tree.
            EntryKind::Directory if self.above.contains(&entry.object) => return Ok(()),
            EntryKind::Directory => {
                fs::create_dir(path).map_err(Error::at(path))?;
                self.build_directory(entry.object, path)?;
            }
            EntryKind::File => {
                if let Some(first) = self.built.get(&entry.object) {
                    return fs::hard_link(first, path).map_err(Error::at(path));
                }
                self.build_file(entry.object, path)?;
                self.built.insert(entry.object, path.to_owned());
            }
        }
        fs::set_permissions(path, Permissions::from_mode(entry.mode)).map_err(Error::at(path))
    }

    fn entries(&mut self, object: ObjectId) -> Result<Vec<Entry>, Error> {
        if let (MaterialiseMode::Seeded(seed), Some(live)) = (self.mode, self.live.get(&object))
            && Survival::new(seed).draw(object.0, Draw::Listing).is_multiple_of(2)
        {
            return listing::scan(&mut self.shadow, live);
        }
        self.shadow.listing(object)
    }

    fn build_file(&mut self, object: ObjectId, path: &Path) -> Result<(), Error> {
        let to = File::create_new(path).map_err(Error::at(path))?;
        let durable = self.shadow.durable_content(object)?;
        let written = |build: std::io::Result<()>| build.map_err(Error::at(path));
        match (self.mode, self.live.get(&object), durable) {
            (MaterialiseMode::Garbage(seed), Some(live), None) => {
                let bytes = fs::metadata(live).map_err(Error::at(live))?.len();
                written(pages::write_sparse(&to, &noise(Survival::new(seed), object, bytes)))
            }
            (MaterialiseMode::TornTail(seed) | MaterialiseMode::Seeded(seed), Some(live), durable) => {
                let read = |file: &File| pages::read_to_vec(file).map_err(Error::at(live));
                let new = read(&File::open(live).map_err(Error::at(live))?)?;
                let old = durable.as_ref().map(read).transpose()?.unwrap_or_default();
                written(pages::write_sparse(&to, &torn(Survival::new(seed), object, &old, &new)))
            }
            (_, _, Some(durable)) => written(pages::copy(&durable, &to)),
            (_, _, None) => Ok(()),
        }
    }
}

fn noise(survival: Survival, object: ObjectId, bytes: u64) -> Vec<u8> {
    let mut noise = Vec::with_capacity(bytes as usize + 8);
    for word in 0..bytes.div_ceil(8) {
        noise.extend_from_slice(&survival.draw(object.0, Draw::Noise(word)).to_le_bytes());
    }
    noise.truncate(bytes as usize);
    noise
}

/// A content between `old`, which is durable, and `new`, which was written: for each page one of both.
fn torn(survival: Survival, object: ObjectId, old: &[u8], new: &[u8]) -> Vec<u8> {
    let survivors_percent = survival.draw(object.0, Draw::Share) % 5 * 25;
    let mut content = vec![0; torn_length(survival, object, old.len(), new.len())];
    for (page, bytes) in content.chunks_mut(PAGE_BYTES).enumerate() {
        let survives = survival.draw(object.0, Draw::Page(page as u64)) % 100 < survivors_percent;
        let version = if survives { new } else { old };
        let version = version.get(page * PAGE_BYTES..).unwrap_or_default();
        let known = version.len().min(bytes.len());
        bytes[..known].copy_from_slice(&version[..known]);
    }
    content
}

/// Half of the time the new length, a quarter the old one, else one in between: the end of a page, if there is one.
fn torn_length(survival: Survival, object: ObjectId, old: usize, new: usize) -> usize {
    let draw = survival.draw(object.0, Draw::Length);
    match draw % 4 {
        0 => old,
        1 => {
            let (low, high) = (old.min(new), old.max(new));
            let between = low + (draw / 4) as usize % (high - low + 1);
            between.next_multiple_of(PAGE_BYTES).min(high)
        }
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_file_is_made_of_old_and_new_pages_and_reaches_both_extremes() {
        let (old, new) = (vec![1; 3 * PAGE_BYTES], vec![2; 5 * PAGE_BYTES + 10]);
        let mut seen = (false, false, false);
        for seed in 0..200 {
            let content = torn(Survival::new(seed), ObjectId(1), &old, &new);
            assert!(content.len() >= old.len() && content.len() <= new.len(), "seed {seed}");
            for (page, bytes) in content.chunks(PAGE_BYTES).enumerate() {
                let lost = if page < 3 { 1 } else { 0 };
                assert!([lost, 2].iter().any(|fill| bytes.iter().all(|byte| byte == fill)), "seed {seed}");
            }
            let mixed = content != old && content != new;
            seen = (seen.0 || content == old, seen.1 || content == new, seen.2 || mixed);
        }
        assert_eq!(seen, (true, true, true));
    }
}
