//! How far something is that takes long: one line on standard error, redrawn at every percent. Edge: on a terminal only, and not when quiet.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use minutebook_present::page;

use crate::terminal::Terminal;

/// The line.
pub(crate) struct Progress {
    shown: bool,
    last: AtomicU64,
    done: &'static str,
    things: &'static str,
}

impl Progress {
    /// Says that so much was `done` (`verified`) of so many `things` (`segments`).
    pub(crate) fn new(terminal: &Terminal, done: &'static str, things: &'static str) -> Self {
        let shown = !terminal.quiet && std::io::stderr().is_terminal();
        Self { shown, last: AtomicU64::new(u64::MAX), done, things }
    }

    /// Draws it when it has changed.
    pub(crate) fn show(&self, done: u64, all: u64) {
        let percent = (done * 100).checked_div(all).unwrap_or(100);
        if self.shown && self.last.swap(percent, Ordering::Relaxed) != percent {
            let all = page::count(all);
            let _ = write!(std::io::stderr(), "\r{} {percent} % of {all} {} ", self.done, self.things);
        }
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        if self.shown && self.last.load(Ordering::Relaxed) != u64::MAX {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
