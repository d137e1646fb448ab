//! What becomes of records in the end: retention settings, class-epochs and what was disposed of, holds. Edge: rows and transactions; what may be
//! disposed of is for the engine's modules to say.

use super::{ActRow, Catalog, RETENTION_SETTINGS, ROWS_PER_STATEMENT, add_act, set_meta};
use crate::error::Result;
use minutebook_verify::Id;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

/// The name of the counter of disposals.
pub const DISPOSALS: &str = "disposals";

/// The name of the counter of how often the write-ahead log was emptied.
pub const LOG_EMPTIED: &str = "log-emptied";

/// What is stored under one class-epoch key.
#[derive(Debug, Clone)]
pub struct ClassEpochUse {
    /// The key's id.
    pub id: Id,
    /// Retention class.
    pub class: String,
    /// `2026-11`.
    pub month: String,
    /// Segments.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// First and last event, ns since 1970; none without records.
    pub times: Option<(i64, i64)>,
    /// First and last id of the records; zeros without.
    pub ids: (Id, Id),
}

/// A class-epoch that was disposed of.
#[derive(Debug, Clone)]
pub struct DisposedRow {
    /// The key's id.
    pub class_epoch: Id,
    /// Retention class.
    pub class: String,
    /// `2026-11`.
    pub month: String,
    /// First and last id of its records.
    pub ids: (Id, Id),
    /// When, in Unix seconds.
    pub at: i64,
    /// By whose order.
    pub by: String,
}

/// A hold as it is stored.
#[derive(Debug, Clone)]
pub struct HoldRow {
    /// Names the hold.
    pub id: Id,
    /// Nonce, encrypted hold, tag.
    pub body: Vec<u8>,
}

impl Catalog {
    /// Puts retention settings in force, with the act that is to be recorded. All or nothing; durable on return.
    pub async fn set_retention(&self, text: &str, act: &ActRow) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, RETENTION_SETTINGS, text.as_bytes()).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Whether any record of a class is in the trail, and not disposed of. Reads all rows.
    pub async fn has_records(&self, class: &str) -> Result<bool> {
        let found: i64 =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM segment WHERE class = $1 AND records > 0)")
                .bind(class)
                .fetch_one(&self.pool)
                .await
                .map_err(self.fault())?;
        Ok(found != 0)
    }

    /// The class-epochs that have segments, by class and month. Reads all rows.
    pub async fn class_epoch_uses(&self) -> Result<Vec<ClassEpochUse>> {
        const USES: &str = "SELECT e.id, e.class, e.month, COUNT(*) AS segments, SUM(s.records) AS records, \
             MIN(CASE WHEN s.records > 0 THEN s.time_first END) AS time_first, \
             MAX(CASE WHEN s.records > 0 THEN s.time_last END) AS time_last, \
             MIN(CASE WHEN s.records > 0 THEN s.id_first END) AS id_first, \
             MAX(s.id_last) AS id_last \
             FROM class_epoch e JOIN segment s ON s.class_epoch = e.id GROUP BY e.id, e.class, e.month \
             ORDER BY e.class, e.month";
        let rows = sqlx::query(USES).fetch_all(&self.pool).await.map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            let records = self.get::<i64>(row, "records")? as u64;
            let some = records > 0;
            Ok(ClassEpochUse {
                id: self.id(row, "id")?,
                class: self.get(row, "class")?,
                month: self.get(row, "month")?,
                segments: self.get::<i64>(row, "segments")? as u64,
                records,
                times: if some {
                    Some((self.get(row, "time_first")?, self.get(row, "time_last")?))
                } else {
                    None
                },
                ids: if some {
                    (self.id(row, "id_first")?, self.id(row, "id_last")?)
                } else {
                    ([0; 16], [0; 16])
                },
            })
        };
        rows.iter().map(row).collect()
    }

    /// The segments under one class-epoch key: id and place in the log, ascending. Reads all rows.
    pub async fn segments_under(&self, class_epoch: &Id) -> Result<Vec<super::SegmentRow>> {
        let rows = sqlx::query("SELECT * FROM segment WHERE class_epoch = $1 ORDER BY log_index")
            .bind(class_epoch.to_vec())
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter().map(|row| self.segment(row)).collect()
    }

    /// Disposes of a class-epoch: its key goes, its segments are found no more, their blobs are nobody's, and the act is noted. All or
    /// nothing; durable on return, and then nothing of the wrapped key is left in the database or its write-ahead log.
    pub async fn dispose(&self, row: &DisposedRow, blobs: &[Id], act: &ActRow) -> Result<()> {
        let disposals = self.disposals().await?;
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let class_epoch = row.class_epoch.to_vec();
        let work = async {
            // What follows from the segments goes before them.
            for statement in [
                "INSERT INTO disposed_segment (log_index, id, class_epoch) \
                 SELECT log_index, id, class_epoch FROM segment WHERE class_epoch = $1",
                "DELETE FROM timeline WHERE log_index IN (SELECT log_index FROM segment WHERE class_epoch = $1)",
                "DELETE FROM segment WHERE class_epoch = $1",
                "DELETE FROM class_epoch WHERE id = $1",
            ] {
                sqlx::query(statement).bind(&class_epoch).execute(&mut *transaction).await?;
            }
            for statement in [
                "DELETE FROM span WHERE axis >= 0 AND NOT EXISTS \
                 (SELECT 1 FROM timeline WHERE kind = span.axis AND timeline.span = span.span)",
                "DELETE FROM span WHERE axis < 0 AND NOT EXISTS (SELECT 1 FROM segment WHERE id_span = span.span)",
            ] {
                sqlx::query(statement).execute(&mut *transaction).await?;
            }
            for chunk in blobs.chunks(ROWS_PER_STATEMENT) {
                let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM blob WHERE id IN (");
                let mut list = delete.separated(", ");
                for blob in chunk {
                    list.push_bind(blob.to_vec());
                }
                delete.push(")");
                delete.build().execute(&mut *transaction).await?;
            }
            sqlx::query(
                "INSERT INTO disposed (class_epoch, class, month, id_first, id_last, at, ordered_by) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(&class_epoch)
            .bind(&row.class)
            .bind(&row.month)
            .bind(row.ids.0.to_vec())
            .bind(row.ids.1.to_vec())
            .bind(row.at)
            .bind(&row.by)
            .execute(&mut *transaction)
            .await?;
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, DISPOSALS, &(disposals + 1).to_be_bytes()).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())?;
        self.empty_log().await
    }

    /// Copies the write-ahead log to the database and empties it, as far as readers let go of it.
    ///
    /// A power loss may leave any part of a file that is being cut off, and the first transactions of a log, without the later ones, would be
    /// put back over what the database has of all of them. So the log is begun anew by one transaction first: of that there is all or nothing.
    pub async fn empty_log(&self) -> Result<()> {
        if !self.checkpoint("PRAGMA wal_checkpoint(RESTART)").await? {
            return Ok(());
        }
        let times = self.counter(LOG_EMPTIED).await?.wrapping_add(1);
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        set_meta(&mut transaction, LOG_EMPTIED, &times.to_be_bytes()).await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())?;
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        Ok(())
    }

    /// Says whether all of the log is in the database, and nobody reads it from the log any more.
    pub(super) async fn checkpoint(&self, statement: &'static str) -> Result<bool> {
        let row = sqlx::query(statement).fetch_one(&self.pool).await.map_err(self.fault())?;
        Ok(sqlx::Row::try_get::<i64, _>(&row, 0).map_err(self.fault())? == 0)
    }

    /// How many class-epochs were disposed of: a reader that keeps keys at hand looks whether it still may.
    pub async fn disposals(&self) -> Result<u64> {
        self.counter(DISPOSALS).await
    }

    /// Class-epochs that were disposed of and may have had a record of this id.
    pub async fn disposed_with_id(&self, record: &Id) -> Result<Vec<DisposedRow>> {
        let rows = sqlx::query(
            "SELECT * FROM disposed WHERE id_first <= $1 AND id_last >= $1 ORDER BY at, class, month",
        )
        .bind(record.to_vec())
        .fetch_all(&self.pool)
        .await;
        self.disposed_rows(&self.of_this_version(rows)?)
    }

    fn disposed_rows(&self, rows: &[SqliteRow]) -> Result<Vec<DisposedRow>> {
        let row = |row: &SqliteRow| {
            Ok(DisposedRow {
                class_epoch: self.id(row, "class_epoch")?,
                class: self.get(row, "class")?,
                month: self.get(row, "month")?,
                ids: (self.id(row, "id_first")?, self.id(row, "id_last")?),
                at: self.get(row, "at")?,
                by: self.get(row, "ordered_by")?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// Segments that were disposed of: ids and places in the log, ascending; of one class-epoch, or of all.
    pub async fn disposed_segments(&self, class_epoch: Option<&Id>) -> Result<Vec<(u64, Id)>> {
        let every = "SELECT log_index, id FROM disposed_segment ORDER BY log_index";
        let some = "SELECT log_index, id FROM disposed_segment WHERE class_epoch = $1 ORDER BY log_index";
        let query = match class_epoch {
            Some(id) => sqlx::query(some).bind(id.to_vec()),
            None => sqlx::query(every),
        };
        let rows = self.of_this_version(query.fetch_all(&self.pool).await)?;
        rows.iter().map(|row| Ok((self.get::<i64>(row, "log_index")? as u64, self.id(row, "id")?))).collect()
    }

    /// Rows of a table that a catalog which an older program wrote last has not: none then.
    fn of_this_version(&self, rows: sqlx::Result<Vec<SqliteRow>>) -> Result<Vec<SqliteRow>> {
        match rows {
            Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => Ok(Vec::new()),
            rows => rows.map_err(self.fault()),
        }
    }

    /// All holds in force, by id.
    pub async fn holds(&self) -> Result<Vec<HoldRow>> {
        let rows = sqlx::query("SELECT id, body FROM hold ORDER BY id").fetch_all(&self.pool).await;
        let rows = self.of_this_version(rows)?;
        rows.iter().map(|row| Ok(HoldRow { id: self.id(row, "id")?, body: self.get(row, "body")? })).collect()
    }

    /// Adds a hold, with the act that is to be recorded. All or nothing; durable on return.
    pub async fn add_hold(&self, row: &HoldRow, act: &ActRow) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            sqlx::query("INSERT INTO hold (id, body) VALUES ($1, $2)")
                .bind(row.id.to_vec())
                .bind(&row.body)
                .execute(&mut *transaction)
                .await?;
            add_act(&mut transaction, act).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Removes a hold, with the act that is to be recorded. All or nothing; durable on return.
    pub async fn lift_hold(&self, id: &Id, act: &ActRow) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            sqlx::query("DELETE FROM hold WHERE id = $1")
                .bind(id.to_vec())
                .execute(&mut *transaction)
                .await?;
            add_act(&mut transaction, act).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }
}
