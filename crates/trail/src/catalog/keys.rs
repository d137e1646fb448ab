//! Wrapped keys in the catalog: class-epochs, buckets, subjects, and the transactions that destroy or rewrap them. Edge: opens none of them.

use super::{ActRow, Catalog, ROWS_PER_STATEMENT, add_act, set_meta};
use crate::error::Result;
use crate::subjects::bucket_of;
use minutebook_verify::Id;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

/// A subject's row.
#[derive(Debug, Clone)]
pub struct SubjectRow {
    /// Keyed hash of the subject.
    pub lookup: [u8; 32],
    /// Opaque number.
    pub number: u64,
    /// Which bucket key wraps its key.
    pub bucket: u16,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// A class-epoch key's row.
#[derive(Debug, Clone)]
pub struct ClassEpochRow {
    /// The key's id.
    pub id: Id,
    /// Retention class.
    pub class: String,
    /// `2026-11`.
    pub month: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// The name of the counter of erasures.
pub(super) const ERASURES: &str = "erasures";

impl Catalog {
    /// All class-epoch keys: dozens.
    pub async fn class_epochs(&self) -> Result<Vec<ClassEpochRow>> {
        let rows = sqlx::query("SELECT id, class, month, wrapped FROM class_epoch ORDER BY class, month")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            Ok(ClassEpochRow {
                id: self.id(row, "id")?,
                class: self.get(row, "class")?,
                month: self.get(row, "month")?,
                wrapped: self.get(row, "wrapped")?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// Adds a class-epoch key. Durable on return.
    pub async fn add_class_epoch(&self, row: &ClassEpochRow) -> Result<()> {
        sqlx::query("INSERT INTO class_epoch (id, class, month, wrapped) VALUES ($1, $2, $3, $4)")
            .bind(row.id.to_vec())
            .bind(&row.class)
            .bind(&row.month)
            .bind(&row.wrapped)
            .execute(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(())
    }

    /// The rows of those of `lookups` that are known.
    pub async fn subjects(&self, lookups: &[[u8; 32]]) -> Result<Vec<SubjectRow>> {
        // One parameter for all, so that the statement is prepared once: thousands of parameters cost more than the search.
        const FIND: &str = "WITH RECURSIVE wanted (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM wanted WHERE n + 1 < $2) \
             SELECT lookup, number, wrapped FROM wanted CROSS JOIN subject \
             ON substr(lookup, 1, 8) = substr($1, n * 32 + 1, 8) AND lookup = substr($1, n * 32 + 1, 32)";
        if lookups.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(FIND)
            .bind(lookups.as_flattened())
            .bind(lookups.len() as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        self.subject_rows(&rows)
    }

    /// The rows of those of `numbers` that are known.
    pub async fn subjects_by_number(&self, numbers: &[u64]) -> Result<Vec<SubjectRow>> {
        let mut found = Vec::new();
        for chunk in numbers.chunks(ROWS_PER_STATEMENT) {
            let mut select =
                QueryBuilder::<Sqlite>::new("SELECT lookup, number, wrapped FROM subject WHERE number IN (");
            let mut list = select.separated(", ");
            for number in chunk {
                list.push_bind(*number as i64);
            }
            select.push(")");
            let rows = select.build().fetch_all(&self.pool).await.map_err(self.fault())?;
            found.extend(self.subject_rows(&rows)?);
        }
        Ok(found)
    }

    /// The rows of one bucket.
    pub async fn subjects_in_bucket(&self, bucket: u16) -> Result<Vec<SubjectRow>> {
        let first = bucket << 4;
        let mut last = [0xff; 8];
        last[..2].copy_from_slice(&(first | 15).to_be_bytes());
        const FIND: &str =
            "SELECT lookup, number, wrapped FROM subject WHERE substr(lookup, 1, 8) BETWEEN $1 AND $2";
        let rows = sqlx::query(FIND)
            .bind(first.to_be_bytes().to_vec())
            .bind(last.to_vec())
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        self.subject_rows(&rows)
    }

    fn subject_rows(&self, rows: &[SqliteRow]) -> Result<Vec<SubjectRow>> {
        let row = |row: &SqliteRow| {
            let lookup: [u8; 32] = self.fixed(row, "lookup")?;
            let (number, bucket) = (self.get::<i64>(row, "number")? as u64, bucket_of(&lookup));
            Ok(SubjectRow { lookup, number, bucket, wrapped: self.get(row, "wrapped")? })
        };
        rows.iter().map(row).collect()
    }

    /// The buckets that have a row.
    pub async fn buckets(&self) -> Result<Vec<u16>> {
        let buckets: Vec<i64> = sqlx::query_scalar("SELECT bucket FROM bucket")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(buckets.into_iter().map(|bucket| bucket as u16).collect())
    }

    /// The highest subject number that was given out.
    pub async fn last_subject_number(&self) -> Result<u64> {
        let placed: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM subject")
            .fetch_one(&self.pool)
            .await
            .map_err(self.fault())?;
        // An erased subject's number is never given out again: erasure leaves the highest one here.
        Ok((placed.unwrap_or(0) as u64).max(self.counter("last_subject").await?))
    }

    /// The generation of a bucket's key, when subjects were ever put into it.
    pub async fn bucket_generation(&self, bucket: u16) -> Result<Option<u32>> {
        let generation: Option<i64> = sqlx::query_scalar("SELECT generation FROM bucket WHERE bucket = $1")
            .bind(i64::from(bucket))
            .fetch_optional(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(generation.map(|generation| generation as u32))
    }

    /// The generations of all buckets that subjects were ever put into.
    pub async fn bucket_generations(&self) -> Result<Vec<(u16, u32)>> {
        let rows = sqlx::query("SELECT bucket, generation FROM bucket ORDER BY bucket");
        let rows = rows.fetch_all(&self.pool).await.map_err(self.fault())?;
        let number = |row: &SqliteRow, column| self.get::<i64>(row, column);
        rows.iter()
            .map(|row| Ok((number(row, "bucket")? as u16, number(row, "generation")? as u32)))
            .collect()
    }

    /// Blobs about a subject.
    pub async fn blobs_of(&self, subject: u64) -> Result<Vec<Id>> {
        let rows = sqlx::query("SELECT id FROM blob WHERE subject = $1 ORDER BY id")
            .bind(subject as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter().map(|row| self.id(row, "id")).collect()
    }

    /// How many subjects were erased: a reader that keeps keys at hand looks whether it still may.
    pub async fn erasures(&self) -> Result<u64> {
        self.counter(ERASURES).await
    }

    /// Step 2 of an erasure: the subject's row goes, its neighbours are wrapped anew, the bucket's generation advances, and the act is noted.
    pub async fn erase_subject(
        &self,
        subject: &SubjectRow,
        others: &[SubjectRow],
        generation: u32,
        act: &ActRow,
    ) -> Result<()> {
        let (last, erasures) = (self.last_subject_number().await?, self.erasures().await?);
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            sqlx::query("DELETE FROM subject WHERE substr(lookup, 1, 8) = substr($1, 1, 8) AND lookup = $1")
                .bind(subject.lookup.to_vec())
                .execute(&mut *transaction)
                .await?;
            // A blob about several persons goes with the first: nobody can open it any more.
            sqlx::query("DELETE FROM blob WHERE id IN (SELECT id FROM blob WHERE subject = $1)")
                .bind(subject.number as i64)
                .execute(&mut *transaction)
                .await?;
            for other in others {
                sqlx::query("UPDATE subject SET wrapped = $1 WHERE number = $2")
                    .bind(&other.wrapped)
                    .bind(other.number as i64)
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query("UPDATE bucket SET generation = $1 WHERE bucket = $2")
                .bind(i64::from(generation))
                .bind(i64::from(subject.bucket))
                .execute(&mut *transaction)
                .await?;
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, ERASURES, &(erasures + 1).to_be_bytes()).await?;
            set_meta(&mut transaction, "last_subject", &last.to_be_bytes()).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Wraps class-epoch keys and the lookup key anew, and notes the act, in one transaction.
    pub async fn rewrap(&self, class_epochs: &[ClassEpochRow], lookup: &[u8], act: &ActRow) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            for row in class_epochs {
                sqlx::query("UPDATE class_epoch SET wrapped = $1 WHERE id = $2")
                    .bind(&row.wrapped)
                    .bind(row.id.to_vec())
                    .execute(&mut *transaction)
                    .await?;
            }
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, "lookup_key", lookup).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }
}
