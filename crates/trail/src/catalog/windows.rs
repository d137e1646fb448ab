//! Windows that have no record yet. Edge: rows as they stand; what is in their bodies is for the engine's `windows` to say.

use super::Catalog;
use crate::error::Result;
use minutebook_verify::Id;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

/// A window that has no record yet.
#[derive(Debug, Clone)]
pub struct WindowRow {
    /// Names the row.
    pub id: Id,
    /// The class-epoch whose key encrypts the body.
    pub class_epoch: Id,
    /// Nonce, encrypted window, tag.
    pub body: Vec<u8>,
}

impl Catalog {
    /// All of them, and how many entries the log has, at one moment.
    pub async fn log_size_and_windows(&self) -> Result<(u64, Vec<WindowRow>)> {
        // One statement sees one state. A catalog that an older program wrote last has no such table.
        let sql = "SELECT (SELECT value FROM meta WHERE name = 'log_size') AS log_size, id, class_epoch, body FROM pending_window";
        let rows = match sqlx::query(sql).fetch_all(&self.pool).await {
            Ok(rows) => rows,
            Err(sqlx::Error::Database(_)) => Vec::new(),
            Err(error) => return Err(self.fault()(error)),
        };
        let size = |row: &SqliteRow| {
            let bytes = self.get::<Vec<u8>>(row, "log_size")?;
            <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes).map_err(|_| self.malformed("its `log_size`"))
        };
        let log_size = match rows.first() {
            Some(row) => size(row)?,
            // Nothing can become a record meanwhile that is not one by now.
            None => self.log_size().await?,
        };
        Ok((log_size, self.window_rows(&rows)?))
    }

    /// All of them.
    pub async fn pending_windows(&self) -> Result<Vec<WindowRow>> {
        let rows = sqlx::query("SELECT id, class_epoch, body FROM pending_window ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        self.window_rows(&rows)
    }

    fn window_rows(&self, rows: &[SqliteRow]) -> Result<Vec<WindowRow>> {
        let row = |row: &SqliteRow| {
            Ok(WindowRow {
                id: self.id(row, "id")?,
                class_epoch: self.id(row, "class_epoch")?,
                body: self.get(row, "body")?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// Writes some and removes others. All or nothing; durable on return.
    pub async fn put_windows(&self, rows: &[WindowRow], gone: &[Id]) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        let work = async {
            for row in rows {
                put(&mut transaction, row).await?;
            }
            for id in gone {
                remove(&mut transaction, id).await?;
            }
            Ok(())
        };
        work.await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }
}

pub(super) async fn put(connection: &mut SqliteConnection, row: &WindowRow) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO pending_window (id, class_epoch, body) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET class_epoch = excluded.class_epoch, body = excluded.body",
    )
    .bind(row.id.to_vec())
    .bind(row.class_epoch.to_vec())
    .bind(&row.body)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn remove(connection: &mut SqliteConnection, id: &Id) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM pending_window WHERE id = $1").bind(id.to_vec()).execute(connection).await?;
    Ok(())
}
