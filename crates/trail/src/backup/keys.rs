//! Copies of the key folder, apart from the data: each is noted in the trail with the time when it is to be destroyed, before it is made, so
//! that it is known until when an erased person could still be read with one. Edge: what becomes of a copy is for whoever has it.

use super::KEY_COPY;
use crate::catalog::{ActRow, Catalog};
use crate::durable;
use crate::engine::Engine;
use crate::environment::draw;
use crate::erasure_note::{ERASURES, notes_in};
use crate::error::{Error, Result};
use crate::keyfolder::{BUCKETS, KeyFolder};
use minutebook_verify::Id;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The named value in the catalog that has the copies that were made: a line each, when it was made, when it expires, and the erasures by then.
pub const KEY_COPIES: &str = "key_copies";

/// A copy of the key folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopy {
    /// When it was made, RFC 3339.
    pub made: String,
    /// When it is to be destroyed, RFC 3339; none when nobody said.
    pub expires: Option<String>,
    /// Entries of the log that says so.
    pub log_size: u64,
}

impl Engine {
    /// Notes that the key folder is about to be copied, and makes the bucket keys that there are none of yet, so that what comes later is under keys
    /// that the copy has. `expires` is RFC 3339. Durable on return.
    ///
    /// # Errors
    /// When `expires` is no time; otherwise as [`Engine::seal_round`].
    pub async fn note_key_copy(&mut self, expires: Option<&str>) -> Result<KeyCopy> {
        self.check_running()?;
        if let Some(expires) = expires
            && expires.parse::<jiff::Timestamp>().is_err()
        {
            return Err(Error::Request(format!("`{expires}` is no time, such as 2027-02-01T00:00:00Z")));
        }
        let result = self.begin_key_copy(expires).await;
        let made = self.stop_on_error(result)?;
        self.seal().await?;
        Ok(KeyCopy { made, expires: expires.map(str::to_owned), log_size: self.publisher.size() })
    }

    async fn begin_key_copy(&mut self, expires: Option<&str>) -> Result<String> {
        let random = std::sync::Arc::clone(&self.environment.random);
        let all: Vec<u16> = (0..BUCKETS).collect();
        self.subjects.buckets.ensure(&all, random.as_ref())?;
        let made = self.environment.rfc3339();
        let expires = expires.unwrap_or("never");
        let noted = self.catalog.meta(KEY_COPIES).await?.unwrap_or_default();
        let erasures = self.catalog.erasures().await?;
        let noted = [&noted[..], format!("{made} {expires} {erasures}\n").as_bytes()].concat();
        let text = format!("made {made}, expires {expires}");
        let body = [&minutebook_sha256::digest(b"")[..], text.as_bytes()].concat();
        let act = ActRow { id: draw(random.as_ref())?, kind: KEY_COPY.into(), body };
        self.catalog.note_act(&act, KEY_COPIES, &noted).await?;
        Ok(made)
    }

    /// Whether subjects were erased since the key folder was copied last, or it never was.
    pub(crate) async fn key_copy_due(&self) -> Result<bool> {
        let erasures = self.catalog.erasures().await?;
        let copies = copies(&self.catalog).await?;
        Ok(copies.last().is_none_or(|copy| copy.erasures < erasures))
    }
}

struct Noted {
    expires: Option<jiff::Timestamp>,
    erasures: u64,
}

async fn copies(catalog: &Catalog) -> Result<Vec<Noted>> {
    let noted = catalog.meta(KEY_COPIES).await?.unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let expires = words.next()?.parse().ok();
        Some(Noted { expires, erasures: words.next()?.parse().ok()? })
    };
    Ok(String::from_utf8_lossy(&noted).lines().filter_map(line).collect())
}

/// When the last copy of the key folder expires that was made before now, RFC 3339: `never` when one has no end, none when there is none left.
pub(crate) async fn last_expiry(catalog: &Catalog, now_s: i64) -> Result<Option<String>> {
    let mut last = None;
    for copy in copies(catalog).await? {
        match copy.expires {
            None => return Ok(Some("never".into())),
            Some(expires) if expires.as_second() > now_s => last = last.max(Some(expires)),
            Some(_) => {}
        }
    }
    Ok(last.map(|expires| expires.to_string()))
}

/// Copies a key folder into `target`, which is new or empty, or an earlier copy of the same keys, which is replaced and wiped. The engine has noted
/// it before ([`Engine::note_key_copy`]) and may run. Durable on return.
///
/// # Errors
/// When the target holds something else or cannot be written; when an erasure or a rotation changes the keys again and again meanwhile.
pub fn copy_keys(keys: &Path, trail: Id, target: &Path) -> Result<()> {
    let source = KeyFolder::open(keys, trail)?;
    if std::path::absolute(keys).ok() == std::path::absolute(target).ok() {
        return Err(Error::Request(
            "the copy of the key folder would lie in the key folder: name another folder".into(),
        ));
    }
    durable::make_folder(target)
        .map_err(|source| Error::KeysNowhere { folder: target.to_owned(), source })?;
    if durable::is_open_to_others(target).map_err(|e| Error::io("look at the folder", target, e))? {
        return Err(Error::KeysOpenToOthers { file: target.to_owned() });
    }
    match KeyFolder::open(target, trail) {
        Ok(_) => {}
        Err(Error::KeysMissing { .. }) => {
            let mut entries =
                std::fs::read_dir(target).map_err(|e| Error::io("read the folder", target, e))?;
            let left = |name: &std::ffi::OsStr| {
                name == ERASURES || name.to_string_lossy().ends_with(".new") || name == "buckets"
            };
            if entries.any(|entry| entry.is_ok_and(|entry| !left(&entry.file_name()))) {
                return Err(Error::FolderInUse { folder: target.to_owned() });
            }
        }
        Err(error) => return Err(error),
    }
    // `keys.toml` comes last: it is what makes a folder a key folder.
    let notes = notes_in(keys, &trail)?;
    if !notes.is_empty() {
        let folder = target.join(ERASURES);
        durable::make_folder(&folder).map_err(|e| Error::io("make the folder", &folder, e))?;
        for (bucket, note) in notes {
            let name = format!("{bucket:03x}");
            durable::replace(
                &folder,
                &format!("{name}.new"),
                &folder.join(&name),
                &[note.render().as_bytes()],
            )
            .map_err(|e| Error::io("write", &folder.join(&name), e))?;
        }
    }
    source.copy_to(target)
}
