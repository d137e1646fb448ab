//! The file of an auditor's keys (`docs/formats/keys.md`, "An exported audit key"): writing and reading it.
//! Edge: a file of secrets; no error shows any of it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_trail::ClassEpochKey;
use minutebook_verify::keys::{Keys, Secret, SubjectKey};
use minutebook_verify::{hex, unhex};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};

const FORMAT: &str = "minutebook/audit-keys/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    format: String,
    trail: String,
    #[serde(default)]
    class_epoch: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    class: String,
    month: String,
    audit: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Zeroizing<String>>,
}

/// The text of the file for these keys; with `content`, also those that open records without a subject.
pub(crate) fn render(trail: &[u8; 16], keys: &[ClassEpochKey], content: bool) -> Result<Zeroizing<String>> {
    let text = |secret: &Secret| Zeroizing::new(BASE64.encode(secret.expose()));
    let entry = |key: &ClassEpochKey| Entry {
        id: hex(&key.id),
        class: key.class.clone(),
        month: key.month.clone(),
        audit: text(&key.audit),
        content: content.then(|| text(&key.content)),
    };
    let file =
        File { format: FORMAT.into(), trail: hex(trail), class_epoch: keys.iter().map(entry).collect() };
    toml::to_string(&file).map(Zeroizing::new).map_err(|_| Failure::Told {
        exit: Exit::Trail,
        what: "the keys cannot be written as a file".into(),
        to_do: None,
    })
}

/// Writes a file that only its owner reads; it must not be there.
pub(crate) fn write(path: &Path, text: &str) -> Result {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Failure::file("write", path, &error))
}

/// An auditor's keys: numbers and leaves of each segment, and perhaps records that are about nobody.
#[derive(Clone)]
pub(crate) struct AuditKeys {
    audit: HashMap<[u8; 16], Secret>,
    content: HashMap<[u8; 16], Secret>,
    level: u8,
}

impl AuditKeys {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not what the format says.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| Failure::file("read", path, &error))?;
        Self::parse(&text).ok_or_else(|| Failure::Told {
            exit: Exit::Trail,
            what: format!("`{}` is no file of audit keys of format `{FORMAT}`", path.display()),
            to_do: Some("`minutebook key export --audit` writes one".into()),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let file: File = toml::from_str(text).ok().filter(|file: &File| file.format == FORMAT)?;
        let mut keys = Self { audit: HashMap::new(), content: HashMap::new(), level: 2 };
        for entry in &file.class_epoch {
            let id = unhex(&entry.id)?;
            keys.audit.insert(id, secret(&entry.audit)?);
            if let Some(content) = &entry.content {
                keys.content.insert(id, secret(content)?);
            }
        }
        Some(keys)
    }

    /// How deep they reach.
    pub(crate) fn deepest(&self) -> u8 {
        if self.content.is_empty() { 1 } else { 2 }
    }

    /// The same keys, for reading no deeper than `level`.
    pub(crate) fn up_to(&self, level: u8) -> Self {
        Self { level, ..self.clone() }
    }
}

fn secret(text: &str) -> Option<Secret> {
    let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
    bytes.as_slice().try_into().ok().map(Secret::new)
}

impl Keys for AuditKeys {
    fn audit(&self, class_epoch: &[u8; 16]) -> Option<Secret> {
        self.audit.get(class_epoch).filter(|_| self.level >= 1).cloned()
    }

    fn content(&self, class_epoch: &[u8; 16]) -> Option<Secret> {
        self.content.get(class_epoch).filter(|_| self.level >= 2).cloned()
    }

    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        vec![SubjectKey::Withheld; numbers.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let key = ClassEpochKey {
            id: [7; 16],
            class: "standard".into(),
            month: "2026-11".into(),
            audit: Secret::new([1; 32]),
            content: Secret::new([2; 32]),
        };
        for content in [false, true] {
            let text = render(&[9; 16], std::slice::from_ref(&key), content).unwrap();
            let read = AuditKeys::parse(&text).unwrap();
            assert_eq!(read.audit(&[7; 16]), Some(Secret::new([1; 32])));
            assert_eq!(read.content(&[7; 16]), content.then(|| Secret::new([2; 32])));
            assert_eq!((read.deepest(), read.audit(&[8; 16])), (1 + u8::from(content), None));
            assert_eq!(read.up_to(1).content(&[7; 16]), None);
        }
        assert!(AuditKeys::parse("format = \"minutebook/audit-keys/2\"\ntrail = \"\"\n").is_none());
    }
}
