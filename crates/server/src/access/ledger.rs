//! Has the book say what was read and what was denied: a read before its answer is given out, denials as far as they are not too many. Edge: who
//! asks, and whether it may, others say; over TCP and over the socket it is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::asker::Told;
use super::book::{Book, Entry};
use crate::limits::{ASKED_BYTES_MAX, DENIALS_MAX, DENIALS_PERIOD};
use crate::problem::Problem;

/// What is written, and what is only counted yet.
pub(super) struct Ledger {
    book: Arc<dyn Book>,
    denials: Mutex<HashMap<String, Window>>,
}

/// Denials of one key in a while.
struct Window {
    since: Instant,
    count: u32,
    more: u64,
}

impl Window {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0, more: 0 }
    }
}

impl Ledger {
    pub(super) fn new(book: Arc<dyn Book>) -> Self {
        Self { book, denials: Mutex::default() }
    }

    /// Writes an entry: it survives the death of the process then.
    ///
    /// # Errors
    /// Why it is not written, in words.
    pub(super) async fn write(&self, entry: Entry) -> Result<(), String> {
        let book = Arc::clone(&self.book);
        let written = tokio::task::spawn_blocking(move || book.write(&entry)).await;
        written.map_err(|error| error.to_string())?
    }

    /// Records the read that an answer is, before it is given out; `entry` says who asks for what. One that failed has nothing to record, and one
    /// that does not say what it has is not given out.
    ///
    /// # Errors
    /// Why it cannot be recorded, in words: it must not be given out.
    pub(super) async fn read(&self, entry: Entry, mut answer: Response) -> Result<Response, String> {
        let told = answer.extensions_mut().remove::<Told>();
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let Some(told) = told else {
            tracing::error!("an answer to {} does not say what it has: it is not given out", entry.asked);
            let detail = "it could not be recorded what was read: this is a mistake in the server";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(Problem::new(status, "failed", "The request failed", detail).into_response());
        };
        let entry = Entry {
            asked: joined(&entry.asked, &told.asked),
            models: told.models.into_iter().collect(),
            records: told.records,
            fields: if told.masked { "masked" } else { "clear" },
            is_permitted: true,
            ids: told.ids,
            ..entry
        };
        match self.write(entry).await {
            Ok(()) => Ok(answer),
            Err(what) => {
                tracing::error!("a read cannot be recorded, so it is refused: {what}");
                Err(what)
            }
        }
    }

    /// Records that something was denied, or counts it when that is often.
    pub(super) async fn denied(&self, entry: Entry) {
        {
            let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
            let window = denials.entry(entry.who.clone()).or_insert_with(Window::new);
            if window.count >= DENIALS_MAX {
                window.more += 1;
                return;
            }
            window.count += 1;
        }
        // Nothing is given out, so nothing has to wait for it.
        if let Err(what) = self.write(entry).await {
            tracing::error!("a denial cannot be recorded: {what}");
        }
    }

    /// Notes a key that is not known: how many there were is recorded from time to time.
    pub(super) fn unknown(&self) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let window = denials.entry(String::new()).or_insert_with(Window::new);
        window.more += 1;
    }

    /// Records what was only counted, when its time has come; lets go of what is not used. Does not wait.
    pub(super) fn rest(self: &Arc<Self>) {
        let due = self.due(false);
        if !due.is_empty() {
            let ledger = Arc::clone(self);
            drop(tokio::task::spawn_blocking(move || ledger.write_all(&due)));
        }
        self.book.rest();
    }

    /// Records what was only counted, and takes no more. Blocks.
    pub(super) fn end(&self) {
        self.write_all(&self.due(true));
        self.book.end();
    }

    fn write_all(&self, entries: &[Entry]) {
        for entry in entries {
            if let Err(what) = self.book.write(entry) {
                tracing::error!("denials cannot be recorded: {what}");
            }
        }
    }

    /// Of each key whose while is over, and who was denied more than was recorded, an entry that says how often.
    fn due(&self, all: bool) -> Vec<Entry> {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        denials.retain(|who, window| {
            if !all && window.since.elapsed() < DENIALS_PERIOD {
                return true;
            }
            if window.more > 0 {
                due.push(Entry { who: who.clone(), more: window.more, ..Entry::default() });
            }
            false
        });
        due
    }
}

/// A request, and the question in it.
pub(super) fn joined(request: &str, asked: &str) -> String {
    if asked.is_empty() { request.to_owned() } else { cut(&format!("{request}: {asked}")) }
}

/// As much of a question as a record has.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(ASKED_BYTES_MAX)].to_owned()
}

/// The refusal of what cannot be recorded.
pub(super) fn unrecorded(detail: impl Into<String>) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "not-recorded", "It cannot be recorded", detail)
}
