//! The field `event` as the caller's thread writes it: borrowed, so that nothing is allocated.

use minutebook_record::RecordId;
use minutebook_record::cbor;
use minutebook_record::fields::Batch;

/// When something happened and how it ended. The same bytes as [`minutebook_record::fields::Event`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventRef<'a> {
    /// Start of the call in ns since 1970-01-01T00:00Z.
    pub time_ns: i64,
    /// Bound of the wall clock's error in ns, if known.
    pub clock_error_ns: Option<u64>,
    /// How long it took in ns, on the monotonic clock.
    pub duration_ns: Option<u64>,
    /// `ok`, or the type of the error.
    pub status: &'a str,
    /// Trace id of W3C Trace Context.
    pub trace: Option<[u8; 16]>,
    /// Span id of W3C Trace Context.
    pub span: Option<[u8; 8]>,
    /// Place in a call that made several decisions.
    pub batch: Option<Batch>,
    /// Records that it is about, at most 1,024.
    pub links: &'a [RecordId],
}

impl EventRef<'_> {
    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        cbor::write_array(out, 9);
        cbor::write_signed(out, self.time_ns);
        match self.clock_error_ns {
            Some(error) => cbor::write_unsigned(out, error),
            None => cbor::write_null(out),
        }
        match self.duration_ns {
            Some(duration) => cbor::write_unsigned(out, duration),
            None => cbor::write_null(out),
        }
        cbor::write_text(out, self.status);
        match &self.trace {
            Some(trace) => cbor::write_bytes(out, trace),
            None => cbor::write_null(out),
        }
        match &self.span {
            Some(span) => cbor::write_bytes(out, span),
            None => cbor::write_null(out),
        }
        match &self.batch {
            Some(batch) => {
                cbor::write_array(out, 3);
                cbor::write_bytes(out, &batch.call);
                cbor::write_unsigned(out, batch.row);
                cbor::write_unsigned(out, batch.rows);
            }
            None => cbor::write_null(out),
        }
        // Sampling is the engine's: what a producer hands over is not thinned yet.
        cbor::write_null(out);
        cbor::write_array(out, self.links.len() as u64);
        self.links.iter().for_each(|link| cbor::write_bytes(out, link.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use minutebook_record::fields::Event;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_event_that_owns_its_parts() {
        let links = [RecordId::from_parts(5, [7; 10])];
        let batch = Some(Batch { call: [3; 16], row: 1, rows: 2 });
        let full = EventRef {
            time_ns: -5,
            clock_error_ns: Some(1 << 40),
            duration_ns: Some(0),
            status: "ValueError",
            trace: Some([1; 16]),
            span: Some([2; 8]),
            batch,
            links: &links,
        };
        let bare = EventRef {
            clock_error_ns: None,
            duration_ns: None,
            trace: None,
            span: None,
            batch: None,
            links: &[],
            ..full
        };
        for event in [full, bare] {
            let owned = Event {
                time_ns: event.time_ns,
                clock_error_ns: event.clock_error_ns,
                duration_ns: event.duration_ns,
                status: event.status.into(),
                trace: event.trace,
                span: event.span,
                batch: event.batch,
                kept: None,
                links: event.links.to_vec(),
            };
            let (mut a, mut b) = (Vec::new(), Vec::new());
            event.write(&mut a);
            owned.write(&mut b);
            assert_eq!(a, b);
            assert_eq!(Event::decode(&a).unwrap(), Some(owned));
        }
    }
}
