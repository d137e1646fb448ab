//! What the drain reads of a record's values, and the one thing that it writes there: the rule that kept it. Edge: the values were split by their
//! shape before.

use crate::limits;
use crate::subjects::LookupKey;
use minutebook_capture::ShapeDef;
use minutebook_record::cbor::Reader;
use minutebook_record::fields::Event;
use minutebook_record::{Kind, RecordId};
use std::collections::HashMap;

/// A record's values with the rule that kept it in its event. None when there is no place for it: the event is null or a constant, or the record
/// is as large as one may be.
pub(super) fn with_kept(
    shape: &ShapeDef,
    place: usize,
    values: &[u8],
    ends: &[usize],
    rule: &str,
    rate: Option<f64>,
) -> Option<(Vec<u8>, Vec<usize>)> {
    let open = shape.open_places().binary_search(&place).ok()?;
    let start = if open == 0 { 0 } else { ends[open - 1] };
    let mut marked = Vec::with_capacity(values.len() + rule.len() + 16);
    marked.extend_from_slice(&values[..start]);
    Event::write_kept(&values[start..ends[open]], rule, rate, &mut marked).ok()?;
    let (before, after) = (ends[open], marked.len());
    marked.extend_from_slice(&values[before..]);
    let constants: usize = shape.constants().iter().map(|(_, value)| value.len()).sum();
    if marked.len() + constants > minutebook_record::limits::VALUES_BYTES_MAX {
        return None;
    }
    let moved = |end: &usize| if *end < before { *end } else { *end - before + after };
    let ends = ends[..open].iter().copied().chain(ends[open..].iter().map(moved)).collect();
    Some((marked, ends))
}

pub(super) fn value_at<'a>(shape: &'a ShapeDef, place: usize, values: &'a [u8], ends: &[usize]) -> &'a [u8] {
    match shape.constants().binary_search_by_key(&place, |(constant, _)| *constant) {
        Ok(constant) => &shape.constants()[constant].1,
        Err(constants_before) => {
            let open = place - constants_before;
            let start = if open == 0 { 0 } else { ends[open - 1] };
            &values[start..ends[open]]
        }
    }
}

/// Lookup hashes of the subjects in an encoded `subject`, without duplicates; none for null.
pub(super) fn subject_lookups(lookup: &LookupKey, value: &[u8]) -> Vec<[u8; 32]> {
    let mut reader = Reader::new(value);
    let mut lookups = Vec::new();
    for _ in 0..reader.array().unwrap_or(0) {
        let Ok(subject) = reader.text() else { break };
        let hash = lookup.lookup(subject.as_bytes());
        if !lookups.contains(&hash) {
            lookups.push(hash);
        }
    }
    lookups
}

pub(super) fn blob_digest(value: &[u8]) -> Option<[u8; 32]> {
    let mut reader = Reader::new(value);
    reader.tag().ok()?;
    reader.array().ok()?;
    reader.text().ok()?;
    reader.text().ok()?;
    reader.unsigned().ok()?;
    reader.bytes().ok()?;
    reader.bytes_of().ok()
}

/// Kinds that are about a decision, and so about its subjects.
pub(super) fn is_about_decision(kind: Kind) -> bool {
    matches!(kind, Kind::Explanation | Kind::Outcome | Kind::Review | Kind::Replay)
}

/// Keeps in mind whom a decision is about, for records that link to it shortly after.
pub(super) fn remember(recent: &mut HashMap<RecordId, Box<[[u8; 32]]>>, id: RecordId, lookups: &[[u8; 32]]) {
    if lookups.is_empty() {
        return;
    }
    if recent.len() >= limits::RECENT_SUBJECTS {
        recent.clear();
    }
    recent.insert(id, lookups.into());
}
