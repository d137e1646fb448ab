//! Power loss and failing file operations for a program under test, by a library put in front of libc (`LD_PRELOAD`).
//!
//! This crate is the half that a test links: it prepares a [`Session`], starts the program under a [`Plan`], and builds
//! the folder as the disk would hold it after the power went ([`materialise()`]). The other half,
//! `minutebook-faultfs-preload`, is loaded into the program, numbers its file operations, makes the planned one fail,
//! and records in the [`shadow`] what has been flushed. The halves are two packages because a test that linked the
//! interposing functions would interpose itself.
//!
//! # Use
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use minutebook_faultfs::{MaterialiseMode, Plan, Session};
//! use std::{path::Path, process::Command};
//!
//! let (root, scratch) = (Path::new("/tmp/case/root"), Path::new("/tmp/case/scratch"));
//! let session = Session::begin(root, scratch)?;
//! let mut program = Command::new("target/debug/minutebook");
//! session.arm(program.arg("serve"), Plan::KillBefore(17))?;
//! program.status()?;
//! let last = session.operations()?.pop();
//! session.materialise(Path::new("/tmp/case/after"), MaterialiseMode::Seeded(1))?;
//! // Start the program on `after`, without a plan, and check what it promised before it died.
//! # Ok(())
//! # }
//! ```
//!
//! A first run under [`Plan::Count`] tells how many operations there are. The same number is the same operation in the
//! next run only as far as the program does the same: with several threads the order may differ, and
//! [`Session::operations`] tells which one it was this time. A package whose tests use this crate names
//! `minutebook-faultfs-preload` as a development dependency, too, so that Cargo builds the library; no code may name
//! it.
//!
//! # What is durable
//!
//! We take the strict reading of POSIX, not what journaling file systems commonly add to it:
//!
//! - `fsync` and `fdatasync` of a file make its content and its length durable, never its name.
//! - `fsync` of a directory makes its entries durable as they are: names added, removed and renamed. It does nothing
//!   for the content of the files, nor for the directory's own name in its parent.
//! - A rename between two directories is two changes: each becomes durable with its own directory, so a power loss
//!   may leave the file under both names or under neither.
//! - `msync(MS_SYNC)` makes the range durable, and the file's length. `MS_ASYNC` and `sync_file_range` flush nothing.
//! - A write through a descriptor opened with `O_SYNC` or `O_DSYNC` is durable when it returns.
//! - A flush that fails under the plan gives up the file's unflushed pages, as Linux does: trying it again reports
//!   success without having written them, unless the program has written to them anew.
//! - What lies under the roots when the session starts is durable as it stands.
//!
//! # What is not seen
//!
//! Only calls that go through libc's exported functions. Not seen are: direct system calls (the `rustix` crate's
//! default back end, hence `tempfile`'s `persist`), `io_uring`, C streams (`fopen`, `mkstemp`), static binaries, and
//! the reflink `ioctl`. `sync` and `syncfs` flush nothing here. A flush compares the whole file, so content that was
//! written unseen is still found by a flush that is seen. Permissions are kept as of the directory's flush; times are
//! not kept.

pub mod environment;
mod error;
mod listing;
mod materialise;
mod operation;
mod pages;
mod plan;
mod session;
pub mod shadow;
mod survival;

pub use error::Error;
pub use materialise::{MaterialiseMode, materialise};
pub use operation::{Operation, OperationKind, operations};
pub use pages::PAGE_BYTES;
pub use plan::{Errno, Plan, Verdict};
pub use session::{Session, library_path, prepare};
