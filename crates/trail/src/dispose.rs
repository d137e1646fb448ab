//! Disposing of what is past its retention (`docs/formats/retention.md`): what is due, what is kept back and why, and destroying whole class-epochs,
//! keys first. Edge: the record of each is sealed in the same call; erasing a subject is `erase`'s business.

use crate::catalog::{ActRow, ClassEpochUse, DisposedRow};
use crate::drain::SYSTEM;
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::hold::{Held, Hold, short};
use crate::limits;
use crate::own::{self, OwnRecord};
use crate::reader::{Reader, StoredRecord};
use minutebook_verify::retention::Settings;
use minutebook_verify::verify::{blob_name, segment_name};
use minutebook_verify::{Id, hex};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const ACT: &str = "disposal";

/// All that is stored of one class and month of sealing: what is disposed of together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// Its key's id, 32 hex digits.
    pub class_epoch: String,
    /// Retention class.
    pub class: String,
    /// As in `2026-11`.
    pub month: String,
    /// Segments.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// Blobs of these.
    pub blobs: u64,
    /// Bytes of the objects; 0 where that was not looked at.
    pub bytes: u64,
    /// The first event, RFC 3339.
    pub earliest: Option<String>,
    /// The last event.
    pub latest: Option<String>,
    /// How long its class is kept, in words; none: for ever.
    pub keep: Option<String>,
}

/// What is not disposed of, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBack {
    /// What.
    #[serde(flatten)]
    pub portion: Portion,
    /// Until when, where that is known.
    pub until: Option<String>,
    /// Whether its own class would have it disposed of, and something else keeps it.
    pub is_past: bool,
    /// The reasons.
    pub why: Vec<String>,
}

/// What a disposal would do at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisposalPlan {
    /// That time, RFC 3339.
    pub at: String,
    /// What would go.
    pub due: Vec<Portion>,
    /// What would stay.
    pub kept: Vec<KeptBack>,
}

/// What a disposal did, for whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisposalCertificate {
    /// The trail, 32 hex digits.
    pub trail: String,
    /// RFC 3339.
    pub at: String,
    /// By whose order.
    pub by: String,
    /// What is gone.
    pub disposed: Vec<Portion>,
    /// What stayed.
    pub kept: Vec<KeptBack>,
    /// Entries of the published log that has the `disposal` records.
    pub log_size: u64,
}

#[derive(Serialize, Deserialize)]
struct DisposalAct {
    class_epoch: Id,
    class: String,
    month: String,
    segments: u64,
    records: u64,
    blobs: u64,
    bytes: u64,
    earliest: i64,
    latest: i64,
    at: i64,
    rule: String,
    by: String,
}

/// A class-epoch that is due.
struct Due {
    usage: ClassEpochUse,
    portion: Portion,
}

/// What keeps a class-epoch back beside its own class.
#[derive(Default)]
struct Kept {
    holds: BTreeSet<String>,
    /// By class: until when, in Unix seconds; for ever where there is no date.
    models: BTreeMap<String, (String, Option<i64>)>,
}

impl Reader {
    /// What a disposal would do at `now_s`, in Unix seconds: changes nothing. Reads the records of what is past its retention when a hold or
    /// another class of a model may be over some of them.
    ///
    /// # Errors
    /// When the catalog or a segment cannot be read.
    pub async fn disposal_plan(&self, now_s: i64) -> Result<DisposalPlan> {
        let (due, kept) = self.judge_portions(now_s).await?;
        Ok(DisposalPlan { at: text(now_s), due: due.into_iter().map(|due| due.portion).collect(), kept })
    }

    async fn judge_portions(&self, now_s: i64) -> Result<(Vec<Due>, Vec<KeptBack>)> {
        let (settings, holds) = (self.settings().await?, self.holds().await?);
        let (mut due, mut kept_back) = (Vec::new(), Vec::new());
        let this_month: String = text(now_s).chars().take(7).collect();
        for usage in self.catalog().class_epoch_uses().await? {
            if usage.class == SYSTEM {
                continue;
            }
            let rule = settings.class(&usage.class).filter(|rule| !rule.keep.is_empty());
            let mut portion = portion(&usage, rule.map(|rule| rule.keep.to_string()));
            let Some(end) = rule.and_then(|rule| rule.keep.end(counted_from(&usage))) else {
                let why = vec![format!("nothing disposes of class `{}`", usage.class)];
                kept_back.push(KeptBack { portion, until: None, is_past: false, why });
                continue;
            };
            if end > now_s || usage.month >= this_month {
                let why = if end > now_s {
                    "not past its retention"
                } else {
                    "records are still added to this month"
                };
                let until = Some(text(end.max(now_s)));
                kept_back.push(KeptBack { portion, until, is_past: false, why: vec![why.into()] });
                continue;
            }
            let kept = self.kept_back(&usage, &settings, &holds, now_s).await?;
            if kept.holds.is_empty() && kept.models.is_empty() {
                self.measure(&usage.id, &mut portion).await?;
                due.push(Due { usage, portion });
            } else {
                kept_back.push(kept.words(portion));
            }
        }
        Ok((due, kept_back))
    }

    /// What keeps back a class-epoch that its own class would dispose of.
    async fn kept_back(
        &self,
        usage: &ClassEpochUse,
        settings: &Settings,
        holds: &[Hold],
        now_s: i64,
    ) -> Result<Kept> {
        let mut kept = Kept::default();
        let whole =
            Held { class: &usage.class, times: usage.times.unwrap_or((0, 0)), subjects: None, model: None };
        let over: Vec<&Hold> =
            holds.iter().filter(|hold| usage.records > 0 && hold.may_be_over(&whole)).collect();
        let (inside, outside): (Vec<&Hold>, Vec<&Hold>) =
            over.into_iter().partition(|hold| hold.asks_for_contents());
        kept.holds.extend(outside.into_iter().map(named));
        let other_classes = settings.models.iter().any(|model| model.class != usage.class);
        if inside.is_empty() && !other_classes {
            return Ok(kept);
        }
        for row in self.catalog().segments_under(&usage.id).await?.into_iter().filter(|row| row.records > 0) {
            self.look_into(&row, &mut |subjects, record| {
                let model = record.model();
                let about = model.as_ref().map(|model| (model.name.as_str(), model.version.as_str()));
                let held = Held {
                    class: &usage.class,
                    times: record.may_have_been(row.times),
                    subjects: Some(subjects),
                    model: about,
                };
                kept.holds
                    .extend(inside.iter().filter(|hold| hold.may_be_over(&held)).map(|hold| named(hold)));
                let name = model.as_ref().map(|model| model.name.as_str());
                // Of what is erased nothing is left to be kept for its model.
                for rule in name.into_iter().flat_map(|name| settings.of_model(name)) {
                    if rule.name == usage.class || kept.models.contains_key(&rule.name) {
                        continue;
                    }
                    let end = rule.keep.end(counted_from(usage));
                    if end.is_none_or(|end| end > now_s) {
                        let model = name.unwrap_or_default().to_owned();
                        kept.models.insert(rule.name.clone(), (model, end));
                    }
                }
            })
            .await?;
        }
        Ok(kept)
    }

    /// Adds to a portion what its descriptors say.
    async fn measure(&self, class_epoch: &Id, portion: &mut Portion) -> Result<()> {
        let rows = self.catalog().segments_under(class_epoch).await?;
        let indexes: Vec<u64> = rows.iter().map(|row| row.log_index).collect();
        self.each_descriptor(&indexes, &mut |descriptor| {
            portion.blobs += descriptor.blobs.len() as u64;
            let blobs = descriptor.blobs.iter().map(|blob| blob.length).sum::<u64>();
            portion.bytes += descriptor.object_len + blobs;
        })
        .await
    }

    /// The places in the log of the segments that were disposed of, ascending: nothing that points there leads to a record any more.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn disposed(&self) -> Result<Vec<u64>> {
        let segments = self.catalog().disposed_segments(None).await?;
        Ok(segments.into_iter().map(|(log_index, _)| log_index).collect())
    }
}

impl Kept {
    fn words(self, portion: Portion) -> KeptBack {
        let mut why: Vec<String> = self.holds.into_iter().collect();
        let mut until = Some(i64::MIN);
        for (class, (model, end)) in &self.models {
            until = until.zip(*end).map(|(until, end)| until.max(end));
            let end = end.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", text(end)));
            why.push(format!("model `{model}` belongs to class `{class}`, which is kept {end}"));
        }
        let until = until.filter(|_| why.len() == self.models.len()).map(text);
        KeptBack { portion, until, is_past: true, why }
    }
}

impl StoredRecord {
    /// When its event may have been: exactly then, or within its segment's bounds when it cannot be read.
    pub(crate) fn may_have_been(&self, of_segment: (i64, i64)) -> (i64, i64) {
        match self.content {
            crate::reader::Content::Readable { .. } => (self.time_ns(), self.time_ns()),
            _ => of_segment,
        }
    }
}

/// A hold as a reason.
pub(crate) fn named(hold: &Hold) -> String {
    format!("hold `{}` ({})", hold.name, hold.reason)
}

/// From when the retention of a class-epoch is counted, in Unix seconds: its latest record's event, or that record's id where that is later, so that
/// dating events back shortens nothing. Without records, from the end of its month.
fn counted_from(usage: &ClassEpochUse) -> i64 {
    match usage.times {
        Some((_, latest)) => latest.div_euclid(1_000_000_000).max(seconds_of(&usage.ids.1)),
        None => {
            let begin = format!("{}-01T00:00:00Z", usage.month).parse::<jiff::Timestamp>();
            begin.map_or(i64::MAX, |begin| begin.as_second() + 31 * 86_400)
        }
    }
}

/// The time in a record's id, in Unix seconds.
pub(crate) fn seconds_of(id: &Id) -> i64 {
    let ms = id[..6].iter().fold(0i64, |ms, byte| ms << 8 | i64::from(*byte));
    ms / 1_000
}

/// RFC 3339, UTC, whole seconds; the end of the calendar for what is beyond.
pub(crate) fn text(seconds: i64) -> String {
    let seconds = seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}

fn portion(usage: &ClassEpochUse, keep: Option<String>) -> Portion {
    let time = |ns: i64| text(ns.div_euclid(1_000_000_000));
    Portion {
        class_epoch: hex(&usage.id),
        class: usage.class.clone(),
        month: usage.month.clone(),
        segments: usage.segments,
        records: usage.records,
        blobs: 0,
        bytes: 0,
        earliest: usage.times.map(|(earliest, _)| time(earliest)),
        latest: usage.times.map(|(_, latest)| time(latest)),
        keep,
    }
}

impl Engine {
    /// Disposes of every class-epoch whose records are all past their retention, under no hold, and of no model that is kept longer: destroys its
    /// key, removes its segments and blobs, and seals a `disposal` record of it. Everything handed over up to now is sealed first. Durable on
    /// return; a disposal that a crash interrupted is finished at the next opening.
    ///
    /// That a key is destroyed is a statement of who runs the trail; it cannot be proved.
    ///
    /// # Errors
    /// As [`Engine::seal_round`].
    pub async fn dispose(&mut self, by: &str) -> Result<DisposalCertificate> {
        self.check_running()?;
        short("by whom", by)?;
        self.seal().await?;
        let now_s = self.environment.seconds();
        let reader = Reader::open(&self.place).await?;
        let disposed = self.dispose_with(&reader, by, now_s).await;
        reader.close().await;
        let (disposed, kept) = self.stop_on_error(disposed)?;
        Ok(DisposalCertificate {
            trail: hex(&self.file.id),
            at: text(now_s),
            by: by.to_owned(),
            disposed,
            kept,
            log_size: self.publisher.size(),
        })
    }

    async fn dispose_with(
        &mut self,
        reader: &Reader,
        by: &str,
        now_s: i64,
    ) -> Result<(Vec<Portion>, Vec<KeptBack>)> {
        let (due, kept) = reader.judge_portions(now_s).await?;
        for some in due.chunks(limits::DISPOSALS_AT_ONCE) {
            for due in some {
                self.dispose_of(reader, due, by, now_s).await?;
            }
            self.remove_disposed(reader).await?;
            self.seal().await?;
        }
        Ok((due.into_iter().map(|due| due.portion).collect(), kept))
    }

    /// The first step: one transaction, after which nothing opens the segments.
    async fn dispose_of(&mut self, reader: &Reader, due: &Due, by: &str, now_s: i64) -> Result<()> {
        let Due { usage, portion } = due;
        let rows = self.catalog.segments_under(&usage.id).await?;
        let indexes: Vec<u64> = rows.iter().map(|row| row.log_index).collect();
        let mut blobs: Vec<Id> = Vec::new();
        reader
            .each_descriptor(&indexes, &mut |descriptor| {
                blobs.extend(descriptor.blobs.iter().map(|blob| blob.id))
            })
            .await?;
        let time = |ns: i64| ns.div_euclid(1_000_000_000);
        let (earliest, latest) = usage.times.unwrap_or((0, 0));
        let act = DisposalAct {
            class_epoch: usage.id,
            class: usage.class.clone(),
            month: usage.month.clone(),
            segments: usage.segments,
            records: usage.records,
            blobs: portion.blobs,
            bytes: portion.bytes,
            earliest: time(earliest),
            latest: time(latest),
            at: now_s,
            rule: portion.keep.clone().unwrap_or_default(),
            by: by.to_owned(),
        };
        // INVARIANT: numbers and texts always serialise.
        let body = toml::to_string(&act).expect("an act").into_bytes();
        let act = ActRow { id: draw(self.environment.random.as_ref())?, kind: ACT.into(), body };
        let row = DisposedRow {
            class_epoch: usage.id,
            class: usage.class.clone(),
            month: usage.month.clone(),
            ids: usage.ids,
            at: now_s,
            by: by.to_owned(),
        };
        self.class_epochs.remove(&(usage.class.clone(), usage.month.clone()));
        self.catalog.dispose(&row, &blobs, &act).await
    }

    /// The second step: the objects of what was disposed of and has no record yet.
    async fn remove_disposed(&self, reader: &Reader) -> Result<()> {
        for act in self.catalog.acts().await?.iter().filter(|act| act.kind == ACT) {
            let segments = self.catalog.disposed_segments(Some(&read_act(act)?.class_epoch)).await?;
            let indexes: Vec<u64> = segments.iter().map(|(log_index, _)| *log_index).collect();
            let mut blobs: Vec<Id> = Vec::new();
            reader
                .each_descriptor(&indexes, &mut |descriptor| {
                    blobs.extend(descriptor.blobs.iter().map(|blob| blob.id))
                })
                .await?;
            for (_, segment) in &segments {
                self.objects.remove(&segment_name(segment)).await?;
            }
            for blob in &blobs {
                self.objects.remove(&blob_name(blob)).await?;
            }
        }
        Ok(())
    }

    /// Finishes disposals that were interrupted, but for their records, which the next round seals.
    pub(crate) async fn finish_disposals(&self) -> Result<()> {
        if !self.catalog.acts().await?.iter().any(|act| act.kind == ACT) {
            return Ok(());
        }
        self.catalog.empty_log().await?;
        let reader = Reader::open(&self.place).await?;
        let removed = self.remove_disposed(&reader).await;
        reader.close().await;
        removed
    }
}

fn read_act(act: &ActRow) -> Result<DisposalAct> {
    let text = std::str::from_utf8(&act.body).ok().and_then(|text| toml::from_str(text).ok());
    text.ok_or_else(|| {
        Error::Request("an act in the catalog is malformed: run `minutebook doctor --deep`".into())
    })
}

/// The class-epoch that an act disposes of; the outer `None` when it is another kind of act, the inner one when it is malformed.
pub(crate) fn class_epoch_of(act: &ActRow) -> Option<Option<Id>> {
    (act.kind == ACT).then(|| read_act(act).ok().map(|act| act.class_epoch))
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let said = (act.kind == ACT).then(|| read_act(act))?;
    Some(said.and_then(|said| {
        let DisposalAct { segments, records, blobs, bytes, earliest, latest, at, .. } = said;
        let said = own::DisposalSaid {
            class_epoch: said.class_epoch,
            class: &said.class,
            month: &said.month,
            counts: [("segments", segments), ("records", records), ("blobs", blobs), ("bytes", bytes)],
            times: [("earliest", earliest), ("latest", latest), ("at", at)],
            rule: &said.rule,
            by: &said.by,
        };
        own::disposal(act.id, &said, now_ns)
    }))
}
