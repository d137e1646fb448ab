//! Notes of erasures (`docs/formats/backup.md`, "Erasure notes"): what an older copy of the catalog has to be told so that it forgets whom it
//! has to, and opens with the bucket keys of today. Edge: writes them beside the bucket keys and hands them to backups; a restore applies them.

use crate::backup::{BackupPlace, PLACES};
use crate::durable;
use crate::engine::Engine;
use crate::erase::erased_of_bucket;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use minutebook_verify::{Id, hex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The folder of the notes, in the key folder and in a backup.
pub const ERASURES: &str = "erasures";

const FORMAT: &str = "minutebook/erasures/1";

/// The erasures in one bucket, and what is left in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ErasureNote {
    format: String,
    trail: String,
    /// Which bucket.
    pub bucket: u16,
    /// The generation of its key.
    pub generation: u32,
    #[serde(default)]
    erased: Vec<Erased>,
    #[serde(default)]
    subject: Vec<Kept>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Erased {
    number: u64,
    #[serde(default)]
    blobs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Kept {
    number: u64,
    wrapped: String,
}

impl ErasureNote {
    /// Reads a note of a trail.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(trail: &Id, bytes: &[u8]) -> std::result::Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let note: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if note.format != FORMAT || note.trail != hex(trail) {
            return Err("it is no note of erasures in this trail".into());
        }
        Ok(note)
    }

    /// The numbers of the subjects that were erased.
    pub fn erased(&self) -> Vec<u64> {
        self.erased.iter().map(|erased| erased.number).collect()
    }

    /// The wrapped keys of those that are left, by number.
    pub fn kept(&self) -> Vec<(u64, Vec<u8>)> {
        let kept = self.subject.iter();
        kept.filter_map(|kept| Some((kept.number, BASE64.decode(&kept.wrapped).ok()?))).collect()
    }

    /// The text of the note.
    pub fn render(&self) -> String {
        // INVARIANT: texts and numbers always serialise.
        toml::to_string(self).expect("texts and numbers")
    }

    /// The later of two notes of one bucket, with the erasures of both.
    pub fn join(self, other: Self) -> Self {
        let (mut later, earlier) =
            if self.generation >= other.generation { (self, other) } else { (other, self) };
        for erased in earlier.erased {
            if later.erased.iter().all(|known| known.number != erased.number) {
                later.erased.push(erased);
            }
        }
        later
    }
}

/// The object name of a bucket's note.
pub fn note_name(bucket: u16) -> String {
    format!("{ERASURES}/{bucket:03x}")
}

/// All notes of a key folder, by bucket.
pub fn notes_in(keys: &Path, trail: &Id) -> Result<BTreeMap<u16, ErasureNote>> {
    let folder = keys.join(ERASURES);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::io("read the folder", &folder, error)),
    };
    let mut notes = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("read the folder", &folder, e))?.path();
        // What an interrupted write left has a longer name.
        if path.file_name().is_some_and(|name| name.len() == 3) {
            let note = read(&path, trail)?;
            notes.extend(note.map(|note| (note.bucket, note)));
        }
    }
    Ok(notes)
}

/// Removes notes that were being written when their process died, and makes the others durable.
pub fn sweep(keys: &Path) -> Result<()> {
    let folder = keys.join(ERASURES);
    let swept = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(mut entries) => entries
            .try_for_each(|entry| {
                let path = entry?.path();
                if path.extension().is_some() { durable::remove(&path) } else { Ok(()) }
            })
            .and_then(|()| durable::sync_folder(&folder)),
    };
    swept.map_err(|e| Error::io("sweep the folder", &folder, e))
}

fn read(path: &Path, trail: &Id) -> Result<Option<ErasureNote>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let malformed =
                |_| Error::KeysMalformed { file: path.to_owned(), what: "not a note of erasures" };
            ErasureNote::parse(trail, &bytes).map(Some).map_err(malformed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

impl Engine {
    /// Writes the note of a bucket whose catalog rows are those of `generation`. Durable on return.
    pub(crate) async fn note_erasures(&self, bucket: u16, generation: u32) -> Result<()> {
        let folder = self.keys.path().join(ERASURES);
        durable::make_folder(&folder).map_err(|e| Error::io("make the folder", &folder, e))?;
        let path = self.keys.path().join(note_name(bucket));
        let before = read(&path, &self.file.id)?;
        let mut erased = before.map_or_else(Vec::new, |note| note.erased);
        for (number, blobs) in erased_of_bucket(&self.catalog.acts().await?, bucket) {
            if erased.iter().all(|known| known.number != number) {
                erased.push(Erased { number, blobs: blobs.iter().map(|blob| hex(blob)).collect() });
            }
        }
        let rows = self.catalog.subjects_in_bucket(bucket).await?;
        let kept = |row: &crate::catalog::SubjectRow| Kept {
            number: row.number,
            wrapped: BASE64.encode(&row.wrapped),
        };
        let note = ErasureNote {
            format: FORMAT.into(),
            trail: hex(&self.file.id),
            bucket,
            generation,
            erased,
            subject: rows.iter().map(kept).collect(),
        };
        durable::replace(&folder, &format!("{bucket:03x}.new"), &path, &[note.render().as_bytes()])
            .map_err(|e| Error::io("write", &path, e))
    }

    /// Hands notes to the places where this trail was backed up, so far as they can be reached: the next backup brings what is missing.
    pub(crate) async fn push_notes(&self, buckets: &[u16]) {
        if buckets.is_empty() {
            return;
        }
        let places = match self.catalog.meta(PLACES).await {
            Ok(places) => String::from_utf8_lossy(&places.unwrap_or_default()).into_owned(),
            Err(error) => return tracing::warn!("backups are not told of an erasure: {error}"),
        };
        for place in places.lines() {
            if let Err(error) = self.push_to(place, buckets).await {
                tracing::warn!(
                    "a backup is not told of an erasure before the next one is made there: {error}"
                );
            }
        }
    }

    async fn push_to(&self, place: &str, buckets: &[u16]) -> Result<()> {
        let place = BackupPlace::existing(place)?;
        place.check_trail(&self.file.id).await?;
        for bucket in buckets {
            let path = self.keys.path().join(note_name(*bucket));
            if let Some(note) = read(&path, &self.file.id)? {
                hand_over(&place, &self.file.id, &note).await?;
            }
        }
        Ok(())
    }
}

/// Puts a note into a place, with the erasures that the place knows of. Durable on return.
pub async fn hand_over(place: &BackupPlace, trail: &Id, note: &ErasureNote) -> Result<()> {
    let name = note_name(note.bucket);
    let there = place.objects.get(&name).await?;
    let there = there.and_then(|bytes| ErasureNote::parse(trail, &bytes).ok());
    let joined = there.iter().cloned().fold(note.clone(), ErasureNote::join);
    if there.as_ref() != Some(&joined) {
        place.objects.put(&name, Bytes::from(joined.render())).await?;
    }
    Ok(())
}
