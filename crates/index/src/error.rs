//! What can go wrong, by what to do about it.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The question is wrong: what, where, and what to write instead.
    #[error("{0}")]
    Question(String),
    /// There is no such table.
    #[error("no model or table `{name}`{hint}")]
    NoTable {
        /// What was asked for.
        name: String,
        /// Names that are near, as a sentence's end.
        hint: String,
    },
    /// A column that is masked for who asks.
    #[error("`{name}` is masked for you: it cannot be asked for, nor be named in a condition")]
    Masked {
        /// The column.
        name: String,
    },
    /// The query took longer than it may.
    #[error("the query took longer than {seconds} s: ask for a shorter time, or for fewer columns")]
    Time {
        /// Its limit.
        seconds: u64,
    },
    /// The query needs more memory than it may.
    #[error(
        "the query needs more memory than it may have: ask for a shorter time, or for fewer columns or groups"
    )]
    Memory,
    /// The answer is larger than what is held in memory.
    #[error("the answer would be longer than {bytes} bytes: ask for less at a time")]
    Answer {
        /// The bound.
        bytes: usize,
    },
    /// Another process has the index.
    #[error("another process writes the index in `{path}`")]
    Locked {
        /// The index's folder.
        path: PathBuf,
    },
    /// A file of the index cannot be read: it is made anew by `minutebook reindex`.
    #[error("the index in `{path}` is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The index says of a record what is not sealed.
    #[error("the index is not to be believed: record {id} {what}")]
    Tampered {
        /// The record's id, as the index has it.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// An operation on a file failed.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The trail could not be read.
    #[error(transparent)]
    Trail(#[from] minutebook_trail::Error),
    /// The query engine failed in a way that is not the question's fault.
    #[error("the query failed: {0}")]
    Query(String),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
