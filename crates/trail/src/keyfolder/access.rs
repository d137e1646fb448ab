//! What an operator said of who may do what (`docs/formats/access.md`): one text in the key folder. Edge: keeps it; what it means is not known here.

use super::{FileStamp, staged};
use crate::durable;
use crate::error::{Error, Result};
use crate::limits::ACCESS_BYTES_MAX;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

const FILE: &str = "access.toml";

/// The text, as it is stored. What is read here blocks on a small file.
#[derive(Debug, Clone)]
pub struct AccessFile {
    folder: PathBuf,
}

impl AccessFile {
    /// That of the key folder `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Which state the file is in.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn stamp(&self) -> Result<FileStamp> {
        let file = self.file();
        FileStamp::of(&file).map_err(|error| Error::io("look at", &file, error))
    }

    /// The text; none when nothing was ever said.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or is too long.
    pub fn load(&self) -> Result<Option<String>> {
        let path = self.file();
        let mut text = String::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(ACCESS_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        }
        if text.len() as u64 > ACCESS_BYTES_MAX {
            return Err(Error::KeysMalformed { file: path, what: "it is longer than such a text can be" });
        }
        // Whoever could write it would let themselves in.
        if durable::is_open_to_others(&path).map_err(|e| Error::io("look at", &path, e))? {
            return Err(Error::KeysOpenToOthers { file: path });
        }
        Ok(Some(text))
    }

    /// Replaces the text. Durable on return.
    pub(crate) fn save(&self, text: &str) -> Result<()> {
        let target = self.file();
        durable::replace(&self.folder, &staged(FILE), &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write", &target, e))
    }
}
