//! A round of sealing: drain, resolve subjects, build, write, read back, place, publish, free, in the order of
//! `docs/formats/trail.md`. Edge: the order is here; each step is in its own module.

use crate::batch::Batch;
use crate::build::{Built, Sealing, build};
use crate::catalog::{CoverageRow, Placement, SegmentRow, SubjectRow};
use crate::drain::{DrainReport, Drainer, Horizon};
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::limits::{HELD_UP_LOOK_EVERY, HELD_UP_LOOKS};
use crate::own::{self, OwnRecord};
use crate::sampling::as_claimed;
use crate::stage::{StageTimes, thread_cpu_ns};
use crate::store::Objects;
use crate::subjects::Subject;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use minutebook_record::RecordId;
use minutebook_tlog::{Hash, leaf_hash};
use minutebook_verify::Id;
use minutebook_verify::check::{Level, Scratch, check_segment};
use minutebook_verify::descriptor::{Entry, Mark, MarkKind};
use minutebook_verify::keys::{Keys, Secret, SubjectKey, audit_key, content_key};
use minutebook_verify::verify::{blob_name, segment_name};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Intents that one transaction notes ahead.
const INTENTS_AHEAD: usize = 32;

/// What a round sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Records that are in a published checkpoint now.
    pub records: u64,
    /// Segments that they are in.
    pub segments: u64,
    /// Bytes of the segments' objects.
    pub bytes: u64,
    /// Windows that became records.
    pub windows: u64,
    /// What the drain saw.
    pub drained: DrainReport,
    /// Where the CPU time went.
    pub stages: StageTimes,
}

/// A segment that is written and was read back.
struct Written {
    built: Built,
    entry: Vec<u8>,
    leaf: Hash,
    new_subjects: Vec<SubjectRow>,
    batch: Batch,
    stages: StageTimes,
}

type Job = Pin<Box<dyn Future<Output = Result<Written>> + Send>>;

impl Engine {
    /// Seals what lies in the spools, up to a round's limit ([`SealReport::drained`] says whether there is more). On return everything that
    /// was sealed is in a published checkpoint, durable, and its spool space is free.
    ///
    /// # Errors
    /// A failure of disk, store or catalog stops the engine: open the trail again, which recovers. Nothing that was acknowledged is lost.
    pub async fn seal_round(&mut self) -> Result<SealReport> {
        self.check_running()?;
        let result = self.round().await;
        self.stop_on_error(result)
    }

    /// Seals everything that was handed over before the call, and of what comes meanwhile as much as the rounds for it take along: producers
    /// that are faster than the engine do not hold it up.
    ///
    /// # Errors
    /// As [`Engine::seal_round`].
    pub async fn seal(&mut self) -> Result<SealReport> {
        self.check_running()?;
        let horizon = self.horizon().await;
        let horizon = self.stop_on_error(horizon)?;
        let mut total = SealReport::default();
        let mut looks = HELD_UP_LOOKS;
        loop {
            let report = self.seal_round().await?;
            total.records += report.records;
            total.segments += report.segments;
            total.windows += report.windows;
            total.bytes += report.bytes;
            total.stages += report.stages;
            total.drained.records += report.drained.records;
            total.drained.sampled_out += report.drained.sampled_out;
            total.drained.seen_before += report.drained.seen_before;
            for (damage, count) in report.drained.damage {
                *total.drained.damage.entry(damage).or_default() += count;
            }
            let is_held_up = self.drainer.as_ref().is_some_and(|drainer| drainer.is_held_up(&horizon));
            let has_passed = self.drainer.as_ref().is_some_and(|drainer| drainer.has_passed(&horizon));
            if is_held_up && looks > 0 {
                looks -= 1;
                tokio::time::sleep(HELD_UP_LOOK_EVERY).await;
            } else if !report.drained.more || has_passed {
                return Ok(total);
            }
        }
    }

    /// How far the spools are written now.
    async fn horizon(&mut self) -> Result<Horizon> {
        let drainer = self.take_up_epochs().await?;
        let (drainer, horizon) =
            blocking(move || drainer.horizon().map(|horizon| (drainer, horizon))).await?;
        self.drainer = Some(drainer);
        Ok(horizon)
    }

    /// The drainer, with the epochs that are in the spools now. To be put back.
    async fn take_up_epochs(&mut self) -> Result<Drainer> {
        // INVARIANT: an engine that failed before it was put back is stopped.
        let mut drainer = self.drainer.take().ok_or_else(|| Error::Stopped("a round did not end".into()))?;
        let (mut drainer, found) = blocking(move || drainer.discover().map(|found| (drainer, found))).await?;
        for reader in found {
            let (producer, epoch) = (reader.producer().0, reader.epoch().get());
            let placed = self.catalog.coverage(&producer, epoch).await?;
            let ended = self.catalog.epoch_ended(&producer, epoch).await?;
            let drawn = self.catalog.drawn(&producer, epoch).await?;
            self.placed.insert((producer, epoch), placed.iter().cloned().collect());
            drainer.add(reader, placed, ended, drawn);
        }
        Ok(drainer)
    }

    async fn round(&mut self) -> Result<SealReport> {
        let own = self.own_records().await?;
        let mut drainer = self.take_up_epochs().await?;
        let (sender, mut batches) = mpsc::channel::<Batch>(2);
        let environment = self.environment.clone();
        let now_ns = environment.clock.wall_ns();
        let draining = tokio::task::spawn_blocking(move || {
            let begin = thread_cpu_ns();
            let mut fresh_id = || {
                let ms = u64::try_from(environment.clock.wall_ns() / 1_000_000).unwrap_or(0);
                Ok(RecordId::from_parts(ms, draw(environment.random.as_ref())?))
            };
            let mut sink = |batch| sender.blocking_send(batch).is_ok();
            let drained = drainer.round(now_ns, own, &mut fresh_id, &mut sink);
            (drainer, drained, thread_cpu_ns() - begin)
        });
        let mut report = SealReport::default();
        let mut jobs: FuturesOrdered<Job> = FuturesOrdered::new();
        let placed = self.place_all(&mut batches, &mut jobs, &mut report).await;
        // After a failure too everything comes to its end here: an object that is written later would be swept by no one.
        drop(batches);
        while jobs.next().await.is_some() {}
        let (drainer, drained, drain_ns) = draining.await.map_err(|e| Error::Stopped(e.to_string()))?;
        placed?;
        report.drained = drained?;
        report.stages.drain_ns += drain_ns;
        let drainer = blocking(move || {
            let mut drainer = drainer;
            drainer.free().map(|()| drainer)
        })
        .await?;
        self.drainer = Some(drainer);
        Ok(report)
    }

    /// Starts a job for each batch, and places what the jobs wrote, in the order of the batches.
    async fn place_all(
        &mut self,
        batches: &mut mpsc::Receiver<Batch>,
        jobs: &mut FuturesOrdered<Job>,
        report: &mut SealReport,
    ) -> Result<()> {
        let mut open = true;
        while open || !jobs.is_empty() {
            tokio::select! {
                batch = batches.recv(), if open && jobs.len() <= self.environment.workers => match batch {
                    Some(batch) => {
                        let job = self.start(batch).await?;
                        jobs.push_back(job);
                    }
                    None => open = false,
                },
                Some(written) = jobs.next(), if !jobs.is_empty() => {
                    let mut group = vec![written?];
                    while let Some(Some(written)) = futures::FutureExt::now_or_never(jobs.next()) {
                        group.push(written?);
                    }
                    self.place_group(group, report).await?;
                }
            }
        }
        Ok(())
    }

    /// Records of what the engine did, and its own opening.
    async fn own_records(&mut self) -> Result<Vec<OwnRecord>> {
        let now_ns = self.environment.clock.wall_ns();
        let mut records = Vec::new();
        let unopened = self
            .placed
            .get(&(self.own_producer, 1))
            .is_none_or(|classes| classes.values().all(|ranges| ranges.ranges().is_empty()));
        let acts = self.act_records(now_ns).await?;
        if unopened {
            // The engine's numbers advance in the placing transaction itself, so its epoch needs no heartbeats and its key signs nothing.
            let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&draw::<32>(
                self.environment.random.as_ref(),
            )?);
            let key = key.map_err(|_| Error::NoRandomness)?;
            let mut public = [0; 32];
            public.copy_from_slice(aws_lc_rs::signature::KeyPair::public_key(&key).as_ref());
            records.push(own::opened(self.own_producer, 1, public, now_ns)?);
        }
        records.extend(acts);
        records.extend(self.window_records(self.all_windows)?);
        Ok(records)
    }

    /// Everything a batch needs before it is built, and the job that builds, writes and reads it back.
    async fn start(&mut self, mut batch: Batch) -> Result<Job> {
        self.link(&mut batch).await?;
        let random = Arc::clone(&self.environment.random);
        let (subjects, new_subjects) =
            self.subjects.resolve(&batch.lookups, &self.catalog, random.as_ref()).await?;
        let class_epoch = self.class_epoch(batch.class.as_str()).await?;
        if self.intents.is_empty() {
            let ids: Vec<Id> = (0..INTENTS_AHEAD).map(|_| draw(random.as_ref())).collect::<Result<_>>()?;
            self.catalog.intend(&ids).await?;
            self.intents = ids;
        }
        // INVARIANT: filled just above.
        let segment = self.intents.pop().expect("an intent");
        if !batch.blobs.is_empty() {
            let blobs: Vec<Id> = batch.blobs.iter().map(|blob| blob.id).collect();
            self.catalog.intend_blobs(&segment, &blobs).await?;
        }
        let objects = self.objects.clone();
        let job = async move {
            let (batch, sealing, built, build_ns) = blocking(move || {
                let begin = thread_cpu_ns();
                let mut seeds = vec![[0; 32]; batch.records.len()];
                random.fill(seeds.as_flattened_mut()).map_err(|_| Error::NoRandomness)?;
                let sealing = Sealing { segment, class_epoch, subjects, seeds };
                let built = build(&batch, &sealing);
                Ok((batch, sealing, built, thread_cpu_ns() - begin))
            })
            .await?;
            for (blob, object) in &built.blobs {
                objects.put(&blob_name(blob), object.clone()).await?;
            }
            objects.put(&segment_name(&segment), built.object.clone()).await?;
            let mut written = read_back(&objects, built, sealing, batch, new_subjects).await?;
            written.stages.build_ns = build_ns;
            Ok(written)
        };
        let handle = tokio::spawn(job);
        Ok(Box::pin(async move { handle.await.unwrap_or_else(|e| Err(Error::Stopped(e.to_string()))) }))
    }

    /// Step 4 for a group of segments, then steps 5 and 6.
    async fn place_group(&mut self, group: Vec<Written>, report: &mut SealReport) -> Result<()> {
        let mut placement = Placement { published: self.publisher.size(), ..Placement::default() };
        let mut entries = Vec::new();
        let mut touched: Vec<(Id, u64, String)> = Vec::new();
        for Written { built, entry, leaf, new_subjects, batch, stages } in group {
            report.stages += stages;
            let descriptor = &built.descriptor;
            for ranges in &descriptor.ranges {
                let classes = self.placed.entry((ranges.producer, ranges.epoch)).or_default();
                let placed = classes.entry(ranges.class.clone()).or_default();
                for range in &ranges.ranges {
                    placed.insert(as_claimed(*range)).map_err(|number| Error::Overlap {
                        producer: ranges.producer,
                        epoch: ranges.epoch,
                        class: ranges.class.clone(),
                        number,
                    })?;
                }
                touched.push((ranges.producer, ranges.epoch, ranges.class.clone()));
            }
            placement.segments.push(SegmentRow {
                id: descriptor.segment,
                log_index: self.log_size,
                class: descriptor.class.clone(),
                class_epoch: descriptor.class_epoch,
                records: descriptor.records,
                kinds: built.kinds,
                ids: built.ids,
                times: built.times,
            });
            placement.entries.push((self.log_size, entry.clone()));
            placement.buckets.extend(self.subjects.placing(&new_subjects));
            placement.subjects.extend(new_subjects);
            placement.blobs.extend(&built.blob_subjects);
            placement.ended.extend(&batch.ended);
            let counted = |mark: &&Mark| {
                mark.producer != self.own_producer && !matches!(mark.what, MarkKind::Opened(_))
            };
            for mark in descriptor.marks.iter().filter(counted) {
                placement.drawn.insert((mark.producer, mark.epoch), mark.counts.iter().cloned().collect());
            }
            placement.acts.extend(&batch.acts);
            report.windows += batch.windows.len() as u64;
            self.count(batch.counted, &batch.windows)?;
            entries.push((self.log_size, entry, leaf));
            self.log_size += 1;
            report.segments += 1;
            report.records += descriptor.records;
            report.bytes += descriptor.object_len;
        }
        touched.sort();
        touched.dedup();
        for (producer, epoch, class) in touched {
            let ranges = self.placed[&(producer, epoch)][&class].clone();
            placement.coverage.push(CoverageRow { producer, epoch, class, ranges });
        }
        (placement.windows, placement.windows_gone) = self.window_rows().await?;
        placement.log_size = self.log_size;
        self.catalog.place(&placement).await?;
        self.publisher.publish(&self.objects, &entries).await?;
        for ended in &placement.ended {
            self.placed.remove(ended);
        }
        Ok(())
    }
}

/// Step 3: what was written is read, decrypted, and everything in its descriptor computed again from that.
async fn read_back(
    objects: &Objects,
    built: Built,
    sealing: Sealing,
    batch: Batch,
    new_subjects: Vec<SubjectRow>,
) -> Result<Written> {
    let segment = built.descriptor.segment;
    let differs = move |what: String| Error::ReadBack { segment, what };
    let object = objects.get(&segment_name(&segment)).await?;
    let object = object.ok_or_else(|| differs("it is not there".into()))?;
    for blob in &built.descriptor.blobs {
        let stored: Option<Bytes> = objects.get(&blob_name(&blob.id)).await?;
        if stored.is_none_or(|stored| minutebook_sha256::digest(&stored) != blob.digest) {
            return Err(differs("a blob of it".into()));
        }
    }
    blocking(move || {
        let begin = thread_cpu_ns();
        let keys = SealingKeys::new(&sealing);
        let outcome = check_segment(&object, &built.descriptor, &keys, &mut Scratch::default());
        if let Some(fault) = outcome.faults.first() {
            return Err(differs(fault.what.clone()));
        }
        if outcome.level != Some(Level::Content) || outcome.readable != built.descriptor.records {
            return Err(differs("not all of it can be read".into()));
        }
        let entry = Entry::Segment(Box::new(built.descriptor.clone())).encode();
        let leaf = leaf_hash(&entry);
        let stages = StageTimes { read_back_ns: thread_cpu_ns() - begin, ..StageTimes::default() };
        Ok(Written { built, entry, leaf, new_subjects, batch, stages })
    })
    .await
}

/// The keys of one segment, as the verifier asks for them.
struct SealingKeys {
    audit: Secret,
    content: Secret,
    subjects: HashMap<u64, Secret>,
}

impl SealingKeys {
    fn new(sealing: &Sealing) -> Self {
        let subjects =
            sealing.subjects.iter().map(|Subject { number, key }| (*number, key.clone())).collect();
        let class_epoch = &sealing.class_epoch.1;
        Self { audit: audit_key(class_epoch), content: content_key(class_epoch), subjects }
    }
}

impl Keys for SealingKeys {
    fn audit(&self, _: &Id) -> Option<Secret> {
        Some(self.audit.clone())
    }

    fn content(&self, _: &Id) -> Option<Secret> {
        Some(self.content.clone())
    }

    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        let key = |number| self.subjects.get(number).cloned().map_or(SubjectKey::Withheld, SubjectKey::Known);
        numbers.iter().map(key).collect()
    }
}

/// Runs blocking or long work on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Stopped(e.to_string()))?
}
