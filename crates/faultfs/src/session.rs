//! Starting a program under test with the library in front of its libc, and evaluating what it left.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shadow::Shadow;
use crate::{Error, MaterialiseMode, Operation, Plan, environment, materialise, operations};

/// The file name of the library to preload.
const LIBRARY: &str = "libminutebook_faultfs_preload.so";

/// One folder, the program that writes it, and the power loss that may follow. Several programs may be run one after
/// the other before the loss; what they flushed adds up.
#[derive(Clone, Debug)]
pub struct Session {
    /// The folder whose files count.
    pub root: PathBuf,
    /// The folder that keeps what is durable. A memory file system makes it fast.
    pub shadow: PathBuf,
    /// The log of the operations of the latest run.
    pub log: PathBuf,
    library: PathBuf,
}

impl Session {
    /// Takes `root`, which must exist, as durable as it stands. `scratch` must lie outside of it; it gets the shadow
    /// and the log, and what a former session left there is removed.
    ///
    /// # Errors
    /// When the library is not built, when `scratch` lies under `root`, or when a file cannot be read or written.
    pub fn begin(root: &Path, scratch: &Path) -> Result<Self, Error> {
        let library = library_path()?;
        let root = root.canonicalize().map_err(Error::at(root))?;
        let (shadow, log) = (scratch.join("shadow"), scratch.join("operations.log"));
        prepare(&shadow, &[&root])?;
        Ok(Session { root, shadow, log, library })
    }

    /// Makes `command` run under the plan, as a new run: its first operation is number 1, and the log starts empty.
    ///
    /// # Errors
    /// When the shadow or the log cannot be written.
    pub fn arm(&self, command: &mut Command, plan: Plan) -> Result<(), Error> {
        Shadow::existing(&self.shadow)?.lock()?.restart_numbering()?;
        fs::write(&self.log, "").map_err(Error::at(&self.log))?;
        command
            .env("LD_PRELOAD", &self.library)
            .env(environment::ROOTS, &self.root)
            .env(environment::SHADOW, &self.shadow)
            .env(environment::LOG, &self.log)
            .env(environment::PLAN, plan.to_string());
        Ok(())
    }

    /// The operations of the latest run.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn operations(&self) -> Result<Vec<Operation>, Error> {
        operations(&self.log)
    }

    /// Builds in `into` the folder as a power loss leaves it now, see [`materialise()`].
    ///
    /// # Errors
    /// Those of [`materialise()`].
    pub fn materialise(&self, into: &Path, mode: MaterialiseMode) -> Result<(), Error> {
        materialise(&self.shadow, &self.root, into, mode)
    }
}

/// Creates the shadow anew and takes what lies under `roots` as durable. Removes a former shadow in this place.
///
/// # Errors
/// When the place holds something other than a shadow, when it lies under a root, or when a file cannot be read or
/// written.
pub fn prepare(shadow: &Path, roots: &[&Path]) -> Result<(), Error> {
    let canonical = |root: &&Path| root.canonicalize().map_err(Error::at(root));
    let roots = roots.iter().map(canonical).collect::<Result<Vec<_>, _>>()?;
    Shadow::remove(shadow)?;
    Shadow::open(shadow, &roots).map(drop)
}

/// The library to preload, as Cargo built it for the running test: in the executable's folder, in `deps` below it, or
/// in the folder above.
///
/// # Errors
/// When it is in none of them: see [`Error::LibraryMissing`] for how to have it built.
pub fn library_path() -> Result<PathBuf, Error> {
    let executable = env::current_exe().map_err(Error::at(Path::new("/proc/self/exe")))?;
    let folder = executable.parent().unwrap_or(Path::new("/"));
    // The copy in `deps` comes first: Cargo renews it whenever a test depends on it, the one above only when asked to.
    let mut looked_for = vec![folder.join("deps").join(LIBRARY), folder.join(LIBRARY)];
    if folder.file_name() == Some(&OsString::from("deps")) {
        looked_for = vec![folder.join(LIBRARY), folder.with_file_name(LIBRARY)];
    }
    match looked_for.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(Error::LibraryMissing { looked_for }),
    }
}
