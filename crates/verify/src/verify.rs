//! The whole verification: trail file, checkpoint, log, segments, blobs, completeness, and what does not belong. Edge: works through a
//! [`Source`]; remembers nothing, so what was seen earlier is handed in.

use crate::check::{Level, NamedBlob, Outcome, Scratch, check_segment};
use crate::coverage::{Coverage, Fault as CoverageFault};
use crate::descriptor::{Descriptor, Entry, Gone, Id};
use crate::disposal;
use crate::foreign::check_names;
use crate::keys::{Keys, SubjectKey};
use crate::log::{CheckedLog, LOG, check_log};
use crate::pinned::{Pinned, check_pinned, check_succession};
use crate::report::{Report, Severity};
use crate::restored::{self, Replayed};
use crate::sampling::SamplingKey;
use crate::sampling::proof::{Proof, Tally};
use crate::trailfile::{TRAIL_FILE, TrailFile};
use crate::windows::adding_up::AddingUp;
use crate::{Source, hex};
use minutebook_tlog::{Checkpoint, Policy, SignedNote, TreeHead, VerifierKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The name of the published checkpoint.
pub const CHECKPOINT: &str = "log/checkpoint";

/// How to verify.
pub struct Options<'a> {
    /// What to read with.
    pub keys: &'a dyn Keys,
    /// What was seen earlier, so that a trail that was rolled back or rewritten is found.
    pub pinned: Option<Pinned>,
    /// Which witnesses have to have signed.
    pub policy: Option<&'a Policy>,
    /// Sampling keys, to check which decisions were kept and left out; those that the trail used are found by their digests.
    pub sampling: &'a [SamplingKey],
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
    /// An entry names another trail.
    other_trail: Option<u64>,
}

/// Re-derives a trail from its stored bytes. Reads every object once, and once more where the log is damaged; memory is bounded by the number
/// of segments (some hundred bytes each) and one object for each thread.
pub fn verify(source: &dyn Source, options: &Options<'_>) -> Report {
    let mut report = Report::default();
    // First the names, then the checkpoint: what is added meanwhile is not taken for foreign.
    let listed = source.list();
    let mut names: BTreeSet<String> = BTreeSet::from([TRAIL_FILE.to_owned(), CHECKPOINT.to_owned()]);
    let Some((file, digest)) = read_trail_file(source, &mut report) else { return report };
    let Some((head, signed)) = read_checkpoint(source, &file, options, &mut report) else { return report };
    let replayed = Replayed::of(restored::read(source, &file.id, &mut report).as_ref());
    let (gathered, log) = read_log(source, &file, head, &mut report);
    check_identity(&file, digest, signed, &gathered, &log, &mut report);
    check_succession(&file, &mut report);
    if let Some(pinned) = &options.pinned {
        check_pinned(source, &file, pinned, &log, &mut report);
    }
    for gone in gathered.gone.keys() {
        check_gone(source, *gone, &mut report);
    }
    disposal::check_gone(
        source,
        &gathered.descriptors,
        &gathered.gone,
        options.keys,
        &mut report,
        &mut names,
    );
    names.extend(gathered.descriptors.iter().map(|(_, descriptor)| segment_name(&descriptor.segment)));
    let named = check_segments(source, &gathered, &log, options, &replayed, &mut report);
    check_blobs(source, &gathered, &log, &named, &replayed, &mut report, &mut names);
    check_names(source, listed, &names, options, &log, &mut report);
    report
}

/// Whose signature a checkpoint has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignedBy {
    /// The key's that `trail.toml` names.
    Present,
    /// That of the key before its last rotation.
    Before,
    Nobody,
}

/// What the log says of the trail's identity against `trail.toml`.
fn check_identity(
    file: &TrailFile,
    digest: [u8; 32],
    signed: SignedBy,
    gathered: &Gathered,
    log: &CheckedLog,
    report: &mut Report,
) {
    const RESTORE: &str = "do not trust what it says until the right file is restored";
    let before =
        || file.before_rotation().map(|before| minutebook_sha256::digest(before.render().as_bytes()));
    match (gathered.trail_digest, gathered.other_trail) {
        (Some(said), None) if said == digest && signed == SignedBy::Before => report.problem(
            CHECKPOINT,
            "it is signed by the key before the last rotation, and the log names the one after",
            "who signed it had a key that is not the trail's any more: it may have been stolen",
        ),
        (Some(said), None) if said == digest => {}
        (Some(said), None) if Some(said) == before() => report.add(
            Severity::Warning,
            TRAIL_FILE,
            "a rotation of the signing key is under way: the log does not name this file yet",
            "the engine finishes it, at its next start if it was interrupted; should this stay, an older log was put back",
        ),
        (Some(said), Some(index)) if said == digest => report.problem(
            format!("log entry {index}"),
            "it names another trail",
            "whoever wrote the log put an entry of another trail's into it",
        ),
        (Some(_), Some(_)) => report.problem(
            TRAIL_FILE,
            format!("its id {} is not the one that the log names", hex(&file.id)),
            &format!("another trail's file was put here, or the id was edited; {RESTORE}"),
        ),
        (Some(_), None) => report.problem(
            TRAIL_FILE,
            "it is not the file whose digest stands in the log",
            &format!(
                "the trail's identity or public keys were edited, or an older file was put back; {RESTORE}"
            ),
        ),
        (None, _) if log.unread == 0 => report.problem(
            LOG,
            "no entry of the log says what the trail is",
            "the first entry of the log is missing or was replaced",
        ),
        (None, _) => {}
    }
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
) -> Option<(TreeHead, SignedBy)> {
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
    let key = match file.log_key.parse::<VerifierKey>() {
        Ok(key) if key.name().as_str() == file.name => key,
        Ok(_) => {
            report.problem(
                TRAIL_FILE,
                "`name` is not the name of `log-key`",
                "the file was edited: restore it",
            );
            return None;
        }
        Err(error) => {
            let what = format!("`log-key` is not a verifier key: {error}");
            report.problem(TRAIL_FILE, what, "the file was edited: restore it");
            return None;
        }
    };
    let ((checkpoint, note), signed) = match Checkpoint::open(&bytes, &key) {
        Ok(opened) => (opened, SignedBy::Present),
        Err(error) => match file.open_as_before(&bytes) {
            Some(opened) => (opened, SignedBy::Before),
            None => {
                let means = "it was changed, or is not signed by the key that trail.toml names";
                report.problem(CHECKPOINT, error.to_string(), means);
                return unsigned_head(source, &bytes).map(|head| (head, SignedBy::Nobody));
            }
        },
    };
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
        None if options.pinned.is_none() => report.add(
            Severity::Warning,
            CHECKPOINT,
            match report.other_signatures {
                0 => "nothing outside vouches for this checkpoint".to_owned(),
                count => format!("no policy says whose the {count} other signatures on this checkpoint are"),
            },
            "everybody but the holder of the signing key is excluded; a witness, or a checkpoint that you kept from \
             earlier, excludes the key holder too",
        ),
        None => {}
    }
    Some((*checkpoint.head(), signed))
}

/// What a checkpoint says whose signature is wrong, when the stored log is exactly that: then it can still be told what else is wrong, such
/// as that it was trail.toml that was replaced.
fn unsigned_head(source: &dyn Source, bytes: &[u8]) -> Option<TreeHead> {
    let note = SignedNote::parse(bytes).ok()?;
    let head = *Checkpoint::parse(note.text()).ok()?.head();
    let mut aside = Report::default();
    check_log(source, head, &mut aside, &mut |_, _, _| {});
    aside.is_clean().then_some(head)
}

fn read_log(
    source: &dyn Source,
    file: &TrailFile,
    head: TreeHead,
    report: &mut Report,
) -> (Gathered, CheckedLog) {
    let mut gathered = Gathered::default();
    let mut coverage = Coverage::new(file.id);
    let mut overlaps = Vec::new();
    let mut segments = BTreeSet::new();
    let log = check_log(source, head, report, &mut |index, bytes, report| match Entry::decode(bytes) {
        Ok(Entry::Trail { id, digest }) => {
            if id != file.id {
                gathered.other_trail.get_or_insert(index);
            }
            if index == 0 {
                // What producers signed is for the trail that the log is of, whatever was made of trail.toml since.
                coverage.set_trail(id);
            }
            gathered.trail_digest = Some(digest);
        }
        Ok(Entry::Segment(descriptor)) => {
            if !segments.insert(descriptor.segment) {
                let means = "whoever wrote the log made a false statement";
                report.problem(format!("log entry {index}"), "its segment is in the log already", means);
            }
            overlaps.extend(coverage.add(&descriptor));
            for gone in &descriptor.gone {
                gathered.gone.entry(*gone).or_insert(index);
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
    if log.unread == 0 {
        overlaps.iter().chain(&faults).for_each(|fault| add_coverage_fault(report, fault));
    } else {
        // What seems to be missing may stand in the entries that cannot be read.
        let overlaps = overlaps.iter().filter(|fault| matches!(fault, CoverageFault::Overlap { .. }));
        overlaps.for_each(|fault| add_coverage_fault(report, fault));
        report.add(
            Severity::Warning,
            LOG,
            format!("{} entries cannot be read", log.unread),
            "which numbers they account for, which segments and blobs they name and what they say was destroyed is not \
             known: the rest was checked as far as that goes",
        );
    }
    report.records = gathered.descriptors.iter().map(|(_, descriptor)| descriptor.records).sum();
    report.segments = gathered.descriptors.len() as u64;
    report.accounts = accounts;
    (gathered, log)
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
        CoverageFault::AfterEnd { producer, epoch: number, class, number: seq } => report.problem(
            epoch(producer, *number),
            format!(
                "number {seq} of class {class} is in the log, and the producer closed the epoch before it"
            ),
            "somebody added records in the producer's name, or changed what it said at its end",
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

/// A segment that was checked, and what its numbers say of sampling.
type Checked = (Outcome, Option<Tally>);

fn check_segments(
    source: &dyn Source,
    gathered: &Gathered,
    log: &CheckedLog,
    options: &Options<'_>,
    replayed: &Replayed,
    report: &mut Report,
) -> BTreeMap<Id, NamedBlob> {
    let there =
        |(index, descriptor): &&(u64, Descriptor)| !disposal::is_gone(&gathered.gone, *index, descriptor);
    let todo: Vec<&(u64, Descriptor)> = gathered.descriptors.iter().filter(there).collect();
    report.disposed = report.segments - todo.len() as u64;
    report.disposed_records =
        report.records - todo.iter().map(|(_, descriptor)| descriptor.records).sum::<u64>();
    let done = AtomicUsize::new(0);
    let check = |places: &[usize], proof: Option<&Proof<'_>>| {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<(usize, Result<Checked, String>)>> = Mutex::new(Vec::new());
        let work = || {
            let wants_decisions = proof.is_some_and(Proof::wants_decisions);
            let mut scratch = Scratch::for_verification(wants_decisions);
            let mut mine = Vec::new();
            while let Some(&at) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (index, descriptor) = todo[at];
                let checked = match source.read(&segment_name(&descriptor.segment)) {
                    Ok(Some(object)) => {
                        let mut outcome = check_segment(&object, descriptor, options.keys, &mut scratch);
                        let decisions = std::mem::take(&mut outcome.decisions);
                        let tally = proof.map(|proof| proof.judge(*index, descriptor, &decisions));
                        Ok((outcome, tally))
                    }
                    Ok(None) => Err("it is missing".to_owned()),
                    Err(error) => Err(format!("it cannot be read: {error}")),
                };
                mine.push((at, checked));
                (options.progress)(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, todo.len() as u64);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).extend(mine);
        };
        side_by_side(options.threads, &work);
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(at, _)| *at);
        results
    };
    // First what says by which policies the rest was sampled.
    let (system, others): (Vec<usize>, Vec<usize>) =
        (0..todo.len()).partition(|at| todo[*at].1.class == "system");
    let mut results = check(&system, None);
    let mut proof = Proof::new(options.sampling);
    for (at, checked) in &results {
        match checked {
            Ok((outcome, _)) if outcome.level == Some(Level::Content) => {
                proof.take(todo[*at].0, &outcome.policies);
            }
            _ => proof.miss(),
        }
    }
    results.extend(check(&others, Some(&proof)));
    results.sort_by_key(|(at, _)| *at);
    let mut tally = Tally::default();
    let mut adding_up = AddingUp::default();
    gathered.descriptors.iter().for_each(|(_, descriptor)| adding_up.take_log(descriptor));
    let mut erased_subjects = BTreeSet::new();
    let mut named = BTreeMap::new();
    let mut said = Vec::new();
    for (at, outcome) in results {
        let (index, descriptor) = todo[at];
        let name = segment_name(&descriptor.segment);
        match outcome {
            Ok((mut outcome, judged)) => {
                adding_up.take(&descriptor.class, &mut outcome);
                judged.into_iter().for_each(|judged| tally.add(judged));
                report.bytes += descriptor.object_len;
                report.audited += u64::from(outcome.level >= Some(Level::Audit));
                report.opened += u64::from(outcome.level >= Some(Level::Content));
                report.readable += outcome.readable;
                report.erased += outcome.erased;
                report.withheld += outcome.withheld;
                report.erasures.extend(&outcome.erasures);
                erased_subjects.extend(outcome.erased_subjects);
                named.extend(outcome.blobs);
                if descriptor.class == "system" {
                    said.push((*index, outcome.retention));
                }
                for fault in outcome.faults {
                    report.problem(name.clone(), fault.what, fault.means);
                }
            }
            Err(what) => {
                adding_up.miss();
                let means = format!(
                    "{} records of class {} cannot be shown until it is restored; the log still proves that they were there",
                    descriptor.records, descriptor.class
                );
                report.add(absence(log), name, what, &means);
            }
        }
    }
    let whole = log.unread == 0 && report.opened == todo.len() as u64;
    disposal::check_said(&gathered.descriptors, &gathered.gone, &said, report);
    proof.report(tally, log.unread == 0, report);
    if log.unread == 0 && report.disposed == 0 {
        adding_up.report(report);
    }
    check_erasures(&erased_subjects, whole, options, replayed, report);
    named
}

/// Keys that are gone against the erasures that are recorded, both ways.
fn check_erasures(
    gone: &BTreeSet<u64>,
    whole: bool,
    options: &Options<'_>,
    replayed: &Replayed,
    report: &mut Report,
) {
    let recorded = gone.difference(&report.erasures);
    let unexplained = recorded.filter(|subject| !replayed.subjects.contains(subject)).count();
    let what = format!("the keys of {unexplained} subjects are gone, and no erasure is recorded for them");
    if unexplained > 0 && whole {
        let means = "keys were deleted outside of an erasure, or the catalog is an older copy: their records cannot be read";
        report.problem("catalog", what, means);
    } else if unexplained > 0 {
        let means = "their erasure may be recorded in what cannot be read: see the other findings";
        report.add(Severity::Warning, "catalog", what, means);
    }
    let erased: Vec<u64> = report.erasures.union(&replayed.subjects).copied().collect();
    let keys = options.keys.subjects(&erased);
    let kept = keys.iter().filter(|key| matches!(key, SubjectKey::Known(_))).count();
    if kept > 0 {
        report.problem(
            "catalog",
            format!("the keys of {kept} subjects that are recorded as erased are still there"),
            "the erasure was not done, or a copy of catalog and keys from before it was put back: what was to be forgotten can be read",
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

/// How bad it is that something is not there: an entry that cannot be read may say that it was destroyed.
fn absence(log: &CheckedLog) -> Severity {
    if log.unread == 0 { Severity::Problem } else { Severity::Warning }
}

fn check_blobs(
    source: &dyn Source,
    gathered: &Gathered,
    log: &CheckedLog,
    named: &BTreeMap<Id, NamedBlob>,
    replayed: &Replayed,
    report: &mut Report,
    names: &mut BTreeSet<String>,
) {
    let there =
        |(index, descriptor): &&(u64, Descriptor)| !disposal::is_gone(&gathered.gone, *index, descriptor);
    for blob in gathered.descriptors.iter().filter(there).flat_map(|(_, descriptor)| &descriptor.blobs) {
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
                if named.get(&blob.id).is_some_and(|named| !named.is_in(&blob.id, &object)) {
                    let means = "whoever wrote it, or holds the keys, put another content in its place";
                    report.problem(name, "its content is not the one that the record names", means);
                }
            }
            Ok(Some(_)) => {
                let means = "somebody or something changed what was stored; the log still says what it was";
                report.problem(name, "its bytes were changed: they are not those that the log names", means);
            }
            Ok(None) if replayed.blobs.contains(&blob.id) => {}
            Ok(None) => {
                let means = "one large value of a record cannot be shown until it is restored";
                report.add(absence(log), name, "it is missing", means);
            }
            Err(error) => {
                let means = "one large value of a record cannot be shown until it can be read";
                report.problem(name, format!("it cannot be read: {error}"), means);
            }
        }
    }
}
