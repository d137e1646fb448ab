//! What can go wrong around a program under test. None of it is a finding about the program: fix the set-up and repeat.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the test's own machinery.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of ours could not be read or written.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours does not read as what it should be.
    #[error("`{}` is not {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// A folder is in the way: it holds something that we did not put there.
    #[error("`{}` is neither empty nor {expected}: not touching it", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What it may hold besides nothing.
        expected: &'static str,
    },
    /// The shadow was placed below a root, where it would record itself.
    #[error("the shadow `{}` lies under the root `{}`", shadow.display(), root.display())]
    ShadowUnderRoot {
        /// The shadow's folder.
        shadow: PathBuf,
        /// The root above it.
        root: PathBuf,
    },
    /// The text of a plan does not parse.
    #[error(
        "`{plan}` is not a plan: expected count, kill:K, kill-after:K, fail:K:ERRNO, fail-done:K:ERRNO or \
         fail-from:K:ERRNO"
    )]
    Plan {
        /// The text.
        plan: String,
    },
    /// The library to preload has not been built.
    #[error(
        "the library to preload is not built; name `minutebook-faultfs-preload` among the package's dev-dependencies, \
         or run `cargo build -p minutebook-faultfs-preload`; looked for {}",
        looked_for.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    LibraryMissing {
        /// The places where it would have been found.
        looked_for: Vec<PathBuf>,
    },
}

impl Error {
    /// For `map_err`: names the file that the system's error is about.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }
}
