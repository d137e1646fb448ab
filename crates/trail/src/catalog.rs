//! The catalog: one SQLite database with the places of segments, wrapped keys and progress. Edge: rows and transactions only; what
//! they mean is for the engine's modules to say. SQL is kept to what PostgreSQL has too, but for what a comment names.

mod backup;
mod coverage;
mod keys;
mod life;
mod placing;
mod segments;
pub mod survey;
#[cfg(test)]
mod tests;
mod windows;

pub use backup::Replay;
pub use coverage::{CoverageRow, Drawn};
pub use keys::{ClassEpochRow, SubjectRow};
pub use life::{ClassEpochUse, DISPOSALS, DisposedRow, HoldRow, LOG_EMPTIED};
pub use placing::Placement;
pub use segments::{Lane, LanePosition, SegmentRow, Stretch};
pub use windows::WindowRow;

use crate::error::{Error, Result};
use minutebook_verify::Id;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Decode, QueryBuilder, Row, Sqlite, SqliteConnection, Type};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The catalog's file in the trail's folder.
pub const CATALOG_FILE: &str = "catalog.db";

/// The named value that is the SHA-256 of the `trail.toml` that the log names last.
pub const TRAIL_DIGEST: &str = "trail_digest";

/// The named value that is the text of the sampling policy in force.
pub const SAMPLING_POLICY: &str = "sampling_policy";

/// The named value that is the SHA-256 of the sampling key in use.
pub const SAMPLING_KEY: &str = "sampling_key";

/// The named value that is the text of the retention settings in force.
pub const RETENTION_SETTINGS: &str = "retention";

/// The named value that is the subject number from which on a restored copy gives them out.
pub const SUBJECTS_FROM: &str = "subjects_from";

/// Rows of one multi-row statement: four values each stay well under SQLite's 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 4_000;

/// Pages of 4 KiB in the write-ahead log before they are copied to the database: new subjects change the same pages of an index again and again,
/// and the more commits a copy is for, the fewer pages it has. After a crash all of the log is read again: 32 MiB.
const WAL_PAGES: &str = "8192";

/// How long a reader or writer waits for another's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Something done that still needs its record.
#[derive(Debug, Clone)]
pub struct ActRow {
    /// Names the act.
    pub id: Id,
    /// `erasure`, `rotation`, `signing-rotation`, `sampling`, `sampling-key`, `retention`, `access`, `hold`, `hold-lifted`, `disposal`.
    pub kind: String,
    /// For the module that did it.
    pub body: Vec<u8>,
}

/// An open catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
    path: PathBuf,
}

/// A pool of one connection that lives as long as the pool does. With an end for connections a task would look after them, which may spin for ever
/// when one is given back at the same moment (sqlx issue 3645): a process that should end does not.
fn one_connection() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None)
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
            .pragma("wal_autocheckpoint", WAL_PAGES)
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
        let options =
            || SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let catalog = Self::connect(path, options()).await?;
        if catalog.meta("format").await.is_ok() {
            catalog.check_version().await?;
            return Ok(catalog);
        }
        // Without a writable folder SQLite cannot share a write-ahead log; nobody else can be writing then either.
        let catalog = Self::connect(path, options().immutable(true)).await?;
        catalog.meta("format").await?;
        catalog.check_version().await?;
        Ok(catalog)
    }

    /// Refuses what a later program has changed: what is read there may mean something else.
    async fn check_version(&self) -> Result<()> {
        let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await
            .map_err(self.fault())?;
        let known = sqlx::migrate!("migrations/sqlite").iter().map(|migration| migration.version).max();
        match version {
            Some(found) if Some(found) > known => {
                Err(Error::Newer { what: "the catalog", found: found.to_string(), path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self> {
        let options = options.row_buffer_size(ROWS_PER_STATEMENT);
        let pool =
            one_connection().connect_with(options).await.map_err(|error| Error::catalog(path, error))?;
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

    /// A named count; 0 when it was never kept.
    async fn counter(&self, name: &str) -> Result<u64> {
        let bytes = self.meta(name).await?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        Ok(bytes.map_or(0, u64::from_be_bytes))
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

    /// Puts a sampling policy and the key of its draws in force, with the acts that are to be recorded. All or nothing; durable on return.
    pub async fn set_sampling(&self, text: &str, key_digest: &[u8; 32], acts: &[ActRow]) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            for act in acts {
                add_act(&mut transaction, act).await?;
            }
            set_meta(&mut transaction, SAMPLING_POLICY, text.as_bytes()).await?;
            set_meta(&mut transaction, SAMPLING_KEY, key_digest).await
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    /// Notes an act that is to be recorded, and changes nothing else. Durable on return.
    pub async fn note(&self, act: &ActRow) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        add_act(&mut transaction, act).await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
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

    /// Segments that were to be written and were not placed, and their blobs.
    pub async fn intents(&self) -> Result<Vec<(Id, Vec<Id>)>> {
        // Placing removes the intent. One that is there all the same was put there, and what it names is evidence.
        let rows = sqlx::query("SELECT id, blobs FROM intent WHERE id NOT IN (SELECT id FROM segment)");
        let rows = rows.fetch_all(&self.pool).await.map_err(self.fault())?;
        let blobs =
            |row: &SqliteRow| Ok::<_, Error>(self.get::<Vec<u8>>(row, "blobs")?.as_chunks::<16>().0.to_vec());
        rows.iter().map(|row| Ok((self.id(row, "id")?, blobs(row)?))).collect()
    }

    /// Forgets an intent whose objects are gone.
    pub async fn forget_intents(&self) -> Result<()> {
        sqlx::query("DELETE FROM intent").execute(&self.pool).await.map_err(self.fault())?;
        Ok(())
    }

    /// Log entries that may not be published yet, ascending.
    pub async fn pending_entries(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let rows = sqlx::query("SELECT log_index, entry FROM pending_entry ORDER BY log_index")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter()
            .map(|row| Ok((self.get::<i64>(row, "log_index")? as u64, self.get(row, "entry")?)))
            .collect()
    }

    /// Acts that have no record yet.
    pub async fn acts(&self) -> Result<Vec<ActRow>> {
        let rows = sqlx::query("SELECT id, kind, body FROM act ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter()
            .map(|row| {
                Ok(ActRow {
                    id: self.id(row, "id")?,
                    kind: self.get(row, "kind")?,
                    body: self.get(row, "body")?,
                })
            })
            .collect()
    }

    /// SQLite's own check of the file; its complaints, none when it is sound.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn id(&self, row: &SqliteRow, column: &str) -> Result<Id> {
        self.fixed(row, column)
    }

    fn fixed<const N: usize>(&self, row: &SqliteRow, column: &str) -> Result<[u8; N]> {
        let bytes: Vec<u8> = self.get(row, column)?;
        bytes.try_into().map_err(|_| self.malformed(&format!("a value of column `{column}`")))
    }

    /// A column of a row. SQLite keeps whatever was written, so a value of another type is possible.
    fn get<T>(&self, row: &SqliteRow, column: &str) -> Result<T>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        row.try_get(column).map_err(|_| self.malformed(&format!("a value of column `{column}`")))
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
    sqlx::query("INSERT INTO act (id, kind, body) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING")
        .bind(act.id.to_vec())
        .bind(&act.kind)
        .bind(&act.body)
        .execute(connection)
        .await?;
    Ok(())
}
