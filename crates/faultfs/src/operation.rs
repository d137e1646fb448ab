//! One counted file operation, and the log in which a run lists its operations.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

macro_rules! operation_kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal,)*) => {
        /// What an operation does. The text form is the one in the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OperationKind { $($(#[doc = $doc])+ $kind,)* }

        impl fmt::Display for OperationKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(OperationKind::$kind => $name,)* })
            }
        }

        impl FromStr for OperationKind {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($name => Ok(OperationKind::$kind),)* _ => Err(()) }
            }
        }
    };
}

operation_kinds! {
    /// An `open` that creates a file. An `open` that finds its file is not counted.
    Create = "create",
    /// A write of at least one byte, at the descriptor's offset or at a given one.
    Write = "write",
    /// A change of length, also by `open` with `O_TRUNC` on a file that is not empty.
    Truncate = "truncate",
    /// `fallocate` in any mode, or `posix_fallocate`.
    Allocate = "allocate",
    /// `copy_file_range` or `sendfile` into a file.
    Copy = "copy",
    /// `fsync` of a file.
    Fsync = "fsync",
    /// `fdatasync` of a file.
    Fdatasync = "fdatasync",
    /// `fsync` or `fdatasync` of a directory.
    FsyncDirectory = "fsync-directory",
    /// `msync` with `MS_SYNC` of a shared mapping.
    Msync = "msync",
    /// A rename, also across the edge of a root.
    Rename = "rename",
    /// A further name for a file.
    Link = "link",
    /// A symbolic link.
    Symlink = "symlink",
    /// Removal of a file's name.
    Unlink = "unlink",
    /// A new directory.
    Mkdir = "mkdir",
    /// Removal of a directory.
    Rmdir = "rmdir",
}

impl OperationKind {
    /// Whether the operation needs room on the disk: create, write, allocate, copy, link, symlink and mkdir.
    pub fn takes_space(self) -> bool {
        use OperationKind::{Allocate, Copy, Create, Link, Mkdir, Symlink, Write};
        matches!(self, Create | Write | Allocate | Copy | Link | Symlink | Mkdir)
    }
}

/// One operation as logged, before its outcome is known: one that the plan fails or kills is listed, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Counted from 1 in the order of execution, over all processes of the run.
    pub number: u64,
    /// What it does.
    pub kind: OperationKind,
    /// Bytes to be written, the new length, or 0 where neither applies.
    pub size_bytes: u64,
    /// The file, relative to its root; empty for the root itself. Characters that would break a line are replaced.
    pub path: String,
    /// The new name, for a rename or a link.
    pub to: Option<String>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tame = |name: &str| name.replace(|c: char| c.is_control(), "\u{fffd}");
        write!(f, "{}\t{}\t{}\t{}", self.number, self.kind, self.size_bytes, tame(&self.path))?;
        self.to.iter().try_for_each(|to| write!(f, "\t{}", tame(to)))
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or(());
        let operation = Operation {
            number: next()?.parse().map_err(drop)?,
            kind: next()?.parse()?,
            size_bytes: next()?.parse().map_err(drop)?,
            path: next()?.to_owned(),
            to: next().ok().map(str::to_owned),
        };
        if fields.next().is_some() { Err(()) } else { Ok(operation) }
    }
}

/// Reads the log of a run. A log that does not exist is one of no operations.
///
/// # Errors
/// When the file cannot be read, or holds a line that is not an operation's.
pub fn operations(log: &Path) -> Result<Vec<Operation>, Error> {
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::at(log)(error)),
    };
    let malformed = || Error::Malformed { path: log.to_owned(), expected: "a log of operations" };
    text.lines().map(|line| line.parse().map_err(|()| malformed())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_reads_back() {
        let rename = Operation {
            number: 7,
            kind: OperationKind::Rename,
            size_bytes: 0,
            path: "a b".to_owned(),
            to: Some("c".to_owned()),
        };
        assert_eq!(rename.to_string().parse(), Ok(rename.clone()));
        let write = Operation {
            kind: OperationKind::Write,
            size_bytes: 12,
            path: "a\nb".to_owned(),
            to: None,
            ..rename
        };
        assert_eq!(write.to_string(), "7\twrite\t12\ta\u{fffd}b");
    }
}
