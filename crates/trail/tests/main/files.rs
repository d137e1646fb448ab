//! Folders as a test copies, compares and searches them.

use std::collections::BTreeMap;
use std::path::Path;

/// Every file below a folder, by its name there.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                let bytes = std::fs::read(entry.path());
                assert!(gone_or_done(&bytes), "{name}: {bytes:?}");
                found.extend(bytes.ok().map(|bytes| (name, bytes)));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

/// Copies a folder with all below it, permissions too.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    // A key folder that is open to others is refused.
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let copied = std::fs::copy(entry.path(), &target);
            assert!(gone_or_done(&copied), "{}: {copied:?}", target.display());
        }
    }
}

/// Makes a folder what a copy of it was.
pub fn restore(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

/// Done, or the file went meanwhile: SQLite removes its own some time after the catalog was let go of.
fn gone_or_done<T>(result: &std::io::Result<T>) -> bool {
    !matches!(result, Err(error) if error.kind() != std::io::ErrorKind::NotFound)
}
