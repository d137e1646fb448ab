//! Where a descriptor or a path leads: to something under a root, or past us.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fmt::{self, Write};
use std::fs::{self, File};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::process::{Inside, Settings};
use crate::real;

/// What the kernel adds to the path of a descriptor whose file has no name any more.
const DELETED: &[u8] = b" (deleted)";

/// A file or directory under a root.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// As in the log: relative to the root.
    pub(crate) relative: String,
}

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    Regular,
    Directory,
    Other,
}

/// The identity and the kind of an open file.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) bytes: u64,
}

impl Inside {
    /// The place of an open file under a root. Does not allocate before it is known to be one.
    pub(crate) fn place_of(&self, fd: c_int) -> Option<Place> {
        let mut buffer = [0; libc::PATH_MAX as usize];
        let path = descriptor_path(fd, &mut buffer)?;
        self.settings.place(path.strip_suffix(DELETED).unwrap_or(path))
    }

    /// The place of a regular file that is open under a root.
    pub(crate) fn regular_file(&self, fd: c_int) -> Option<(Place, Identity)> {
        let place = self.place_of(fd)?;
        identity(fd).filter(|file| file.file_type == FileType::Regular).map(|file| (place, file))
    }

    /// The place that a name stands for, whether or not there is anything. Does not follow a link in the last position.
    pub(crate) fn place_named(&self, directory: c_int, path: *const c_char) -> Option<Place> {
        if path.is_null() {
            return None;
        }
        // SAFETY: not null, and the caller of the C function passes a C string.
        let path = unsafe { CStr::from_ptr(path) }.to_bytes();
        let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
        let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = (&path[..start], &path[start..end]);
        if name == b"." || name == b".." {
            return None;
        }
        let mut buffer = [0; libc::PATH_MAX as usize];
        let mut full = canonical_directory(directory, parent, &mut buffer)?.to_vec();
        if full.last() != Some(&b'/') {
            full.push(b'/');
        }
        full.extend_from_slice(name);
        self.settings.place(&full).filter(|place| !place.relative.is_empty())
    }

    /// The place of a directory that exists.
    pub(crate) fn place_of_directory(&self, directory: c_int, path: *const c_char) -> Option<Place> {
        if path.is_null() {
            return None;
        }
        let mut buffer = [0; libc::PATH_MAX as usize];
        // SAFETY: not null, and the caller of the C function passes a C string.
        let path = unsafe { CStr::from_ptr(path) }.to_bytes();
        self.settings.place(canonical_directory(directory, path, &mut buffer)?)
    }

    /// As [`Self::place_named`], following links to the end.
    pub(crate) fn place_followed(&self, directory: c_int, path: *const c_char) -> Option<Place> {
        let place = self.place_named(directory, path)?;
        match fs::symlink_metadata(&place.path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = place.path.canonicalize().ok()?;
                self.settings.place(target.as_os_str().as_bytes())
            }
            _ => Some(place),
        }
    }
}

impl Settings {
    /// The place that a canonical path stands for.
    pub(crate) fn place(&self, path: &[u8]) -> Option<Place> {
        let below = |root: &PathBuf| {
            let rest = path.strip_prefix(root.as_os_str().as_bytes())?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
        };
        let rest = self.roots.iter().find_map(below)?;
        Some(Place {
            path: Path::new(OsStr::from_bytes(path)).to_owned(),
            relative: String::from_utf8_lossy(rest).into_owned(),
        })
    }
}

/// The identity of an open file; `None` if it is not open.
pub(crate) fn identity(fd: c_int) -> Option<Identity> {
    let mut status = MaybeUninit::<libc::stat64>::uninit();
    // SAFETY: `status` has room for the structure that the call fills.
    if unsafe { libc::fstat64(fd, status.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, hence filled it.
    let status = unsafe { status.assume_init() };
    let file_type = match status.st_mode & libc::S_IFMT {
        libc::S_IFREG => FileType::Regular,
        libc::S_IFDIR => FileType::Directory,
        _ => FileType::Other,
    };
    Some(Identity { device: status.st_dev, inode: status.st_ino, file_type, bytes: status.st_size as u64 })
}

/// Lends the program's descriptor to `read` as a file that can be read. One that was opened for writing only is opened
/// again. Any other is used itself: closing a second descriptor would release the POSIX locks that the program (SQLite,
/// for one) holds on the file.
pub(crate) fn with_readable<T>(fd: c_int, read: impl FnOnce(&File) -> T) -> std::io::Result<T> {
    // SAFETY: `F_GETFL` takes no further argument and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags & libc::O_ACCMODE == libc::O_WRONLY {
        return Ok(read(&File::open(format!("/proc/self/fd/{fd}"))?));
    }
    // SAFETY: the descriptor is open for the duration of the intercepted call, and `ManuallyDrop` keeps it from being
    // closed.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    Ok(read(&file))
}

fn canonical_directory<'a>(directory: c_int, path: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let path = if path.is_empty() { b"." } else { path };
    let path = std::ffi::CString::new(path).ok()?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string that outlives the call.
    let fd = unsafe { real::openat(directory, path.as_ptr(), flags, 0) };
    if fd < 0 {
        return None;
    }
    let found = descriptor_path(fd, buffer);
    // SAFETY: `fd` was opened above and is not used again.
    unsafe { libc::close(fd) };
    found
}

/// What the kernel says a descriptor's path is.
fn descriptor_path(fd: c_int, buffer: &mut [u8]) -> Option<&[u8]> {
    let mut link = Line::default();
    write!(link, "/proc/self/fd/{fd}\0").ok()?;
    // SAFETY: `link` ends with a zero byte, and the length is that of `buffer`.
    let length =
        unsafe { libc::readlink(link.bytes.as_ptr().cast(), buffer.as_mut_ptr().cast(), buffer.len()) };
    // A path that fills the buffer may be cut off.
    usize::try_from(length).ok().filter(|length| *length < buffer.len()).map(|length| &buffer[..length])
}

/// A short text on the stack.
#[derive(Default)]
struct Line {
    bytes: [u8; 32],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
