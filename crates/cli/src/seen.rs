//! The last checkpoint of each trail that was verified here, so that a trail that was rolled back or
//! rewritten is found the next time. Edge: a small file for each trail in the user's state folder; whether a
//! checkpoint is good is decided elsewhere.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_verify::{Pinned, Report};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, Result};

const FORMAT: &str = "minutebook/seen/1";

/// What is remembered of a trail.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Seen {
    format: String,
    trail: String,
    origin: String,
    log_key: String,
    size: u64,
    /// Base64.
    root: String,
    /// RFC 3339.
    verified: String,
}

/// Where checkpoints are remembered.
#[derive(Debug)]
pub(crate) struct SeenFolder(PathBuf);

impl SeenFolder {
    /// `minutebook/seen` in the user's state folder; `None` when the user has none.
    pub(crate) fn of_user() -> Option<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
        Some(Self(state.join("minutebook/seen")))
    }

    fn file(&self, trail: &str) -> PathBuf {
        self.0.join(format!("{trail}.toml"))
    }

    /// What was seen of a trail (by its id, 32 hex digits) before.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be used: then nobody can tell whether the trail was rolled back.
    pub(crate) fn read(&self, trail: &str) -> Result<Option<Pinned>> {
        let path = self.file(trail);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        let parsed =
            toml::from_str::<Seen>(&text).ok().filter(|seen| seen.format == FORMAT && seen.trail == trail);
        let seen = parsed.and_then(|seen| {
            let root = BASE64.decode(&seen.root).ok()?.try_into().ok()?;
            Some(Pinned { log_key: seen.log_key, size: seen.size, root })
        });
        let malformed = || Failure::Told {
            exit: Exit::Input,
            what: format!("`{}`, which says what was seen of this trail before, is damaged", path.display()),
            to_do: Some(
                "restore it, or verify with --no-remember; without it a rollback cannot be noticed".into(),
            ),
        };
        seen.map(Some).ok_or_else(malformed)
    }

    /// Remembers the checkpoint of a verification that found nothing wrong. Durable on return.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn write(&self, report: &Report, now: &str) -> Result {
        let Some((size, root)) = report.checkpoint else { return Ok(()) };
        let seen = Seen {
            format: FORMAT.into(),
            trail: report.trail.clone(),
            origin: report.origin.clone(),
            log_key: report.log_key.clone(),
            size,
            root: BASE64.encode(root),
            verified: now.to_owned(),
        };
        let path = self.file(&report.trail);
        let text = toml::to_string(&seen).map_err(io::Error::other);
        text.and_then(|text| replace(&self.0, &path, text.as_bytes()))
            .map_err(|error| Failure::file("write", &path, &error))
    }
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // The process in the name: two that verify at once must not write into one file.
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
