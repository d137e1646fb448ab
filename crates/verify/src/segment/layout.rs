//! Where the sections of a segment lie: the clear frame around them.

use super::SegmentError;
use crate::descriptor::Id;
use crate::limits;
use minutebook_record::cbor::{self, Reader};
use std::ops::Range;

const MAGIC: &[u8; 8] = b"mbsegm1\n";
const END: &[u8; 8] = b"mbsegend";
const FRONT: usize = 40;
const TRAILER: usize = 12;

/// The parts of an object, as byte ranges of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The segment's id.
    pub segment: Id,
    /// The class-epoch key that opens it.
    pub class_epoch: Id,
    /// How many records it has.
    pub records: u32,
    /// The head section.
    pub head: Range<usize>,
    /// The blocks: place of the first record, and the section.
    pub blocks: Vec<(u32, Range<usize>)>,
    /// The audit section.
    pub audit: Range<usize>,
}

impl Layout {
    /// Begins an object: what stands before the head.
    pub fn begin(segment: &Id, class_epoch: &Id) -> Vec<u8> {
        let mut object = Vec::new();
        object.extend_from_slice(MAGIC);
        object.extend_from_slice(segment);
        object.extend_from_slice(class_epoch);
        object
    }

    /// Ends an object: footer and trailer for the sections that were appended, given by their lengths.
    pub fn end(object: &mut Vec<u8>, records: u32, head: usize, blocks: &[(u32, usize)], audit: usize) {
        let from = object.len();
        cbor::write_array(object, 4);
        cbor::write_unsigned(object, u64::from(records));
        cbor::write_unsigned(object, head as u64);
        cbor::write_array(object, blocks.len() as u64);
        for (first, length) in blocks {
            cbor::write_array(object, 2);
            cbor::write_unsigned(object, u64::from(*first));
            cbor::write_unsigned(object, *length as u64);
        }
        cbor::write_unsigned(object, audit as u64);
        let length = (object.len() - from) as u32;
        object.extend_from_slice(&length.to_le_bytes());
        object.extend_from_slice(END);
    }

    /// Finds the sections of a whole object.
    ///
    /// # Errors
    /// Anything that does not account for every byte of it.
    pub fn parse(object: &[u8]) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Layout;
        if object.len() as u64 > limits::OBJECT_BYTES_MAX {
            return Err(damaged("it is larger than any segment"));
        }
        let front = object.get(..FRONT).ok_or(damaged("it is cut short"))?;
        if &front[..8] != MAGIC {
            return Err(damaged("it does not begin as a segment does"));
        }
        let (segment, class_epoch) = (id(&front[8..24]), id(&front[24..40]));
        let trailer =
            object.len().checked_sub(TRAILER).filter(|at| *at >= FRONT).ok_or(damaged("it is cut short"))?;
        if &object[trailer + 4..] != END {
            return Err(damaged("it does not end as a segment does: it was cut or extended"));
        }
        let length =
            object[trailer..trailer + 4].iter().rev().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
        let footer =
            trailer.checked_sub(length).filter(|at| *at >= FRONT).ok_or(damaged("length of its footer"))?;
        let layout = Self::footer(&object[footer..trailer], segment, class_epoch)
            .ok_or(damaged("its footer is malformed"))?;
        if layout.audit.end != footer {
            return Err(damaged("its sections do not fill it"));
        }
        Ok(layout)
    }

    fn footer(bytes: &[u8], segment: Id, class_epoch: Id) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut at = FRONT;
        let mut section = |length: u64| {
            let from = at;
            at = at.checked_add(usize::try_from(length).ok()?)?;
            Some(from..at)
        };
        reader.array_of(4, "footer").ok()?;
        let records = reader.unsigned_up_to(limits::SEGMENT_RECORDS_MAX, "records").ok()? as u32;
        let head = section(reader.unsigned().ok()?)?;
        let mut blocks: Vec<(u32, Range<usize>)> = Vec::new();
        for block in 0..reader.array().ok()? {
            reader.array_of(2, "block").ok()?;
            let first = reader.unsigned_up_to(u64::from(records), "place").ok()? as u32;
            let follows = blocks.last().map_or(first == 0, |(before, _)| *before < first);
            if !follows || first >= records || block > limits::SEGMENT_RECORDS_MAX as usize {
                return None;
            }
            blocks.push((first, section(reader.unsigned().ok()?)?));
        }
        if blocks.is_empty() != (records == 0) {
            return None;
        }
        let audit = section(reader.unsigned().ok()?)?;
        reader.finish().ok()?;
        Some(Self { segment, class_epoch, records, head, blocks, audit })
    }

    /// The places that a block holds.
    pub fn places(&self, block: usize) -> Range<u32> {
        let end = self.blocks.get(block + 1).map_or(self.records, |(first, _)| *first);
        self.blocks[block].0..end
    }

    /// The block that holds a place.
    pub fn block_of(&self, place: u32) -> usize {
        self.blocks.partition_point(|(first, _)| *first <= place) - 1
    }
}

fn id(bytes: &[u8]) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(bytes);
    id
}
