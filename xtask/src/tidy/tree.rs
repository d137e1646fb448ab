//! The files of the repository, read once for all rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::failure::{During, Failure};

/// What is not ours to judge: made by tools or by the demo.
const SKIPPED_FOLDERS: [&str; 8] =
    [".git", ".mypy_cache", ".venv", "__pycache__", "demo-keys", "demo-trail", "node_modules", "target"];

/// Cargo marks its target folders with this, whatever they are called.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// Text files with their content, and the names of all files and folders.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// Every file and folder, relative to the root, with `/`.
    pub(super) paths: BTreeSet<String>,
}

/// A file whose content is UTF-8.
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What stands behind the last dot of the name.
    pub(super) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether it is Rust that runs only in a test, a benchmark or a build.
    pub(super) fn is_test_bench_or_build(&self) -> bool {
        let folder = |name: &str| self.path.split('/').any(|part| part == name);
        ["tests", "benches", "fuzz"].into_iter().any(folder) || matches!(self.name(), "tests.rs" | "build.rs")
    }
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut tree = Self { files: Vec::new(), paths: BTreeSet::new() };
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<(), Failure> {
        let cannot_read = || format!("cannot read `{}`", folder.display());
        for entry in fs::read_dir(folder).during(cannot_read)? {
            let entry = entry.during(cannot_read)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().during(cannot_read)?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                if !SKIPPED_FOLDERS.contains(&name.as_str()) && !entry.path().join(CACHE_MARK).exists() {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                    self.paths.insert(path);
                }
            } else if kind.is_file() && name != ".git" {
                let bytes = fs::read(entry.path()).during(|| format!("cannot read `{path}`"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.push(File { path: path.clone(), text });
                }
                self.paths.insert(path);
            }
        }
        Ok(())
    }

    /// A tree for tests.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut paths = BTreeSet::new();
        for (path, _) in files {
            let mut path = *path;
            paths.insert(path.to_owned());
            while let Some((folder, _)) = path.rsplit_once('/') {
                paths.insert(folder.to_owned());
                path = folder;
            }
        }
        let files =
            files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
        Self { files, paths }
    }

    pub(super) fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.extension() == extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_tools_make_are_left_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in ["src/a.rs", "target/b.rs", "build/CACHEDIR.TAG", "build/c.rs", "src/__pycache__/d.py"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "text").expect("written");
        }
        fs::write(folder.path().join("binary"), [0xff, 0xfe]).expect("written");
        let tree = Tree::read(folder.path()).expect("read");
        let files: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["src/a.rs"]);
        assert_eq!(tree.paths.iter().map(String::as_str).collect::<Vec<_>>(), ["binary", "src", "src/a.rs"]);
    }
}
