//! The name of a trail among those of one server, as it stands in paths: `/t/NAME`. Edge: a value; which trails there are, `front` knows.

use std::path::Path;
use std::sync::Arc;

use crate::limits::TRAIL_NAME_BYTES_MAX;

/// Letters, digits, `-`, `_` and `.` of ASCII, and not dots alone, which clients take out of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrailName(Arc<str>);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name of a trail: letters, digits, `-`, `_` and `.`, {TRAIL_NAME_BYTES_MAX} at most, and not dots alone", _0.escape_default())]
pub struct NotAName(String);

impl TrailName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let is_of = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_name = (1..=TRAIL_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of);
        if !is_name || text.bytes().all(|b| b == b'.') {
            return Err(NotAName(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// That of a folder; none when the folder's own is no name.
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let last = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        // One that ends with `..` says what it is called when it is looked at.
        let name = last(folder).or_else(|| last(&folder.canonicalize().ok()?))?;
        Self::parse(&name).ok()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the trail's paths begin.
    pub(crate) fn base(&self) -> String {
        format!("/t/{}", self.0)
    }
}

impl std::fmt::Display for TrailName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_a_path_as_it_is() {
        for name in ["credit", "Credit-2_v1.0", "7", "..a", &"x".repeat(TRAIL_NAME_BYTES_MAX)] {
            assert_eq!(TrailName::parse(name).unwrap().as_str(), name);
        }
        for none in
            ["", ".", "..", "...", "a/b", "a b", "a%20b", "ä", "a?b", &"x".repeat(TRAIL_NAME_BYTES_MAX + 1)]
        {
            assert!(TrailName::parse(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_folder_gives_its_own() {
        let of = |path: &str| TrailName::of_folder(Path::new(path)).map(|name| name.to_string());
        assert_eq!(of("/srv/credit"), Some("credit".into()));
        assert_eq!(of("/srv/credit/"), Some("credit".into()));
        assert_eq!(of("/srv/my trail"), None);
        assert_eq!(of("/"), None);
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("outer/inner");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(of(inner.join("..").to_str().unwrap()), Some("outer".into()));
    }
}
