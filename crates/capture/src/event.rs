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
