//! The manifest (`docs/formats/index.md`, "Manifest"): which files the index has, with their keys, and up to where in the log they go.
//! Edge: bytes and
//! their encryption; what the files hold is `file`'s.

use std::path::Path;

use minutebook_capture::Random;
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::column::Column;
use crate::error::{Error, Result};
use crate::sys;
use crate::table::TableId;

/// Its name in the index's folder.
pub const MANIFEST: &str = "manifest";

const FORMAT: &str = "minutebook/index/1";
const MAGIC: &[u8; 8] = b"mbindx1\n";
const NONCE: usize = 12;

/// What the index consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    /// Entries of the log that are in the files.
    pub position: u64,
    /// The tables.
    pub tables: Vec<TableEntry>,
}

/// A table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableEntry {
    /// Which.
    pub table: TableId,
    /// All its columns, those in memory too.
    pub columns: Vec<Column>,
    /// Its files, the oldest first.
    pub files: Vec<FileEntry>,
}

/// A file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileEntry {
    /// 32 hex digits; says nothing.
    pub name: String,
    /// Its key, 64 hex digits.
    pub key: Zeroizing<String>,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// The first and the last time, ns since 1970.
    pub times: (i64, i64),
    /// The first and the last id.
    pub ids: (String, String),
    /// The first and the last place in the log.
    pub log: (u64, u64),
    /// How often its rows were joined with others.
    pub tier: u8,
}

impl Manifest {
    /// Of an index that has these tables up to a place in the log.
    pub fn new(position: u64, tables: Vec<TableEntry>) -> Self {
        Self { format: FORMAT.into(), position, tables }
    }

    /// Reads it with whichever key opens it; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, no key opens it, or it is malformed: the index is then made anew.
    pub fn read(folder: &Path, trail: &Id, keys: &[Secret]) -> Result<Option<(Self, Secret)>> {
        let path = folder.join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let damaged = |what: &str| Error::damaged(&path, what);
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it is no manifest of an index"))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(|| damaged("it is cut short"))?;
        for key in keys.iter().rev() {
            let mut sealed = sealed.to_vec();
            let Some(clear) = Cipher::new(key).open_with(*nonce, &associated(trail), &mut sealed) else {
                continue;
            };
            let manifest: Self =
                serde_json::from_slice(clear).map_err(|_| damaged("its content is malformed"))?;
            if manifest.format != FORMAT {
                return Err(damaged("it is of another format"));
            }
            return Ok(Some((manifest, key.clone())));
        }
        Err(damaged("no key opens it"))
    }

    /// Puts it in place of the one before. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path, trail: &Id, key: &Secret, random: &dyn Random) -> Result<()> {
        let path = folder.join(MANIFEST);
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce).map_err(|_| minutebook_trail::Error::NoRandomness)?;
        // INVARIANT: texts and numbers always serialise.
        let mut sealed = serde_json::to_vec(self).expect("a manifest");
        Cipher::new(key).seal_with(nonce, &associated(trail), &mut sealed);
        let bytes = [MAGIC.as_slice(), &nonce, &sealed].concat();
        sys::replace(&path, &bytes).map_err(|error| Error::io("write", &path, error))
    }
}

fn associated(trail: &Id) -> Vec<u8> {
    [FORMAT.as_bytes(), trail].concat()
}
