//! Calls that change which names there are.

use std::ffi::{c_char, c_int, c_uint};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use libc::mode_t;
use minutebook_faultfs::shadow::Locked;
use minutebook_faultfs::{Error, OperationKind};

use crate::place::{Place, identity};
use crate::process::{Course, Inside};
use crate::real;

/// # Safety
/// As for the C function of this name; so it is for all below. `mode` is whatever the caller passed, if anything.
pub(crate) unsafe fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller keeps the C function's contract.
    let act = || unsafe { real::openat(directory, path, flags, mode) as isize };
    let unnamed = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    if flags & (libc::O_CREAT | libc::O_TRUNC) == 0 && !unnamed {
        return act() as c_int;
    }
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let place = match unnamed {
        true => inside.place_of_directory(directory, path),
        false => inside.place_followed(directory, path),
    };
    let Some(place) = place else { return inside.pass(act) as c_int };
    let turn = inside.turn();
    let outcome = match metadata(&place) {
        Some(_) if unnamed => turn.perform(OperationKind::Create, (&place, None), 0, act, renew_opened),
        None if flags & libc::O_CREAT != 0 => {
            turn.perform(OperationKind::Create, (&place, None), 0, act, renew_opened)
        }
        Some(found) if truncates(&found, flags) => {
            turn.perform(OperationKind::Truncate, (&place, None), 0, act, |_, _| Ok(()))
        }
        _ => {
            drop(turn);
            return inside.pass(act) as c_int;
        }
    };
    inside.leave(outcome) as c_int
}

fn truncates(found: &Metadata, flags: c_int) -> bool {
    let exclusive = flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0;
    flags & libc::O_TRUNC != 0 && !exclusive && found.is_file() && found.len() > 0
}

/// An inode number may have belonged to a deleted file: what was flushed then is not this file's.
fn renew_opened(shadow: &mut Locked<'_>, course: Course) -> Result<(), Error> {
    match course {
        Course::Done(fd) => match identity(fd as c_int) {
            Some(file) => shadow.renew(file.device, file.inode).map(drop),
            None => Ok(()),
        },
        Course::Prevented => Ok(()),
    }
}

/// As [`renew_opened`], for a name that is there now.
fn renew_named(shadow: &mut Locked<'_>, place: &Place, course: Course) -> Result<(), Error> {
    match metadata(place) {
        Some(found) if course != Course::Prevented => shadow.renew(found.dev(), found.ino()).map(drop),
        _ => Ok(()),
    }
}

fn metadata(place: &Place) -> Option<Metadata> {
    fs::symlink_metadata(&place.path).ok()
}

pub(crate) unsafe fn renameat2(
    from: c_int,
    from_path: *const c_char,
    to: c_int,
    to_path: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::renameat2(from, from_path, to, to_path, flags) as isize };
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let (old, new) = (inside.place_named(from, from_path), inside.place_named(to, to_path));
    let outcome = match (&old, &new) {
        (Some(old), new) if metadata(old).is_some() => {
            let places = (old, new.as_ref());
            inside.turn().perform(OperationKind::Rename, places, 0, act, |_, _| Ok(()))
        }
        // From elsewhere: nothing that we saw of this inode is this file's.
        (None, Some(new)) => {
            let settle = |shadow: &mut Locked<'_>, course| renew_named(shadow, new, course);
            inside.turn().perform(OperationKind::Rename, (new, None), 0, act, settle)
        }
        _ => return inside.pass(act) as c_int,
    };
    inside.leave(outcome) as c_int
}

pub(crate) unsafe fn linkat(
    from: c_int,
    from_path: *const c_char,
    to: c_int,
    to_path: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::linkat(from, from_path, to, to_path, flags) as isize };
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let Some(new) = inside.place_named(to, to_path).filter(|new| metadata(new).is_none()) else {
        return inside.pass(act) as c_int;
    };
    let old = inside.place_named(from, from_path);
    if old.as_ref().is_some_and(|old| metadata(old).is_none()) {
        return inside.pass(act) as c_int;
    }
    let outcome = match old {
        Some(old) => inside.turn().perform(OperationKind::Link, (&old, Some(&new)), 0, act, |_, _| Ok(())),
        // The name of an unnamed file, or one from elsewhere, which becomes durable here by its next flush at the
        // latest.
        None => inside.turn().perform(OperationKind::Link, (&new, None), 0, act, |_, _| Ok(())),
    };
    inside.leave(outcome) as c_int
}

pub(crate) unsafe fn symlinkat(target: *const c_char, directory: c_int, path: *const c_char) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::symlinkat(target, directory, path) as isize };
    create_named(directory, path, OperationKind::Symlink, act)
}

pub(crate) unsafe fn mkdirat(directory: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::mkdirat(directory, path, mode) as isize };
    create_named(directory, path, OperationKind::Mkdir, act)
}

fn create_named(
    directory: c_int,
    path: *const c_char,
    kind: OperationKind,
    act: impl FnOnce() -> isize,
) -> c_int {
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let Some(place) = inside.place_named(directory, path).filter(|place| metadata(place).is_none()) else {
        return inside.pass(act) as c_int;
    };
    let settle = |shadow: &mut Locked<'_>, course| renew_named(shadow, &place, course);
    let outcome = inside.turn().perform(kind, (&place, None), 0, act, settle);
    inside.leave(outcome) as c_int
}

pub(crate) unsafe fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as above.
    let act = || unsafe { real::unlinkat(directory, path, flags) as isize };
    let kind = if flags & libc::AT_REMOVEDIR == 0 { OperationKind::Unlink } else { OperationKind::Rmdir };
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let Some(place) = inside.place_named(directory, path).filter(|place| metadata(place).is_some()) else {
        return inside.pass(act) as c_int;
    };
    let outcome = inside.turn().perform(kind, (&place, None), 0, act, |_, _| Ok(()));
    inside.leave(outcome) as c_int
}

/// C's removal of whatever the name stands for.
pub(crate) unsafe fn remove(path: *const c_char) -> c_int {
    // SAFETY: as above. As glibc does it: the second call only if the first says that it is a directory.
    unsafe {
        match unlinkat(libc::AT_FDCWD, path, 0) {
            -1 if crate::process::errno() == libc::EISDIR => {
                unlinkat(libc::AT_FDCWD, path, libc::AT_REMOVEDIR)
            }
            result => result,
        }
    }
}
