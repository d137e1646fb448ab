//! The placing transaction: all that becomes true when segments get their places in the log. Edge: writes rows; what they say was decided before.

use super::coverage::{CoverageRow, Drawn, encode_drawn, encode_ranges};
use super::keys::SubjectRow;
use super::segments::{IDS, SegmentRow, id_span, timeline_rows};
use super::windows::{self, WindowRow};
use super::{ActRow, Catalog, ROWS_PER_STATEMENT, TRAIL_DIGEST, add_act, set_meta};
use crate::error::Result;
use crate::wrap::WRAPPED_BYTES;
use minutebook_verify::Id;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// All that one placing transaction writes.
#[derive(Debug, Default)]
pub struct Placement {
    /// New segments.
    pub segments: Vec<SegmentRow>,
    /// The log's new entries, ascending without a gap.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// Subjects seen for the first time.
    pub subjects: Vec<SubjectRow>,
    /// Buckets that get their first subject with these.
    pub buckets: Vec<u16>,
    /// Blobs and whom they are about.
    pub blobs: Vec<(u64, Id)>,
    /// Whole new content of coverage rows.
    pub coverage: Vec<CoverageRow>,
    /// Epochs whose account is closed.
    pub ended: Vec<(Id, u64)>,
    /// What the latest mark of an epoch says was drawn.
    pub drawn: BTreeMap<(Id, u64), Drawn>,
    /// Whole new content of windows that have no record yet.
    pub windows: Vec<WindowRow>,
    /// Windows that have their record now, or were handed on.
    pub windows_gone: Vec<Id>,
    /// Acts that have their record now.
    pub acts: Vec<Id>,
    /// Acts that are done with this and need a record.
    pub new_acts: Vec<ActRow>,
    /// SHA-256 of the `trail.toml` that an entry names.
    pub trail_digest: Option<[u8; 32]>,
    /// The log's size with the new entries.
    pub log_size: u64,
    /// The log's size up to which it was published before: entries below are not needed any more.
    pub published: u64,
}

impl Catalog {
    /// The placing transaction. All or nothing; durable on return.
    pub async fn place(&self, placement: &Placement) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(self.fault())?;
        self.place_in(&mut transaction, placement).await.map_err(self.fault())?;
        transaction.commit().await.map_err(self.fault())
    }

    async fn place_in(&self, connection: &mut SqliteConnection, placement: &Placement) -> sqlx::Result<()> {
        let mut spans: BTreeSet<(i64, i64)> = BTreeSet::new();
        for segment in &placement.segments {
            sqlx::query("DELETE FROM intent WHERE id = $1")
                .bind(segment.id.to_vec())
                .execute(&mut *connection)
                .await?;
            let id_span = (segment.records > 0).then(|| i64::from(id_span(&segment.ids)));
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
            .bind(id_span)
            .bind(segment.times.0)
            .bind(segment.times.1)
            .execute(&mut *connection)
            .await?;
            spans.extend(id_span.map(|span| (IDS, span)));
            for (index, kind, span, first, last) in timeline_rows(segment) {
                sqlx::query(
                    "INSERT INTO timeline (kind, span, time_first, time_last, log_index) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(kind)
                .bind(span)
                .bind(first)
                .bind(last)
                .bind(index)
                .execute(&mut *connection)
                .await?;
                spans.insert((kind, span));
            }
        }
        for (axis, span) in spans {
            sqlx::query("INSERT INTO span (axis, span) VALUES ($1, $2) ON CONFLICT (axis, span) DO NOTHING")
                .bind(axis)
                .bind(span)
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
        insert_subjects(connection, &placement.subjects).await?;
        for chunk in placement.buckets.chunks(ROWS_PER_STATEMENT) {
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
        for ((producer, epoch), drawn) in &placement.drawn {
            sqlx::query(
                "INSERT INTO drawn (producer, epoch, counts) VALUES ($1, $2, $3) \
                 ON CONFLICT (producer, epoch) DO UPDATE SET counts = excluded.counts",
            )
            .bind(producer.to_vec())
            .bind(*epoch as i64)
            .bind(encode_drawn(drawn))
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
            sqlx::query("DELETE FROM drawn WHERE producer = $1 AND epoch = $2")
                .bind(producer.to_vec())
                .bind(*epoch as i64)
                .execute(&mut *connection)
                .await?;
        }
        for row in &placement.windows {
            windows::put(connection, row).await?;
        }
        for id in &placement.windows_gone {
            windows::remove(connection, id).await?;
        }
        for act in &placement.acts {
            sqlx::query("DELETE FROM act WHERE id = $1").bind(act.to_vec()).execute(&mut *connection).await?;
        }
        for act in &placement.new_acts {
            add_act(connection, act).await?;
        }
        if let Some(digest) = &placement.trail_digest {
            set_meta(connection, TRAIL_DIGEST, digest).await?;
        }
        sqlx::query("DELETE FROM pending_entry WHERE log_index < $1")
            .bind(placement.published as i64)
            .execute(&mut *connection)
            .await?;
        set_meta(connection, "log_size", &placement.log_size.to_be_bytes()).await
    }
}

/// Inserts subjects in runs of consecutive numbers, each run as one parameter, so that the statement is prepared once. `OR FAIL` is SQLite's:
/// the transaction is given up after a failure, and no copies of pages are kept for taking the statement alone back.
async fn insert_subjects(connection: &mut SqliteConnection, subjects: &[SubjectRow]) -> sqlx::Result<()> {
    const INSERT: &str = "WITH RECURSIVE row (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM row WHERE n + 1 < $2) \
         INSERT OR FAIL INTO subject (number, lookup, wrapped) \
         SELECT $3 + n, substr($1, n * 92 + 1, 32), substr($1, n * 92 + 33, 60) FROM row";
    for run in subjects.chunk_by(|before, after| before.number + 1 == after.number) {
        let mut packed = Vec::with_capacity(run.len() * 92);
        for subject in run {
            assert_eq!(subject.wrapped.len(), WRAPPED_BYTES, "a wrapped key has one length");
            packed.extend_from_slice(&subject.lookup);
            packed.extend_from_slice(&subject.wrapped);
        }
        sqlx::query(INSERT)
            .bind(packed)
            .bind(run.len() as i64)
            .bind(run[0].number as i64)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
