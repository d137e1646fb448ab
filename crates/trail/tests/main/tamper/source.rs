//! Trails in memory: a folder's evidence read once, changes laid over it without copying, and keys that do without a catalog.

use minutebook_trail::FolderSource;
use minutebook_verify::keys::{Keys, Secret, SubjectKey};
use minutebook_verify::{Id, Source};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a verifier may read of a folder, in memory.
#[derive(Clone, Default)]
pub struct MapSource(pub BTreeMap<String, Arc<Vec<u8>>>);

impl MapSource {
    /// The evidence in a folder: everything but catalog, lock and spool.
    pub fn of_folder(folder: &Path) -> Self {
        let source = FolderSource::new(folder);
        let evidence = |name: &String| {
            name == "trail.toml" || ["log/", "segments/", "blobs/"].iter().any(|part| name.starts_with(part))
        };
        let read = |name: String| {
            let bytes = source.read(&name).unwrap().unwrap();
            (name, Arc::new(bytes))
        };
        Self(source.list().unwrap().into_iter().filter(evidence).map(read).collect())
    }

    pub fn bytes(&self, name: &str) -> &[u8] {
        &self.0[name]
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.names().filter(move |name| name.starts_with(prefix))
    }
}

impl Source for MapSource {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).map(|bytes| bytes.to_vec()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names().map(str::to_owned).collect())
    }
}

/// A trail with changes laid over it: `None` removes.
#[derive(Clone)]
pub struct Tampered<'a> {
    base: &'a MapSource,
    changes: BTreeMap<String, Option<Vec<u8>>>,
}

impl<'a> Tampered<'a> {
    pub fn new(base: &'a MapSource) -> Self {
        Self { base, changes: BTreeMap::new() }
    }

    pub fn put(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.changes.insert(name.to_owned(), Some(bytes.into()));
    }

    pub fn remove(&mut self, name: &str) {
        self.changes.insert(name.to_owned(), None);
    }

    /// The same with one more object.
    pub fn with(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(name, bytes);
        self
    }
}

impl Source for Tampered<'_> {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.changes.get(name) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.read(name),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let there = |name: &&str| self.changes.get(*name).is_none_or(Option::is_some);
        let added =
            self.changes.iter().filter(|(name, change)| change.is_some() && !self.base.0.contains_key(*name));
        let names = self.base.names().filter(there).map(str::to_owned);
        Ok(names.chain(added.map(|(name, _)| name.clone())).collect())
    }
}

/// The keys of a trail, all of them at hand.
#[derive(Clone, Default)]
pub struct HeldKeys {
    pub audit: HashMap<Id, Secret>,
    pub content: HashMap<Id, Secret>,
    pub subjects: HashMap<u64, Secret>,
}

/// The same, for reading no deeper than a level.
pub struct UpTo<'a>(pub &'a HeldKeys, pub u8);

impl Keys for UpTo<'_> {
    fn audit(&self, class_epoch: &Id) -> Option<Secret> {
        self.0.audit.get(class_epoch).filter(|_| self.1 >= 1).cloned()
    }

    fn content(&self, class_epoch: &Id) -> Option<Secret> {
        self.0.content.get(class_epoch).filter(|_| self.1 >= 2).cloned()
    }

    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        if self.1 < 2 {
            return vec![SubjectKey::Withheld; numbers.len()];
        }
        let key = |number| self.0.subjects.get(number).cloned().map_or(SubjectKey::Gone, SubjectKey::Known);
        numbers.iter().map(key).collect()
    }
}
