//! The audit section: what each record's leaf is computed from, but for the values. It alone gives the numbers, the leaves and the inner tree.

use super::{SectionName, SegmentError};
use crate::descriptor::Id;
use crate::{leb, limits};
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{
    ClassName, Commitment, Epoch, Header, Kind, Preimage, ProducerId, RecordId, SchemaDigest, Seq,
};
use minutebook_tlog::Hash;

/// One record, at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The record's id.
    pub id: RecordId,
    /// Its kind.
    pub kind: Kind,
    /// Index into the table of producers.
    pub producer: u16,
    /// Index into the table of schemas.
    pub schema: u16,
    /// Its number.
    pub seq: u64,
    /// Its commitment.
    pub commitment: [u8; 32],
}

/// The audit section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The class of all the records.
    pub class: ClassName,
    /// Producer and epoch.
    pub producers: Vec<(Id, u64)>,
    /// Digests of the schemas, in the order of the head.
    pub schemas: Vec<[u8; 32]>,
    /// In order of place, ascending by id.
    pub rows: Vec<Row>,
}

impl Audit {
    /// The content of the section.
    pub fn encode(&self) -> Vec<u8> {
        let count = self.rows.len();
        let mut tables = Vec::new();
        cbor::write_array(&mut tables, 3);
        cbor::write_text(&mut tables, self.class.as_str());
        cbor::write_array(&mut tables, self.producers.len() as u64);
        for (producer, epoch) in &self.producers {
            cbor::write_array(&mut tables, 2);
            cbor::write_bytes(&mut tables, producer);
            cbor::write_unsigned(&mut tables, *epoch);
        }
        cbor::write_array(&mut tables, self.schemas.len() as u64);
        for digest in &self.schemas {
            cbor::write_bytes(&mut tables, digest);
        }
        let mut out = Vec::with_capacity(tables.len() + 8 + count * 52);
        out.extend_from_slice(&(count as u32).to_le_bytes());
        out.extend_from_slice(&(tables.len() as u32).to_le_bytes());
        out.extend_from_slice(&tables);
        let mut before = 0;
        for row in &self.rows {
            let ms = row.id.unix_ms();
            leb::write_unsigned(&mut out, ms - before);
            before = ms;
        }
        for row in &self.rows {
            out.extend_from_slice(&row.id.as_bytes()[6..]);
        }
        out.extend(self.rows.iter().map(|row| row.kind.number()));
        for row in &self.rows {
            out.extend_from_slice(&row.producer.to_le_bytes());
        }
        for row in &self.rows {
            out.extend_from_slice(&row.schema.to_le_bytes());
        }
        let mut last = vec![0i64; self.producers.len()];
        for row in &self.rows {
            let last = &mut last[usize::from(row.producer)];
            leb::write_signed(&mut out, row.seq as i64 - *last);
            *last = row.seq as i64;
        }
        for row in &self.rows {
            out.extend_from_slice(&row.commitment);
        }
        out
    }

    /// Reads the content strictly: ids ascend, indices are in their tables, numbers in range.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        decode(bytes).map_err(|what| SegmentError::Content(SectionName::Audit, what))
    }

    /// The header of the record at a place.
    pub fn header(&self, place: usize) -> Header {
        let row = &self.rows[place];
        let (producer, epoch) = self.producers[usize::from(row.producer)];
        Header {
            id: row.id,
            kind: row.kind,
            producer: ProducerId(producer),
            // INVARIANT: `decode` and the sealing engine let only numbers from 1 to 2^63−1 in.
            epoch: Epoch::new(epoch).expect("an epoch in range"),
            seq: Seq::new(row.seq).expect("a number in range"),
            class: self.class,
        }
    }

    /// The leaf preimage of the record at a place.
    pub fn preimage(&self, place: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        self.write_preimage(place, &mut out);
        out
    }

    fn write_preimage(&self, place: usize, out: &mut Vec<u8>) {
        let row = &self.rows[place];
        let schema = SchemaDigest(self.schemas[usize::from(row.schema)]);
        Preimage { header: self.header(place), schema, commitment: Commitment(row.commitment) }.write(out);
    }

    /// The leaf hashes, in order of place.
    pub fn leaves(&self) -> Vec<Hash> {
        let mut data = Vec::with_capacity(self.rows.len() * 176);
        let mut ends = Vec::with_capacity(self.rows.len());
        for place in 0..self.rows.len() {
            data.push(0);
            self.write_preimage(place, &mut data);
            ends.push(data.len());
        }
        let mut leaves = Vec::with_capacity(self.rows.len());
        minutebook_sha256::digest_many(&data, &ends, &mut leaves);
        leaves.into_iter().map(Hash::new).collect()
    }

    /// The place of a record.
    pub fn find(&self, id: &RecordId) -> Option<usize> {
        self.rows.binary_search_by(|row| row.id.cmp(id)).ok()
    }
}

fn decode(bytes: &[u8]) -> Result<Audit, &'static str> {
    let mut rest = bytes;
    let count = u32::from_le_bytes(take(&mut rest)?) as usize;
    let tables_len = u32::from_le_bytes(take(&mut rest)?) as usize;
    if count as u64 > limits::SEGMENT_RECORDS_MAX {
        return Err("more records than a segment may have");
    }
    let (tables, mut rest) = rest.split_at_checked(tables_len).ok_or("cut short")?;
    let (class, producers, schemas) = decode_tables(tables)?;
    let mut ms = 0u64;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let step = leb::read_unsigned(&mut rest).ok_or("times")?;
        ms = ms.checked_add(step).filter(|ms| *ms < 1 << 48).ok_or("times")?;
        times.push(ms);
    }
    let random = columns::<10>(&mut rest, count)?;
    let kinds = columns::<1>(&mut rest, count)?;
    let producer_column = columns::<2>(&mut rest, count)?;
    let schema_column = columns::<2>(&mut rest, count)?;
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    let mut last = vec![0i64; producers.len()];
    for place in 0..count {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&times[place].to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random[place]);
        let id = RecordId::from_bytes(id).map_err(|_| "an id that is no UUIDv7")?;
        if rows.last().is_some_and(|before| before.id >= id) {
            return Err("ids out of order");
        }
        let producer = u16::from_le_bytes(producer_column[place]);
        let schema = u16::from_le_bytes(schema_column[place]);
        if usize::from(schema) >= schemas.len() {
            return Err("a schema that is not in the table");
        }
        let last = last.get_mut(usize::from(producer)).ok_or("a producer that is not in the table")?;
        let step = leb::read_signed(&mut rest).ok_or("numbers")?;
        *last = last.checked_add(step).filter(|seq| *seq >= 1).ok_or("a number out of range")?;
        let kind = Kind::from_number(u64::from(kinds[place][0])).ok_or("an unknown kind")?;
        rows.push(Row { id, kind, producer, schema, seq: *last as u64, commitment: [0; 32] });
    }
    let commitments = columns::<32>(&mut rest, count)?;
    for (row, commitment) in rows.iter_mut().zip(commitments) {
        row.commitment = *commitment;
    }
    if rest.is_empty() { Ok(Audit { class, producers, schemas, rows }) } else { Err("bytes follow its end") }
}

type Tables = (ClassName, Vec<(Id, u64)>, Vec<[u8; 32]>);

fn decode_tables(bytes: &[u8]) -> Result<Tables, &'static str> {
    let mut reader = Reader::new(bytes);
    reader.array_of(3, "tables").map_err(|_| "tables")?;
    let class = reader.text().ok().and_then(|name| ClassName::new(name).ok()).ok_or("class")?;
    let mut producers: Vec<(Id, u64)> = Vec::new();
    for _ in 0..reader.array().map_err(|_| "table of producers")? {
        reader.array_of(2, "producer").map_err(|_| "a producer")?;
        let producer = reader.bytes_of::<16>().map_err(|_| "a producer")?;
        let epoch = reader.unsigned_up_to(i64::MAX as u64, "epoch").map_err(|_| "an epoch")?;
        if epoch == 0 || producers.contains(&(producer, epoch)) {
            return Err("an epoch of 0, or one producer twice");
        }
        producers.push((producer, epoch));
    }
    let mut schemas = Vec::new();
    for _ in 0..reader.array().map_err(|_| "table of schemas")? {
        schemas.push(reader.bytes_of::<32>().map_err(|_| "a schema digest")?);
    }
    reader.finish().map_err(|_| "tables")?;
    Ok((class, producers, schemas))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or("cut short")?;
    *bytes = rest;
    Ok(*first)
}

fn columns<'a, const N: usize>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [[u8; N]], &'static str> {
    let (column, rest) = bytes.split_at_checked(count * N).ok_or("cut short")?;
    *bytes = rest;
    Ok(column.as_chunks::<N>().0)
}
