//! The messages of an Arrow IPC stream, one after the other, borrowed from the body. Edge: where each begins and ends; what it says is for others.
//! Nothing is taken on trust: lengths are held against the bytes that are there.

use arrow_ipc::{Message, MetadataVersion, root_as_message};

use crate::problem::Problem;

/// The beginning of a message since version 0.15 of the format; before, its length came first.
const CONTINUATION: u32 = u32::MAX;

/// A stream that is read from its beginning.
pub(super) struct Stream<'b> {
    body: &'b [u8],
    at: usize,
}

/// A message, and the bytes that belong to it.
pub(super) struct Part<'b> {
    pub(super) message: Message<'b>,
    pub(super) body: &'b [u8],
    /// Where it begins.
    pub(super) at: usize,
}

impl<'b> Stream<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// The next message; none at the end that the stream itself names.
    ///
    /// # Errors
    /// Bytes that are no message, or that end before it does.
    pub(super) fn next(&mut self) -> Result<Option<Part<'b>>, Problem> {
        let at = self.at;
        let mut size = self.size()?;
        if size == CONTINUATION {
            size = self.size()?;
        }
        if size == 0 {
            return match self.body.len() - self.at {
                0 => Ok(None),
                _ => Err(broken("there are bytes behind its end", self.at)),
            };
        }
        let metadata = self.take(u64::from(size))?;
        let message = root_as_message(metadata).map_err(|_| broken("a message is none", at))?;
        if !matches!(message.version(), MetadataVersion::V4 | MetadataVersion::V5) {
            return Err(broken("it is of another version of the format than 4 and 5", at));
        }
        let length = u64::try_from(message.bodyLength());
        let body = self.take(length.map_err(|_| broken("a message is none", at))?)?;
        Ok(Some(Part { message, body, at }))
    }

    fn size(&mut self) -> Result<u32, Problem> {
        let bytes = self.take(4)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], Problem> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| broken("it ends before its end is named", self.body.len()))?;
        self.at += taken.len();
        Ok(taken)
    }
}

/// What is wrong with the stream as a whole.
pub(super) fn broken(what: &str, at: usize) -> Problem {
    Problem::request(format!("the body is no whole Arrow IPC stream: {what}, at byte {at}"))
}
