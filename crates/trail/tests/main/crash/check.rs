//! What has to hold of a trail after any crash: it opens, it verifies, and what was acknowledged is there once. Edge: knows nothing of how the
//! crash came about but whether the power went.

use crate::crash::case::Survival;
use crate::crash::program::place;
use crate::crash::told::{Level, Told};
use crate::fixture::{Given, encode, producer, record, verify_place};
use minutebook_record::{Kind, RecordId, Value};
use minutebook_tlog::{Tile, TileReader, TiledTree, TreeSize};
use minutebook_trail::{Content, Engine, Environment, Filter, Place, Reader};
use minutebook_verify::coverage::{Account, EpochState};
use minutebook_verify::descriptor::State;
use minutebook_verify::{Id, Pinned, Report, Severity};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

/// What a check has to go by.
pub struct Promises<'a> {
    pub told: &'a [Told],
    /// Checkpoints that were seen.
    pub seen: &'a [(u64, [u8; 32])],
    pub survival: Survival,
    /// No operation failed: processes were killed, nothing else.
    pub only_killed: bool,
}

/// Opens the trail below `root` as after a crash, works on, and looks for everything that was promised. Gives what is wrong.
pub async fn check(root: &Path, promises: &Promises<'_>) -> Vec<String> {
    let place = place(root);
    let mut wrong = Vec::new();
    match reopen(&place, promises).await {
        Ok(()) => {}
        Err(error) => {
            wrong.push(format!("the trail cannot be used: {error}"));
            return wrong;
        }
    }
    let report = verify(&place, promises, &mut wrong).await;
    match stored(&place).await {
        Ok(stored) => {
            records(promises, &stored, &report, &mut wrong);
            erasures(promises, &stored, &mut wrong);
        }
        Err(error) => wrong.push(format!("the records cannot be listed: {error}")),
    }
    numbers(promises, &report, &mut wrong);
    leftovers(&place, &mut wrong);
    wrong
}

/// Recovers, goes on with the producers that were there, and seals.
async fn reopen(place: &Place, promises: &Promises<'_>) -> Result<(), String> {
    let text = |what: &'static str| move |error: minutebook_trail::Error| format!("{what}: {error}");
    let mut engine = Engine::open(place, Environment { workers: 1, ..Environment::default() })
        .await
        .map_err(text("open"))?;
    // What was left half made is cleared away by the producer's next run.
    let producers = std::fs::read_dir(place.spool())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in producers.chain(["after".to_owned()]) {
        let producer = producer(place, &name);
        record(&producer, &Given::default());
        producer.close().map_err(|error| error.to_string())?;
    }
    let report = engine.seal().await.map_err(text("seal"))?;
    engine.seal_windows().await.map_err(text("seal windows"))?;
    engine.close().await;
    // A record that was being written when its process died is no damage to what was handed over.
    let damage: Vec<&String> =
        report.drained.damage.keys().filter(|what| !what.contains("never published")).collect();
    if !promises.survival.power_went() && promises.only_killed && !damage.is_empty() {
        return Err(format!("damage to the spool, though the power stayed: {damage:?}"));
    }
    Ok(())
}

async fn verify(place: &Place, promises: &Promises<'_>, wrong: &mut Vec<String>) -> Report {
    let log_key = place.trail_file().unwrap().log_key;
    let latest = promises.seen.iter().max().copied();
    let pinned = latest.map(|(size, root)| Pinned { log_key, size, root });
    let report = verify_place(place, pinned).await;
    for finding in report.findings.iter().filter(|finding| finding.severity == Severity::Problem) {
        wrong.push(format!("verify: {}: {} ({})", finding.object, finding.what, finding.means));
    }
    if latest.is_some() && !report.continues_earlier {
        wrong.push("the log does not continue the checkpoint that was seen".into());
    }
    if promises.told.iter().any(|told| told.disposed) && report.disposed == 0 {
        wrong.push("what was disposed of is there".into());
    }
    if report.readable + report.erased + report.disposed_records != report.records {
        wrong.push(format!(
            "of {} records {} can be read, {} are erased and {} disposed of",
            report.records, report.readable, report.erased, report.disposed_records
        ));
    }
    // Each decision that has its place was counted once, whatever was interrupted.
    match report.windows {
        Some(found) if found.counted == found.decisions => {}
        // Of what is gone nobody can tell which numbers were decisions.
        None if report.disposed > 0 => {}
        other => wrong.push(format!("the windows do not add up: {other:?}")),
    }
    let Some((size, _)) = report.checkpoint else { return report };
    let log = Log { folder: &place.folder, size };
    for (size, root) in promises.seen {
        let earlier = TiledTree::new(&log, TreeSize::new(*size).unwrap()).root();
        if earlier.as_ref().is_ok_and(|earlier| earlier.as_bytes() != root) || earlier.is_err() {
            wrong.push(format!(
                "the log of {} entries is not the one that was seen with {size}: {earlier:?}",
                log.size
            ));
        }
    }
    report
}

/// The tiles of a log, as wide as they are stored.
struct Log<'a> {
    folder: &'a Path,
    size: u64,
}

impl TileReader for Log<'_> {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, String> {
        let minutebook_tlog::TileKind::Hashes { level } = tile.kind() else { return Err("entries".into()) };
        let there = (self.size >> (8 * u32::from(level))) - tile.index() * 256;
        let stored = Tile::hashes(level, tile.index(), there.min(256) as u16).map_err(|e| e.to_string())?;
        let bytes =
            std::fs::read(self.folder.join(format!("log/{stored}"))).map_err(|e| format!("{stored}: {e}"))?;
        Ok(Cow::Owned(bytes[..usize::from(tile.width()) * 32].to_vec()))
    }
}

/// A record that is in the trail.
struct Stored {
    count: usize,
    erased: bool,
    amount: Option<Vec<u8>>,
}

async fn stored(place: &Place) -> minutebook_trail::Result<HashMap<RecordId, Stored>> {
    let reader = Reader::open(place).await?;
    let mut stored: HashMap<RecordId, Stored> = HashMap::new();
    let mut take = |record: minutebook_trail::StoredRecord| {
        let (erased, amount) = match &record.content {
            Content::Readable { values, .. } => {
                (false, record.schema.find_parts(&["inputs", "amount"]).map(|place| values[place].clone()))
            }
            Content::Erased => (true, None),
            Content::NoKey => panic!("all keys are there"),
        };
        stored.entry(record.header.id).or_insert(Stored { count: 0, erased, amount }).count += 1;
        ControlFlow::Continue(())
    };
    let kinds = vec![Kind::Decision, Kind::Outcome];
    reader.list(&Filter { kinds, ..Filter::default() }, &mut take).await?;
    Ok(stored)
}

/// What was acknowledged is there, once, as it was handed over; or it is one of those decisions that a policy left out, which `verify` has drawn
/// for again.
fn records(
    promises: &Promises<'_>,
    stored: &HashMap<RecordId, Stored>,
    report: &Report,
    wrong: &mut Vec<String>,
) {
    let needed = if promises.survival.power_went() { Level::Disk } else { Level::Process };
    let mut left_out: HashMap<((Id, u64), &str), u64> = HashMap::new();
    for account in &report.accounts {
        left_out.insert(((account.producer, account.epoch), &account.class), account.sampled_out);
    }
    for handed in promises.told.iter().flat_map(|told| &told.handed) {
        match stored.get(&handed.id) {
            None if handed.level >= needed => {
                let left = left_out.get_mut(&(handed.epoch, handed.class.as_str()));
                if let Some(left) = left.filter(|left| handed.is_decision && **left > 0) {
                    *left -= 1;
                    continue;
                }
                wrong.push(format!(
                    "{} (number {}) was acknowledged at {:?} and is gone",
                    handed.id, handed.n, handed.level
                ));
            }
            Some(Stored { amount: Some(amount), .. })
                if *amount != encode(&Value::Float(handed.n as f64)) =>
            {
                wrong.push(format!("{} is another record than was handed over", handed.id));
            }
            _ => {}
        }
    }
    for (id, stored) in stored {
        if stored.count > 1 {
            wrong.push(format!("{id} is there {} times", stored.count));
        }
    }
    for begun in promises.told.iter().flat_map(|told| &told.begun) {
        if stored.contains_key(&begun.id) {
            wrong.push(format!("{} was never handed over and is there", begun.id));
        }
    }
}

/// An erasure that was acknowledged is complete; one that was not is complete or was not begun.
fn erasures(promises: &Promises<'_>, stored: &HashMap<RecordId, Stored>, wrong: &mut Vec<String>) {
    for told in promises.told {
        for (at, erasure) in told.erasures.iter().enumerate() {
            // What was handed over before an earlier erasure of the same subject had its own fate.
            let before =
                told.erasures[..at].iter().filter(|other| other.subject == erasure.subject && !erasure.done);
            let from = before.map(|other| other.handed).max().unwrap_or(0);
            let about = told.handed[from..erasure.handed]
                .iter()
                .filter(|handed| handed.subject.as_ref() == Some(&erasure.subject));
            let found: Vec<(u64, bool)> = about
                .filter_map(|handed| stored.get(&handed.id).map(|stored| (handed.n, stored.erased)))
                .collect();
            let erased = found.iter().filter(|(_, erased)| *erased).count();
            if erasure.done && erased < found.len() {
                wrong.push(format!("`{}` was erased and can be read: {found:?}", erasure.subject));
            } else if erased > 0 && erased < found.len() {
                wrong.push(format!("`{}` is erased by half: {found:?}", erasure.subject));
            }
        }
    }
}

/// Every number that was drawn is accounted for, and what was in flight is told as lost.
fn numbers(promises: &Promises<'_>, report: &Report, wrong: &mut Vec<String>) {
    let mut accounts: BTreeMap<(Id, u64), Vec<&Account>> = BTreeMap::new();
    for account in &report.accounts {
        accounts.entry((account.producer, account.epoch)).or_default().push(account);
    }
    for told in promises.told {
        for epoch in &told.epochs {
            if !accounts.contains_key(epoch) && !promises.survival.power_went() {
                wrong.push(format!("epoch {} left no trace", epoch.1));
            }
        }
    }
    for account in &report.accounts {
        let (epoch, class) = ((account.producer, account.epoch), account.class.as_str());
        let told = promises.told.iter().any(|told| told.epochs.contains(&epoch));
        let name = format!("epoch {} class {class}", epoch.1);
        if told && account.state == EpochState::Open {
            wrong.push(format!("{name} is still open: {account:?}"));
        }
        if !account.gaps.is_empty() {
            wrong.push(format!("{name}: numbers {:?} are not accounted for", account.gaps));
        }
        if promises.survival.power_went() || !told || class == "system" {
            continue;
        }
        let all = promises.told.iter();
        let begun: Vec<u64> = all
            .clone()
            .flat_map(|told| &told.begun)
            .filter(|begun| begun.epoch == epoch && begun.class == class)
            .map(|begun| begun.seq)
            .collect();
        let handed = all
            .flat_map(|told| &told.handed)
            .filter(|handed| handed.epoch == epoch && handed.class == class)
            .count();
        let lost: u64 = account.lost.values().sum();
        let died = account.lost.get(&State::Died).copied().unwrap_or(0);
        if died < begun.len() as u64 {
            wrong.push(format!(
                "{name}: {} decisions were in flight, and {:?} are told as lost",
                begun.len(),
                account.lost
            ));
        }
        // One more may have been on its way to its acknowledgement.
        let on_the_way = 1;
        if promises.only_killed
            && (lost > died
                || lost > begun.len() as u64 + on_the_way
                || account.kept > handed as u64 + on_the_way)
        {
            wrong.push(format!(
                "{name}: {handed} handed over and {} in flight became {account:?}",
                begun.len()
            ));
        }
    }
}

/// Nothing is left of what was interrupted.
fn leftovers(place: &Place, wrong: &mut Vec<String>) {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    let mut left = names(&place.folder.join("tmp"));
    for producer in names(&place.spool()) {
        let files = names(&place.spool().join(producer));
        left.extend(files.into_iter().filter(|name| !["producer", "lock"].contains(&name.as_str())));
    }
    let keys = place.keys.as_ref().unwrap();
    let known = ["keys.toml", "buckets", "erasures"];
    left.extend(names(keys).into_iter().filter(|name| !known.contains(&name.as_str())));
    left.extend(names(&keys.join("erasures")).into_iter().filter(|name| name.len() != 3));
    if !left.is_empty() {
        wrong.push(format!("left behind: {left:?}"));
    }
    let text = std::fs::read_to_string(keys.join("keys.toml")).unwrap();
    let wrapping = text.matches("[[key-encryption]]").count();
    if wrapping != 1 {
        wrong.push(format!("{wrapping} key-encryption keys: a rotation was not finished"));
    }
}
