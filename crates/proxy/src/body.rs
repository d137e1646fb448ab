//! Bodies on their way through: each piece is passed on as it comes and no sooner than it is asked for, so that who is slow slows down who sends;
//! whoever watches sees it pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::call::{Asked, Call};

/// The body of an answer: the upstream's, or one of our own.
pub(crate) type AnswerBody = Either<Passed, Full<Bytes>>;

/// A body that passes.
pub(crate) struct Passed {
    inner: Incoming,
    watcher: Watcher,
    /// It broke off, and whoever takes it is not told yet.
    broken: Option<hyper::Error>,
}

/// Who sees a body pass.
pub(crate) enum Watcher {
    Nobody,
    /// The request of a call that is recorded.
    Request(Arc<Asked>),
    /// Its answer. The call is over when this is dropped.
    Answer(Box<Call>),
}

impl Passed {
    pub(crate) fn new(inner: Incoming, watcher: Watcher) -> Self {
        let mut passed = Self { inner, watcher, broken: None };
        if passed.inner.is_end_stream() {
            passed.watcher.end();
        }
        passed
    }
}

impl Watcher {
    fn take(&mut self, piece: &[u8]) {
        match self {
            Self::Nobody => {}
            Self::Request(asked) => asked.take(piece),
            Self::Answer(call) => call.take(piece),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Nobody => {}
            Self::Request(asked) => asked.end(),
            Self::Answer(call) => call.end(),
        }
    }

    fn break_off(&mut self) {
        match self {
            Self::Nobody => {}
            Self::Request(asked) => asked.break_off(),
            Self::Answer(call) => call.break_off(),
        }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(piece) = frame.data_ref() {
                    self.watcher.take(piece);
                }
                // Who knows the length does not ask for an end.
                if self.inner.is_end_stream() {
                    self.watcher.end();
                }
            }
            Poll::Ready(Some(Err(_))) => self.watcher.break_off(),
            Poll::Ready(None) => self.watcher.end(),
        }
        if let Poll::Ready(Some(Err(error))) = polled {
            // A connection that is told at once drops what it has not written yet, be it the head: it writes that when there is nothing more to take
            // for the moment.
            self.broken = Some(error);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
