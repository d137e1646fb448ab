//! Calls that change what is in a file.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libc::{iovec, off_t, size_t, ssize_t};
use minutebook_faultfs::OperationKind;

use crate::place::with_readable;
use crate::process::{Course, Inside, errno, set_errno};
use crate::real;

/// Which part of the file a call writes.
#[derive(Clone, Copy)]
enum Range {
    /// From here.
    At(off_t),
    /// Up to where the descriptor's offset is afterwards.
    AtCursor,
    /// The whole file, as far as is known.
    Whole,
}

/// Runs a call that changes the content of an open file, if it is one that counts.
fn change(
    fd: c_int,
    kind: OperationKind,
    size_bytes: u64,
    range: Range,
    flush: bool,
    act: impl FnOnce() -> isize,
) -> isize {
    let Some(inside) = Inside::enter() else { return act() };
    let Some((place, file)) = inside.regular_file(fd) else { return inside.pass(act) };
    let outcome = inside.turn().perform(kind, (&place, None), size_bytes, act, |shadow, course| {
        let Course::Done(written) = course else { return Ok(()) };
        let flush = flush || is_synchronous(fd);
        if !flush && !shadow.has_failed_flushes() {
            return Ok(());
        }
        let object = shadow.object(file.device, file.inode)?;
        let (offset, bytes) = match range {
            Range::At(offset) => (offset as u64, written as u64),
            Range::AtCursor => (cursor(fd).saturating_sub(written as u64), written as u64),
            Range::Whole => (0, u64::MAX),
        };
        shadow.mark_written(object, offset, bytes)?;
        match flush {
            true => crate::process::or_die(with_readable(fd, |live| shadow.flush_file(object, live))),
            false => Ok(()),
        }
    });
    inside.leave(outcome)
}

/// Whether each write through this descriptor is flushed at once.
fn is_synchronous(fd: c_int) -> bool {
    // SAFETY: `F_GETFL` takes no further argument and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_DSYNC != 0
}

fn cursor(fd: c_int) -> u64 {
    // SAFETY: moves nothing and touches no memory.
    let offset = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    offset.max(0) as u64
}

fn total_bytes(parts: *const iovec, count: c_int) -> u64 {
    if parts.is_null() || count <= 0 {
        return 0;
    }
    // SAFETY: the caller of the C function passes `count` parts.
    let parts = unsafe { std::slice::from_raw_parts(parts, count as usize) };
    parts.iter().map(|part| part.iov_len as u64).sum()
}

/// # Safety
/// As for the C function of this name; so it is for all below.
pub(crate) unsafe fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller keeps the C function's contract.
    let act = || unsafe { real::write(fd, bytes, count) };
    if count == 0 {
        act()
    } else {
        change(fd, OperationKind::Write, count as u64, Range::AtCursor, false, act)
    }
}

pub(crate) unsafe fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::pwrite(fd, bytes, count, offset) };
    if count == 0 {
        act()
    } else {
        change(fd, OperationKind::Write, count as u64, Range::At(offset), false, act)
    }
}

pub(crate) unsafe fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::writev(fd, parts, count) };
    match total_bytes(parts, count) {
        0 => act(),
        bytes => change(fd, OperationKind::Write, bytes, Range::AtCursor, false, act),
    }
}

pub(crate) unsafe fn pwritev(fd: c_int, parts: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::pwritev(fd, parts, count, offset) };
    match total_bytes(parts, count) {
        0 => act(),
        bytes => change(fd, OperationKind::Write, bytes, Range::At(offset), false, act),
    }
}

pub(crate) unsafe fn pwritev2(
    fd: c_int,
    parts: *const iovec,
    count: c_int,
    offset: off_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::pwritev2(fd, parts, count, offset, flags) };
    let flush = flags & (libc::RWF_DSYNC | libc::RWF_SYNC) != 0;
    let range = if flags & libc::RWF_APPEND != 0 {
        Range::Whole
    } else if offset == -1 {
        Range::AtCursor
    } else {
        Range::At(offset)
    };
    match total_bytes(parts, count) {
        0 => act(),
        bytes => change(fd, OperationKind::Write, bytes, range, flush, act),
    }
}

pub(crate) unsafe fn copy_file_range(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    count: size_t,
    flags: c_uint,
) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::copy_file_range(from, from_offset, to, to_offset, count, flags) };
    change(to, OperationKind::Copy, count as u64, Range::Whole, false, act)
}

pub(crate) unsafe fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    // SAFETY: as above.
    let act = || unsafe { real::sendfile(to, from, offset, count) };
    change(to, OperationKind::Copy, count as u64, Range::Whole, false, act)
}

pub(crate) unsafe fn ftruncate(fd: c_int, length: off_t) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::ftruncate(fd, length) as isize };
    change(fd, OperationKind::Truncate, length.max(0) as u64, Range::Whole, false, act) as c_int
}

pub(crate) unsafe fn truncate(path: *const c_char, length: off_t) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::truncate(path, length) as isize };
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let place = inside.place_followed(libc::AT_FDCWD, path);
    let Some(place) = place.filter(|place| place.path.is_file()) else { return inside.pass(act) as c_int };
    let places = (&place, None);
    let outcome =
        inside.turn().perform(OperationKind::Truncate, places, length.max(0) as u64, act, |_, _| Ok(()));
    inside.leave(outcome) as c_int
}

pub(crate) unsafe fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::fallocate(fd, mode, offset, length) as isize };
    change(fd, OperationKind::Allocate, length.max(0) as u64, Range::Whole, false, act) as c_int
}

/// Returns the error number instead of setting `errno`.
pub(crate) unsafe fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    let errno_before = errno();
    let act = || {
        // SAFETY: as above.
        let error = unsafe { real::posix_fallocate(fd, offset, length) };
        set_errno(error);
        if error == 0 { 0 } else { -1 }
    };
    let outcome = change(fd, OperationKind::Allocate, length.max(0) as u64, Range::Whole, false, act);
    let error = if outcome < 0 { errno() } else { 0 };
    set_errno(errno_before);
    error
}
