//! Copying a snapshot to a place: what is there already is compared and left, what is new is copied and read back, the manifest comes last.
//! Edge: takes a snapshot as given; whoever made it removes it.

use super::manifest::Manifest;
use super::place::BackupPlace;
use super::snapshot::Snapshot;
use crate::durable;
use crate::erasure_note::{ErasureNote, hand_over, notes_in};
use crate::error::{Error, Result};
use crate::folder_source::FolderSource;
use crate::limits::{CATALOG_PIECE_BYTES, COPIES_AT_ONCE};
use crate::place::Place;
use crate::seal::blocking;
use crate::store::STAGING;
use bytes::Bytes;
use futures::StreamExt;
use minutebook_sha256::digest;
use minutebook_tlog::{Tile, TileKind, TreeHead, TreeSize, decode_bundle, encode_bundle, tiles_between};
use minutebook_verify::descriptor::{Entry, Gone};
use minutebook_verify::log::{LOG, check_log};
use minutebook_verify::verify::{blob_name, segment_name};
use minutebook_verify::{Report, Source, hex};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackupOptions {
    /// Believe that what the place has under its name and of its length is what was put there, instead of reading it.
    pub quick: bool,
}

/// What a backup did.
#[derive(Debug, Clone, Default)]
pub struct BackupReport {
    /// Entries of the log that it ends with.
    pub log_size: u64,
    /// Segments and blobs in it.
    pub objects: u64,
    /// Of them, those that were copied now.
    pub copied: u64,
    /// Bytes of those.
    pub copied_bytes: u64,
    /// Tiles and entry bundles that were copied now.
    pub tiles: u64,
    /// Bytes of the catalog's copy.
    pub catalog_bytes: u64,
    /// Names of objects that the place had damaged, and has right now.
    pub mended: Vec<String>,
    /// Objects that the trail destroyed since, and that are gone here too.
    pub removed: u64,
}

/// A segment or blob as the log describes it.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) digest: [u8; 32],
    pub(super) length: u64,
}

/// What a log says that there is.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) objects: Vec<Described>,
    pub(super) gone: BTreeSet<String>,
}

/// Checks a log to its root, and gathers what it says that there is. Blocks.
pub(super) fn content_of(source: &dyn Source, head: TreeHead) -> std::result::Result<Content, String> {
    let mut report = Report::default();
    let mut content = Content::default();
    let mut unknown = None;
    check_log(source, head, &mut report, &mut |index, bytes, _| match Entry::decode(bytes) {
        Ok(Entry::Segment(descriptor)) => {
            content.objects.push(Described {
                name: segment_name(&descriptor.segment),
                digest: descriptor.object_digest,
                length: descriptor.object_len,
            });
            content.objects.extend(descriptor.blobs.iter().map(|blob| Described {
                name: blob_name(&blob.id),
                digest: blob.digest,
                length: blob.length,
            }));
            content.gone.extend(descriptor.gone.iter().filter_map(|gone| match gone {
                Gone::Blob(id) => Some(blob_name(id)),
                Gone::Segment(id) => Some(segment_name(id)),
                Gone::ClassEpoch(_) => None,
            }));
        }
        Ok(Entry::Trail { .. }) => {}
        Err(error) => unknown = Some(format!("log entry {index}: {error}")),
    });
    let finding = report.findings.first().map(|finding| format!("`{}`: {}", finding.object, finding.what));
    match finding.or(unknown) {
        Some(wrong) => Err(wrong),
        None => {
            content.objects.retain(|object| !content.gone.contains(&object.name));
            Ok(content)
        }
    }
}

/// The tiles and entry bundles of a tree.
pub(super) fn tiles_of(size: TreeSize) -> Result<Vec<Tile>> {
    let none = TreeSize::new(0).map_err(|e| Error::LogDisagrees { what: e.to_string() })?;
    let tiles = tiles_between(none, size).map_err(|e| Error::LogDisagrees { what: e.to_string() })?;
    Ok(tiles.collect())
}

/// Copies a snapshot of the trail in `place` to where a backup is to lie. What is there already is compared and kept. An attempt that was
/// interrupted is taken up again by calling again, with a new snapshot; until the end the backup before it is the one that counts. Durable on
/// return, as far as the place behind can say so. `progress` gets objects done and in all.
///
/// # Errors
/// [`Error::Objects`] with the names when the trail itself lacks objects, or has damaged ones, that the place has not either; [`Error::Backup`]
/// when the place is not this trail's.
pub async fn backup(
    place: &Place,
    snapshot: &Snapshot,
    to: &BackupPlace,
    options: BackupOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<BackupReport> {
    let path = place.folder.join(STAGING).join(&snapshot.catalog);
    // Open from now on: an engine that starts anew sweeps the name.
    let catalog = File::open(&path).map_err(|e| Error::io("open the catalog's copy", &path, e))?;
    let (checkpoint, trail_file) = (snapshot.checkpoint.clone(), snapshot.trail_file.clone());
    let mut manifest = Manifest::new(snapshot.made.clone(), checkpoint, trail_file);
    let (file, checkpoint) = manifest.open(to)?;
    let _lock = to.lock()?;
    to.claim(&file.id).await?;
    let source = FolderSource::new(place.folder.clone());
    let (head, reading) = (*checkpoint.head(), source.clone());
    let damaged = |what: String| Error::LogDisagrees { what };
    let content = blocking(move || content_of(&reading, head).map_err(damaged)).await?;
    let mut report = BackupReport { log_size: head.size.get(), ..BackupReport::default() };
    report.objects = content.objects.len() as u64;
    let copying = Copying { source, to, options };
    let tiles = tiles_of(head.size)?;
    for tile in &tiles {
        report.tiles += u64::from(copying.tile(*tile).await?);
    }
    copying.objects(&content, &mut report, progress).await?;
    copying.catalog(catalog, &mut manifest).await?;
    report.catalog_bytes = manifest.catalog_bytes;
    copying.notes(place, &file.id).await?;
    if let Some(folder) = to.folder() {
        let tiles = tiles.iter().map(|tile| format!("{LOG}{tile}"));
        let pieces = manifest.catalog.iter().map(|piece| Manifest::piece_name(piece));
        let objects = content.objects.iter().map(|object| object.name.clone());
        settle(folder, tiles.chain(pieces).chain(objects)).await?;
    }
    manifest.write(to).await?;
    // Now nothing needs them.
    let pieces: BTreeSet<String> = manifest.catalog.iter().map(|piece| Manifest::piece_name(piece)).collect();
    for name in to.objects.list("catalog").await?.into_keys().filter(|name| !pieces.contains(name)) {
        to.objects.remove(&name).await?;
    }
    for name in &content.gone {
        if to.objects.has(name).await? {
            to.objects.remove(name).await?;
            report.removed += 1;
        }
    }
    Ok(report)
}

struct Copying<'a> {
    source: FolderSource,
    to: &'a BackupPlace,
    options: BackupOptions,
}

/// What became of an object.
enum Became {
    Kept,
    Copied(u64),
    /// The place had it damaged.
    Mended(u64),
    /// Neither trail nor place has it right.
    Lacking,
}

impl Copying<'_> {
    async fn read(&self, name: String) -> Result<Option<Vec<u8>>> {
        let source = self.source.clone();
        blocking(move || {
            let read = source.read(&name);
            read.map_err(|e| Error::io("read", std::path::Path::new(&name), e))
        })
        .await
    }

    /// A tile of the tree, or what a fuller one begins with: the engine that runs meanwhile removes partial ones.
    async fn tile(&self, tile: Tile) -> Result<bool> {
        let name = format!("{LOG}{tile}");
        let bytes = match self.read(name.clone()).await? {
            Some(bytes) => bytes,
            None => {
                let full = self.read(format!("{LOG}{}", tile.full())).await?;
                let missing = || Error::LogDisagrees { what: format!("`{name}` is missing") };
                beginning(tile, &full.ok_or_else(missing)?)
                    .ok_or_else(|| Error::LogDisagrees { what: format!("`{name}` is malformed") })?
            }
        };
        if self.to.objects.get(&name).await?.is_some_and(|there| there == bytes) {
            return Ok(false);
        }
        self.to.objects.put(&name, Bytes::from(bytes)).await?;
        Ok(true)
    }

    async fn objects(
        &self,
        content: &Content,
        report: &mut BackupReport,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<()> {
        let mut there = self.to.objects.list("segments").await?;
        there.extend(self.to.objects.list("blobs").await?);
        let there = &there;
        let all = content.objects.len() as u64;
        let jobs =
            content.objects.iter().map(|object| async move { (object, self.object(object, there).await) });
        let mut jobs = futures::stream::iter(jobs).buffered(COPIES_AT_ONCE);
        let (mut lacking, mut done) = (Vec::new(), 0);
        while let Some((object, became)) = jobs.next().await {
            match became? {
                Became::Kept => {}
                Became::Copied(bytes) => {
                    (report.copied, report.copied_bytes) = (report.copied + 1, report.copied_bytes + bytes)
                }
                Became::Mended(bytes) => {
                    (report.copied, report.copied_bytes) = (report.copied + 1, report.copied_bytes + bytes);
                    report.mended.push(object.name.clone());
                }
                Became::Lacking => lacking.push(object.name.clone()),
            }
            done += 1;
            progress(done, all);
        }
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Error::Objects {
            what: "the trail's objects are",
            objects: lacking,
            to_do: "The backup before this one stays in force. Run the command again if something was erased meanwhile; otherwise \
                    `minutebook verify` says what is wrong with the trail",
        })
    }

    async fn object(&self, object: &Described, there: &HashMap<String, u64>) -> Result<Became> {
        let has = there.get(&object.name).copied();
        if has == Some(object.length) && (self.options.quick || self.is_right(object).await?) {
            return Ok(Became::Kept);
        }
        let bytes = self.read(object.name.clone()).await?;
        let Some(bytes) = bytes.filter(|bytes| is_described(bytes, object)) else {
            return Ok(Became::Lacking);
        };
        self.to.objects.put(&object.name, Bytes::from(bytes)).await?;
        if !self.is_right(object).await? {
            return Err(self.to.wrong(format!(
                "gives `{}` back otherwise than it was written: do not use it",
                object.name
            )));
        }
        Ok(if has.is_some() { Became::Mended(object.length) } else { Became::Copied(object.length) })
    }

    /// Whether the place has an object as the log describes it.
    async fn is_right(&self, object: &Described) -> Result<bool> {
        let there = self.to.objects.get(&object.name).await?;
        Ok(there.is_some_and(|there| is_described(&there, object)))
    }

    /// The catalog's copy in pieces, each under the name of its digest.
    async fn catalog(&self, catalog: File, manifest: &mut Manifest) -> Result<()> {
        let mut state = Some(catalog);
        let mut whole = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut at = 0;
        while let Some(file) = state.take() {
            let (file, piece) = blocking(move || {
                let mut piece = vec![0; CATALOG_PIECE_BYTES];
                let mut filled = 0;
                while filled < piece.len() {
                    let read = file.read_at(&mut piece[filled..], at + filled as u64);
                    match read.map_err(|e| Error::io("read the catalog's copy", "catalog.db".as_ref(), e))? {
                        0 => break,
                        read => filled += read,
                    }
                }
                piece.truncate(filled);
                Ok((file, piece))
            })
            .await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            whole.update(&piece);
            let name = hex(&digest(&piece));
            let object = Manifest::piece_name(&name);
            if self.to.objects.get(&object).await?.is_none_or(|there| there != piece) {
                self.to.objects.put(&object, Bytes::from(piece)).await?;
            }
            manifest.catalog.push(name);
            state = Some(file);
        }
        manifest.catalog_bytes = at;
        manifest.catalog_sha256 = hex(whole.finish().as_ref());
        Ok(())
    }

    /// The notes of erasures that the key folder has, when it is at hand.
    async fn notes(&self, place: &Place, trail: &minutebook_verify::Id) -> Result<()> {
        let keys = place.key_folder(trail)?;
        for note in notes_in(&keys, trail)?.into_values() {
            hand_over(self.to, trail, &note).await?;
        }
        Ok(())
    }
}

/// All notes that a place has, by bucket.
pub(super) async fn notes_at(
    from: &BackupPlace,
    trail: &minutebook_verify::Id,
) -> Result<BTreeMap<u16, ErasureNote>> {
    let mut notes = BTreeMap::new();
    for name in from.objects.list(crate::erasure_note::ERASURES).await?.into_keys() {
        let Some(bytes) = from.objects.get(&name).await? else { continue };
        let note = ErasureNote::parse(trail, &bytes).map_err(|what| {
            from.wrong(format!("has a damaged note of erasures, `{name}` ({what}): use another backup"))
        })?;
        notes.insert(note.bucket, note);
    }
    Ok(notes)
}

/// Whether bytes are those that the log describes.
pub(super) fn is_described(bytes: &[u8], object: &Described) -> bool {
    bytes.len() as u64 == object.length && digest(bytes) == object.digest
}

/// The beginning of a full tile or bundle that a narrower one has.
fn beginning(tile: Tile, full: &[u8]) -> Option<Vec<u8>> {
    let width = usize::from(tile.width());
    match tile.kind() {
        TileKind::Entries => {
            let entries = decode_bundle(full, 256).ok()?;
            encode_bundle(entries.get(..width)?).ok()
        }
        TileKind::Hashes { .. } => full.get(..width * minutebook_tlog::Hash::BYTES).map(<[u8]>::to_vec),
    }
}

/// Makes names below a folder durable: of what is there already nobody knows whether it was flushed.
pub(super) async fn settle(root: PathBuf, names: impl Iterator<Item = String>) -> Result<()> {
    let mut folders = BTreeSet::from([root.clone()]);
    for name in names {
        let path = root.join(name);
        folders.extend(path.ancestors().skip(1).take_while(|folder| **folder != root).map(Path::to_owned));
    }
    blocking(move || {
        folders.iter().try_for_each(|folder| {
            durable::sync_folder(folder).map_err(|e| Error::io("flush the folder", folder, e))
        })
    })
    .await
}
