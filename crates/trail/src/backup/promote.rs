//! Making a restored copy the trail: from here on it is written to. Edge: whether the trail that it was copied from is really gone is known to
//! whoever asks; what can be found out of it is looked at.

use super::PROMOTION;
use super::manifest::Manifest;
use super::place::BackupPlace;
use crate::catalog::{ActRow, Replay};
use crate::durable;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::lock::TrailLock;
use crate::place::Place;
use crate::wrap::{self, Purpose};
use minutebook_verify::keys::Cipher;
use minutebook_verify::restored::{RESTORED_FILE, Restored};
use minutebook_verify::unhex;

/// The named value in the catalog that has the last promotion: how many entries the log had.
pub const PROMOTED: &str = "promoted";

/// A checkpoint of the same trail that somebody knows of.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// Who knows of it: a path or an address.
    pub by: String,
}

/// What a promotion did.
#[derive(Debug, Clone)]
pub struct Promoted {
    /// Entries of the log before.
    pub restored_size: u64,
    /// Entries of the published log that says it.
    pub log_size: u64,
    /// Erasures that have their record now.
    pub erased: u64,
    /// Set with `fork`: the copy was promoted although these are known to be ahead.
    pub forks: bool,
}

/// Makes a restored copy the trail. `known` are checkpoints of it that were seen elsewhere; the backup that it came from is asked too, when it can
/// be reached, and an erasure that was done again says that the log went on. A `policy` record says that it was done. Durable on return; an
/// attempt that was interrupted is taken up again by calling again.
///
/// # Errors
/// [`Error::LogAhead`] when a log of this trail is known that the copy would not continue, unless `fork`; [`Error::Request`] when the folder is no
/// copy; otherwise as [`Engine::open`]: the copy stays one then.
pub async fn promote(
    place: &Place,
    environment: Environment,
    known: &[Ahead],
    fork: bool,
) -> Result<Promoted> {
    let no_copy = || {
        Error::Request(format!(
            "`{}` is no restored copy: there is nothing to promote",
            place.folder.display()
        ))
    };
    let restored = place.restored()?.ok_or_else(no_copy)?;
    let unfinished = "was restored in part only: run `minutebook restore` again, to its end";
    if !restored.complete {
        return Err(Error::Backup { place: place.folder.display().to_string(), what: unfinished.into() });
    }
    let file = place.trail_file()?;
    KeyFolder::open(&place.key_folder(&file.id)?, file.id)?.signs_for(&file)?;
    let lock = TrailLock::take(place, &environment, "process")?;
    // Another promotion may have come to its end before the lock was free.
    let restored = place.restored()?.ok_or_else(no_copy)?.clone();
    let ahead = find_ahead(&restored, known).await;
    let forks = ahead.is_some();
    if let Some(ahead) = ahead
        && !fork
    {
        return Err(Error::LogAhead { ours: restored.log_size, known: ahead.size, by: ahead.by });
    }
    let mut engine = Engine::open_copy(place, environment, &lock).await?;
    let done = async {
        engine.renew_buckets(&restored.renew).await?;
        let act = promotion_act(&restored, forks);
        engine.catalog.note_act(&act, PROMOTED, &restored.log_size.to_be_bytes()).await?;
        // From here on the engine that opens it next records what is noted.
        let path = place.folder.join(RESTORED_FILE);
        durable::remove(&path).map_err(|e| Error::io("remove", &path, e))?;
        engine.seal().await?;
        Ok(engine.published().0)
    };
    let done: Result<u64> = done.await;
    engine.close().await;
    let erased = restored.erased.len() as u64;
    Ok(Promoted { restored_size: restored.log_size, log_size: done?, erased, forks })
}

/// A log of this trail that the copy does not reach, or contradicts.
async fn find_ahead(restored: &Restored, known: &[Ahead]) -> Option<Ahead> {
    let root: Option<[u8; 32]> = unhex(&restored.root);
    let is_ahead = |known: &Ahead| {
        known.size > restored.log_size || (known.size == restored.log_size && Some(known.root) != root)
    };
    let in_place = async {
        let place = BackupPlace::existing(&restored.from).ok()?;
        let manifest = Manifest::read(&place).await.ok()??;
        let (file, checkpoint) = manifest.open(&place).ok()?;
        let by = format!("the backup `{}`", restored.from);
        let ahead = Ahead { size: checkpoint.size().get(), root: *checkpoint.root().as_bytes(), by };
        (minutebook_verify::hex(&file.id) == restored.trail).then_some(ahead)
    };
    let in_place = in_place.await;
    // Who erased somebody after the backup wrote it into a log that went on.
    let erased = (!restored.erased.is_empty()).then(|| Ahead {
        size: restored.log_size + 1,
        root: [0; 32],
        by: "the original, which erased subjects after the backup,".into(),
    });
    known
        .iter()
        .chain(&in_place)
        .chain(&erased)
        .filter(|known| is_ahead(known))
        .max_by_key(|known| known.size)
        .cloned()
}

/// The act of promoting one copy: always the same, so that doing it twice notes it once.
fn promotion_act(restored: &Restored, forks: bool) -> ActRow {
    let root: [u8; 32] = unhex(&restored.root).unwrap_or_default();
    let mut text = format!("{} log entries, backup of {}", restored.log_size, restored.made);
    if forks {
        text.push_str("; a later log of this trail is known and was given up");
    }
    let body = [&root[..], text.as_bytes()].concat();
    let mut id = [0; 16];
    id.copy_from_slice(&minutebook_sha256::digest(&[b"promotion", &body[..]].concat())[..16]);
    ActRow { id, kind: PROMOTION.into(), body }
}

impl Engine {
    /// Gives buckets a fresh key and destroys the one before: with it, and the backup, an erased subject could be read. The steps are those of an
    /// erasure.
    async fn renew_buckets(&mut self, buckets: &[u16]) -> Result<()> {
        let random = std::sync::Arc::clone(&self.environment.random);
        for &bucket in buckets {
            let rows = self.catalog.subjects_in_bucket(bucket).await?;
            let keys = rows.iter().map(|row| self.subjects.unwrap(row)).collect::<Result<Vec<_>>>()?;
            let generation = self.subjects.buckets.prepare_next(bucket, random.as_ref())?;
            // INVARIANT: written just above.
            let fresh =
                Cipher::new(self.subjects.buckets.key_of(bucket, generation).expect("the fresh bucket key"));
            let mut rewrapped = Vec::with_capacity(rows.len());
            for (row, subject) in rows.iter().zip(&keys) {
                let purpose = Purpose::Subject(&row.lookup);
                let wrapped = wrap::wrap(&fresh, &self.file.id, purpose, &subject.key, random.as_ref())?;
                rewrapped.push((row.number, wrapped.to_vec()));
            }
            self.catalog
                .replay(&Replay { bucket, rewrapped: Some((generation, rewrapped)), ..Replay::default() })
                .await?;
            self.subjects.forget_bucket(bucket);
        }
        self.finish_erasures().await
    }
}
