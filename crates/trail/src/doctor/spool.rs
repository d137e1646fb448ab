//! What waits in the spool: epochs alive, closed and dead, what they hold, and what cannot be read.

use super::Findings;
use crate::durable;
use crate::keyfolder::KeyFolder;
use crate::place::Place;
use minutebook_capture::{BatchLimits, EpochReader, Frame, IntakePrivateKey, Owner, Stop, list_epochs};
use minutebook_verify::Id;
use minutebook_verify::trailfile::TrailFile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Frames that are looked at in one epoch: afterwards it is "more than".
const FRAMES_READ_MAX: u64 = 1 << 20;

pub(super) fn check(place: &Place, file: &TrailFile, keys: Option<&KeyFolder>, findings: &mut Findings) {
    let spool = place.spool();
    if durable::is_open_to_others(&spool).unwrap_or(false) {
        let means =
            "frames are encrypted all the same; others could add or remove files there. `chmod 700` it";
        findings.warning("spool", "it can be read by others", means);
    }
    let listing = match list_epochs(&spool) {
        Ok(listing) => listing,
        Err(error) => {
            let means = "what waits there is not sealed until it can";
            findings.problem("spool", format!("it cannot be read: {error}"), means);
            return;
        }
    };
    let name = |path: &Path| path.strip_prefix(&place.folder).unwrap_or(path).display().to_string();
    for path in &listing.foreign {
        findings.warning(name(path), "it is no part of a spool", "it is left alone: somebody put it there");
    }
    for path in &listing.orphans {
        let means = "it cannot be decrypted without the epoch file that had its key: if that was lost, its records are";
        findings.problem(name(path), "its epoch file is missing", means);
    }
    let Some(keys) = keys else { return };
    let key = IntakePrivateKey::from_bytes(*keys.intake.expose());
    for epoch in listing.epochs {
        match EpochReader::open(&epoch.path, file.id, &key) {
            Ok(reader) => look_into(&name(&epoch.path), reader, findings),
            Err(error) => {
                let means = "its records cannot be read: it is another trail's, was sealed to another intake key, or is damaged";
                findings.problem(name(&epoch.path), error.to_string(), means);
            }
        }
    }
}

/// Producer and number of the epochs that still have their files; `None` when that cannot be told.
pub(super) fn waiting(
    place: &Place,
    file: &TrailFile,
    keys: Option<&KeyFolder>,
) -> Option<BTreeSet<(Id, u64)>> {
    let key = IntakePrivateKey::from_bytes(*keys?.intake.expose());
    let epochs = list_epochs(&place.spool()).ok()?.epochs;
    let readers = epochs.iter().filter_map(|epoch| EpochReader::open(&epoch.path, file.id, &key).ok());
    Some(readers.map(|reader| (reader.producer().0, reader.epoch().get())).collect())
}

fn look_into(name: &str, mut reader: EpochReader, findings: &mut Findings) {
    let owner = match reader.owner() {
        Ok(owner) => owner,
        Err(error) => {
            findings.problem(name, error.to_string(), "whether its producer lives cannot be told");
            return;
        }
    };
    let (mut records, mut seen) = (0u64, 0u64);
    let mut damage: BTreeMap<String, u64> = BTreeMap::new();
    let end = loop {
        let batch = reader.read_batch(&BatchLimits::default(), |frame| match frame {
            Frame::Record { .. } => records += 1,
            Frame::Damage { damage: what, .. } => *damage.entry(what.to_string()).or_default() += 1,
            _ => {}
        });
        match batch {
            Ok(end) => {
                seen += end.frames as u64;
                if end.stop != Stop::Limit || seen >= FRAMES_READ_MAX {
                    break end;
                }
            }
            Err(error) => {
                findings.problem(
                    name,
                    error.to_string(),
                    "what waits in it cannot be sealed until it can be read",
                );
                return;
            }
        }
    };
    for (what, count) in damage {
        let means = "records were lost: the engine tells which numbers when it seals the rest";
        findings.problem(name, format!("{what} ({count} times)"), means);
    }
    let more = if end.stop == Stop::Limit { "more than " } else { "" };
    let waiting = format!("{more}{records} records wait to be sealed");
    let (what, means) = match owner {
        Owner::Alive => (format!("its producer lives; {waiting}"), "the engine seals them as it runs"),
        Owner::Closed => {
            (format!("its producer closed it; {waiting}"), "the next round of sealing removes it")
        }
        Owner::Dead => (
            format!("its producer died; {waiting}"),
            "the next round of sealing takes them up and says which decisions were in flight",
        ),
    };
    findings.note(name, what, means);
}
