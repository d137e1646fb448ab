//! The catalog's copy for a backup, and what a restore changes in it. Edge: rows and transactions; which erasures are to be done again is for
//! `backup` to say.

use super::{ActRow, Catalog, SUBJECTS_FROM, add_act, set_meta};
use crate::backup::PLACES;
use crate::error::{Error, Result};
use std::path::Path;

/// Wrapped keys of subjects, by their numbers.
pub type Wrapped = Vec<(u64, Vec<u8>)>;

/// An erasure done again in one bucket of an older catalog.
#[derive(Debug, Default)]
pub struct Replay {
    /// Which bucket.
    pub bucket: u16,
    /// Subjects that go.
    pub erased: Vec<u64>,
    /// What the others are wrapped as now, and the generation of the key; none when the old one stays.
    pub rewrapped: Option<(u32, Wrapped)>,
    /// What is to be recorded when the copy is promoted.
    pub acts: Vec<ActRow>,
}

impl Catalog {
    /// Copies the catalog into a new file as it is now, but for windows that are not over, which are under a key that no erasure destroys, and for
    /// what is just being written.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let text = path.to_str();
        let text = text
            .ok_or_else(|| Error::Request("the trail's path is not UTF-8: it cannot be backed up".into()))?;
        sqlx::query("VACUUM INTO $1").bind(text).execute(&self.pool).await.map_err(self.fault())?;
        let copy = Self::open(path).await?;
        for emptied in ["DELETE FROM pending_window", "DELETE FROM intent"] {
            sqlx::query(emptied).execute(&copy.pool).await.map_err(copy.fault())?;
        }
        copy.close_whole().await
    }

    /// Closes the catalog with all of it in its one file, durable, so that the file can be moved. Closing alone says nothing when that fails.
    pub async fn close_whole(&self) -> Result<()> {
        let is_whole = self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        self.close().await;
        if !is_whole {
            let what = "its log cannot be taken into it while somebody reads it".into();
            return Err(Error::CatalogUnusable { path: self.path.clone(), what });
        }
        Ok(())
    }

    /// Does erasures again. All or nothing; durable on return.
    pub async fn replay(&self, replay: &Replay) -> Result<()> {
        let (last, erasures) = (self.last_subject_number().await?, self.erasures().await?);
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            for number in &replay.erased {
                sqlx::query("DELETE FROM blob WHERE id IN (SELECT id FROM blob WHERE subject = $1)")
                    .bind(*number as i64)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("DELETE FROM subject WHERE number = $1")
                    .bind(*number as i64)
                    .execute(&mut *transaction)
                    .await?;
            }
            if let Some((generation, rows)) = &replay.rewrapped {
                for (number, wrapped) in rows {
                    sqlx::query("UPDATE subject SET wrapped = $1 WHERE number = $2")
                        .bind(wrapped)
                        .bind(*number as i64)
                        .execute(&mut *transaction)
                        .await?;
                }
                sqlx::query("UPDATE bucket SET generation = $1 WHERE bucket = $2")
                    .bind(i64::from(*generation))
                    .bind(i64::from(replay.bucket))
                    .execute(&mut *transaction)
                    .await?;
            }
            for act in &replay.acts {
                add_act(&mut transaction, act).await?;
            }
            let erasures = erasures + replay.erased.len() as u64;
            set_meta(&mut transaction, super::keys::ERASURES, &erasures.to_be_bytes()).await?;
            set_meta(&mut transaction, "last_subject", &last.to_be_bytes()).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Passes over subject numbers, and names the one place that the trail is backed up in. Durable on return.
    pub async fn begin_anew(&self, place: &str, passed_over: u64) -> Result<()> {
        let last = self.last_subject_number().await? + passed_over;
        self.set_meta(SUBJECTS_FROM, &last.to_be_bytes()).await?;
        self.set_meta(PLACES, format!("{place}\n").as_bytes()).await?;
        self.set_meta("last_subject", &last.to_be_bytes()).await
    }

    /// Notes an act that is to be recorded, with a named value. Durable on return.
    pub async fn note_act(&self, act: &ActRow, name: &str, value: &[u8]) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, name, value).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }
}
