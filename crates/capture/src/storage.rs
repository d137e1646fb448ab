//! The two things asked of a disk that fail in earnest, behind a trait so that tests can make them fail.

use std::fs::File;
use std::io;

use crate::sys;

/// Reserving space and flushing. Both block.
pub trait Storage: Send + Sync {
    /// Reserves `bytes` for a new file, so that no later write finds the disk full.
    ///
    /// # Errors
    ///
    /// No room, or what else the system says.
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()>;

    /// Makes content and length of a file durable.
    ///
    /// # Errors
    ///
    /// After an error nobody knows what reached the disk, and a second try that succeeds says nothing about the first.
    fn flush(&self, file: &File) -> io::Result<()>;
}

/// The operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemStorage;

impl Storage for SystemStorage {
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        sys::allocate(file, bytes)
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
