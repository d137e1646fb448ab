//! Why something was not shipped. Texts carry no key, no secret and no content.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::LATER_MAX;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be used.
    #[error("`{url}` cannot be shipped to: {why}")]
    Url {
        /// As it was given, without what may be a secret in it.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// A file of the folder cannot be used.
    #[error("`{}`: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another shipper has the folder.
    #[error("another shipper has `{}`", .0.display())]
    Running(PathBuf),
    /// No server can be known by its certificate.
    #[error("{0}")]
    Trust(String),
    /// The server cannot be reached, or cannot do it now. Tried again.
    #[error("the server does not take it: {0}")]
    Away(String),
    /// The server has taken as much as it may of this key for now. Tried again when it says.
    #[error("the server does not take more yet: {what}")]
    Later {
        /// Which limit is reached.
        what: String,
        /// When to come again.
        wait: Duration,
    },
    /// The server refuses, and will until something is changed.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The server is elsewhere in the epoch.
    #[error("the server is elsewhere in the epoch")]
    Position,
    /// Somebody gave the epoch up, because this machine was taken for gone. What is here stays here.
    #[error("{0}")]
    GivenUp(String),
    /// The server does not know the epoch, as after it was restored from a backup.
    #[error("the server does not know the epoch")]
    Unknown,
    /// The server says that it has all of an epoch of which something was never sent.
    #[error("the server calls an epoch complete of which something is still here: {0}")]
    Unsent(String),
    /// The local spool cannot be read or changed.
    #[error("the spool: {0}")]
    Spool(String),
}

impl Error {
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File { path: path.to_owned(), what: error.to_string() }
    }

    /// How long to wait at least before the request is made again.
    pub(crate) fn wait(&self) -> Duration {
        match self {
            Self::Later { wait, .. } => (*wait).min(LATER_MAX),
            _ => Duration::ZERO,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Spool(error.to_string())
    }
}

impl From<minutebook_net::TrustError> for Error {
    fn from(error: minutebook_net::TrustError) -> Self {
        match error {
            minutebook_net::TrustError::File { path, what } => Self::File { path, what },
            error @ minutebook_net::TrustError::System(_) => Self::Trust(error.to_string()),
        }
    }
}

impl From<minutebook_capture::ReadError> for Error {
    fn from(error: minutebook_capture::ReadError) -> Self {
        Self::Spool(error.to_string())
    }
}
