//! Windows that a producer counted by itself, of decisions that have no records: what they say is held to what the producer may say, and the
//! numbers that they counted are claimed. Edge: the record itself goes the way of all records.

use super::{EpochState, Intake};
use crate::own::LostRange;
use minutebook_capture::limits::MIRROR_NUMBER_MAX;
use minutebook_record::cbor::Reader;
use minutebook_record::{ClassName, FieldType, Schema};
use minutebook_sketch::{Key, Length, SealedWindow, Window};
use minutebook_verify::descriptor::{Range, State};
use minutebook_verify::windows::{Covered, read_covers};

impl Intake {
    /// Claims what a producer's `window` record counted, and gives what the hour has of it; `None`, and nothing is claimed, when it says what it
    /// may not. `was_placed`: the record has its place already, and a crash came before all that it counted was claimed.
    pub(super) fn claim_counted<'a>(
        &mut self,
        state: &mut EpochState,
        class: ClassName,
        schema: &Schema,
        field: impl Fn(usize) -> &'a [u8],
        was_placed: bool,
    ) -> Option<(Key, Window)> {
        let named = |name: &str| schema.find_parts(&["window", name]).map(&field);
        let sealed = SealedWindow::from_fields(named)?;
        let mut window = sealed.open()?;
        let covers = read_covers(&mut Reader::new(&sealed.covers))?;
        let is_far = |covered: &Covered| covered.from > covered.to || covered.to > MIRROR_NUMBER_MAX;
        if state.is_mirror && covers.iter().any(is_far) {
            return None;
        }
        let is_theirs = |covered: &Covered| {
            (covered.producer, covered.epoch, covered.class.as_str())
                == (state.producer, state.epoch, class.as_str())
                && covered.count == covered.to - covered.from + 1
        };
        let counted: u64 = covers.iter().map(|covered| covered.count).sum();
        let is_sound = covers.iter().all(is_theirs)
            && counted == window.decisions
            && Reader::new(named("length")?).unsigned().ok()? == Length::Minute.seconds();
        let claimed = state.claimed.entry(class).or_default();
        let free: Vec<Vec<(u64, u64)>> = covers
            .iter()
            .map(|covered| {
                let gaps = claimed.gaps(covered.to).into_iter();
                let inside = gaps.map(|(from, to)| (from.max(covered.from), to.min(covered.to)));
                inside.filter(|(from, to)| from <= to).collect()
            })
            .collect();
        let all_free = free.iter().zip(&covers).all(|(free, covered)| *free == [(covered.from, covered.to)]);
        if !is_sound || !(all_free || was_placed) {
            return None;
        }
        for (from, to) in free.into_iter().flatten() {
            // INVARIANT: a gap is what is not claimed; what windows of one record cover lies apart.
            if claimed.insert(Range { state: State::Kept, from, to }).is_ok() {
                self.losses.entry(State::Counted).or_default().push(LostRange {
                    producer: state.producer,
                    epoch: state.epoch,
                    class: class.to_string(),
                    from,
                    to,
                });
            }
        }
        let event = schema.fields().iter().position(|field| field.field_type == FieldType::Event)?;
        let model = schema.fields().iter().position(|field| field.field_type == FieldType::Model)?;
        let mut event = Reader::new(field(event));
        event.array().ok()?;
        let start = event.signed().ok()?.div_euclid(1_000_000_000);
        let key =
            Key { length: Length::Minute, start: Length::Minute.start_of(start), model: field(model).into() };
        // The record itself says which numbers these are.
        window.covers.clear();
        Some((key.longer()?, window))
    }
}
