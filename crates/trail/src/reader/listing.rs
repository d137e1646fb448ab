//! Listing records in the order of their time across segments that overlap: a merge that opens a segment when its turn comes. Edge: holds
//! so many bytes of records, whatever overlaps; what does not fit is read again when it is due.

use crate::catalog::{Catalog, Lane, LanePosition, SegmentRow, Stretch};
use crate::error::Result;
use crate::reader::{Content, Filter, StoredRecord};
use minutebook_verify::Id;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Segments that are looked up at once along a lane.
const PAGE: u64 = 64;

/// A record's place in a listing: the smallest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    time: i64,
    id: Id,
}

/// Turns time and ids round when the latest come first.
#[derive(Debug, Clone, Copy)]
pub struct Direction {
    oldest_first: bool,
}

impl Direction {
    /// As a filter asks for.
    pub fn of(filter: &Filter) -> Self {
        Self { oldest_first: filter.oldest_first }
    }

    /// The place of a record.
    pub fn key(self, record: &StoredRecord) -> Key {
        let id = *record.header.id.as_bytes();
        let id = if self.oldest_first { id } else { id.map(|byte| !byte) };
        Key { time: self.time(record.time_ns()), id }
    }

    fn time(self, time: i64) -> i64 {
        if self.oldest_first { time } else { !time }
    }

    /// No record of the segment comes before this.
    fn bound(self, row: &SegmentRow) -> i64 {
        self.time(self.end(row))
    }

    fn end(self, row: &SegmentRow) -> i64 {
        if self.oldest_first { row.times.0 } else { row.times.1 }
    }
}

/// The segments of a stretch, merged from their lanes.
pub struct Segments<'a> {
    catalog: &'a Catalog,
    stretch: Stretch,
    direction: Direction,
    lanes: Vec<Walk>,
    given: Option<u64>,
}

struct Walk {
    lane: Lane,
    ahead: VecDeque<SegmentRow>,
    after: Option<LanePosition>,
    ended: bool,
}

impl<'a> Segments<'a> {
    /// Those that may have records that the filter lets through.
    pub async fn of(catalog: &'a Catalog, filter: &Filter) -> Result<Self> {
        let stretch = Stretch { from: filter.from_ns, to: filter.to_ns, oldest_first: filter.oldest_first };
        let walk = |lane| Walk { lane, ahead: VecDeque::new(), after: None, ended: false };
        let lanes = catalog.lanes(&filter.kinds).await?.into_iter().map(walk).collect();
        Ok(Self { catalog, stretch, direction: Direction::of(filter), lanes, given: None })
    }

    /// The next segment, when none of its records can come after `until`.
    async fn next_until(&mut self, until: Option<Key>) -> Result<Option<SegmentRow>> {
        loop {
            let mut first: Option<(i64, u64, usize)> = None;
            for at in 0..self.lanes.len() {
                self.look_ahead(at).await?;
                if let Some(row) = self.lanes[at].ahead.front() {
                    let index = if self.stretch.oldest_first { row.log_index } else { !row.log_index };
                    let place = (self.direction.bound(row), index, at);
                    first = Some(first.map_or(place, |first| first.min(place)));
                }
            }
            let Some((bound, _, at)) = first else { return Ok(None) };
            if until.is_some_and(|until| bound > until.time) {
                return Ok(None);
            }
            let row = self.lanes[at].ahead.pop_front();
            // A segment with several of the kinds that are asked for stands in several lanes, at the same place.
            if row.as_ref().is_some_and(|row| self.given == Some(row.log_index)) {
                continue;
            }
            self.given = row.as_ref().map(|row| row.log_index);
            return Ok(row);
        }
    }

    async fn look_ahead(&mut self, at: usize) -> Result<()> {
        let walk = &mut self.lanes[at];
        if walk.ended || !walk.ahead.is_empty() {
            return Ok(());
        }
        let rows = self.catalog.along(walk.lane, &self.stretch, walk.after, PAGE).await?;
        walk.ended = (rows.len() as u64) < PAGE;
        walk.after = rows.last().map(|row| (self.direction.end(row), row.log_index));
        walk.ahead = rows.into();
        Ok(())
    }
}

/// Records of one segment that are still to come.
struct Run {
    row: SegmentRow,
    /// In order.
    ready: VecDeque<(Key, StoredRecord)>,
    /// The first one that is not at hand, when there is one.
    beyond: Option<Key>,
    bytes: usize,
}

impl Run {
    fn next(&self) -> Option<Key> {
        self.ready.front().map(|(key, _)| *key).or(self.beyond)
    }

    /// Gives up what is beyond so many bytes; it is read again when it is due.
    fn trim(&mut self, bytes: usize) {
        while self.bytes > bytes
            && let Some((key, record)) = self.ready.pop_back()
        {
            self.bytes -= weight(&record);
            self.beyond = Some(key);
        }
    }
}

/// A merge of all segments of a listing.
pub struct Merge<'a> {
    segments: Segments<'a>,
    direction: Direction,
    runs: Vec<Option<Run>>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<(Key, usize)>>,
    bytes: usize,
    bytes_max: usize,
}

/// What a merge asks for next.
pub enum Step {
    /// Here is a record.
    Record(Box<StoredRecord>),
    /// The records of this segment are due, from the place on that [`Merge::give`] takes.
    Read(usize, SegmentRow),
    /// That was all.
    End,
}

impl<'a> Merge<'a> {
    /// Over segments, with so many bytes of records in memory.
    pub fn new(segments: Segments<'a>, bytes_max: usize) -> Self {
        let direction = segments.direction;
        let (runs, free, due) = (Vec::new(), Vec::new(), BinaryHeap::new());
        Self { segments, direction, runs, free, due, bytes: 0, bytes_max }
    }

    /// The next record, or what has to be read for it.
    pub async fn step(&mut self) -> Result<Step> {
        let first = self.due.peek().map(|Reverse((key, _))| *key);
        if let Some(row) = self.segments.next_until(first).await? {
            let run = Run { row: row.clone(), ready: VecDeque::new(), beyond: None, bytes: 0 };
            let at = self.free.pop().unwrap_or(self.runs.len());
            if at == self.runs.len() {
                self.runs.push(None);
            }
            self.runs[at] = Some(run);
            return Ok(Step::Read(at, row));
        }
        let Some(Reverse((_, at))) = self.due.pop() else { return Ok(Step::End) };
        // INVARIANT: what is due has a run.
        let run = self.runs[at].as_mut().expect("a run");
        let Some((_, record)) = run.ready.pop_front() else { return Ok(Step::Read(at, run.row.clone())) };
        let bytes = weight(&record);
        run.bytes -= bytes;
        self.bytes -= bytes;
        self.settle(at);
        Ok(Step::Record(Box::new(record)))
    }

    /// Takes the records of a segment that was asked for.
    pub fn give(&mut self, at: usize, records: Vec<StoredRecord>) {
        // INVARIANT: `step` named it.
        let run = self.runs[at].as_mut().expect("a run");
        let mut keyed: Vec<(Key, StoredRecord)> =
            records.into_iter().map(|record| (self.direction.key(&record), record)).collect();
        keyed.sort_unstable_by_key(|(key, _)| *key);
        let from = run.beyond.map_or(0, |beyond| keyed.partition_point(|(key, _)| *key < beyond));
        run.ready = keyed.drain(from..).collect();
        run.beyond = None;
        run.bytes = run.ready.iter().map(|(_, record)| weight(record)).sum();
        self.bytes += run.bytes;
        if self.bytes > self.bytes_max {
            self.make_room(at);
        }
        self.settle(at);
    }

    /// Divides the room evenly among the segments that are open; the one just read keeps a record at least, so that it goes on.
    fn make_room(&mut self, just_read: usize) {
        let open = self.runs.len() - self.free.len();
        let share = self.bytes_max / 2 / open.max(1);
        for (at, run) in self.runs.iter_mut().enumerate() {
            let Some(run) = run else { continue };
            let least = run.ready.front().filter(|_| at == just_read).map_or(0, |(_, record)| weight(record));
            run.trim(share.max(least));
        }
        self.bytes = self.runs.iter().flatten().map(|run| run.bytes).sum();
    }

    /// Puts a run where its next record belongs.
    fn settle(&mut self, at: usize) {
        match self.runs[at].as_ref().and_then(Run::next) {
            Some(key) => self.due.push(Reverse((key, at))),
            None => {
                self.runs[at] = None;
                self.free.push(at);
            }
        }
    }
}

/// Some bytes that a record takes in memory.
fn weight(record: &StoredRecord) -> usize {
    let values = match &record.content {
        Content::Readable { values, .. } => {
            values.iter().map(|value| value.len() + size_of::<Vec<u8>>() + 16).sum()
        }
        _ => 0,
    };
    size_of::<StoredRecord>() + values
}
