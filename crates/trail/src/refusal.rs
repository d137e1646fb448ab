//! Whether a subject may be erased: not under a hold, and not inside a retention floor. Edge: looks at every record about the subject that one of
//! them may be over; erasing is `erase`'s business.

use crate::catalog::SegmentRow;
use crate::dispose::{named, seconds_of, text};
use crate::drain::SYSTEM;
use crate::error::{Error, Result};
use crate::hold::{Held, Hold};
use crate::reader::Reader;
use minutebook_verify::retention::{ClassRule, Settings};
use std::collections::BTreeSet;

/// Segments that are looked up at once.
const PAGE: u64 = 256;

/// The latest end of a floor, in Unix seconds, with its class and words.
type Floor = (i64, String, String);

impl Reader {
    /// Refuses to have a subject erased that a hold or a retention floor is over at `now_s`, in Unix seconds.
    ///
    /// # Errors
    /// [`Error::Held`] or [`Error::InsideFloor`], with all reasons of the one and the latest date of the other. Otherwise when a segment cannot be
    /// read.
    pub(crate) async fn check_erasable(&self, subject: u64, now_s: i64) -> Result<()> {
        let (settings, holds) = (self.settings().await?, self.holds().await?);
        if holds.is_empty() && !settings.has_floors() {
            return Ok(());
        }
        let mut over = BTreeSet::new();
        let mut floor: Option<Floor> = None;
        let mut next = 0;
        loop {
            let rows = self.catalog().segments_from(next, PAGE).await?;
            let Some(last) = rows.last() else { break };
            next = last.log_index + 1;
            let looked_at = |row: &SegmentRow| {
                row.records > 0
                    && row.class != SYSTEM
                    && (may_hold(&holds, row) || may_have_floor(&settings, row, now_s))
            };
            for row in rows.iter().filter(|row| looked_at(row)) {
                self.look_into(row, &mut |subjects, record| {
                    if !subjects.contains(&subject) {
                        return;
                    }
                    let model = record.model();
                    let held = Held {
                        class: &row.class,
                        times: record.may_have_been(row.times),
                        subjects: Some(subjects),
                        model: model.as_ref().map(|model| (model.name.as_str(), model.version.as_str())),
                    };
                    over.extend(holds.iter().filter(|hold| hold.may_be_over(&held)).map(named));
                    let from = record.time_ns().div_euclid(1_000_000_000);
                    let from = from.max(seconds_of(record.header.id.as_bytes()));
                    let name = model.as_ref().map(|model| model.name.as_str());
                    let of_model = name.into_iter().flat_map(|name| settings.of_model(name));
                    for rule in settings.class(&row.class).into_iter().chain(of_model) {
                        longest(&mut floor, rule, from, now_s);
                    }
                })
                .await?;
            }
        }
        match floor {
            _ if !over.is_empty() => Err(Error::Held { holds: over.into_iter().collect() }),
            Some((until, class, floor)) => Err(Error::InsideFloor { class, floor, until: text(until) }),
            None => Ok(()),
        }
    }
}

fn longest(floor: &mut Option<Floor>, rule: &ClassRule, from: i64, now_s: i64) {
    let Some(end) = rule.floor.end(from).filter(|end| *end > now_s) else { return };
    if floor.as_ref().is_none_or(|(known, ..)| *known < end) {
        *floor = Some((end, rule.name.clone(), format!("a floor of {}", rule.floor)));
    }
}

fn may_hold(holds: &[Hold], row: &SegmentRow) -> bool {
    let whole = Held { class: &row.class, times: row.times, subjects: None, model: None };
    holds.iter().any(|hold| hold.may_be_over(&whole))
}

/// Whether a floor may be over the latest record of a segment: that of its class, or of any class that models belong to.
fn may_have_floor(settings: &Settings, row: &SegmentRow, now_s: i64) -> bool {
    let from = row.times.1.div_euclid(1_000_000_000).max(seconds_of(&row.ids.1));
    let of_models = settings.models.iter().filter_map(|model| settings.class(&model.class));
    let mut rules = settings.class(&row.class).into_iter().chain(of_models);
    rules.any(|rule| rule.floor.end(from).is_some_and(|end| end > now_s))
}
