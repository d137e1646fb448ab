//! A decision that has its number and not yet its record, and the encoder of that record.

use std::ops::Deref;

use minutebook_record::{Kind, RecordId, Seq, Value, cbor};

use crate::clock::Moment;
use crate::error::CaptureError;
use crate::event::EventRef;
use crate::frame::{LostReason, RECORD_HEAD, RecordHead};
use crate::limits::VALUES_BYTES_MAX;
use crate::producer::Producer;
use crate::run::Run;
use crate::scratch;
use crate::writer_shape::{Expect, Shape};

/// A number that was drawn. Dropped without a record, it is told as lost: as died when a panic is under way, else as dropped.
#[must_use = "a number without a record is told as lost"]
pub struct Pending<P: Deref<Target = Producer>> {
    producer: P,
    generation: u64,
    class: u8,
    slot: Option<u16>,
    /// Whether the number still needs a frame.
    open: bool,
    seq: u64,
    id: RecordId,
    start: Moment,
}

impl<P: Deref<Target = Producer>> Pending<P> {
    #[inline]
    pub(crate) fn new(producer: P, run: (u64, u8, u64, Option<u16>), id: RecordId, start: Moment) -> Self {
        let (generation, class, seq, slot) = run;
        Self { producer, generation, class, slot, open: true, seq, id, start }
    }

    /// The id of the record to come.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        match Seq::new(self.seq) {
            Ok(seq) => seq,
            Err(_) => unreachable!("numbers are drawn from 1"),
        }
    }

    /// When it began: ns since 1970, and the bound of the clock's error.
    #[must_use]
    pub fn started(&self) -> (i64, Option<u64>) {
        (self.start.wall_ns, self.start.error_ns)
    }

    /// Nanoseconds since it began, on the monotonic clock.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.producer.clock().monotonic_ns().saturating_sub(self.start.monotonic_ns)
    }

    /// An event that began with this decision and ends now, in order.
    #[must_use]
    pub fn event(&self) -> EventRef<'static> {
        EventRef { duration_ns: Some(self.elapsed_ns()), ..self.begun() }
    }

    /// The same where nobody knows how long it took.
    #[must_use]
    pub fn begun(&self) -> EventRef<'static> {
        EventRef {
            time_ns: self.start.wall_ns,
            clock_error_ns: self.start.error_ns,
            duration_ns: None,
            status: "ok",
            trace: None,
            span: None,
            batch: None,
            links: &[],
        }
    }

    /// Begins the record. Its values are pushed in the order of the shape's open places.
    #[inline]
    pub fn record(self, shape: &Shape, kind: Kind) -> Encoder<'_, P> {
        let mut buffer = scratch::take_buffer();
        buffer.resize(RECORD_HEAD, 0);
        let foreign = shape.0.tag != self.producer.tag();
        let fault = foreign.then_some(Fault::ForeignShape);
        Encoder { pending: self, shape, kind, buffer, next: 0, deferred: None, fault }
    }

    /// Gives the number back: it is told as lost for that reason.
    pub fn lose(mut self, reason: LostReason) {
        self.close(reason);
    }

    fn close(&mut self, reason: LostReason) {
        if std::mem::replace(&mut self.open, false)
            && let Some(run) = self.producer.run_of(self.generation)
        {
            run.lose(self.class, self.seq, reason);
            run.end(self.slot);
        }
    }

    fn run(&self) -> Result<&Run, CaptureError> {
        self.producer.run_of(self.generation).ok_or(CaptureError::Forked)
    }
}

impl<P: Deref<Target = Producer>> Drop for Pending<P> {
    fn drop(&mut self) {
        if self.open {
            let dying = std::thread::panicking();
            self.close(if dying { LostReason::Died } else { LostReason::Dropped });
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The value for the n-th open place does not fit.
    Value(usize),
    ForeignShape,
}

/// Takes the values of a record. A value that does not fit is noted and told by [`Encoder::finish`]: pushes themselves are cheap and
/// cannot fail.
#[must_use = "`finish` hands the record over"]
pub struct Encoder<'s, P: Deref<Target = Producer>> {
    pending: Pending<P>,
    shape: &'s Shape,
    kind: Kind,
    buffer: Vec<u8>,
    /// The open place that is next.
    next: usize,
    /// The event is written at the end of the call: where in the buffer it belongs.
    pub(crate) deferred: Option<Option<usize>>,
    fault: Option<Fault>,
}

impl<'s, P: Deref<Target = Producer>> Encoder<'s, P> {
    /// Forgets the values that were given, and takes those of a record of this shape.
    pub fn restart(&mut self, shape: &'s Shape) {
        self.buffer.truncate(RECORD_HEAD);
        let foreign = shape.0.tag != self.pending.producer.tag();
        (self.shape, self.next, self.fault) = (shape, 0, foreign.then_some(Fault::ForeignShape));
        self.deferred = self.deferred.map(|_| None);
    }

    /// The decision.
    pub fn pending(&self) -> &Pending<P> {
        &self.pending
    }

    /// Open places that have their value.
    #[must_use]
    pub fn given(&self) -> usize {
        self.next
    }

    /// What the next value has to be.
    #[inline]
    fn expect(&mut self) -> Expect {
        let expects = &self.shape.0.expects;
        if let (Some(Expect::Event), Some(None)) = (expects.get(self.next), self.deferred) {
            self.deferred = Some(Some(self.buffer.len()));
            self.next += 1;
        }
        // One value too many is told by its count.
        let expect = expects.get(self.next).copied().unwrap_or(Expect::Other);
        self.next += 1;
        expect
    }

    #[cold]
    fn misfit(&mut self) {
        self.fault.get_or_insert(Fault::Value(self.next - 1));
    }

    /// A float for a field of type `f64`, `f32` or `f16`.
    #[inline]
    pub fn f64(&mut self, value: f64) -> &mut Self {
        match self.expect() {
            Expect::F64 => cbor::write_float(&mut self.buffer, value),
            Expect::F32 if value.is_nan() || f64::from(value as f32) == value => {
                cbor::write_float(&mut self.buffer, value);
            }
            Expect::Other => self.checked(|out| cbor::write_float(out, value)),
            _ => self.misfit(),
        }
        self
    }

    /// An integer.
    #[inline]
    pub fn i64(&mut self, value: i64) -> &mut Self {
        match self.expect() {
            Expect::Integer { min, max } if value >= min && (value < 0 || value.cast_unsigned() <= max) => {
                cbor::write_signed(&mut self.buffer, value);
            }
            _ => self.misfit(),
        }
        self
    }

    /// An integer that may exceed `i64`.
    #[inline]
    pub fn u64(&mut self, value: u64) -> &mut Self {
        match self.expect() {
            Expect::Integer { max, .. } if value <= max => cbor::write_unsigned(&mut self.buffer, value),
            _ => self.misfit(),
        }
        self
    }

    /// A text, or the label of a category.
    #[inline]
    pub fn text(&mut self, value: &str) -> &mut Self {
        match self.expect() {
            Expect::Text => cbor::write_text(&mut self.buffer, value),
            _ => self.misfit(),
        }
        self
    }

    /// False or true.
    #[inline]
    pub fn bool(&mut self, value: bool) -> &mut Self {
        match self.expect() {
            Expect::Bool => cbor::write_bool(&mut self.buffer, value),
            _ => self.misfit(),
        }
        self
    }

    /// Missing: fits every field.
    #[inline]
    pub fn null(&mut self) -> &mut Self {
        self.expect();
        cbor::write_null(&mut self.buffer);
        self
    }

    /// The event.
    #[inline]
    pub fn event(&mut self, event: &EventRef<'_>) -> &mut Self {
        match self.expect() {
            Expect::Event => event.write(&mut self.buffer),
            _ => self.misfit(),
        }
        self
    }

    /// A value in its encoding, taken at its word: the engine refuses the whole record when it does not fit.
    #[inline]
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.expect();
        #[cfg(debug_assertions)]
        if let Some(&place) = self.shape.0.def.open_places().get(self.next - 1)
            && self.shape.0.def.schema().check_value(place, value).is_err()
        {
            self.misfit();
        }
        self.buffer.extend_from_slice(value);
        self
    }

    /// The values of the next `count` open places in their encodings, none of them the event; taken at their word as by
    /// [`Encoder::raw`].
    #[inline]
    pub fn raw_all(&mut self, count: usize, values: &[u8]) -> &mut Self {
        self.next += count;
        self.buffer.extend_from_slice(values);
        self
    }

    /// The same, where `put` appends the values and says whether it could. When it could not, or failed, [`Encoder::restart`] begins anew.
    ///
    /// # Errors
    ///
    /// What `put` gives.
    #[inline]
    pub fn put_all<E>(
        &mut self,
        count: usize,
        put: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<bool, E> {
        self.next += count;
        put(&mut self.buffer)
    }

    /// Any value, checked against its field.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        self.expect();
        let field_type = self.shape.0.def.open_type(self.next - 1);
        if field_type.is_some_and(|field_type| value.encode(field_type, &mut self.buffer).is_err()) {
            self.misfit();
        }
        self
    }

    fn checked(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        write(&mut self.buffer);
        let place = self.shape.0.def.open_places().get(self.next - 1).copied();
        let schema = self.shape.0.def.schema();
        if place.is_some_and(|place| schema.check_value(place, &self.buffer[start..]).is_err()) {
            self.misfit();
        }
    }

    /// Null for all places that have no value yet.
    pub(crate) fn fill(&mut self) {
        while self.next < self.shape.0.expects.len() {
            if self.deferred == Some(None) && self.shape.0.expects[self.next] == Expect::Event {
                self.deferred = Some(Some(self.buffer.len()));
                self.next += 1;
            } else {
                self.null();
            }
        }
    }

    /// Writes the event that was put off to where it belongs.
    pub(crate) fn put_event(&mut self, event: &EventRef<'_>) {
        if self.deferred == Some(None) && self.shape.0.expects.get(self.next) == Some(&Expect::Event) {
            self.deferred = Some(Some(self.buffer.len()));
            self.next += 1;
        }
        if let Some(Some(at)) = self.deferred.take() {
            let end = self.buffer.len();
            event.write(&mut self.buffer);
            let len = self.buffer.len() - end;
            self.buffer[at..].rotate_right(len);
        }
    }

    /// Hands the record over. On return it survives the death of the process. Takes no lock and makes no system call, but for one in
    /// some thousands, that goes on to the next part.
    ///
    /// # Errors
    ///
    /// Values that do not fit the shape, no room, a record too large, a poisoned or closed producer. The number is told as lost.
    #[inline]
    pub fn finish(self) -> Result<RecordId, CaptureError> {
        self.finish_or_wait(|| false)
    }

    /// The same for whoever would rather wait than lose the record: while there is no room, `wait` is called, which blocks for a while
    /// and says whether to try again.
    ///
    /// # Errors
    ///
    /// As [`Encoder::finish`].
    #[inline]
    pub fn finish_or_wait(mut self, mut wait: impl FnMut() -> bool) -> Result<RecordId, CaptureError> {
        let handed_over = loop {
            match self.hand_over() {
                Err(CaptureError::Full { .. }) if wait() => {}
                other => break other,
            }
        };
        match handed_over {
            Ok(()) => Ok(self.pending.id),
            Err(error) => {
                self.pending.close(match error {
                    CaptureError::Full { .. } => LostReason::SpoolFull,
                    CaptureError::TooLarge { .. } => LostReason::TooLarge,
                    _ => LostReason::Dropped,
                });
                Err(error)
            }
        }
    }

    #[inline]
    fn hand_over(&mut self) -> Result<(), CaptureError> {
        let inner = &self.shape.0;
        let takes = inner.expects.len();
        if self.next != takes {
            return Err(CaptureError::Count { given: self.next, takes });
        }
        match self.fault {
            None => {}
            Some(Fault::ForeignShape) => return Err(CaptureError::ForeignShape),
            Some(Fault::Value(n)) => {
                let place = inner.def.open_places().get(n).copied().unwrap_or(n);
                return Err(CaptureError::Value { place });
            }
        }
        let bytes = self.buffer.len() - RECORD_HEAD;
        if bytes > VALUES_BYTES_MAX {
            let (bytes, max) = (bytes as u64, VALUES_BYTES_MAX as u64);
            return Err(CaptureError::TooLarge { what: "record", bytes, max });
        }
        let pending = &self.pending;
        let (class, seq, id) = (pending.class, pending.seq, pending.id);
        let head = RecordHead { kind: self.kind, class, shape: inner.number, seq, id };
        self.buffer[..RECORD_HEAD].copy_from_slice(&head.encode());
        let run = self.pending.run()?;
        run.publish(&mut self.buffer, Some(class), Some(inner))?;
        run.end(self.pending.slot);
        self.pending.open = false;
        Ok(())
    }
}

impl<P: Deref<Target = Producer>> Drop for Encoder<'_, P> {
    fn drop(&mut self) {
        scratch::give_buffer(std::mem::take(&mut self.buffer));
    }
}
