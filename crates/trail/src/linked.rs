//! Whom a record is about that names nobody itself but links to another one, such as the outcome of a decision. Edge: finds subjects; a
//! record that links to nothing is not its business.

use crate::batch::Batch;
use crate::catalog::SegmentRow;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::reader::OpenSegment;
use crate::seal::blocking;
use minutebook_record::RecordId;
use minutebook_verify::verify::segment_name;
use std::collections::{BTreeSet, HashMap};

/// Segments that are kept open while links are looked up: those of a batch lie close together.
const SEGMENTS_OPEN: usize = 4;

impl Engine {
    /// Gives records that are about another one the subjects of that one.
    pub(crate) async fn link(&mut self, batch: &mut Batch) -> Result<()> {
        let mut linked: HashMap<RecordId, usize> = HashMap::new();
        if batch.records.iter().any(|record| record.about.is_some()) {
            linked = batch.records.iter().enumerate().map(|(at, record)| (record.id, at)).collect();
        }
        let outside =
            batch.records.iter().filter_map(|record| record.about).filter(|id| !linked.contains_key(id));
        let outside = self.subjects_of_records(outside.collect()).await?;
        for at in 0..batch.records.len() {
            // A link may lead to a record that links on; one that leads in a circle ends where it began.
            let mut chain = Vec::new();
            let mut here = at;
            let subjects = loop {
                let Some(about) = batch.records[here].about else {
                    break batch.records[here].subjects.clone();
                };
                chain.push(here);
                match linked.get(&about) {
                    Some(next) if !chain.contains(next) => here = *next,
                    Some(_) => break vec![batch.lookup(self.lookup.orphans_of(&about))],
                    None => {
                        let lookups = outside.get(&about).cloned();
                        let lookups = lookups.unwrap_or_else(|| vec![self.lookup.orphans_of(&about)]);
                        break lookups.into_iter().map(|lookup| batch.lookup(lookup)).collect();
                    }
                }
            };
            for at in chain {
                batch.records[at].subjects.clone_from(&subjects);
                batch.records[at].about = None;
            }
        }
        Ok(())
    }

    /// The lookup hashes of the subjects of sealed records; of those that are not in the trail nothing. Where a subject was erased, what
    /// links to the record gets a key of its own: it must neither lie open nor bring the subject back.
    async fn subjects_of_records(&self, ids: BTreeSet<RecordId>) -> Result<HashMap<RecordId, Vec<[u8; 32]>>> {
        let mut found = HashMap::new();
        let mut open: Vec<OpenSegment> = Vec::new();
        for id in ids {
            let Some(numbers) = self.subject_numbers(&id, &mut open).await? else { continue };
            let rows = self.catalog.subjects_by_number(&numbers).await?;
            let lookup = |number: &u64| rows.iter().find(|row| row.number == *number).map(|row| row.lookup);
            let mut lookups: Vec<[u8; 32]> = numbers.iter().filter_map(lookup).collect();
            if lookups.len() < numbers.len() {
                lookups.push(self.lookup.orphans_of(&id));
            }
            found.insert(id, lookups);
        }
        Ok(found)
    }

    async fn subject_numbers(&self, id: &RecordId, open: &mut Vec<OpenSegment>) -> Result<Option<Vec<u64>>> {
        for segment in open.iter() {
            if let Some(place) = segment.find(id) {
                return segment.subjects(place).map(Some);
            }
        }
        for row in self.catalog.segments_with_id(id.as_bytes()).await? {
            let segment = self.open_segment(row).await?;
            let place = segment.find(id);
            let numbers = place.map(|place| segment.subjects(place)).transpose()?;
            open.truncate(SEGMENTS_OPEN - 1);
            open.insert(0, segment);
            if numbers.is_some() {
                return Ok(numbers);
            }
        }
        Ok(None)
    }

    async fn open_segment(&self, row: SegmentRow) -> Result<OpenSegment> {
        let object = self.objects.get(&segment_name(&row.id)).await?;
        let object = object.ok_or_else(|| Error::Segment { segment: row.id, what: "is missing".into() })?;
        let class_epoch =
            self.class_epochs.values().find(|(id, _)| *id == row.class_epoch).map(|(_, key)| key.clone());
        blocking(move || OpenSegment::open(&row, object, class_epoch.as_ref())).await
    }
}
