//! The keys of the index (`docs/formats/index.md`, "Keys"): one at rest, two while it is replaced. Edge: what they encrypt lies in the
//! trail's folder, and is
//! made anew from evidence when they are lost.

use super::{INDEX_FILE, KeyFolder, open_to_wipe, secret, staged, wipe};
use crate::durable;
use crate::environment::draw;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Random;
use minutebook_verify::keys::Secret;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMAT: &str = "minutebook/index-keys/1";

/// The file of a key folder with the keys of the index.
#[derive(Debug, Clone)]
pub struct IndexKeys {
    folder: PathBuf,
}

impl IndexKeys {
    pub(super) fn of(folder: &KeyFolder) -> Self {
        Self { folder: folder.path.clone() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(INDEX_FILE)
    }

    /// The keys that there are, the latest last; none before the first index. Blocks on the file.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or is malformed.
    pub fn load(&self) -> Result<Vec<Secret>> {
        let file = self.file();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read the index's keys", &file, error)),
        };
        if durable::is_open_to_others(&file).map_err(|e| Error::io("look at the keys", &file, e))? {
            return Err(Error::KeysOpenToOthers { file });
        }
        let malformed = |what| Error::KeysMalformed { file: self.file(), what };
        let mut lines = text.lines();
        if lines.next() != Some(FORMAT) {
            return Err(malformed("its first line is not that of index keys"));
        }
        lines.map(|line| secret(line).ok_or_else(|| malformed("a key of the index"))).collect()
    }

    /// Makes a fresh key beside those that there are. Durable on return. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, random: &dyn Random) -> Result<Secret> {
        let mut keys = self.load()?;
        let fresh = Secret::new(draw(random)?);
        keys.push(fresh.clone());
        self.save(&keys)?;
        Ok(fresh)
    }

    /// Destroys all keys but one: what is encrypted under the others opens no more. Durable on return. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_only(&self, key: &Secret) -> Result<()> {
        let others = self.load()?.iter().any(|known| known.expose() != key.expose());
        if others { self.save(std::slice::from_ref(key)) } else { Ok(()) }
    }

    fn save(&self, keys: &[Secret]) -> Result<()> {
        let mut text = Zeroizing::new(format!("{FORMAT}\n"));
        for key in keys {
            let encoded = Zeroizing::new(BASE64.encode(key.expose()));
            text.push_str(&encoded);
            text.push('\n');
        }
        let target = self.file();
        clear(&self.folder.join(staged(INDEX_FILE)))?;
        let old = open_to_wipe(&target)?;
        durable::replace(&self.folder, &staged(INDEX_FILE), &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write the index's keys", &target, e))?;
        wipe(old, &target)
    }
}

/// Removes what a crash left of a file of keys.
fn clear(path: &Path) -> Result<()> {
    let old = open_to_wipe(path)?;
    durable::remove(path).map_err(|e| Error::io("remove", path, e))?;
    wipe(old, path)
}
