//! Keys: the key folder as it lies there, the wrapped keys in the catalog, and whether they are those that the evidence needs.

use super::catalog::{Tables, hex_of};
use super::evidence::Evidence;
use super::{CATALOG_DIFFERS, Findings, row_name};
use crate::catalog::survey::RawRow;
use crate::keyfolder::KeyFolder;
use crate::place::Place;
use crate::subjects::bucket_of;
use crate::wrap::{self, Purpose};
use minutebook_capture::{Clock, IntakePrivateKey, SystemClock};
use minutebook_record::RecordId;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::{Id, hex};
use std::collections::{BTreeMap, HashMap, HashSet};

const KEYS_GONE: &str = "the trail cannot be written or read without its keys; `verify` works without. Restore the newest backup of the key folder";

/// The keys in the catalog, as far as they open.
#[derive(Default)]
pub(super) struct Held {
    pub(super) class_epochs: HashMap<Id, Secret>,
    pub(super) subjects: HashMap<u64, Secret>,
    /// Lookup hashes by subject number.
    pub(super) lookups: BTreeMap<u64, [u8; 32]>,
    /// Numbers whose rows are there and do not open.
    pub(super) closed: HashSet<u64>,
}

/// The key folder: permissions, and whether it is this trail's. Gives it when it can be used.
pub(super) fn check_folder(place: &Place, file: &TrailFile, findings: &mut Findings) -> Option<KeyFolder> {
    let path = match place.key_folder(&file.id) {
        Ok(path) => path,
        Err(error) => {
            findings.problem("keys", error.to_string(), KEYS_GONE);
            return None;
        }
    };
    let name = path.display().to_string();
    let within =
        |folder: &std::path::Path| Some(path.canonicalize().ok()?.starts_with(folder.canonicalize().ok()?));
    if within(&place.folder).unwrap_or(false) {
        let means = "who copies the trail copies its keys: name a folder elsewhere with --keys";
        findings.warning(&name, "the key folder lies within the trail", means);
    }
    let keys = match KeyFolder::open(&path, file.id) {
        Ok(keys) => keys,
        Err(error) => {
            findings.problem(&name, error.to_string(), KEYS_GONE);
            return None;
        }
    };
    let intake = IntakePrivateKey::from_bytes(*keys.intake.expose()).public().to_bytes();
    let fits = keys.signs_for(file).map(drop).map_err(|error| error.to_string());
    let wrong = fits.err().or_else(|| {
        (intake != file.intake_key).then(|| "the intake key is not the one in trail.toml".into())
    });
    if let Some(wrong) = wrong {
        findings.problem(&name, wrong, KEYS_GONE);
        return None;
    }
    if keys.key_encryption.len() > 1 || keys.next_signing.is_some() {
        findings.note(
            &name,
            "a rotation of keys is under way",
            "the engine finishes it, at its next start if it was interrupted",
        );
    }
    match keys.bucket_keys() {
        Ok(_) => Some(keys),
        Err(error) => {
            findings.problem(path.join("buckets").display().to_string(), error.to_string(), KEYS_GONE);
            None
        }
    }
}

/// Whether every wrapped key in the catalog opens, under the key that has to have wrapped it.
pub(super) fn check_rows(
    tables: &Tables,
    keys: Option<&KeyFolder>,
    trail: Id,
    findings: &mut Findings,
) -> Held {
    let mut held = Held::default();
    let Some(keys) = keys else {
        let means = "whether the wrapped keys in the catalog open cannot be told without the key folder";
        findings.warning("catalog.db", "its keys were not looked at", means);
        return held;
    };
    for row in &tables.class_epoch {
        let id = row.fixed::<16>("id");
        let key = id.and_then(|id| keys.unwrap(Purpose::ClassEpoch(&id), row.bytes("wrapped")?));
        match (id, key) {
            (Some(id), Some(key)) => drop(held.class_epochs.insert(id, key)),
            _ => {
                let means = "segments under it cannot be read: the row was edited, or belongs to other keys";
                findings.row("class_epoch", &hex_of(row.cell("id")), "its key does not open", means);
            }
        }
    }
    if tables.meta("lookup_key").and_then(|wrapped| keys.unwrap(Purpose::Lookup, wrapped)).is_none() {
        let means = "persons cannot be found by their name any more, so that they cannot be erased: restore the newest catalog";
        findings.row("meta", "lookup_key", "it is missing, or does not open", means);
    }
    let buckets = check_buckets(tables, keys, findings);
    let mut seen = HashSet::new();
    for row in &tables.subject {
        let name = hex_of(row.cell("lookup"));
        let (Some(lookup), Some(number)) =
            (row.fixed::<32>("lookup"), row.number("number").filter(|number| *number > 0))
        else {
            findings.row("subject", &name, "it is malformed", CATALOG_DIFFERS);
            continue;
        };
        if !seen.insert(lookup) {
            let means = "this person has two keys: an erasure destroys both, and says so of one number";
            findings.row("subject", &name, "it is there twice", means);
        }
        held.lookups.insert(number, lookup);
        let bucket = bucket_of(&lookup);
        let key = buckets.get(&bucket).and_then(|cipher| {
            wrap::unwrap(cipher, &trail, Purpose::Subject(&lookup), row.bytes("wrapped")?)
        });
        match key {
            Some(key) => drop(held.subjects.insert(number, key)),
            None => {
                held.closed.insert(number);
                let means = "what is recorded about this subject cannot be read: the row was edited, or is of another time than the key folder";
                findings.row("subject", &name, "its key does not open under its bucket's key", means);
            }
        }
    }
    held
}

/// The key of each bucket that has a row.
fn check_buckets(tables: &Tables, keys: &KeyFolder, findings: &mut Findings) -> HashMap<u16, Cipher> {
    const OF_ANOTHER_TIME: &str = "catalog and key folder are of different times, such as after one of them was restored from a \
                                   backup: use the newest of both";
    let mut ciphers = HashMap::new();
    let Ok(stored) = keys.bucket_generations() else { return ciphers };
    let mut with_row = HashSet::new();
    for row in &tables.bucket {
        let name = hex_of(row.cell("bucket"));
        let bucket = row.number("bucket").and_then(|bucket| u16::try_from(bucket).ok());
        let (Some(bucket), Some(generation)) = (bucket, row.number("generation")) else {
            findings.row("bucket", &name, "it is malformed", CATALOG_DIFFERS);
            continue;
        };
        with_row.insert(bucket);
        let halves = stored.get(&bucket).map_or(&[][..], Vec::as_slice);
        match halves.iter().find(|(stored, _)| u64::from(*stored) == generation) {
            Some((_, key)) => drop(ciphers.insert(bucket, Cipher::new(key))),
            None => {
                let what = format!("it says generation {generation}, and the key folder has no such key");
                findings.row("bucket", &name, what, OF_ANOTHER_TIME);
            }
        }
        if halves.len() > 1 {
            findings.note(
                row_name("bucket", &name),
                "the key folder has two keys for it",
                "an erasure is under way; if it was interrupted, the engine finishes it at its next start",
            );
        }
    }
    let of_row = |row: &RawRow| row.fixed("lookup").map(|lookup| bucket_of(&lookup));
    let used: HashSet<u16> = tables.subject.iter().filter_map(of_row).collect();
    for bucket in used {
        if !with_row.contains(&bucket) {
            findings.row(
                "bucket",
                &bucket.to_string(),
                "it is missing, and subjects are in this bucket",
                CATALOG_DIFFERS,
            );
        }
    }
    ciphers
}

/// Whether the keys are those that the evidence needs: no more, no fewer.
pub(super) fn check_use(tables: &Tables, evidence: &Evidence, held: &Held, findings: &mut Findings) {
    check_class_epochs(tables, evidence, findings);
    for (number, lookup) in &held.lookups {
        let name = hex(lookup);
        if evidence.erased.contains(number) {
            let means = "the erasure was not done, or the row was put back: its records can be read as long as the bucket's key fits";
            findings.row("subject", &name, format!("its number {number} is recorded as erased"), means);
        } else if evidence.whole && evidence.disposed.is_empty() && !evidence.subjects.contains(number) {
            let what = format!("no record is about its number {number}");
            findings.row("subject", &name, what, CATALOG_DIFFERS);
        }
        if evidence.wrong_keys.contains(number) {
            let means = "the keys of two subjects were exchanged, or the row is another subject's: their records cannot be read";
            findings.row(
                "subject",
                &name,
                format!("its key is not that of the records about number {number}"),
                means,
            );
        }
    }
    for number in evidence.subjects.iter().filter(|number| !held.lookups.contains_key(*number)) {
        if !evidence.erased.contains(number) && !evidence.being_erased.contains(number) {
            let means = "records are about this subject and nobody can read them any more; no erasure is recorded. Restore the newest catalog";
            findings.row("subject", &format!("with number {number}"), "it is missing", means);
        }
    }
}

fn check_class_epochs(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    let now = month_of_ms(SystemClock.wall_ns() / 1_000_000);
    let mut there = HashSet::new();
    for row in &tables.class_epoch {
        let Some(id) = row.fixed::<16>("id") else { continue };
        there.insert(id);
        let month = row.text("month").unwrap_or_default();
        let (class, first) = match evidence.class_epochs.get(&id) {
            Some((class, first)) => (Some(class), *first),
            None => (None, None),
        };
        if let Some(class) = class.filter(|class| row.text("class") != Some(class)) {
            let what = format!("it says another class than {class}, whose segments it opens");
            findings.row("class_epoch", &hex(&id), what, CATALOG_DIFFERS);
        }
        // Records are sealed in the month in which they are made, or later.
        let earliest = first.map(|id| month_of_ms(id.unix_ms() as i64)).unwrap_or_default();
        if month.len() != 7 || month > now.as_str() || month < earliest.as_str() {
            let what = format!("its month `{month}` cannot be: its records are from {earliest} on");
            findings.row("class_epoch", &hex(&id), what, CATALOG_DIFFERS);
        }
    }
    for (id, (class, _)) in &evidence.class_epochs {
        if !there.contains(id) {
            let means = "segments under this key cannot be read any more: restore the newest catalog";
            findings.row(
                "class_epoch",
                &hex(id),
                format!("it is missing, and segments of class {class} need it"),
                means,
            );
        }
    }
}

fn month_of_ms(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| String::new(), |time| time.to_string()[..7].to_owned())
}

/// The ms of an id, for whoever only has its bytes.
pub(super) fn record_id(bytes: [u8; 16]) -> Option<RecordId> {
    RecordId::from_bytes(bytes).ok()
}
