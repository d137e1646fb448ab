//! A call that is recorded, from the head of its request to the end of its answer, whoever ends it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::HeaderMap;
use minutebook_capture::{Pending, Producer};
use minutebook_record::ClassName;
use tokio::task::JoinHandle;

use crate::headers::Described;
use crate::kept::Kept;
use crate::read;
use crate::recorder::Recorder;
use crate::route::Route;

/// A number that was drawn for a decision.
pub(crate) type Number = Pending<Arc<Producer>>;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The client had the whole answer, whatever it was.
    Answered,
    /// The client hung up.
    ClientGone,
    /// Nobody took the request.
    Unreachable,
    /// The upstream did not answer in time.
    TimedOut,
    /// The upstream hung up.
    BrokeOff,
}

/// The request of a call.
pub(crate) struct Asked {
    pub(crate) route: Route,
    pub(crate) described: Described,
    kept: Mutex<Kept>,
    /// How many decisions it is, while that is found out.
    rows: Mutex<Option<JoinHandle<usize>>>,
    broke_off: std::sync::atomic::AtomicBool,
}

impl Asked {
    pub(crate) fn new(route: Route, described: Described, kept: Kept) -> Arc<Self> {
        Arc::new(Self {
            route,
            described,
            kept: Mutex::new(kept),
            rows: Mutex::new(None),
            broke_off: std::sync::atomic::AtomicBool::new(false),
        })
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, piece: &[u8]) {
        self.kept().take(piece);
    }

    /// All of it has passed: while the upstream works, it is found out how many decisions it asks for.
    pub(crate) fn end(self: &Arc<Self>) {
        let mut kept = self.kept();
        if kept.is_whole() {
            return;
        }
        kept.end();
        if self.route.may_have_rows() && kept.bytes().is_some() {
            let asked = Arc::clone(self);
            let counting = tokio::task::spawn_blocking(move || read::rows(&asked));
            *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = Some(counting);
        }
    }

    pub(crate) fn break_off(&self) {
        self.broke_off.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether the client hung up before it had sent all.
    pub(crate) fn broke_off(&self) -> bool {
        self.broke_off.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How many decisions it asks for, as far as that is known before the answer: at least one.
    pub(crate) async fn rows(&self) -> usize {
        let counting = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        match counting {
            Some(counting) => counting.await.unwrap_or(1).max(1),
            None => 1,
        }
    }
}

/// The answer of a call.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) described: Described,
    pub(crate) kept: Kept,
}

/// All that is known of a call when it is over.
pub(crate) struct Ended {
    /// A number for each decision, one at least; the record of the first has the time of the call.
    pub(crate) numbers: Vec<Number>,
    pub(crate) class: ClassName,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) subject: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) trace: Option<([u8; 16], [u8; 8])>,
    /// The headers of the request without secrets, where a mapping reads them.
    pub(crate) headers: HeaderMap,
    pub(crate) asked: Arc<Asked>,
    pub(crate) answered: Option<Answered>,
    pub(crate) how: How,
    pub(crate) duration_ns: u64,
}

/// A call under way. Dropped, it is over and goes to be recorded; unless somebody said otherwise, because the client is gone.
pub(crate) struct Call {
    recorder: Recorder,
    ended: Option<Box<Ended>>,
}

impl Call {
    pub(crate) fn new(recorder: Recorder, ended: Ended) -> Self {
        Self { recorder, ended: Some(Box::new(ended)) }
    }

    /// What is known so far. Nothing once it is dropped.
    pub(crate) fn so_far(&mut self) -> Option<&mut Ended> {
        self.ended.as_deref_mut()
    }

    pub(crate) fn set(&mut self, how: How) {
        if let Some(ended) = &mut self.ended {
            ended.how = how;
        }
    }

    pub(crate) fn take(&mut self, piece: &[u8]) {
        if let Some(answered) = self.ended.as_mut().and_then(|ended| ended.answered.as_mut()) {
            answered.kept.take(piece);
        }
    }

    /// The whole answer has passed.
    pub(crate) fn end(&mut self) {
        self.set(How::Answered);
        if let Some(answered) = self.ended.as_mut().and_then(|ended| ended.answered.as_mut()) {
            answered.kept.end();
        }
    }

    /// The upstream hung up.
    pub(crate) fn break_off(&mut self) {
        self.set(How::BrokeOff);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(mut ended) = self.ended.take() {
            ended.duration_ns = ended.numbers.first().map_or(0, Number::elapsed_ns);
            self.recorder.take(ended);
        }
    }
}
