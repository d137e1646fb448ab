//! `restored.toml`: what a folder says that was restored from a backup and not promoted yet (`docs/formats/backup.md`, "The restored folder").
//! Edge: pure text; it is no evidence, and only explains what is not there.

use crate::Source;
use crate::report::{Report, Severity};
use crate::verify::CHECKPOINT;
use crate::{hex, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The name of the file in the trail's folder.
pub const RESTORED_FILE: &str = "restored.toml";

const FORMAT: &str = "minutebook/restored/1";

/// What was restored, and what was forgotten again while it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Restored {
    format: String,
    /// The trail's id, 32 hex digits.
    pub trail: String,
    /// When the backup was made, RFC 3339.
    pub made: String,
    /// Entries of its log.
    pub log_size: u64,
    /// The root over them, 64 hex digits.
    pub root: String,
    /// Where the backup lies.
    pub from: String,
    /// Whether everything that the backup has is here.
    pub complete: bool,
    /// Subjects that were erased after the backup was made: their erasure was done again here, and the log does not say so yet.
    pub erased: Vec<u64>,
    /// Their blobs, 32 hex digits each.
    pub blobs: Vec<String>,
    /// Buckets whose key is still the one from before such an erasure: promotion gives them a fresh one.
    pub renew: Vec<u16>,
}

impl Restored {
    /// Of a restore that begins.
    pub fn begun(trail: &[u8; 16], made: String, log_size: u64, root: &[u8; 32], from: String) -> Self {
        Self {
            format: FORMAT.into(),
            trail: hex(trail),
            made,
            log_size,
            root: hex(root),
            from,
            complete: false,
            erased: Vec::new(),
            blobs: Vec::new(),
            renew: Vec::new(),
        }
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        // INVARIANT: texts and numbers always serialise.
        toml::to_string(self).expect("texts and numbers")
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > limits::RESTORED_BYTES_MAX {
            return Err("it is too large".into());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let file: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if file.format == FORMAT { Ok(file) } else { Err(format!("its format is `{}`", file.format)) }
    }
}

/// What a trail's folder says of having been restored, told in the report.
pub(crate) fn read(source: &dyn Source, trail: &[u8; 16], report: &mut Report) -> Option<Restored> {
    const MEANS: &str =
        "whether this is a restored copy, and which erasures it knows of, cannot be told: restore it anew";
    let bytes = match source.read(RESTORED_FILE) {
        Ok(bytes) => bytes?,
        Err(error) => {
            report.problem(RESTORED_FILE, format!("it cannot be read: {error}"), MEANS);
            return None;
        }
    };
    match Restored::parse(&bytes) {
        Ok(restored) if restored.trail == hex(trail) => {
            report.add(
                Severity::Warning,
                RESTORED_FILE,
                format!(
                    "this is a copy, restored from the backup of {} with {} log entries",
                    restored.made, restored.log_size
                ),
                "it is for reading until `minutebook promote` makes it the trail; what was recorded after the backup is not in it",
            );
            if !restored.erased.is_empty() {
                report.add(
                    Severity::Warning,
                    CHECKPOINT,
                    format!(
                        "{} subjects were erased after this backup was made, and again in this copy",
                        restored.erased.len()
                    ),
                    "the log here ends before their erasure; when the copy is promoted it gets the records of it",
                );
            }
            Some(restored)
        }
        Ok(_) => {
            report.problem(RESTORED_FILE, "it is of another trail", MEANS);
            None
        }
        Err(what) => {
            report.problem(RESTORED_FILE, what, MEANS);
            None
        }
    }
}

/// The subjects and blobs that were erased again in a restored copy.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) subjects: BTreeSet<u64>,
    pub(crate) blobs: BTreeSet<[u8; 16]>,
}

impl Replayed {
    pub(crate) fn of(restored: Option<&Restored>) -> Self {
        restored.map_or_else(Self::default, |restored| Self {
            subjects: restored.erased.iter().copied().collect(),
            blobs: restored.blobs.iter().filter_map(|id| crate::unhex(id)).collect(),
        })
    }
}
