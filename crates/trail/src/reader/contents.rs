//! Looking into segments one after the other: whom and what every record is about, and what the log says of them. Edge: hands over, judges
//! nothing; holds one segment in memory.

use super::{Content, Reader, StoredRecord};
use crate::catalog::SegmentRow;
use crate::error::{Error, Result};
use crate::seal::blocking;
use minutebook_record::FieldType;
use minutebook_record::fields::ModelRef;
use minutebook_tlog::{LeafIndex, Tile, decode_bundle};
use minutebook_verify::descriptor::{Descriptor, Entry};
use minutebook_verify::log::LOG;

impl Reader {
    /// Every record of a segment with the numbers of its subjects, also where it cannot be read any more.
    pub(crate) async fn look_into(
        &self,
        row: &SegmentRow,
        each: &mut (dyn FnMut(&[u64], &StoredRecord) + Send),
    ) -> Result<()> {
        let segment = self.load(row).await?;
        let keys = self.keys.clone();
        let records = blocking(move || segment.with_subjects(&keys)).await?;
        records.iter().for_each(|(subjects, record)| each(subjects, record));
        Ok(())
    }

    /// The descriptors at these places of the published log, ascending. Reads each bundle of entries once.
    pub(crate) async fn each_descriptor(
        &self,
        indexes: &[u64],
        each: &mut (dyn FnMut(&Descriptor) + Send),
    ) -> Result<()> {
        let size = self.checkpoint().await?.0.size();
        let wrong = |what: String| Error::LogDisagrees { what };
        for some in indexes.chunk_by(|a, b| a / 256 == b / 256) {
            let tile = Tile::of_entry(LeafIndex::new(some[0]), size)
                .ok_or_else(|| wrong(format!("no entry {}", some[0])))?;
            let (bytes, width) = match self.objects.get(&format!("{LOG}{tile}")).await? {
                Some(bytes) => (Some(bytes), tile.width()),
                None => (self.objects.get(&format!("{LOG}{}", tile.full())).await?, 256),
            };
            let bytes = bytes.ok_or_else(|| wrong(format!("`{LOG}{tile}` is missing")))?;
            let entries = decode_bundle(&bytes, width).map_err(|e| wrong(e.to_string()))?;
            for index in some {
                let entry = entries.get((index % 256) as usize).map(|entry| Entry::decode(entry));
                match entry {
                    Some(Ok(Entry::Segment(descriptor))) => each(&descriptor),
                    _ => return Err(wrong(format!("entry {index} is no segment"))),
                }
            }
        }
        Ok(())
    }
}

impl StoredRecord {
    /// Its model; none when it has none, or it cannot be read.
    pub(crate) fn model(&self) -> Option<ModelRef> {
        let Content::Readable { values, .. } = &self.content else { return None };
        let place = self.schema.fields().iter().position(|field| field.field_type == FieldType::Model)?;
        ModelRef::decode(&values[place]).ok().flatten()
    }
}
