//! The common case: a guard around one decision, which is recorded also when the code inside fails.

use std::ops::Deref;

use minutebook_record::fields::Batch;
use minutebook_record::{RecordId, Seq};

use crate::error::CaptureError;
use crate::event::EventRef;
use crate::pending::Encoder;
use crate::producer::Producer;

/// A decision under way. Values are pushed through [`Decision::values`] as they become known; the event is written by the guard, with
/// start, duration and status. Dropped without [`Decision::finish`], what is known is recorded with status `panic` or `error` and
/// null for the rest; when nothing is known the number is told as lost.
#[must_use = "`finish` hands the decision over as a success"]
pub struct Decision<'s, P: Deref<Target = Producer>> {
    encoder: Option<Encoder<'s, P>>,
    trace: Option<[u8; 16]>,
    span: Option<[u8; 8]>,
    batch: Option<Batch>,
}

impl<'s, P: Deref<Target = Producer>> Decision<'s, P> {
    pub(crate) fn new(mut encoder: Encoder<'s, P>) -> Self {
        encoder.deferred = Some(None);
        Self { encoder: Some(encoder), trace: None, span: None, batch: None }
    }

    fn encoder(&self) -> &Encoder<'s, P> {
        match &self.encoder {
            Some(encoder) => encoder,
            None => unreachable!("only `end` takes the encoder, and it takes the guard with it"),
        }
    }

    /// The id of the record to come.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.encoder().pending().id()
    }

    /// The number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.encoder().pending().seq()
    }

    /// Takes values in the order of the shape's open places, the event left out.
    pub fn values(&mut self) -> &mut Encoder<'s, P> {
        match &mut self.encoder {
            Some(encoder) => encoder,
            None => unreachable!("only `end` takes the encoder, and it takes the guard with it"),
        }
    }

    /// Trace and span (W3C Trace Context) that the call belongs to.
    pub fn trace(&mut self, trace: [u8; 16], span: [u8; 8]) -> &mut Self {
        (self.trace, self.span) = (Some(trace), Some(span));
        self
    }

    /// Place in a call that makes several decisions.
    pub fn batch(&mut self, batch: Batch) -> &mut Self {
        self.batch = Some(batch);
        self
    }

    /// Hands the decision over with status `ok`.
    ///
    /// # Errors
    ///
    /// As [`Encoder::finish`].
    pub fn finish(mut self) -> Result<RecordId, CaptureError> {
        self.end("ok", false)
    }

    /// Hands the decision over as failed, with the error's type; values that are not known are null.
    ///
    /// # Errors
    ///
    /// As [`Encoder::finish`].
    pub fn fail(mut self, status: &str) -> Result<RecordId, CaptureError> {
        self.end(status, true)
    }

    fn end(&mut self, status: &str, fill: bool) -> Result<RecordId, CaptureError> {
        let Some(mut encoder) = self.encoder.take() else { return Err(CaptureError::Closed) };
        let event = EventRef {
            status,
            trace: self.trace,
            span: self.span,
            batch: self.batch,
            ..encoder.pending().event()
        };
        if fill {
            encoder.fill();
        }
        encoder.put_event(&event);
        encoder.finish()
    }
}

impl<P: Deref<Target = Producer>> Drop for Decision<'_, P> {
    fn drop(&mut self) {
        if self.encoder.as_ref().is_some_and(|encoder| encoder.given() > 0) {
            let status = if std::thread::panicking() { "panic" } else { "error" };
            // Nobody is there to be told; the number is accounted for in any case.
            let _ = self.end(status, true);
        }
    }
}
