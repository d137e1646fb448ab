//! What is wrong with settings.

use std::fmt;

/// A text that is no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct AccessError {
    /// The line, from 1, where one can be told.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl AccessError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    pub(crate) fn at(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
