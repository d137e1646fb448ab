//! Which numbers the catalog has accounted for. Edge: rows and their encoding; what follows from them is for the drain to say.

use super::Catalog;
use crate::error::Result;
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{Range, State};
use minutebook_verify::{Id, leb};
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

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

/// The last number drawn of each class.
pub type Drawn = BTreeMap<String, u64>;

impl Catalog {
    /// What is placed of one epoch, by class.
    pub async fn coverage(&self, producer: &Id, epoch: u64) -> Result<Vec<(String, RangeSet)>> {
        let rows = sqlx::query("SELECT class, ranges FROM coverage WHERE producer = $1 AND epoch = $2")
            .bind(producer.to_vec())
            .bind(epoch as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(self.fault())?;
        let row = |row: &SqliteRow| {
            Ok((self.get(row, "class")?, self.ranges(&self.get::<Vec<u8>>(row, "ranges")?)?))
        };
        rows.iter().map(row).collect()
    }

    /// Whether an epoch's account was closed.
    pub async fn epoch_ended(&self, producer: &Id, epoch: u64) -> Result<bool> {
        let ended: Option<i64> =
            sqlx::query_scalar("SELECT ended FROM epoch WHERE producer = $1 AND epoch = $2")
                .bind(producer.to_vec())
                .bind(epoch as i64)
                .fetch_optional(&self.pool)
                .await
                .map_err(self.fault())?;
        Ok(ended == Some(1))
    }

    /// What the marks in the log say was drawn in an epoch that has not ended.
    pub async fn drawn(&self, producer: &Id, epoch: u64) -> Result<Drawn> {
        let counts: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT counts FROM drawn WHERE producer = $1 AND epoch = $2")
                .bind(producer.to_vec())
                .bind(epoch as i64)
                .fetch_optional(&self.pool)
                .await
                .map_err(self.fault())?;
        let counts = counts.unwrap_or_default();
        decode_drawn(&counts).ok_or_else(|| self.malformed("a row of what was drawn"))
    }

    fn ranges(&self, bytes: &[u8]) -> Result<RangeSet> {
        decode_ranges(bytes).ok_or_else(|| self.malformed("a coverage row"))
    }
}

pub(super) fn encode_ranges(set: &RangeSet) -> Vec<u8> {
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

pub(super) fn decode_ranges(mut bytes: &[u8]) -> Option<RangeSet> {
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

pub(super) fn encode_drawn(drawn: &Drawn) -> Vec<u8> {
    let mut out = Vec::new();
    for (class, last) in drawn {
        leb::write_unsigned(&mut out, class.len() as u64);
        out.extend_from_slice(class.as_bytes());
        leb::write_unsigned(&mut out, *last);
    }
    out
}

fn decode_drawn(mut bytes: &[u8]) -> Option<Drawn> {
    let mut drawn = Drawn::new();
    while !bytes.is_empty() {
        let length = usize::try_from(leb::read_unsigned(&mut bytes)?).ok()?;
        let (class, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        drawn.insert(std::str::from_utf8(class).ok()?.to_owned(), leb::read_unsigned(&mut bytes)?);
    }
    Some(drawn)
}
