//! The whole verification: trail file, checkpoint, log, segments, blobs, completeness, and what does not belong. Edge: works through a
//! [`Source`]; remembers nothing, so what was seen earlier is handed in.

use crate::check::{Level, Outcome, Scratch, check_segment};
use crate::coverage::{Coverage, Fault as CoverageFault};
use crate::descriptor::{Descriptor, Entry, Gone, Id};
use crate::keys::Keys;
use crate::log::{LOG, check_log, is_earlier_partial};
use crate::report::{Report, Severity};
use crate::trailfile::{Succession, TRAIL_FILE, TrailFile};
use crate::{Source, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_tlog::{Checkpoint, Hash, Policy, TileReader, TiledTree, TreeHead, TreeSize, VerifierKey};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The name of the published checkpoint.
pub const CHECKPOINT: &str = "log/checkpoint";

/// A checkpoint of this trail that was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The verifier key that signed it.
    pub log_key: String,
    /// The log's size then.
    pub size: u64,
    /// The log's root then.
    pub root: [u8; 32],
}

/// How to verify.
pub struct Options<'a> {
    /// What to read with.
    pub keys: &'a dyn Keys,
    /// What was seen earlier, so that a trail that was rolled back or rewritten is found.
    pub pinned: Option<Pinned>,
    /// Which witnesses have to have signed.
    pub policy: Option<&'a Policy>,
    /// Objects that are being written at this moment, which the log does not know yet.
    pub in_progress: Vec<String>,
    /// How many segments are checked side by side.
    pub threads: usize,
    /// Called with segments done and segments in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// What stands in the log, gathered in its order.
#[derive(Default)]
struct Gathered {
    descriptors: Vec<(u64, Descriptor)>,
    trail_digest: Option<[u8; 32]>,
    gone: BTreeMap<Gone, u64>,
}

/// Re-derives a trail from its stored bytes. Reads every object once; memory is bounded by the number of segments (some hundred bytes
/// each) and one object for each thread.
pub fn verify(source: &dyn Source, options: &Options<'_>) -> Report {
    let mut report = Report::default();
    // First the names, then the checkpoint: what is added meanwhile is not taken for foreign.
    let listed = source.list();
    let mut names: BTreeSet<String> = BTreeSet::from([TRAIL_FILE.to_owned(), CHECKPOINT.to_owned()]);
    let Some((file, digest)) = read_trail_file(source, &mut report) else { return report };
    let Some(head) = read_checkpoint(source, &file, options, &mut report) else { return report };
    check_pinned(source, &file, options.pinned.as_ref(), head, &mut report);
    let gathered = read_log(source, &file, head, &mut report, &mut names);
    match gathered.trail_digest {
        Some(said) if said == digest => {}
        Some(_) => report.problem(
            TRAIL_FILE,
            "it is not the file whose digest stands in the log",
            "the trail's identity or public keys were edited; do not trust what it says until the right file is restored",
        ),
        None => report.problem(
            LOG,
            "no entry of the log says what the trail is",
            "the first entry of the log is missing or was replaced",
        ),
    }
    for gone in gathered.gone.keys() {
        check_gone(source, *gone, &mut report);
    }
    names.extend(gathered.descriptors.iter().map(|(_, descriptor)| segment_name(&descriptor.segment)));
    check_segments(source, &gathered, options, &mut report);
    check_blobs(source, &gathered, &mut report, &mut names);
    check_names(source, listed, &names, options, head, &mut report);
    report
}

/// The object name of a segment.
pub fn segment_name(segment: &Id) -> String {
    format!("segments/{}", hex(segment))
}

/// The object name of a blob.
pub fn blob_name(blob: &Id) -> String {
    format!("blobs/{}", hex(blob))
}

fn read_trail_file(source: &dyn Source, report: &mut Report) -> Option<(TrailFile, [u8; 32])> {
    const MEANS: &str =
        "without it nobody can tell which trail this is and by which keys it is to be checked: restore it";
    let bytes = match source.read(TRAIL_FILE) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            report.problem(TRAIL_FILE, "it is missing", MEANS);
            return None;
        }
        Err(error) => {
            report.problem(TRAIL_FILE, format!("it cannot be read: {error}"), MEANS);
            return None;
        }
    };
    match TrailFile::parse(&bytes) {
        Ok(file) => {
            report.trail = hex(&file.id);
            report.origin = file.name.clone();
            report.log_key = file.log_key.clone();
            Some((file, minutebook_sha256::digest(&bytes)))
        }
        Err(error) => {
            report.problem(TRAIL_FILE, error.to_string(), MEANS);
            None
        }
    }
}

fn read_checkpoint(
    source: &dyn Source,
    file: &TrailFile,
    options: &Options<'_>,
    report: &mut Report,
) -> Option<TreeHead> {
    const MEANS: &str = "nothing in the trail can be proved without its signed checkpoint: restore it, or ask whoever keeps a copy of one";
    let bytes = match source.read(CHECKPOINT) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            report.problem(CHECKPOINT, "it is missing", MEANS);
            return None;
        }
        Err(error) => {
            report.problem(CHECKPOINT, format!("it cannot be read: {error}"), MEANS);
            return None;
        }
    };
    let Ok(key) = file.log_key.parse::<VerifierKey>() else {
        report.problem(TRAIL_FILE, "`log-key` is not a verifier key", MEANS);
        return None;
    };
    let (checkpoint, note) = match Checkpoint::open(&bytes, &key) {
        Ok(opened) => opened,
        Err(error) => {
            let what = format!("{error}");
            report.problem(
                CHECKPOINT,
                what,
                "it was changed, or is not signed by the key that trail.toml names",
            );
            return None;
        }
    };
    if checkpoint.origin() != file.name {
        report.problem(
            CHECKPOINT,
            "its origin is another log's",
            "a checkpoint of another trail was put here",
        );
        return None;
    }
    // Signed notes are written in one form only; bytes that say the same differently were edited.
    if note.to_string().as_bytes() != bytes {
        report.problem(CHECKPOINT, "it is not written the way it was signed", "it was edited");
    }
    report.checkpoint = Some((checkpoint.size().get(), *checkpoint.root().as_bytes()));
    report.other_signatures = note.signatures().len() - 1;
    match options.policy {
        Some(policy) => {
            if let Err(refusal) = policy.check(&note) {
                let means = "the policy asks for witnesses that have not signed this checkpoint";
                report.problem(CHECKPOINT, refusal.to_string(), means);
            }
        }
        None if note.signatures().len() == 1 && options.pinned.is_none() => report.add(
            Severity::Warning,
            CHECKPOINT,
            "nothing outside vouches for this checkpoint",
            "everybody but the holder of the signing key is excluded; a witness, or a checkpoint that you kept from earlier, excludes the key holder too",
        ),
        None => {}
    }
    Some(*checkpoint.head())
}

fn check_pinned(
    source: &dyn Source,
    file: &TrailFile,
    pinned: Option<&Pinned>,
    head: TreeHead,
    report: &mut Report,
) {
    let Some(pinned) = pinned else { return };
    if !is_successor(file, &pinned.log_key) {
        report.problem(
            TRAIL_FILE,
            "its signing key is neither the one seen earlier nor named as its successor by it",
            "this is another trail under the same id, or its identity was replaced",
        );
        return;
    }
    if head.size.get() < pinned.size {
        report.problem(
            CHECKPOINT,
            format!("the log has {} entries; an earlier look found {}", head.size, pinned.size),
            "the trail was rolled back to an older state: what was added since then is gone",
        );
        return;
    }
    if pinned.size == 0 {
        return;
    }
    let earlier = TreeSize::new(pinned.size).map_err(|error| error.to_string()).and_then(|size| {
        let reader = Reader { source, head };
        // The earlier root from the tiles of today: equal when today's log continues the earlier one.
        TiledTree::new(&reader, size).root().map_err(|error| error.to_string())
    });
    match earlier {
        Ok(root) if *root.as_bytes() == pinned.root => report.continues_earlier = true,
        Ok(_) => report.problem(
            CHECKPOINT,
            format!("the first {} entries are not those that an earlier look found", pinned.size),
            "the log was rewritten by somebody who holds its signing key, or replaced by a fork of it",
        ),
        Err(error) => report.problem(
            CHECKPOINT,
            format!("it cannot be told whether it continues the earlier one: {error}"),
            "tiles are missing or changed; see the other findings",
        ),
    }
}

/// Whether the present key is `pinned`, or the chain of rotations leads from it to the present key.
fn is_successor(file: &TrailFile, pinned: &str) -> bool {
    let mut key = pinned.to_owned();
    for step in &file.succession {
        if step.old == key && succession_is_signed(step) {
            key.clone_from(&step.new);
        }
    }
    key == file.log_key
}

fn succession_is_signed(step: &Succession) -> bool {
    let signed = step.signed_bytes();
    let good = |key: &str, signature: &str| {
        let (Ok(key), Ok(signature)) = (key.parse::<VerifierKey>(), BASE64.decode(signature)) else {
            return false;
        };
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key.public_key())
            .verify(&signed, &signature)
            .is_ok()
    };
    good(&step.old, &step.old_signature) && good(&step.new, &step.new_signature)
}

/// Tiles of the log as a tree of any size up to the present one needs them.
struct Reader<'a> {
    source: &'a dyn Source,
    head: TreeHead,
}

impl TileReader for Reader<'_> {
    type Error = String;

    fn read_tile(&self, tile: minutebook_tlog::Tile) -> Result<Cow<'_, [u8]>, String> {
        let level = match tile.kind() {
            minutebook_tlog::TileKind::Hashes { level } => u32::from(level),
            minutebook_tlog::TileKind::Entries => 0,
        };
        let there = self.head.size.get().checked_shr(8 * level).unwrap_or(0) - tile.index() * 256;
        let width = there.min(256) as u16;
        let stored =
            minutebook_tlog::Tile::hashes(level as u8, tile.index(), width).map_err(|e| e.to_string())?;
        let name = format!("{LOG}{stored}");
        let mut bytes = match self.source.read(&name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(format!("`{name}` is missing")),
            Err(error) => return Err(format!("`{name}`: {error}")),
        };
        bytes.truncate(usize::from(tile.width()) * Hash::BYTES);
        Ok(Cow::Owned(bytes))
    }
}

fn read_log(
    source: &dyn Source,
    file: &TrailFile,
    head: TreeHead,
    report: &mut Report,
    names: &mut BTreeSet<String>,
) -> Gathered {
    let mut gathered = Gathered::default();
    let mut coverage = Coverage::new(file.id);
    let mut segments = BTreeSet::new();
    check_log(source, head, report, names, &mut |index, bytes, report| match Entry::decode(bytes) {
        Ok(Entry::Trail { id, digest }) => {
            if id != file.id {
                let means = "a log of another trail stands in this folder";
                report.problem(format!("log entry {index}"), "it names another trail", means);
            }
            gathered.trail_digest = Some(digest);
        }
        Ok(Entry::Segment(descriptor)) => {
            if !segments.insert(descriptor.segment) {
                let means = "whoever wrote the log made a false statement";
                report.problem(format!("log entry {index}"), "its segment is in the log already", means);
            }
            for fault in coverage.add(&descriptor) {
                add_coverage_fault(report, &fault);
            }
            for gone in &descriptor.gone {
                gathered.gone.insert(*gone, index);
            }
            gathered.descriptors.push((index, *descriptor));
        }
        Err(error) => report.problem(
            format!("log entry {index}"),
            error.to_string(),
            "whoever wrote the log wrote something that this program does not know",
        ),
    });
    let (accounts, faults) = coverage.settle();
    for fault in &faults {
        add_coverage_fault(report, fault);
    }
    report.records = gathered.descriptors.iter().map(|(_, descriptor)| descriptor.records).sum();
    report.segments = gathered.descriptors.len() as u64;
    report.accounts = accounts;
    gathered
}

fn add_coverage_fault(report: &mut Report, fault: &CoverageFault) {
    let epoch = |producer: &Id, epoch: u64| format!("producer {} epoch {epoch}", hex(producer));
    match fault {
        CoverageFault::Overlap { producer, epoch: number, class, number: seq } => report.problem(
            epoch(producer, *number),
            format!("number {seq} of class {class} is in the log twice"),
            "two records claim to be the same one: whoever wrote the log made a false statement",
        ),
        CoverageFault::Missing { producer, epoch: number, class, gaps } => {
            let count: u64 = gaps.iter().map(|(from, to)| to - from + 1).sum();
            let shown: Vec<String> = gaps.iter().take(5).map(|(from, to)| show_range(*from, *to)).collect();
            let more = if gaps.len() > 5 { ", …" } else { "" };
            report.problem(
                epoch(producer, *number),
                format!("{count} of class {class} missing: number {}{more}", shown.join(", ")),
                "these decisions were numbered, and the trail neither has them nor says why not",
            );
        }
        CoverageFault::MissingEpochs { producer, from, to } => report.problem(
            format!("producer {}", hex(producer)),
            format!("epoch {} left no trace", show_range(*from, *to)),
            "a whole run of the producer is missing from the trail",
        ),
        CoverageFault::BadMark { producer, epoch: number, mark, why } => report.problem(
            epoch(producer, *number),
            format!("its mark `{mark}` is not to be trusted: {why}"),
            "somebody other than the producer said how many decisions there were",
        ),
    }
}

fn show_range(from: u64, to: u64) -> String {
    if from == to { from.to_string() } else { format!("{from}–{to}") }
}

fn check_gone(source: &dyn Source, gone: Gone, report: &mut Report) {
    let name = match gone {
        Gone::Blob(id) => blob_name(&id),
        Gone::Segment(id) => segment_name(&id),
        Gone::ClassEpoch(_) => return,
    };
    if let Ok(Some(_)) = source.read(&name) {
        let means = "the log says that this was destroyed, and it was not";
        report.problem(name, "it is still there", means);
    }
}

fn check_segments(source: &dyn Source, gathered: &Gathered, options: &Options<'_>, report: &mut Report) {
    let todo: Vec<&Descriptor> = gathered
        .descriptors
        .iter()
        .map(|(_, descriptor)| descriptor)
        .filter(|descriptor| !gathered.gone.contains_key(&Gone::Segment(descriptor.segment)))
        .collect();
    report.disposed = report.segments - todo.len() as u64;
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<Outcome, String>)>> = Mutex::new(Vec::new());
    let work = || {
        let mut scratch = Scratch::default();
        let mut mine = Vec::new();
        while let Some((at, descriptor)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            todo.get(at).map(|descriptor| (at, descriptor))
        } {
            let outcome = match source.read(&segment_name(&descriptor.segment)) {
                Ok(Some(object)) => Ok(check_segment(&object, descriptor, options.keys, &mut scratch)),
                Ok(None) => Err("it is missing".to_owned()),
                Err(error) => Err(format!("it cannot be read: {error}")),
            };
            mine.push((at, outcome));
            (options.progress)(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, todo.len() as u64);
        }
        results.lock().unwrap_or_else(PoisonError::into_inner).extend(mine);
    };
    crate::verify::side_by_side(options.threads, &work);
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    let mut erased_subjects = BTreeSet::new();
    for (at, outcome) in results {
        let descriptor = todo[at];
        let name = segment_name(&descriptor.segment);
        match outcome {
            Ok(outcome) => {
                report.bytes += descriptor.object_len;
                report.audited += u64::from(outcome.level >= Some(Level::Audit));
                report.opened += u64::from(outcome.level >= Some(Level::Content));
                report.readable += outcome.readable;
                report.erased += outcome.erased;
                report.withheld += outcome.withheld;
                report.erasures.extend(&outcome.erasures);
                erased_subjects.extend(outcome.erased_subjects);
                for fault in outcome.faults {
                    report.problem(name.clone(), fault.what, fault.means);
                }
            }
            Err(what) => {
                let means = format!(
                    "{} records of class {} cannot be shown until it is restored; the log still proves that they were there",
                    descriptor.records, descriptor.class
                );
                report.problem(name, what, &means);
            }
        }
    }
    let unexplained: Vec<u64> = erased_subjects.difference(&report.erasures).copied().collect();
    if !unexplained.is_empty() {
        report.problem(
            "catalog",
            format!("the keys of {} subjects are gone, and no erasure is recorded for them", unexplained.len()),
            "keys were deleted outside of an erasure, or the catalog is an older copy: their records cannot be read",
        );
    }
}

/// Runs `work` on so many threads and waits for all of them.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate where threads start")]
fn side_by_side(threads: usize, work: &(dyn Fn() + Sync)) {
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
}

fn check_blobs(source: &dyn Source, gathered: &Gathered, report: &mut Report, names: &mut BTreeSet<String>) {
    for blob in gathered.descriptors.iter().flat_map(|(_, descriptor)| &descriptor.blobs) {
        if gathered.gone.contains_key(&Gone::Blob(blob.id)) {
            continue;
        }
        let name = blob_name(&blob.id);
        names.insert(name.clone());
        match source.read(&name) {
            Ok(Some(object))
                if object.len() as u64 == blob.length
                    && minutebook_sha256::digest(&object) == blob.digest =>
            {
                report.blobs += 1;
                report.bytes += blob.length;
            }
            Ok(Some(_)) => {
                let means = "somebody or something changed what was stored; the log still says what it was";
                report.problem(name, "its bytes were changed: they are not those that the log names", means);
            }
            Ok(None) => {
                let means = "one large value of a record cannot be shown until it is restored";
                report.problem(name, "it is missing", means);
            }
            Err(error) => {
                let means = "one large value of a record cannot be shown until it can be read";
                report.problem(name, format!("it cannot be read: {error}"), means);
            }
        }
    }
}

/// Names below these are not evidence: they have their own checks, or none.
const NOT_EVIDENCE: [&str; 7] =
    ["spool/", "tmp/", "index/", "catalog.db", "catalog.db-wal", "catalog.db-shm", "lock"];

fn check_names(
    source: &dyn Source,
    listed: std::io::Result<Vec<String>>,
    names: &BTreeSet<String>,
    options: &Options<'_>,
    head: TreeHead,
    report: &mut Report,
) {
    let mut listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let means = "objects that do not belong to the trail would not be found";
            report.add(
                Severity::Warning,
                "",
                format!("the trail's objects cannot be listed: {error}"),
                means,
            );
            return;
        }
    };
    listed.sort();
    for name in listed {
        let known = names.contains(&name)
            || options.in_progress.contains(&name)
            || NOT_EVIDENCE
                .iter()
                .any(|prefix| if prefix.ends_with('/') { name.starts_with(prefix) } else { name == *prefix })
            || is_earlier_partial(source, &name, head);
        if !known {
            report.problem(
                name,
                "it does not belong to the trail",
                "nothing in the log names it: somebody put it there, or an interrupted write left it (then the engine removes it at its next start)",
            );
        }
    }
}
