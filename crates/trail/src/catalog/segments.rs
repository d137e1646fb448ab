//! Finding segments: by a record's id, by time, by place in the log. Edge: every query walks an index from where it begins to where it ends,
//! whatever the number of segments; the plans are tested.

use super::Catalog;
use crate::error::Result;
use minutebook_record::Kind;
use minutebook_verify::Id;
use sqlx::sqlite::SqliteRow;
#[cfg(test)]
use sqlx::{QueryBuilder, Sqlite};

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

/// The axis of ids in `span`; the others are those of `timeline`.
pub(super) const IDS: i64 = -1;

/// The rows of `timeline` that stand for all records of a segment.
pub(super) const ANY_KIND: i64 = 0;

/// A stretch of time, and from which end to walk it.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Not before, ns since 1970.
    pub from: i64,
    /// Not after.
    pub to: i64,
    /// Ascending by the first event. Otherwise descending by the last.
    pub oldest_first: bool,
}

/// Segments of one kind and one size of time span, in the order of a [`Stretch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    kind: i64,
    span: u32,
}

/// Where a walk along a lane stands: the time and place in the log of the last segment that it gave.
pub type LanePosition = (i64, u64);

const OF_SPAN: &str =
    "SELECT * FROM segment WHERE id_span = $1 AND id_first >= $2 AND id_first <= $3 AND id_last >= $3";

const SPANS: &str = "SELECT span FROM span WHERE axis = $1 ORDER BY span";

const LATEST: &str = "SELECT s.* FROM timeline t CROSS JOIN segment s ON s.log_index = t.log_index \
    WHERE t.kind = $1 AND t.span = $2 AND t.time_last >= $3 AND (t.time_last, t.log_index) < ($4, $5) \
    AND t.time_first <= $6 ORDER BY t.time_last DESC, t.log_index DESC LIMIT $7";

const OLDEST: &str = "SELECT s.* FROM timeline t CROSS JOIN segment s ON s.log_index = t.log_index \
    WHERE t.kind = $1 AND t.span = $2 AND t.time_first <= $3 AND (t.time_first, t.log_index) > ($4, $5) \
    AND t.time_last >= $6 ORDER BY t.time_first, t.log_index LIMIT $7";

const FROM_INDEX: &str = "SELECT * FROM segment WHERE log_index >= $1 ORDER BY log_index LIMIT $2";

/// What reading runs on `segment` and `timeline`.
#[cfg(test)]
pub(super) const READING: [&str; 5] = [OF_SPAN, SPANS, LATEST, OLDEST, FROM_INDEX];

impl Catalog {
    /// The segments that may hold a record: few, whatever the number of segments, since spans are looked up by their size.
    pub async fn segments_with_id(&self, record: &Id) -> Result<Vec<SegmentRow>> {
        let mut found = Vec::new();
        for span in self.spans(IDS).await? {
            let rows = sqlx::query(OF_SPAN)
                .bind(i64::from(span))
                .bind(earliest_first_id(record, span).to_vec())
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

    async fn spans(&self, axis: i64) -> Result<Vec<u32>> {
        let spans: Vec<i64> =
            sqlx::query_scalar(SPANS).bind(axis).fetch_all(&self.pool).await.map_err(self.fault())?;
        Ok(spans.into_iter().map(|span| span as u32).collect())
    }

    /// The lanes that together have every segment with records of these kinds; of all kinds when there are none.
    pub async fn lanes(&self, kinds: &[Kind]) -> Result<Vec<Lane>> {
        let mut axes: Vec<i64> = kinds.iter().map(|kind| kind.number() as i64).collect();
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() {
            axes.push(ANY_KIND);
        }
        let mut lanes = Vec::new();
        for kind in axes {
            lanes.extend(self.spans(kind).await?.into_iter().map(|span| Lane { kind, span }));
        }
        Ok(lanes)
    }

    /// The next segments of a lane with events within the stretch, in its order, behind `after`.
    pub async fn along(
        &self,
        lane: Lane,
        stretch: &Stretch,
        after: Option<LanePosition>,
        limit: u64,
    ) -> Result<Vec<SegmentRow>> {
        // A segment of this span that overlaps the stretch begins and ends this close to it.
        let reach = 1i128 << lane.span;
        let within = |time: i128| time.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        let query = if stretch.oldest_first {
            let begin = (within(i128::from(stretch.from) - reach), -1);
            let (time, index) = after.map_or(begin, |(time, index)| (time, index as i64));
            sqlx::query(OLDEST)
                .bind(lane.kind)
                .bind(i64::from(lane.span))
                .bind(stretch.to)
                .bind(time)
                .bind(index)
                .bind(stretch.from)
        } else {
            let begin = (within(i128::from(stretch.to) + reach), i64::MAX);
            let (time, index) = after.map_or(begin, |(time, index)| (time, index as i64));
            sqlx::query(LATEST)
                .bind(lane.kind)
                .bind(i64::from(lane.span))
                .bind(stretch.from)
                .bind(time)
                .bind(index)
                .bind(stretch.to)
        };
        let rows = query.bind(limit as i64).fetch_all(&self.pool).await.map_err(self.fault())?;
        rows.iter().map(|row| self.segment(row)).collect()
    }

    /// Segments from a place in the log on, ascending.
    pub async fn segments_from(&self, log_index: u64, limit: u64) -> Result<Vec<SegmentRow>> {
        let rows = sqlx::query(FROM_INDEX)
            .bind(log_index as i64)
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        rows.iter().map(|row| self.segment(row)).collect()
    }

    /// How many segments and records are placed. Counts all rows.
    pub async fn totals(&self) -> Result<(u64, u64)> {
        let row =
            sqlx::query("SELECT COUNT(*) AS segments, COALESCE(SUM(records), 0) AS records FROM segment")
                .fetch_one(&self.pool)
                .await
                .map_err(self.fault())?;
        Ok((self.get::<i64>(&row, "segments")? as u64, self.get::<i64>(&row, "records")? as u64))
    }

    /// Segments whose rows in `timeline` and `span` are not those that follow from them, and rows there that belong to none: places in the
    /// log. Reads all rows.
    #[cfg(test)]
    pub async fn lost_from_timeline(&self) -> Result<Vec<u64>> {
        let mut wrong = Vec::new();
        let mut next = 0;
        loop {
            let rows = self.segments_from(next, 1_000).await?;
            let Some(last) = rows.last() else { break };
            let end = last.log_index + 1;
            let mut select = QueryBuilder::<Sqlite>::new(
                "SELECT kind, span, time_first, time_last, log_index FROM timeline WHERE log_index >= ",
            );
            select.push_bind(next as i64).push(" AND log_index < ").push_bind(end as i64);
            let there = select.build().fetch_all(&self.pool).await.map_err(self.fault())?;
            let mut found: Vec<TimelineRow> = Vec::with_capacity(there.len());
            for row in &there {
                found.push((
                    self.get::<i64>(row, "log_index")?,
                    self.get(row, "kind")?,
                    self.get(row, "span")?,
                    self.get(row, "time_first")?,
                    self.get(row, "time_last")?,
                ));
            }
            found.sort_unstable();
            let mut expected: Vec<TimelineRow> = rows.iter().flat_map(timeline_rows).collect();
            expected.sort_unstable();
            if found != expected {
                let differing = found.iter().filter(|row| expected.binary_search(row).is_err());
                let missing = expected.iter().filter(|row| found.binary_search(row).is_err());
                wrong.extend(differing.chain(missing).map(|row| row.0 as u64));
            }
            next = end;
        }
        wrong.sort_unstable();
        wrong.dedup();
        Ok(wrong)
    }

    pub(super) fn segment(&self, row: &SqliteRow) -> Result<SegmentRow> {
        Ok(SegmentRow {
            id: self.id(row, "id")?,
            log_index: self.get::<i64>(row, "log_index")? as u64,
            class: self.get(row, "class")?,
            class_epoch: self.id(row, "class_epoch")?,
            records: self.get::<i64>(row, "records")? as u64,
            kinds: self.get::<i64>(row, "kinds")? as u32,
            ids: (self.id(row, "id_first")?, self.id(row, "id_last")?),
            times: (self.get(row, "time_first")?, self.get(row, "time_last")?),
        })
    }
}

/// Place in the log, kind, span, first and last event.
pub(super) type TimelineRow = (i64, i64, i64, i64, i64);

/// The rows of `timeline` that a segment has: none without records.
pub(super) fn timeline_rows(segment: &SegmentRow) -> impl Iterator<Item = TimelineRow> + use<> {
    let (index, span, times) = (segment.log_index as i64, i64::from(time_span(segment.times)), segment.times);
    let (kinds, some) = (segment.kinds, segment.records > 0);
    let kinds =
        (0..i64::from(u32::BITS)).filter(move |kind| some && (*kind == ANY_KIND || kinds >> kind & 1 == 1));
    kinds.map(move |kind| (index, kind, span, times.0, times.1))
}

/// ms of a UUIDv7.
fn ms(id: &Id) -> u64 {
    id[..6].iter().fold(0, |ms, &byte| ms << 8 | u64::from(byte))
}

/// The size of a segment's span of ids: n when it is below 2^n ms. Few sizes occur, so each can be looked up by itself.
pub(super) fn id_span(ids: &(Id, Id)) -> u32 {
    u64::BITS - ms(&ids.1).saturating_sub(ms(&ids.0)).leading_zeros()
}

/// The same for its events: n when first and last are less than 2^n ns apart.
fn time_span((first, last): (i64, i64)) -> u32 {
    u64::BITS - last.abs_diff(first).leading_zeros()
}

fn earliest_first_id(record: &Id, span: u32) -> Id {
    let earliest = ms(record).saturating_sub((1u64 << span.min(48)) - 1);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&earliest.to_be_bytes()[2..]);
    id
}
