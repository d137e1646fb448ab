//! The trail's folder as a folder: what has to be there, who may read it, who works on it, how much room is left.

use super::Findings;
use crate::durable;
use crate::halves::HALVES;
use crate::lock::TrailLock;
use crate::place::{ENGINE_SOCKET, Place};
use crate::repeats::REPEATS;
use crate::store::STAGING;
use minutebook_verify::restored::RESTORED_FILE;
use std::path::Path;

/// Below this the next part of a spool or the next round of sealing may not fit.
const FREE_BYTES_LOW: u64 = 1 << 30;

/// Below this nothing does.
const FREE_BYTES_NONE: u64 = 64 << 20;

const FOLDERS: [&str; 5] = ["spool", "segments", "blobs", "log", STAGING];

/// The index, which is made when somebody searches.
const INDEX: &str = "index";

const FILES: [&str; 10] = [
    "trail.toml",
    RESTORED_FILE,
    "lock",
    ENGINE_SOCKET,
    REPEATS.name,
    HALVES.name,
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
];

pub(super) fn check(place: &Place, findings: &mut Findings) {
    for name in FOLDERS {
        if !place.folder.join(name).is_dir() {
            findings.problem(
                name,
                "it is no folder, or missing",
                "the engine cannot work: it was moved or removed",
            );
        }
    }
    match std::fs::read_dir(&place.folder) {
        Ok(entries) => {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !FOLDERS.contains(&&*name) && !FILES.contains(&&*name) && name != INDEX {
                    let means = "Minutebook did not make it: somebody put it there";
                    findings.problem(name, "it does not belong to the trail", means);
                }
            }
        }
        Err(error) => {
            let means = "neither engine nor verifier can work";
            findings.problem("", format!("the trail's folder cannot be read: {error}"), means);
        }
    }
    if durable::is_open_to_others(&place.folder).unwrap_or(false) {
        let means = "records are encrypted all the same; how many there are and when is not. `chmod 700` it";
        findings.warning("", "the trail's folder can be read by others", means);
    }
    check_space(&place.folder, findings);
}

/// Whether an engine works on the trail, and that it does.
pub(super) fn check_lock(place: &Place, findings: &mut Findings) -> bool {
    match TrailLock::is_held(place) {
        Ok(true) => {
            let holder = TrailLock::holder(place);
            findings.note(
                "lock",
                format!("an engine works on the trail: {holder}"),
                "no other one can, meanwhile",
            );
            true
        }
        Ok(false) => false,
        Err(error) => {
            let means = "whether an engine works on the trail cannot be told";
            findings.warning("lock", format!("it cannot be looked at: {error}"), means);
            false
        }
    }
}

fn check_space(folder: &Path, findings: &mut Findings) {
    match durable::free_bytes(folder) {
        Ok(free) if free < FREE_BYTES_NONE => {
            let means = "producers and engine cannot go on: decisions are told as lost until there is room";
            findings.problem("", format!("{} MiB are free where the trail lies", free >> 20), means);
        }
        Ok(free) if free < FREE_BYTES_LOW => {
            let means = "make room before producers and engine have to stop";
            findings.warning("", format!("{} MiB are free where the trail lies", free >> 20), means);
        }
        Ok(_) => {}
        Err(error) => {
            findings.warning("", format!("how much room is left cannot be told: {error}"), "look with `df`")
        }
    }
}
