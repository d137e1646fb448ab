//! The catalog's rows against the evidence, and back.

use super::evidence::{Evidence, Placed};
use super::{CATALOG_DIFFERS, Findings, row_name, table_name};
use crate::backup::{KEY_COPIES, PLACES, PROMOTED};
use crate::catalog::survey::{self, Cell, RawRow};
use crate::catalog::{
    ActRow, Catalog, DISPOSALS, LOG_EMPTIED, RETENTION_SETTINGS, SAMPLING_KEY, SAMPLING_POLICY,
    SUBJECTS_FROM, TRAIL_DIGEST,
};
use crate::error::Error;
use crate::folder_source::FolderSource;
use crate::place::Place;
use crate::{dispose, erase, hold};
use minutebook_policy::Policy;
use minutebook_verify::retention::Settings;
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::CHECKPOINT;
use minutebook_verify::{Id, Source, hex};
use std::collections::{BTreeMap, BTreeSet};

/// All rows of the catalog.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) meta: Vec<RawRow>,
    pub(super) segment: Vec<RawRow>,
    pub(super) timeline: Vec<RawRow>,
    pub(super) span: Vec<RawRow>,
    pub(super) intent: Vec<RawRow>,
    pub(super) pending_entry: Vec<RawRow>,
    pub(super) class_epoch: Vec<RawRow>,
    pub(super) bucket: Vec<RawRow>,
    pub(super) subject: Vec<RawRow>,
    pub(super) coverage: Vec<RawRow>,
    pub(super) epoch: Vec<RawRow>,
    pub(super) blob: Vec<RawRow>,
    pub(super) act: Vec<RawRow>,
    pub(super) disposed: Vec<RawRow>,
    pub(super) disposed_segment: Vec<RawRow>,
    pub(super) hold: Vec<RawRow>,
}

impl Tables {
    /// Reads all tables; one that cannot be read is told, and empty.
    pub(super) async fn read(catalog: &Catalog, findings: &mut Findings) -> Self {
        let mut tables = Self::default();
        let all: [(&'static str, &mut Vec<RawRow>); 16] = [
            ("meta", &mut tables.meta),
            ("segment", &mut tables.segment),
            ("timeline", &mut tables.timeline),
            ("span", &mut tables.span),
            ("intent", &mut tables.intent),
            ("pending_entry", &mut tables.pending_entry),
            ("class_epoch", &mut tables.class_epoch),
            ("bucket", &mut tables.bucket),
            ("subject", &mut tables.subject),
            ("coverage", &mut tables.coverage),
            ("epoch", &mut tables.epoch),
            ("blob", &mut tables.blob),
            ("act", &mut tables.act),
            ("disposed", &mut tables.disposed),
            ("disposed_segment", &mut tables.disposed_segment),
            ("hold", &mut tables.hold),
        ];
        for (name, rows) in all {
            match catalog.rows(name).await {
                Ok(read) => *rows = read,
                Err(error) => findings.problem(table_name(name), error.to_string(), CATALOG_DIFFERS),
            }
        }
        tables
    }

    pub(super) fn meta(&self, name: &str) -> Option<&[u8]> {
        self.meta.iter().find(|row| row.text("name") == Some(name)).and_then(|row| row.bytes("value"))
    }

    fn meta_number(&self, name: &str) -> Option<u64> {
        self.meta(name).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map(u64::from_be_bytes)
    }

    pub(super) fn log_size(&self) -> Option<u64> {
        self.meta_number("log_size")
    }

    /// Entries that wait to be published, or did.
    pub(super) fn pending(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pending_entry.iter().filter_map(|row| Some((row.number("log_index")?, row.bytes("entry")?)))
    }

    fn acts(&self) -> impl Iterator<Item = ActRow> {
        self.act.iter().filter_map(|row| {
            let (id, kind) = (row.fixed("id")?, row.text("kind")?.to_owned());
            Some(ActRow { id, kind, body: row.bytes("body")?.to_vec() })
        })
    }

    /// Class-epochs whose disposal still needs its record.
    pub(super) fn being_disposed(&self) -> BTreeSet<Id> {
        self.acts().filter_map(|act| dispose::class_epoch_of(&act).flatten()).collect()
    }

    /// Subjects whose erasure still needs its record.
    pub(super) fn being_erased(&self) -> BTreeSet<u64> {
        self.acts().filter_map(|act| erase::subject_of(&act)).collect()
    }
}

/// A cell as a row is named by it: hex digits, or the value.
pub(super) fn hex_of(cell: &Cell) -> String {
    match cell {
        Cell::Bytes(bytes) => hex(bytes),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Null => "null".into(),
        Cell::Other => "?".into(),
    }
}

fn key_of(row: &RawRow, columns: &[&str]) -> String {
    columns.iter().map(|column| hex_of(row.cell(column))).collect::<Vec<_>>().join("/")
}

/// Whether catalog and published log are of one time.
pub(super) async fn check_log_size(
    place: &Place,
    file: &TrailFile,
    catalog: &Catalog,
    running: bool,
    findings: &mut Findings,
) {
    let known = match catalog.log_size().await {
        Ok(known) => known,
        Err(error) => return findings.row("meta", "log_size", error.to_string(), CATALOG_DIFFERS),
    };
    match catalog.meta("trail").await {
        Ok(Some(id)) if id == file.id => {}
        Ok(_) => {
            let means = "catalogs cannot be exchanged: put this trail's back";
            return findings.row("meta", "trail", "the catalog is another trail's", means);
        }
        Err(error) => return findings.row("meta", "trail", error.to_string(), CATALOG_DIFFERS),
    }
    let bytes = FolderSource::new(&place.folder).read(CHECKPOINT).ok().flatten().unwrap_or_default();
    let published = match file.open_checkpoint(&bytes) {
        Ok((checkpoint, _)) => checkpoint.size().get(),
        Err(error) => {
            let means =
                "`minutebook verify` tells more; the engine does not start without a checkpoint of its own";
            return findings.problem(
                CHECKPOINT,
                format!("it is missing or not this trail's: {error}"),
                means,
            );
        }
    };
    // An engine publishes between two looks.
    if published > known && !running {
        let error = Error::CatalogBehindLog { published, known };
        let means = "what the catalog does not know is sealed and safe; the engine does not write until the newest catalog is back";
        findings.row("meta", "log_size", error.to_string(), means);
    }
    if known > published {
        let what = format!("{} entries are placed and not published yet", known - published);
        findings.note(
            CHECKPOINT,
            what,
            "the engine publishes them; after an interruption, at its next start",
        );
    }
}

/// The database file itself, and what tables it has.
pub(super) async fn check_file(catalog: &Catalog, findings: &mut Findings) {
    match catalog.integrity().await {
        Ok(complaints) => {
            for complaint in complaints {
                findings.problem(
                    crate::CATALOG_FILE,
                    format!("SQLite finds it damaged: {complaint}"),
                    CATALOG_DIFFERS,
                );
            }
        }
        Err(error) => findings.problem(crate::CATALOG_FILE, error.to_string(), CATALOG_DIFFERS),
    }
    match catalog.schema_differences().await {
        Ok(differences) => {
            for (name, what) in differences {
                let means = "somebody changed the database, or a newer program has worked on it";
                findings.problem(table_name(&name), what, means);
            }
        }
        Err(error) => findings.problem(crate::CATALOG_FILE, error.to_string(), CATALOG_DIFFERS),
    }
}

/// All tables but those of keys. `waiting` are the epochs that still have their files.
pub(super) fn check_rows(
    waiting: Option<&BTreeSet<(Id, u64)>>,
    file: &TrailFile,
    tables: &Tables,
    evidence: &Evidence,
    findings: &mut Findings,
) {
    check_meta(file, tables, evidence, findings);
    check_segments(tables, evidence, findings);
    check_coverage(tables, evidence, findings);
    check_epochs(waiting, tables, evidence, findings);
    check_progress(tables, evidence, findings);
    check_blobs(tables, evidence, findings);
    check_acts(tables, evidence, findings);
}

fn check_meta(file: &TrailFile, tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    const NAMES: [&str; 17] = [
        DISPOSALS,
        LOG_EMPTIED,
        "erasures",
        "format",
        KEY_COPIES,
        "last_subject",
        "log_size",
        "lookup_key",
        "own_producer",
        RETENTION_SETTINGS,
        PLACES,
        PROMOTED,
        SAMPLING_KEY,
        SAMPLING_POLICY,
        SUBJECTS_FROM,
        "trail",
        TRAIL_DIGEST,
    ];
    let mut expect = |name: &'static str, right: bool, what: String| {
        if !right {
            findings.row("meta", name, what, CATALOG_DIFFERS);
        }
    };
    expect("format", tables.meta("format") == Some(b"1"), "it is not `1`".into());
    expect("trail", tables.meta("trail") == Some(&file.id), "it is another trail's".into());
    let size = evidence.size;
    expect(
        "log_size",
        tables.log_size() == Some(size),
        format!("it is not {size}, which log and waiting entries give"),
    );
    let digest = minutebook_sha256::digest(file.render().as_bytes());
    let what = "it is not the digest of trail.toml".to_owned();
    expect(TRAIL_DIGEST, tables.meta(TRAIL_DIGEST) == Some(&digest), what);
    let own = tables.meta("own_producer").and_then(|id| Id::try_from(id).ok());
    let opened = own.is_some_and(|own| evidence.segments.is_empty() || evidence.epochs.contains(&(own, 1)));
    expect("own_producer", opened, "it is not the producer that the engine's records are of".into());
    let erasures = evidence.erasures + tables.being_erased().difference(&evidence.erased).count() as u64;
    let noted = tables.meta("erasures").map_or(Some(0), |_| tables.meta_number("erasures"));
    if evidence.whole {
        expect(
            "erasures",
            noted == Some(erasures),
            format!("it is not {erasures}, as many as were recorded"),
        );
    }
    let highest = evidence.subjects.last().copied().unwrap_or(0);
    let erased = evidence.erased.last().copied().unwrap_or(0);
    let last = tables.meta("last_subject").map_or(Some(0), |_| tables.meta_number("last_subject"));
    let what = format!("it is not between {erased} and {highest}, the highest numbers erased and given");
    // Nobody can tell any more whom what was disposed of was about.
    let highest = if evidence.disposed.is_empty() { highest } else { u64::MAX };
    // A copy that was restored passes numbers over.
    let from = tables.meta(SUBJECTS_FROM).and_then(|_| tables.meta_number(SUBJECTS_FROM));
    let is_right = last.is_some_and(|last| (erased..=highest).contains(&last) || from == Some(last));
    expect("last_subject", is_right, what);
    let policy = tables.meta(SAMPLING_POLICY).map(|text| Policy::parse(&String::from_utf8_lossy(text)));
    expect(SAMPLING_POLICY, policy.is_none_or(|policy| policy.is_ok()), "it is no policy".into());
    let settings =
        tables.meta(RETENTION_SETTINGS).map(|text| Settings::parse(&String::from_utf8_lossy(text)));
    let what = "it is no retention settings".into();
    expect(RETENTION_SETTINGS, settings.is_none_or(|settings| settings.is_ok()), what);
    for row in &tables.meta {
        let name = hex_of(row.cell("name"));
        if !NAMES.contains(&&*name) {
            findings.row("meta", &name, "nobody knows a value of this name", CATALOG_DIFFERS);
        }
    }
}

fn check_segments(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    let mut rows: BTreeMap<&[u8], &RawRow> = BTreeMap::new();
    for row in &tables.segment {
        rows.insert(row.bytes("id").unwrap_or_default(), row);
    }
    let mut timeline: BTreeMap<[i64; 5], bool> = BTreeMap::new();
    let mut spans: BTreeMap<[i64; 2], bool> = BTreeMap::new();
    for placed in &evidence.segments {
        let id = placed.descriptor.segment;
        let Some(row) = rows.remove(id.as_slice()) else {
            let means = "its records are sealed and safe, and cannot be found: restore the newest catalog";
            findings.row("segment", &hex(&id), "it is missing", means);
            continue;
        };
        check_segment(placed, row, findings);
        let time = |column| match row.cell(column) {
            Cell::Integer(time) => *time,
            _ => 0,
        };
        let Some(expected) = placed.row((time("time_first"), time("time_last"))) else { continue };
        let cells = survey::timeline_cells(&expected);
        spans.extend(cells.iter().map(|[kind, span, ..]| ([*kind, *span], false)));
        spans.extend(survey::id_span_cells(&expected).map(|cells| (cells, false)));
        timeline.extend(cells.into_iter().map(|cells| (cells, false)));
    }
    for (_, row) in rows {
        let what = "the log has no such segment";
        findings.row("segment", &key_of(row, &["id"]), what, CATALOG_DIFFERS);
    }
    if !evidence.whole {
        return;
    }
    const FOUND: &str =
        "records may not be found by time or id though they are there: restore the newest catalog";
    let columns = ["kind", "span", "time_first", "time_last", "log_index"];
    check_derived("timeline", &tables.timeline, &columns, timeline, FOUND, findings);
    check_derived("span", &tables.span, &["axis", "span"], spans, FOUND, findings);
}

/// A table that follows from others as a whole.
fn check_derived<const N: usize>(
    table: &'static str,
    rows: &[RawRow],
    columns: &[&str; N],
    mut expected: BTreeMap<[i64; N], bool>,
    means: &str,
    findings: &mut Findings,
) {
    for row in rows {
        let cells = columns.map(|column| match row.cell(column) {
            Cell::Integer(number) => Some(*number),
            _ => None,
        });
        let seen = if cells.iter().all(Option::is_some) {
            expected.get_mut(&cells.map(Option::unwrap_or_default))
        } else {
            None
        };
        match seen {
            Some(seen) => *seen = true,
            None => findings.row(table, &key_of(row, columns), "it does not follow from the segments", means),
        }
    }
    for (cells, _) in expected.iter().filter(|(_, seen)| !**seen) {
        let name = cells.map(|cell| cell.to_string()).join("/");
        findings.row(table, &name, "it is missing", means);
    }
}

fn check_segment(placed: &Placed, row: &RawRow, findings: &mut Findings) {
    let descriptor = &placed.descriptor;
    let name = hex(&descriptor.segment);
    let number = |column| match row.cell(column) {
        Cell::Integer(number) => *number,
        _ => -1,
    };
    let there = (number("time_first"), number("time_last"));
    let Some(expected) = placed.row(there) else { return };
    for (column, cell) in survey::segment_cells(&expected) {
        if *row.cell(column) != cell {
            let what = format!("its `{column}` is not that of the segment in the log");
            findings.row("segment", &name, what, CATALOG_DIFFERS);
        }
    }
    // What cannot be read to the nanosecond any more stands in the log to the second.
    let seconds = |ns: i64| ns.div_euclid(1_000_000_000);
    let said = (descriptor.earliest, descriptor.latest);
    if descriptor.records > 0 && (seconds(there.0), seconds(there.1)) != said {
        findings.row(
            "segment",
            &name,
            "its `time_first` or `time_last` is not what the log says",
            CATALOG_DIFFERS,
        );
    }
}

fn check_coverage(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    const MEANS: &str =
        "the engine would seal numbers twice, or tell of losses that were none: restore the newest catalog";
    let mut left: BTreeSet<_> = evidence.coverage.keys().collect();
    for row in &tables.coverage {
        let name = key_of(row, &["producer", "epoch", "class"]);
        let key = row.fixed::<16>("producer").zip(row.number("epoch")).zip(row.text("class"));
        let key = key.map(|((producer, epoch), class)| (producer, epoch, class.to_owned()));
        let Some((expected, key)) = key.and_then(|key| Some((evidence.coverage.get(&key)?, key))) else {
            findings.row("coverage", &name, "the log knows no such producer, epoch and class", MEANS);
            continue;
        };
        left.remove(&key);
        match row.bytes("ranges").and_then(survey::ranges) {
            Some(ranges) if ranges == *expected => {}
            Some(_) => findings.row("coverage", &name, "its ranges are not those of the log", MEANS),
            None => findings.row("coverage", &name, "its ranges are malformed", MEANS),
        }
    }
    for (producer, epoch, class) in left {
        findings.row("coverage", &format!("{}/{epoch}/{class}", hex(producer)), "it is missing", MEANS);
    }
}

fn check_epochs(
    waiting: Option<&BTreeSet<(Id, u64)>>,
    tables: &Tables,
    evidence: &Evidence,
    findings: &mut Findings,
) {
    const MEANS: &str =
        "the engine would take the epoch for open or ended when it is not: restore the newest catalog";
    let mut left = evidence.ended.clone();
    for row in &tables.epoch {
        let name = key_of(row, &["producer", "epoch"]);
        let key = row.fixed::<16>("producer").zip(row.number("epoch"));
        match key.filter(|key| left.remove(key)) {
            Some(_) if row.number("ended") == Some(1) => {}
            Some(_) => findings.row("epoch", &name, "its `ended` is not 1", MEANS),
            // An epoch that closed and whose last frame was damaged has no closing mark.
            None if key.is_some_and(|key| evidence.epochs.contains(&key) && lost_its_end(evidence, key)) => {}
            None => findings.row("epoch", &name, "the log does not say that it ended", MEANS),
        }
    }
    // Between its closing mark and the end of its account an epoch still has its files.
    let Some(waiting) = waiting else { return };
    for (producer, epoch) in left.difference(waiting) {
        findings.row("epoch", &format!("{}/{epoch}", hex(producer)), "it is missing", MEANS);
    }
}

fn lost_its_end(evidence: &Evidence, (producer, epoch): (Id, u64)) -> bool {
    use minutebook_verify::descriptor::State;
    let system = evidence.coverage.get(&(producer, epoch, crate::SYSTEM.to_owned()));
    system.and_then(|set| set.ranges().last()).is_some_and(|last| last.state == State::Damaged)
}

/// What waits: intents and entries.
fn check_progress(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    let placed: BTreeSet<Id> = evidence.segments.iter().map(|placed| placed.descriptor.segment).collect();
    for row in &tables.intent {
        let means = "the engine removes at its next start what was intended and not placed: do not start it before the row is gone";
        let name = hex_of(row.cell("id"));
        let blobs = row.bytes("blobs").unwrap_or_default();
        match row.fixed::<16>("id") {
            Some(id) if placed.contains(&id) => {
                findings.row("intent", &name, "this segment is placed", means)
            }
            Some(_) => {}
            None => findings.row("intent", &name, "it is malformed", means),
        }
        let (ids, rest) = blobs.as_chunks::<16>();
        if !rest.is_empty() || row.bytes("blobs").is_none() {
            findings.row("intent", &name, "its list of blobs is malformed", means);
        } else if ids.iter().any(|id| evidence.named_blobs.contains(id)) {
            findings.row("intent", &name, "it names a blob of a segment that is placed", means);
        }
    }
    let mut waiting: BTreeSet<u64> = (evidence.published..tables.log_size().unwrap_or(0)).collect();
    if waiting.len() > 1 << 20 {
        // A size that is wrong is told as such.
        waiting.clear();
    }
    for row in &tables.pending_entry {
        let name = hex_of(row.cell("log_index"));
        let index = row.number("log_index");
        index.map(|index| waiting.remove(&index));
        match (index, row.bytes("entry")) {
            (Some(index), Some(entry)) if index < evidence.published => {
                if evidence.entries.get(&index).is_some_and(|published| published != entry) {
                    findings.row(
                        "pending_entry",
                        &name,
                        "it is not the entry that is published",
                        CATALOG_DIFFERS,
                    );
                }
            }
            (Some(index), Some(_)) if index < evidence.size => {}
            _ => findings.row("pending_entry", &name, "it does not follow the log", CATALOG_DIFFERS),
        }
    }
    for index in waiting {
        let means = "the entry was placed and cannot be published: restore the newest catalog";
        findings.row("pending_entry", &index.to_string(), "it is missing", means);
    }
}

fn check_blobs(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    let mut left = evidence.blobs.clone();
    left.retain(|(subject, id)| !evidence.gone_blobs.contains(id) && !evidence.erased.contains(subject));
    for row in &tables.blob {
        let name = key_of(row, &["subject", "id"]);
        let pair = row.number("subject").zip(row.fixed::<16>("id"));
        let known = pair.is_some_and(|pair| left.remove(&pair));
        // What is about a subject whose key does not open is told there.
        if !known
            && (evidence.whole || pair.is_none())
            && pair.is_none_or(|(subject, _)| !evidence.wrong_keys.contains(&subject))
        {
            let means = "an erasure would destroy this blob, which is not about that subject";
            findings.row("blob", &name, "no record about this subject names this blob", means);
        }
    }
    let being_erased = tables.being_erased();
    for (subject, id) in left.iter().filter(|(subject, _)| !being_erased.contains(subject)) {
        let means = "an erasure of the subject would leave this blob behind: restore the newest catalog";
        findings.row("blob", &format!("{subject}/{}", hex(id)), "it is missing", means);
    }
}

fn check_acts(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    const MEANS: &str = "the engine would finish something at its next start that was never begun: do not start it before the row is gone";
    let subjects: BTreeSet<u64> = tables.subject.iter().filter_map(|row| row.number("number")).collect();
    let stored: BTreeSet<Id> = tables.blob.iter().filter_map(|row| row.fixed("id")).collect();
    for row in &tables.act {
        let name = hex_of(row.cell("id"));
        let act = row.fixed::<16>("id").zip(row.text("kind")).zip(row.bytes("body"));
        let Some(((id, kind), body)) = act else {
            findings.row("act", &name, "it is malformed", MEANS);
            continue;
        };
        let act = ActRow { id, kind: kind.to_owned(), body: body.to_vec() };
        let wrong = match kind {
            "erasure" => match erase::contents_of(&act) {
                None => Some("it is malformed"),
                Some((subject, _)) if subjects.contains(&subject) => {
                    Some("it erases a subject that still has its key")
                }
                Some((subject, _)) if evidence.erased.contains(&subject) => {
                    Some("its erasure is recorded already")
                }
                Some((_, blobs)) if blobs.iter().any(|blob| stored.contains(blob)) => {
                    Some("it removes blobs of other subjects")
                }
                Some((subject, _))
                    if evidence.disposed.is_empty() && !evidence.subjects.contains(&subject) =>
                {
                    Some("it erases a subject that nothing is about")
                }
                Some(_) => None,
            },
            "disposal" => match dispose::class_epoch_of(&act).flatten() {
                None => Some("it is malformed"),
                Some(id) if evidence.recorded_disposals.contains(&id) => {
                    Some("its disposal is recorded already")
                }
                Some(id) if !evidence.disposed_classes.contains_key(&id) => {
                    Some("it disposes of what is not in the log")
                }
                Some(_) => None,
            },
            "hold" | "hold-lifted" => (hold::is_act(&act) != Some(true)).then_some("it is malformed"),
            "rotation" | "signing-rotation" | "sampling" | "sampling-key" | "retention" | "access" => {
                let digest = minutebook_sha256::digest(body);
                (digest[..16] != id).then_some("its id is not the one that its content gives")
            }
            _ => Some("nobody knows acts of this kind"),
        };
        match wrong {
            Some(what) => findings.row("act", &name, what, MEANS),
            None => findings.note(
                row_name("act", &name),
                format!("a record of the {kind} is still to be sealed"),
                "the next round of sealing does it",
            ),
        }
    }
}
