//! Erasing a subject (`docs/formats/keys.md`, "Erasing a subject"). Edge: destroys keys and blobs; the record of it is sealed in the same call.

use crate::backup;
use crate::catalog::{ActRow, SubjectRow};
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::limits;
use crate::own::{self, OwnRecord};
use crate::reader::Reader;
use crate::seal::blocking;
use crate::subjects::bucket_of;
use crate::wrap::{self, Purpose};
use crate::{access, api_key, dispose, hold, retention, sampling};
use minutebook_record::RecordId;
use minutebook_verify::keys::Cipher;
use minutebook_verify::verify::blob_name;
use minutebook_verify::{Id, hex};
use serde::{Deserialize, Serialize};

/// Whom to erase.
#[derive(Debug, Clone, Copy)]
pub enum Whom<'a> {
    /// The subject of this name, as it stands in records.
    Subject(&'a str),
    /// What linked to a decision that is not in this trail.
    OrphansOf(RecordId),
}

/// What an erasure did, for whoever asked for it. Names no person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The trail, 32 hex digits.
    pub trail: String,
    /// The subject's number, as the `erasure` record names it.
    pub subject: u64,
    /// Blobs destroyed.
    pub blobs: usize,
    /// RFC 3339.
    pub at: String,
    /// Why.
    pub ground: String,
    /// By whom it was ordered.
    pub by: String,
    /// Live parts of the spool that still define a shape whose constants may be the subject's, since their producers did not answer: whoever
    /// holds the intake key reads those until the part is full or its producer ends.
    pub shapes_left: usize,
    /// When the last copy of the key folder expires that was made before, RFC 3339: whoever has it, and a backup from before, can still open what was
    /// erased. `never` when one was made without an end; none when there is none.
    pub key_copies_until: Option<String>,
    /// Entries of the published log that has the `erasure` record.
    pub log_size: u64,
}

#[derive(Serialize, Deserialize)]
struct ErasureAct {
    subject: u64,
    bucket: u16,
    blobs: Vec<Id>,
    ground: String,
    by: String,
}

impl Engine {
    /// Erases a subject: everything handed over up to now is sealed first, then its keys are destroyed and its neighbours' wrapped anew, its
    /// blobs removed, and an `erasure` record sealed. Durable on return; an erasure that a crash interrupted is finished at the next opening.
    ///
    /// That a key is destroyed is a statement of who runs the trail; it cannot be proved.
    ///
    /// # Errors
    /// [`Error::NoSubject`] when nobody of that name is in the trail; [`Error::Held`] under a hold, [`Error::InsideFloor`] inside a retention floor:
    /// nothing is erased then.
    pub async fn erase(&mut self, whom: Whom<'_>, ground: &str, by: &str) -> Result<Certificate> {
        self.check_running()?;
        hold::short("the ground", ground)?;
        hold::short("by whom", by)?;
        self.seal().await?;
        let lookup = match whom {
            Whom::Subject(subject) => self.lookup.lookup(subject.as_bytes()),
            Whom::OrphansOf(decision) => self.lookup.orphans_of(&decision),
        };
        let row = self.catalog.subjects(&[lookup]).await?.pop().ok_or(Error::NoSubject)?;
        self.check_erasable(row.number).await?;
        let result = self.erase_row(row, ground, by).await;
        self.stop_on_error(result)
    }

    /// Refuses what a hold or a floor is over. Without any there is nothing to look at.
    async fn check_erasable(&self, subject: u64) -> Result<()> {
        if self.retention().await?.is_none() && self.catalog.holds().await?.is_empty() {
            return Ok(());
        }
        let reader = Reader::open(&self.place).await?;
        let erasable = reader.check_erasable(subject, self.environment.seconds()).await;
        reader.close().await;
        erasable
    }

    /// Has those parts of the spool ended whose shapes may hold what is the subject's; gives how many are left.
    async fn end_parts(&mut self, lookup: [u8; 32]) -> Result<usize> {
        let mut left = 0;
        for attempt in 0..=limits::END_PART_LOOKS {
            // INVARIANT: sealing puts the drainer back; an engine that failed in between is stopped.
            let mut drainer =
                self.drainer.take().ok_or_else(|| Error::Stopped("a round did not end".into()))?;
            let asked =
                blocking(move || drainer.ask_to_end_parts(&lookup).map(|asked| (drainer, asked))).await;
            let (drainer, asked) = asked?;
            self.drainer = Some(drainer);
            left = asked;
            if left == 0 || attempt == limits::END_PART_LOOKS {
                break;
            }
            // Nobody can wake us: the producer is another process, and answers by a word in a file.
            blocking(|| {
                std::thread::park_timeout(limits::END_PART_LOOK_EVERY);
                Ok(())
            })
            .await?;
            self.seal().await?;
        }
        if let Some(drainer) = &self.drainer {
            drainer.withdraw_requests()?;
        }
        Ok(left)
    }

    async fn erase_row(&mut self, row: SubjectRow, ground: &str, by: &str) -> Result<Certificate> {
        let shapes_left = self.end_parts(row.lookup).await?;
        self.reduce_windows().await?;
        let random = std::sync::Arc::clone(&self.environment.random);
        let bucket = bucket_of(&row.lookup);
        let mut others = self.catalog.subjects_in_bucket(bucket).await?;
        others.retain(|other| other.lookup != row.lookup);
        let keys = others.iter().map(|other| self.subjects.unwrap(other)).collect::<Result<Vec<_>>>()?;
        let blobs = self.catalog.blobs_of(row.number).await?;
        // Step 1.
        let generation = self.subjects.buckets.prepare_next(bucket, random.as_ref())?;
        // INVARIANT: written just above.
        let fresh =
            Cipher::new(self.subjects.buckets.key_of(bucket, generation).expect("the fresh bucket key"));
        for (other, subject) in others.iter_mut().zip(&keys) {
            let purpose = Purpose::Subject(&other.lookup);
            other.wrapped =
                wrap::wrap(&fresh, &self.file.id, purpose, &subject.key, random.as_ref())?.to_vec();
        }
        // Step 2.
        let act = ErasureAct {
            subject: row.number,
            bucket,
            blobs: blobs.clone(),
            ground: ground.to_owned(),
            by: by.to_owned(),
        };
        // INVARIANT: numbers and texts always serialise.
        let body = toml::to_string(&act).expect("an act").into_bytes();
        let act = ActRow { id: draw(random.as_ref())?, kind: "erasure".into(), body };
        self.catalog.erase_subject(&row, &others, generation, &act).await?;
        // Step 3, then what is beside.
        self.subjects.forget(&row.lookup);
        self.finish_erasures().await?;
        self.forget_recent();
        self.seal().await?;
        Ok(Certificate {
            trail: hex(&self.file.id),
            subject: row.number,
            blobs: blobs.len(),
            at: self.environment.rfc3339(),
            ground: ground.to_owned(),
            by: by.to_owned(),
            shapes_left,
            key_copies_until: backup::last_expiry(&self.catalog, self.environment.seconds()).await?,
            log_size: self.publisher.size(),
        })
    }

    /// Catalog and key folder are of one time. A key folder from before an erasure has the key that was destroyed: nothing is to be wrapped
    /// under it again.
    pub(crate) async fn check_buckets(&self) -> Result<()> {
        for (bucket, generation) in self.catalog.bucket_generations().await? {
            if self.subjects.buckets.key_of(bucket, generation).is_none() {
                return Err(Error::BucketGeneration { bucket, generation });
            }
        }
        Ok(())
    }

    /// Step 3 and the blobs, for every erasure that has no record yet, and for buckets that a crash left with two keys.
    pub(crate) async fn finish_erasures(&mut self) -> Result<()> {
        let mut noted = Vec::new();
        for bucket in self.subjects.buckets.in_transition() {
            match self.catalog.bucket_generation(bucket).await? {
                Some(generation) => {
                    // Before the old key goes: an older copy of the catalog opens with the new one by this note only.
                    self.note_erasures(bucket, generation).await?;
                    self.subjects.buckets.keep_only(bucket, generation)?;
                    noted.push(bucket);
                }
                None => self.subjects.buckets.clear(bucket)?,
            }
        }
        self.push_notes(&noted).await;
        for act in self.catalog.acts().await? {
            if act.kind == "erasure" {
                for blob in read_act(&act)?.blobs {
                    self.objects.remove(&blob_name(&blob)).await?;
                }
            }
        }
        Ok(())
    }

    /// The records of acts that have none yet.
    pub(crate) async fn act_records(&mut self, now_ns: i64) -> Result<Vec<OwnRecord>> {
        let mut records = Vec::new();
        for act in self.catalog.acts().await? {
            if act.kind == "erasure" {
                let body = read_act(&act)?;
                records.push(own::erasure(
                    act.id,
                    body.subject,
                    &body.blobs,
                    &body.ground,
                    &body.by,
                    now_ns,
                )?);
            } else if let Some(record) = [
                backup::act_record,
                sampling::act_record,
                retention::act_record,
                access::act_record,
                api_key::act_record,
                hold::act_record,
                dispose::act_record,
            ]
            .into_iter()
            .find_map(|record_of| record_of(&act, now_ns))
            {
                records.push(record?);
            } else {
                records.push(self.rotation_record(&act, now_ns)?);
            }
        }
        Ok(records)
    }

    /// What the drain remembers of decisions' subjects must not give an erased one back to a later record.
    fn forget_recent(&mut self) {
        if let Some(drainer) = &mut self.drainer {
            drainer.forget_recent();
        }
    }
}

/// Whom an act erases, and which blobs go with it; `None` when it is no erasure, or malformed.
pub(crate) fn contents_of(act: &ActRow) -> Option<(u64, Vec<Id>)> {
    let act = (act.kind == "erasure").then(|| read_act(act).ok()).flatten()?;
    Some((act.subject, act.blobs))
}

/// Whom an act erases.
pub(crate) fn subject_of(act: &ActRow) -> Option<u64> {
    contents_of(act).map(|(subject, _)| subject)
}

/// Whom acts erase of one bucket, and their blobs.
pub(crate) fn erased_of_bucket(acts: &[ActRow], bucket: u16) -> Vec<(u64, Vec<Id>)> {
    let erasures = acts.iter().filter(|act| act.kind == "erasure");
    let bodies = erasures.filter_map(|act| read_act(act).ok()).filter(|body| body.bucket == bucket);
    bodies.map(|body| (body.subject, body.blobs)).collect()
}

/// The act of an erasure that is done again in a copy from before it: always the same, so that doing it twice notes it once.
pub(crate) fn replayed_act(trail: &Id, subject: u64, bucket: u16, blobs: Vec<Id>) -> ActRow {
    let ground = "erased before, after the backup that this trail was restored from; done again".to_owned();
    let act = ErasureAct { subject, bucket, blobs, ground, by: "restore".into() };
    // INVARIANT: numbers and texts always serialise.
    let body = toml::to_string(&act).expect("an act").into_bytes();
    let digest = minutebook_sha256::digest(&[&trail[..], b"replayed", &subject.to_be_bytes()].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    ActRow { id, kind: "erasure".into(), body }
}

fn read_act(act: &ActRow) -> Result<ErasureAct> {
    let text = std::str::from_utf8(&act.body).ok().and_then(|text| toml::from_str(text).ok());
    text.ok_or_else(|| {
        Error::Request("an act in the catalog is malformed: run `minutebook doctor --deep`".into())
    })
}
