//! How a task ends when it does not succeed, and the exit code of each way.

use std::fmt;

/// Why a task stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was wrong; the message says what would be right.
    Usage(String),
    /// Something that the task checks or starts did not succeed.
    Failed(String),
}

impl Failure {
    /// 2 for a wrong command line, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

/// Says what was being done when an error came up.
pub(crate) trait During<T> {
    /// `what` reads like "cannot read `Cargo.toml`".
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> During<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::Failed(format!("{}: {error}", what())))
    }
}
