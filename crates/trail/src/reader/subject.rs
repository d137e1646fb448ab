//! All records about one subject, wherever they are sealed: found by the subject's number, which stands in the blocks. Edge: reads every segment,
//! one at a time; an index may tell later which ones.

use super::{OpenSegment, PAGE, Reader, StoredRecord};
use crate::catalog::SegmentRow;
use crate::error::{Error, Result};
use crate::limits::ORPHANS_LOOKED_UP;
use crate::seal::blocking;
use crate::subjects::LookupKey;
use minutebook_record::RecordId;
use std::ops::ControlFlow;

impl Reader {
    /// Every sealed record about a subject, in the order of the log: those that name it, and those that took it from a record that they link to, such
    /// as outcomes, reviews and explanations. Reads the whole trail, and holds one segment of it at a time. Windows are about nobody.
    ///
    /// # Errors
    /// [`Error::NoSubject`] when nobody of that name is in the trail; when a segment cannot be read.
    pub async fn of_subject(
        &self,
        subject: &str,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let lookup = LookupKey::new(&self.lookup_key().await?);
        let row = self.catalog.subjects(&[lookup.lookup(subject.as_bytes())]).await?.pop();
        let row = row.ok_or(Error::NoSubject)?;
        let mut orphans = Vec::new();
        let mut ids = Vec::new();
        let mut stopped = false;
        let mut pass_on = |record: StoredRecord| {
            ids.push(record.header.id);
            stopped = each(record).is_break();
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.about(vec![row.number], &mut pass_on).await?;
        if stopped {
            return Ok(());
        }
        // What was sealed before the record that it links to has a key of its own.
        for ids in ids.chunks(ORPHANS_LOOKED_UP) {
            let lookups: Vec<[u8; 32]> = ids.iter().map(|id: &RecordId| lookup.orphans_of(id)).collect();
            orphans.extend(self.catalog.subjects(&lookups).await?.into_iter().map(|row| row.number));
        }
        if orphans.is_empty() {
            return Ok(());
        }
        let known: std::collections::HashSet<RecordId> = ids.into_iter().collect();
        let mut pass_on = |record: StoredRecord| {
            if known.contains(&record.header.id) { ControlFlow::Continue(()) } else { each(record) }
        };
        self.about(orphans, &mut pass_on).await
    }

    /// Records about any of these numbers.
    async fn about(
        &self,
        numbers: Vec<u64>,
        each: &mut (dyn FnMut(StoredRecord) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let log_size = self.catalog.log_size().await?;
        let mut next = 0;
        loop {
            let rows = self.catalog.segments_from(next, PAGE).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                next = row.log_index + 1;
                if row.records == 0 {
                    continue;
                }
                for record in self.about_in(&row, log_size, &numbers).await? {
                    if each(record).is_break() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn about_in(&self, row: &SegmentRow, log_size: u64, numbers: &[u64]) -> Result<Vec<StoredRecord>> {
        let segment: OpenSegment = self.load(row).await?;
        let (keys, numbers) = (self.keys.clone(), numbers.to_vec());
        blocking(move || segment.about(log_size, &numbers, &keys)).await
    }
}
