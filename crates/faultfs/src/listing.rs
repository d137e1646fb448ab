//! A directory as of its last flush: names, and which object each name stands for.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Error;
use crate::shadow::{Locked, ObjectId};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    /// With its target.
    Symlink(OsString),
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: EntryKind,
    /// The permission bits.
    pub(crate) mode: u32,
    pub(crate) object: ObjectId,
}

/// Reads a directory as it is now, in the order of names. Sockets, pipes and devices are left out.
pub(crate) fn scan(shadow: &mut Locked<'_>, directory: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for found in fs::read_dir(directory).map_err(Error::at(directory))? {
        let found = found.map_err(Error::at(directory))?;
        let path = found.path();
        let metadata = match found.metadata() {
            Ok(metadata) => metadata,
            // Removed behind our back, by a process that is not part of the run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::at(&path)(error)),
        };
        let kind = if metadata.is_file() {
            EntryKind::File
        } else if metadata.is_dir() {
            EntryKind::Directory
        } else if metadata.is_symlink() {
            EntryKind::Symlink(fs::read_link(&path).map_err(Error::at(&path))?.into_os_string())
        } else {
            continue;
        };
        let object = shadow.object(metadata.dev(), metadata.ino())?;
        entries.push(Entry { name: found.file_name(), kind, mode: metadata.mode() & 0o7777, object });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// The stored form: for each entry `kind mode object`, its name and its target, each ended by a zero byte.
pub(crate) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Entry { name, kind, mode, object } in entries {
        let (letter, target) = match kind {
            EntryKind::File => ('f', None),
            EntryKind::Directory => ('d', None),
            EntryKind::Symlink(target) => ('l', Some(target)),
        };
        bytes.extend_from_slice(format!("{letter} {mode} {}", object.0).as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(target.map_or(b"", |target| target.as_bytes()));
        bytes.push(0);
    }
    bytes
}

/// Reads the stored form; `None` if it isn't one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let fields = bytes.split(|byte| *byte == 0).collect::<Vec<_>>();
    let (last, fields) = fields.split_last()?;
    let (entries, rest) = fields.as_chunks::<3>();
    if !last.is_empty() || !rest.is_empty() {
        return None;
    }
    entries.iter().map(|[head, name, target]| decode_entry(head, name, target)).collect()
}

fn decode_entry(head: &[u8], name: &[u8], target: &[u8]) -> Option<Entry> {
    let mut head = str::from_utf8(head).ok()?.split(' ');
    let kind = match head.next()? {
        "f" => EntryKind::File,
        "d" => EntryKind::Directory,
        "l" => EntryKind::Symlink(OsString::from_vec(target.to_vec())),
        _ => return None,
    };
    let mode = head.next()?.parse().ok()?;
    let object = ObjectId(head.next()?.parse().ok()?);
    Some(Entry { name: OsString::from_vec(name.to_vec()), kind, mode, object })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_reads_back() {
        let entry = |name: &str, kind, object| Entry {
            name: name.into(),
            kind,
            mode: 0o640,
            object: ObjectId(object),
        };
        let entries = [
            entry("a b\nc", EntryKind::File, 1),
            entry("d", EntryKind::Directory, 20),
            entry("l", EntryKind::Symlink("../x y".into()), 300),
        ];
        assert_eq!(decode(&encode(&entries)).as_deref(), Some(&entries[..]));
        assert_eq!(decode(&encode(&[])), Some(Vec::new()));
        assert_eq!(decode(b"f 1 1\0cut"), None);
    }
}
