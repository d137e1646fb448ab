//! The catalog: one SQLite database with the places of segments, wrapped keys and progress. Edge: rows and transactions only; what
//! they mean is for the engine's modules to say. SQL is kept to what PostgreSQL has too.

use crate::error::{Error, Result};
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{Range, State};
use minutebook_verify::{Id, leb};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The catalog's file in the trail's folder.
pub const CATALOG_FILE: &str = "catalog.db";

/// Rows of one multi-row statement: four values each stay well under SQLite's 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 4_000;

/// How long a reader or writer waits for another's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A place in the catalog that a read gives back.
#[derive(Debug, Clone)]
pub struct SegmentRow {
    /// The segment's id.
    pub id: Id,
    /// Its entry in the log.
    pub log_index: u64,
    /// Its class.
    pub class: String,
    /// The class-epoch key that opens it.
    pub class_epoch: Id,
    /// How many records it has.
    pub records: u64,
    /// Bit k: it has records of kind k.
    pub kinds: u32,
    /// Its first and last record id.
    pub ids: (Id, Id),
    /// Its first and last event, ns since 1970.
    pub times: (i64, i64),
}

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

/// Something done that still needs its record.
#[derive(Debug, Clone)]
pub struct ActRow {
    /// Names the act.
    pub id: Id,
    /// `erasure`, `rotation`.
    pub kind: String,
    /// For the module that did it.
    pub body: Vec<u8>,
}

/// The account of one (producer, epoch, class) as the catalog keeps it.
#[derive(Debug, Clone)]
pub struct CoverageRow {
    /// Whose numbers.
    pub producer: Id,
    /// Of which run.
    pub epoch: u64,
    /// In which class.
    pub class: String,
    /// What is placed.
    pub ranges: RangeSet,
}

/// All that one placing transaction writes.
#[derive(Debug, Default)]
pub struct Placement {
    /// New segments.
    pub segments: Vec<SegmentRow>,
    /// The log's new entries, ascending without a gap.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// Subjects seen for the first time.
    pub subjects: Vec<SubjectRow>,
    /// Blobs and whom they are about.
    pub blobs: Vec<(u64, Id)>,
    /// Whole new content of coverage rows.
    pub coverage: Vec<CoverageRow>,
    /// Epochs whose account is closed.
    pub ended: Vec<(Id, u64)>,
    /// Acts that have their record now.
    pub acts: Vec<Id>,
    /// The log's size with the new entries.
    pub log_size: u64,
    /// The log's size up to which it was published before: entries below are not needed any more.
    pub published: u64,
}

/// An open catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
    path: PathBuf,
}

impl Catalog {
    /// Opens the catalog for the engine, making it and bringing it up to date. Commits are durable (`synchronous=FULL`).
    pub async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-65536")
            .busy_timeout(BUSY_TIMEOUT);
        let catalog = Self::connect(path, options).await?;
        sqlx::migrate!("migrations/sqlite").run(&catalog.pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => {
                Error::Newer { what: "the catalog", found: version.to_string(), path: path.to_owned() }
            }
            sqlx::migrate::MigrateError::Execute(source) => Error::catalog(path, source),
            other => Error::CatalogUnusable { path: path.to_owned(), what: other.to_string() },
        })?;
        // A commit whose flush failed, in a process that is gone, can be read from the log file and is not on the disk: what is read there is
        // written anew, to the database, and flushed before anything rests on it.
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_all(&catalog.pool)
            .await
            .map_err(|error| Error::catalog(path, error))?;
        Ok(catalog)
    }

    /// Opens the catalog for reading beside an engine; in a folder that cannot be written too.
    pub async fn open_read_only(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::CatalogMissing { path: path.to_owned() });
        }
        let options = || SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let catalog = Self::connect(path, options()).await?;
        if catalog.meta("format").await.is_ok() {
            return Ok(catalog);
        }
        // Without a writable folder SQLite cannot share a write-ahead log; nobody else can be writing then either.
        let catalog = Self::connect(path, options().immutable(true)).await?;
        catalog.meta("format").await?;
        Ok(catalog)
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| Error::catalog(path, error))?;
        Ok(Self { pool, path: path.to_owned() })
    }

    /// Closes the database file in order.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn fault(&self) -> impl Fn(sqlx::Error) -> Error + '_ {
        |error| Error::catalog(&self.path, error)
    }

    /// How many entries the log has, published or not.
    pub async fn log_size(&self) -> Result<u64> {
        let bytes = self.meta("log_size").await?;
        let size = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map(u64::from_be_bytes);
        size.ok_or_else(|| self.malformed("its `log_size`"))
    }

    /// A named value.
    pub async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(self.fault())
    }

    /// Sets a named value, in a transaction of its own.
    pub async fn set_meta(&self, name: &str, value: &[u8]) -> Result<()> {
        let mut connection = self.pool.acquire().await.map_err(self.fault())?;
        set_meta(&mut connection, name, value).await.map_err(self.fault())
    }

    /// Notes segments that are about to be written. Durable on return.
    pub async fn intend(&self, segments: &[Id]) -> Result<()> {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO intent (id, blobs) ");
        insert.push_values(segments, |mut row, id| {
            row.push_bind(id.to_vec()).push_bind(Vec::new());
        });
        insert.build().execute(&self.pool).await.map_err(self.fault())?;
        Ok(())
    }

    /// Notes the blobs that are about to be written with a segment. Durable on return.
    pub async fn intend_blobs(&self, segment: &Id, blobs: &[Id]) -> Result<()> {
        sqlx::query("UPDATE intent SET blobs = $1 WHERE id = $2")
            .bind(blobs.as_flattened())
            .bind(segment.to_vec())
            .execute(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(())
    }

    /// Segments that were to be written, and their blobs.
    pub async fn intents(&self) -> Result<Vec<(Id, Vec<Id>)>> {
        let rows = sqlx::query("SELECT id, blobs FROM intent").fetch_all(&self.pool).await.map_err(self.fault())?;
        let blobs = |row: &SqliteRow| row.get::<Vec<u8>, _>("blobs").as_chunks::<16>().0.to_vec();
        rows.iter().map(|row| Ok((self.id(row, "id")?, blobs(row)))).collect()
    }

    /// Forgets an intent whose objects are gone.
    pub async fn forget_intents(&self) -> Result<()> {
        sqlx::query("DELETE FROM intent").execute(&self.pool).await.map_err(self.fault())?;
        Ok(())
    }

    /// The placing transaction. All or nothing; durable on return.
    pub async fn place(&self, placement: &Placement) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        self.place_in(&mut transaction, placement).await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    async fn place_in(&self, connection: &mut SqliteConnection, placement: &Placement) -> sqlx::Result<()> {
        for segment in &placement.segments {
            sqlx::query("DELETE FROM intent WHERE id = $1")
                .bind(segment.id.to_vec())
                .execute(&mut *connection)
                .await?;
            sqlx::query(
                "INSERT INTO segment (id, log_index, class, class_epoch, records, kinds, id_first, id_last, id_span, \
                 time_first, time_last) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(segment.id.to_vec())
            .bind(segment.log_index as i64)
            .bind(&segment.class)
            .bind(segment.class_epoch.to_vec())
            .bind(segment.records as i64)
            .bind(i64::from(segment.kinds))
            .bind(segment.ids.0.to_vec())
            .bind(segment.ids.1.to_vec())
            .bind(i64::from(span_class(&segment.ids)))
            .bind(segment.times.0)
            .bind(segment.times.1)
            .execute(&mut *connection)
            .await?;
        }
        for (index, entry) in &placement.entries {
            sqlx::query("INSERT INTO pending_entry (log_index, entry) VALUES ($1, $2)")
                .bind(*index as i64)
                .bind(entry)
                .execute(&mut *connection)
                .await?;
        }
        for chunk in placement.subjects.chunks(ROWS_PER_STATEMENT) {
            let mut insert =
                QueryBuilder::<Sqlite>::new("INSERT INTO subject (lookup, number, bucket, wrapped) ");
            insert.push_values(chunk, |mut row, subject| {
                row.push_bind(subject.lookup.to_vec())
                    .push_bind(subject.number as i64)
                    .push_bind(i64::from(subject.bucket))
                    .push_bind(subject.wrapped.clone());
            });
            insert.build().execute(&mut *connection).await?;
        }
        let mut buckets: Vec<u16> = placement.subjects.iter().map(|subject| subject.bucket).collect();
        buckets.sort_unstable();
        buckets.dedup();
        for chunk in buckets.chunks(ROWS_PER_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO bucket (bucket, generation) ");
            insert.push_values(chunk, |mut row, bucket| {
                row.push_bind(i64::from(*bucket)).push_bind(1i64);
            });
            insert.push(" ON CONFLICT (bucket) DO NOTHING");
            insert.build().execute(&mut *connection).await?;
        }
        for (subject, blob) in &placement.blobs {
            sqlx::query("INSERT INTO blob (subject, id) VALUES ($1, $2)")
                .bind(*subject as i64)
                .bind(blob.to_vec())
                .execute(&mut *connection)
                .await?;
        }
        for row in &placement.coverage {
            sqlx::query(
                "INSERT INTO coverage (producer, epoch, class, ranges) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (producer, epoch, class) DO UPDATE SET ranges = excluded.ranges",
            )
            .bind(row.producer.to_vec())
            .bind(row.epoch as i64)
            .bind(&row.class)
            .bind(encode_ranges(&row.ranges))
            .execute(&mut *connection)
            .await?;
        }
        for (producer, epoch) in &placement.ended {
            sqlx::query(
                "INSERT INTO epoch (producer, epoch, ended) VALUES ($1, $2, 1) \
                 ON CONFLICT (producer, epoch) DO UPDATE SET ended = 1",
            )
            .bind(producer.to_vec())
            .bind(*epoch as i64)
            .execute(&mut *connection)
            .await?;
        }
        for act in &placement.acts {
            sqlx::query("DELETE FROM act WHERE id = $1").bind(act.to_vec()).execute(&mut *connection).await?;
        }
        sqlx::query("DELETE FROM pending_entry WHERE log_index < $1")
            .bind(placement.published as i64)
            .execute(&mut *connection)
            .await?;
        set_meta(connection, "log_size", &placement.log_size.to_be_bytes()).await
    }

    /// Log entries that may not be published yet, ascending.
    pub async fn pending_entries(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let rows = sqlx::query("SELECT log_index, entry FROM pending_entry ORDER BY log_index")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(rows.iter().map(|row| (row.get::<i64, _>("log_index") as u64, row.get("entry"))).collect())
    }

    /// All class-epoch keys: dozens.
    pub async fn class_epochs(&self) -> Result<Vec<ClassEpochRow>> {
        let rows = sqlx::query("SELECT id, class, month, wrapped FROM class_epoch ORDER BY class, month")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            Ok(ClassEpochRow {
                id: self.id(row, "id")?,
                class: row.get("class"),
                month: row.get("month"),
                wrapped: row.get("wrapped"),
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
        let mut found = Vec::new();
        for chunk in lookups.chunks(ROWS_PER_STATEMENT) {
            let mut select =
                QueryBuilder::<Sqlite>::new("SELECT lookup, number, bucket, wrapped FROM subject WHERE lookup IN (");
            let mut list = select.separated(", ");
            for lookup in chunk {
                list.push_bind(lookup.to_vec());
            }
            select.push(")");
            found.extend(self.subject_rows(&mut select).await?);
        }
        Ok(found)
    }

    /// The rows of those of `numbers` that are known.
    pub async fn subjects_by_number(&self, numbers: &[u64]) -> Result<Vec<SubjectRow>> {
        let mut found = Vec::new();
        for chunk in numbers.chunks(ROWS_PER_STATEMENT) {
            let mut select =
                QueryBuilder::<Sqlite>::new("SELECT lookup, number, bucket, wrapped FROM subject WHERE number IN (");
            let mut list = select.separated(", ");
            for number in chunk {
                list.push_bind(*number as i64);
            }
            select.push(")");
            found.extend(self.subject_rows(&mut select).await?);
        }
        Ok(found)
    }

    /// The rows of one bucket.
    pub async fn subjects_in_bucket(&self, bucket: u16) -> Result<Vec<SubjectRow>> {
        let mut select =
            QueryBuilder::<Sqlite>::new("SELECT lookup, number, bucket, wrapped FROM subject WHERE bucket = ");
        select.push_bind(i64::from(bucket));
        self.subject_rows(&mut select).await
    }

    async fn subject_rows(&self, select: &mut QueryBuilder<Sqlite>) -> Result<Vec<SubjectRow>> {
        let rows = select.build().fetch_all(&self.pool).await.map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            Ok(SubjectRow {
                lookup: self.fixed(row, "lookup")?,
                number: row.get::<i64, _>("number") as u64,
                bucket: row.get::<i64, _>("bucket") as u16,
                wrapped: row.get("wrapped"),
            })
        };
        rows.iter().map(row).collect()
    }

    /// The highest subject number that was given out.
    pub async fn last_subject_number(&self) -> Result<u64> {
        let placed: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM subject")
            .fetch_one(&self.pool)
            .await
            .map_err(self.fault())?;
        // An erased subject's number is never given out again: erasure leaves the highest one here.
        let erased = self.meta("last_subject").await?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        Ok((placed.unwrap_or(0) as u64).max(erased.map_or(0, u64::from_be_bytes)))
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

    /// Blobs about a subject.
    pub async fn blobs_of(&self, subject: u64) -> Result<Vec<Id>> {
        let rows = sqlx::query("SELECT id FROM blob WHERE subject = $1 ORDER BY id")
            .bind(subject as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter().map(|row| self.id(row, "id")).collect()
    }

    /// Step 2 of an erasure: the subject's row goes, its neighbours are wrapped anew, the bucket's generation advances, and the act is noted.
    pub async fn erase_subject(
        &self,
        subject: &SubjectRow,
        others: &[SubjectRow],
        generation: u32,
        act: &ActRow,
    ) -> Result<()> {
        let last = self.last_subject_number().await?;
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            sqlx::query("DELETE FROM subject WHERE lookup = $1")
                .bind(subject.lookup.to_vec())
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM blob WHERE subject = $1")
                .bind(subject.number as i64)
                .execute(&mut *transaction)
                .await?;
            for other in others {
                sqlx::query("UPDATE subject SET wrapped = $1 WHERE lookup = $2")
                    .bind(&other.wrapped)
                    .bind(other.lookup.to_vec())
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query("UPDATE bucket SET generation = $1 WHERE bucket = $2")
                .bind(i64::from(generation))
                .bind(i64::from(subject.bucket))
                .execute(&mut *transaction)
                .await?;
            add_act(&mut transaction, act).await?;
            set_meta(&mut transaction, "last_subject", &last.to_be_bytes()).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Notes an act that has to be recorded. Durable on return.
    pub async fn note_act(&self, act: &ActRow) -> Result<()> {
        let mut connection = self.pool.acquire().await.map_err(self.fault())?;
        add_act(&mut connection, act).await.map_err(self.fault())
    }

    /// Acts that have no record yet.
    pub async fn acts(&self) -> Result<Vec<ActRow>> {
        let rows = sqlx::query("SELECT id, kind, body FROM act ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter()
            .map(|row| Ok(ActRow { id: self.id(row, "id")?, kind: row.get("kind"), body: row.get("body") }))
            .collect()
    }

    /// Wraps class-epoch keys and the lookup key anew, in one transaction.
    pub async fn rewrap(&self, class_epochs: &[ClassEpochRow], lookup: &[u8]) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            for row in class_epochs {
                sqlx::query("UPDATE class_epoch SET wrapped = $1 WHERE id = $2")
                    .bind(&row.wrapped)
                    .bind(row.id.to_vec())
                    .execute(&mut *transaction)
                    .await?;
            }
            set_meta(&mut transaction, "lookup_key", lookup).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// What is placed of one epoch, by class.
    pub async fn coverage(&self, producer: &Id, epoch: u64) -> Result<Vec<(String, RangeSet)>> {
        let rows = sqlx::query("SELECT class, ranges FROM coverage WHERE producer = $1 AND epoch = $2")
            .bind(producer.to_vec())
            .bind(epoch as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let row = |row: &SqliteRow| Ok((row.get("class"), self.ranges(&row.get::<Vec<u8>, _>("ranges"))?));
        rows.iter().map(row).collect()
    }

    /// All of it, for `doctor`.
    pub async fn all_coverage(&self) -> Result<Vec<CoverageRow>> {
        let rows = sqlx::query("SELECT producer, epoch, class, ranges FROM coverage ORDER BY producer, epoch, class")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            Ok(CoverageRow {
                producer: self.id(row, "producer")?,
                epoch: row.get::<i64, _>("epoch") as u64,
                class: row.get("class"),
                ranges: self.ranges(&row.get::<Vec<u8>, _>("ranges"))?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// Whether an epoch's account was closed.
    pub async fn epoch_ended(&self, producer: &Id, epoch: u64) -> Result<bool> {
        let ended: Option<i64> = sqlx::query_scalar("SELECT ended FROM epoch WHERE producer = $1 AND epoch = $2")
            .bind(producer.to_vec())
            .bind(epoch as i64)
            .fetch_optional(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(ended == Some(1))
    }

    /// The segments that may hold a record: few, whatever the number of segments, since spans are looked up by their size.
    pub async fn segments_with_id(&self, record: &Id) -> Result<Vec<SegmentRow>> {
        let spans: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT id_span FROM segment")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let mut found = Vec::new();
        for span in spans {
            let earliest = earliest_first_id(record, span as u32);
            let rows = sqlx::query(
                "SELECT * FROM segment WHERE id_span = $1 AND id_first >= $2 AND id_first <= $3 AND id_last >= $3",
            )
            .bind(span)
            .bind(earliest.to_vec())
            .bind(record.to_vec())
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
            for row in &rows {
                found.push(self.segment(row)?);
            }
        }
        Ok(found)
    }

    /// Segments with events within `from..=to` (ns since 1970), from the `skip`th on.
    pub async fn segments_by_time(
        &self,
        from: i64,
        to: i64,
        oldest_first: bool,
        skip: u64,
        limit: u64,
    ) -> Result<Vec<SegmentRow>> {
        const LATEST: &str = "SELECT * FROM segment WHERE time_last >= $1 AND time_first <= $2 AND records > 0 \
                              ORDER BY time_last DESC, log_index DESC LIMIT $3 OFFSET $4";
        const OLDEST: &str = "SELECT * FROM segment WHERE time_last >= $1 AND time_first <= $2 AND records > 0 \
                              ORDER BY time_last, log_index LIMIT $3 OFFSET $4";
        let rows = sqlx::query(if oldest_first { OLDEST } else { LATEST })
        .bind(from)
        .bind(to)
        .bind(limit as i64)
        .bind(skip as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(self.fault())?;
        rows.iter().map(|row| self.segment(row)).collect()
    }

    /// Segments from a place in the log on, ascending.
    pub async fn segments_from(&self, log_index: u64, limit: u64) -> Result<Vec<SegmentRow>> {
        let rows = sqlx::query("SELECT * FROM segment WHERE log_index >= $1 ORDER BY log_index LIMIT $2")
            .bind(log_index as i64)
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter().map(|row| self.segment(row)).collect()
    }

    /// How many segments and records are placed.
    pub async fn totals(&self) -> Result<(u64, u64)> {
        let row = sqlx::query("SELECT COUNT(*) AS segments, COALESCE(SUM(records), 0) AS records FROM segment")
            .fetch_one(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok((row.get::<i64, _>("segments") as u64, row.get::<i64, _>("records") as u64))
    }

    /// SQLite's own check of the file; its complaints, none when it is sound.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        let lines: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(&self.pool).await.map_err(self.fault())?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn segment(&self, row: &SqliteRow) -> Result<SegmentRow> {
        Ok(SegmentRow {
            id: self.id(row, "id")?,
            log_index: row.get::<i64, _>("log_index") as u64,
            class: row.get("class"),
            class_epoch: self.id(row, "class_epoch")?,
            records: row.get::<i64, _>("records") as u64,
            kinds: row.get::<i64, _>("kinds") as u32,
            ids: (self.id(row, "id_first")?, self.id(row, "id_last")?),
            times: (row.get("time_first"), row.get("time_last")),
        })
    }

    fn ranges(&self, bytes: &[u8]) -> Result<RangeSet> {
        decode_ranges(bytes).ok_or_else(|| self.malformed("a coverage row"))
    }

    fn id(&self, row: &SqliteRow, column: &str) -> Result<Id> {
        self.fixed(row, column)
    }

    fn fixed<const N: usize>(&self, row: &SqliteRow, column: &str) -> Result<[u8; N]> {
        row.get::<Vec<u8>, _>(column).try_into().map_err(|_| self.malformed("a column of fixed length"))
    }

    fn malformed(&self, what: &str) -> Error {
        Error::CatalogUnusable { path: self.path.clone(), what: format!("{what} is malformed") }
    }
}

async fn set_meta(connection: &mut SqliteConnection, name: &str, value: &[u8]) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}

async fn add_act(connection: &mut SqliteConnection, act: &ActRow) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO act (id, kind, body) VALUES ($1, $2, $3)")
        .bind(act.id.to_vec())
        .bind(&act.kind)
        .bind(&act.body)
        .execute(connection)
        .await?;
    Ok(())
}

/// ms of a UUIDv7.
fn ms(id: &Id) -> u64 {
    id[..6].iter().fold(0, |ms, &byte| ms << 8 | u64::from(byte))
}

/// The size of a segment's span of ids: n when it is below 2^n ms. Few sizes occur, so each can be looked up by itself.
fn span_class(ids: &(Id, Id)) -> u32 {
    u64::BITS - (ms(&ids.1) - ms(&ids.0)).leading_zeros()
}

fn earliest_first_id(record: &Id, span: u32) -> Id {
    let earliest = ms(record).saturating_sub((1u64 << span.min(48)) - 1);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&earliest.to_be_bytes()[2..]);
    id
}

fn encode_ranges(set: &RangeSet) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = 0;
    for range in set.ranges() {
        out.push(range.state as u8);
        leb::write_unsigned(&mut out, range.from - before);
        leb::write_unsigned(&mut out, range.to - range.from);
        before = range.to;
    }
    out
}

fn decode_ranges(mut bytes: &[u8]) -> Option<RangeSet> {
    let mut set = RangeSet::default();
    let mut before = 0u64;
    while let Some((&state, rest)) = bytes.split_first() {
        bytes = rest;
        let state = State::from_number(u64::from(state))?;
        let from = before.checked_add(leb::read_unsigned(&mut bytes)?)?;
        let to = from.checked_add(leb::read_unsigned(&mut bytes)?)?;
        set.insert(Range { state, from, to }).ok()?;
        before = to;
    }
    Some(set)
}
