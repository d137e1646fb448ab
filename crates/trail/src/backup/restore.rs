//! Making a trail's folder from a backup: everything is checked on its way, and what was erased since is erased again before anything can be
//! read. What it makes is for reading. Edge: starts no engine; making it the trail is `promote`'s business.

use super::copy::{Content, Described, content_of, is_described, notes_at, settle, tiles_of};
use super::manifest::Manifest;
use super::place::BackupPlace;
use crate::catalog::{CATALOG_FILE, Catalog, Replay, SubjectRow};
use crate::durable;
use crate::environment::Environment;
use crate::erase::replayed_act;
use crate::erasure_note::{ErasureNote, notes_in};
use crate::error::{Error, Result};
use crate::folder_source::FolderSource;
use crate::keyfolder::KeyFolder;
use crate::limits::{COPIES_AT_ONCE, SUBJECTS_PASSED_OVER};
use crate::lock::TrailLock;
use crate::place::Place;
use crate::seal::blocking;
use crate::store::{FlushingFolder, Objects, STAGING};
use crate::wrap::{self, Purpose};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::StreamExt;
use minutebook_verify::keys::Cipher;
use minutebook_verify::log::LOG;
use minutebook_verify::restored::Restored;
use minutebook_verify::trailfile::TRAIL_FILE;
use minutebook_verify::verify::{CHECKPOINT, blob_name};
use minutebook_verify::{Id, Source, hex};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// How to restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Restore what is there when objects are missing or damaged.
    pub accept_damage: bool,
}

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    /// The trail's id.
    pub trail: Id,
    /// When the backup was made, RFC 3339.
    pub made: String,
    /// Entries of its log.
    pub log_size: u64,
    /// Segments and blobs that are there now.
    pub objects: u64,
    /// Names of those that are not, since the backup has them damaged or not at all.
    pub damaged: Vec<String>,
    /// Subjects that were erased after the backup was made, and here again.
    pub erased: u64,
    /// Whether the key folder is at hand.
    pub has_keys: bool,
    /// Subjects that cannot be read since the key folder is an older copy than the backup, or one that lost the key.
    pub unreadable: u64,
}

/// Restores the newest backup of a place into a folder, which is new or empty, or a restored copy that was not promoted: then what is missing is
/// added. Durable on return; the folder is a trail from the last step on, so an attempt that was interrupted leaves none, and is taken up again
/// by calling again.
///
/// The keys are those in the key folder of `target`, when there are any: with them it is known which erasures came after the backup. Without,
/// only what the place knows is erased again, and the copy refuses to be read with keys that know of more: then restore again.
///
/// # Errors
/// [`Error::Backup`] when there is no complete backup or the place is damaged; [`Error::Objects`] with their names when objects are;
/// [`Error::FolderInUse`] when the folder has something else in it.
pub async fn restore(
    from: &BackupPlace,
    target: &Place,
    options: RestoreOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<RestoreReport> {
    let manifest = Manifest::read(from).await?;
    let manifest = manifest
        .ok_or_else(|| from.wrong("has no complete backup: run `minutebook backup` to its end first"))?;
    let (file, checkpoint) = manifest.open(from)?;
    from.check_trail(&file.id).await?;
    let head = *checkpoint.head();
    let mut restored = Restored::begun(
        &file.id,
        manifest.made.clone(),
        head.size.get(),
        head.root.as_bytes(),
        absolute(from.name()),
    );
    check_target(target, &restored)?;
    let failed = |e| Error::io("make the folder", &target.folder, e);
    durable::make_folder(&target.folder).map_err(failed)?;
    let _lock = TrailLock::take(target, &Environment::default(), "restore")?;
    check_target(target, &restored)?;
    for below in [STAGING, "spool", "segments", "blobs", "log"] {
        durable::make_folder(&target.folder.join(below)).map_err(failed)?;
    }
    // First: from here on nobody takes the folder for a trail to write to.
    target.write_restored(&restored)?;
    durable::remove(&target.folder.join(TRAIL_FILE)).map_err(failed)?;
    let restoring = Restoring {
        from,
        objects: Objects::new(Arc::new(FlushingFolder::new(target.folder.clone())?)),
        target,
    };
    for tile in tiles_of(head.size)? {
        let name = format!("{LOG}{tile}");
        let bytes = from.objects.get(&name).await?;
        let bytes = bytes
            .ok_or_else(|| from.wrong(format!("lacks `{name}`, a part of the log: use another backup")))?;
        restoring.objects.put(&name, bytes).await?;
    }
    let source = FolderSource::new(target.folder.clone());
    let content = blocking(move || Ok(content_of(&source, head))).await?;
    let content =
        content.map_err(|what| from.wrong(format!("has a damaged log ({what}): use another backup")))?;
    let mut report = RestoreReport {
        trail: file.id,
        made: manifest.made.clone(),
        log_size: head.size.get(),
        ..RestoreReport::default()
    };
    let catalog = restoring.catalog(&manifest).await?;
    restoring.replay(&file.id, &catalog, &mut restored, &mut report).await?;
    let forgotten: HashSet<String> = restored
        .blobs
        .iter()
        .filter_map(|id| minutebook_verify::unhex(id))
        .map(|id| blob_name(&id))
        .collect();
    restoring.objects(&content, &forgotten, &mut report, progress).await?;
    if !report.damaged.is_empty() && !options.accept_damage {
        return Err(Error::Objects {
            what: "the backup's objects are",
            objects: report.damaged,
            to_do: "Nothing can be read here yet. Bring them from another backup or from the trail (`minutebook backup` mends them there), or \
                    restore the rest with --accept-damage",
        });
    }
    for ending in ["-wal", "-shm"] {
        // Of the catalog that was here before, when somebody has read it.
        let left = target.folder.join(format!("{CATALOG_FILE}{ending}"));
        durable::remove(&left).map_err(|e| Error::io("remove", &left, e))?;
    }
    std::fs::rename(&catalog, target.catalog()).map_err(|e| Error::io("write", &target.catalog(), e))?;
    let tiles = tiles_of(head.size)?.into_iter().map(|tile| format!("{LOG}{tile}"));
    let objects = content.objects.iter().filter(|object| !report.damaged.contains(&object.name));
    settle(target.folder.clone(), tiles.chain(objects.map(|object| object.name.clone()))).await?;
    restoring.objects.put(CHECKPOINT, Bytes::from(manifest.checkpoint.clone())).await?;
    restored.complete = true;
    target.write_restored(&restored)?;
    target.write_trail_file(&file)?;
    Ok(report)
}

/// A folder as it is found from everywhere.
fn absolute(name: &str) -> String {
    if name.contains("://") {
        return name.to_owned();
    }
    std::path::absolute(name).map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

/// The folder is new or empty, or what an earlier restore of this trail made.
fn check_target(target: &Place, restored: &Restored) -> Result<()> {
    match target.restored()? {
        Some(earlier) if earlier.trail == restored.trail => return Ok(()),
        Some(_) => return Err(Error::FolderInUse { folder: target.folder.clone() }),
        None => {}
    }
    let entries = match std::fs::read_dir(&target.folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read the folder", &target.folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read the folder", &target.folder, e))?;
        // What this made before it left its mark.
        let ours = ["lock", STAGING, "spool", "segments", "blobs", "log"];
        let bare = !entry.path().is_dir() || is_bare(&entry.path())?;
        if !ours.iter().any(|name| entry.file_name() == *name) || !bare {
            return Err(Error::FolderInUse { folder: target.folder.clone() });
        }
    }
    Ok(())
}

/// Whether a folder has nothing in it but the mark that was being written.
fn is_bare(folder: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io("read the folder", folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read the folder", folder, e))?;
        if entry.file_name() != "restored" {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Restoring<'a> {
    from: &'a BackupPlace,
    objects: Objects,
    target: &'a Place,
}

impl Restoring<'_> {
    async fn objects(
        &self,
        content: &Content,
        forgotten: &HashSet<String>,
        report: &mut RestoreReport,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<()> {
        let all = content.objects.len() as u64;
        let jobs = content.objects.iter().map(|object| async move {
            let right = if forgotten.contains(&object.name) {
                self.objects.remove(&object.name).await.map(|()| true).map_err(Error::from)
            } else {
                self.object(object).await
            };
            (object, right)
        });
        let mut jobs = futures::stream::iter(jobs).buffered(COPIES_AT_ONCE);
        let mut done = 0;
        while let Some((object, right)) = jobs.next().await {
            if right? {
                report.objects += u64::from(!forgotten.contains(&object.name));
            } else {
                report.damaged.push(object.name.clone());
            }
            done += 1;
            progress(done, all);
        }
        Ok(())
    }

    /// Whether the object is there now, and right.
    async fn object(&self, object: &Described) -> Result<bool> {
        let (source, name) = (FolderSource::new(self.target.folder.clone()), object.name.clone());
        let here =
            blocking(move || source.read(&name).map_err(|e| Error::io("read", Path::new(&name), e))).await?;
        if here.is_some_and(|here| is_described(&here, object)) {
            return Ok(true);
        }
        let there = self.from.objects.get(&object.name).await?;
        let Some(bytes) = there.filter(|there| is_described(there, object)) else { return Ok(false) };
        self.objects.put(&object.name, bytes).await?;
        Ok(true)
    }

    /// Puts the catalog together in the folder for files that are being written; gives its path.
    async fn catalog(&self, manifest: &Manifest) -> Result<std::path::PathBuf> {
        let path = self.target.folder.join(STAGING).join(CATALOG_FILE);
        for ending in ["", "-wal", "-shm", "-journal"] {
            let left = path.with_file_name(format!("{CATALOG_FILE}{ending}"));
            durable::remove(&left).map_err(|e| Error::io("remove", &left, e))?;
        }
        let mut file = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
        let mut whole = Context::new(&SHA256);
        for piece in &manifest.catalog {
            let bytes = self.from.objects.get(&Manifest::piece_name(piece)).await?;
            let Some(bytes) = bytes.filter(|bytes| hex(&minutebook_sha256::digest(bytes)) == *piece) else {
                let what = format!(
                    "lacks `{}`, a piece of the catalog, or has it damaged",
                    Manifest::piece_name(piece)
                );
                return Err(self.from.wrong(format!("{what}: make the backup anew, or use another one")));
            };
            whole.update(&bytes);
            file.write_all(&bytes).map_err(|e| Error::io("write", &path, e))?;
        }
        if hex(whole.finish().as_ref()) != manifest.catalog_sha256 {
            return Err(self
                .from
                .wrong("has a catalog that is not the one of its manifest: use another backup"));
        }
        file.sync_all().map_err(|e| Error::io("flush", &path, e))?;
        Ok(path)
    }

    /// Erases again what was erased since the backup, as far as key folder and place know of it.
    async fn replay(
        &self,
        trail: &Id,
        path: &Path,
        restored: &mut Restored,
        report: &mut RestoreReport,
    ) -> Result<()> {
        let folder = self.target.key_folder(trail)?;
        let keys = match KeyFolder::open(&folder, *trail) {
            Ok(keys) => Some(keys),
            Err(Error::KeysMissing { .. }) => None,
            Err(error) => return Err(error),
        };
        let held = keys.as_ref().map(KeyFolder::bucket_generations).transpose()?;
        report.has_keys = held.is_some();
        let mut notes: BTreeMap<u16, ErasureNote> = notes_at(self.from, trail).await?;
        for (bucket, note) in notes_in(&folder, trail)? {
            let joined = match notes.remove(&bucket) {
                Some(there) => note.join(there),
                None => note,
            };
            notes.insert(bucket, joined);
        }
        let catalog = Catalog::open(path).await?;
        replay_all(&catalog, trail, notes, held.as_ref(), restored, report).await?;
        catalog.close_whole().await
    }
}

type Held = HashMap<u16, Vec<(u32, minutebook_verify::keys::Secret)>>;

async fn replay_all(
    catalog: &Catalog,
    trail: &Id,
    notes: BTreeMap<u16, ErasureNote>,
    held: Option<&Held>,
    restored: &mut Restored,
    report: &mut RestoreReport,
) -> Result<()> {
    for (bucket, note) in notes {
        let Some(generation) = catalog.bucket_generation(bucket).await? else { continue };
        let erased: Vec<u64> =
            catalog.subjects_by_number(&note.erased()).await?.iter().map(|row| row.number).collect();
        let mut left = catalog.subjects_in_bucket(bucket).await?;
        left.retain(|row| !erased.contains(&row.number));
        let kept: HashMap<u64, Vec<u8>> = note.kept().into_iter().collect();
        // Whether wrapped keys open tells which key is at hand: a generation is a number that a promoted copy gives anew.
        let opens = |wrapped: &dyn Fn(&SubjectRow) -> Option<Vec<u8>>| {
            let some = left.iter().find_map(|row| wrapped(row).map(|wrapped| (row, wrapped)));
            some.is_some_and(|(row, wrapped)| held.is_some_and(|held| opens(trail, held, row, &wrapped)))
        };
        let (by_note, as_it_is) =
            (opens(&|row| kept.get(&row.number).cloned()), opens(&|row| Some(row.wrapped.clone())));
        let has_own = held.is_some_and(|held| has_generation(held, bucket, generation));
        // With keys from before the erasure the old wrapping is what opens; with those of today, or none yet, the new one.
        let newer = note.generation > generation && !as_it_is && (by_note || !has_own);
        let rewrapped = newer.then(|| (note.generation, note.kept()));
        if rewrapped.is_none() && erased.is_empty() {
            continue;
        }
        if rewrapped.is_none() {
            restored.renew.push(bucket);
        }
        let mut acts = Vec::new();
        for number in &erased {
            let blobs = catalog.blobs_of(*number).await?;
            restored.blobs.extend(blobs.iter().map(|blob| hex(blob)));
            acts.push(replayed_act(trail, *number, bucket, blobs));
        }
        restored.erased.extend(&erased);
        catalog.replay(&Replay { bucket, erased, rewrapped, acts }).await?;
    }
    report.erased = restored.erased.len() as u64;
    // Should the original have gone on after all, its numbers are not this one's: a note of one must not mean somebody else in the other.
    catalog.begin_anew(&restored.from, SUBJECTS_PASSED_OVER).await?;
    if let Some(held) = held {
        for (bucket, generation) in catalog.bucket_generations().await? {
            if !has_generation(held, bucket, generation) {
                report.unreadable += catalog.subjects_in_bucket(bucket).await?.len() as u64;
            }
        }
    }
    Ok(())
}

/// Whether a wrapped key of a subject opens with one of the keys of its bucket.
fn opens(trail: &Id, held: &Held, row: &SubjectRow, wrapped: &[u8]) -> bool {
    let keys = held.get(&row.bucket).map_or(&[][..], Vec::as_slice);
    keys.iter().any(|(_, key)| {
        wrap::unwrap(&Cipher::new(key), trail, Purpose::Subject(&row.lookup), wrapped).is_some()
    })
}

fn has_generation(held: &Held, bucket: u16, wanted: u32) -> bool {
    held.get(&bucket).is_some_and(|keys| keys.iter().any(|(generation, _)| *generation == wanted))
}

/// Refuses to read a restored copy with keys that know of an erasure which the copy has not done again.
pub(crate) async fn check_replayed(
    place: &Place,
    keys: &KeyFolder,
    trail: &Id,
    catalog: &Catalog,
) -> Result<()> {
    if place.restored()?.is_none() {
        return Ok(());
    }
    for (bucket, note) in notes_in(keys.path(), trail)? {
        let Some(_) = catalog.bucket_generation(bucket).await? else { continue };
        if !catalog.subjects_by_number(&note.erased()).await?.is_empty() {
            return Err(Error::Backup {
                place: place.folder.display().to_string(),
                what: "was restored without these keys, which know of erasures that came after: restore again into the same folder, with them".into(),
            });
        }
    }
    Ok(())
}
