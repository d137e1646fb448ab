//! Calls that make changes durable. They are recorded in the shadow and not passed on.

use std::ffi::{c_int, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::size_t;
use minutebook_faultfs::OperationKind;
use minutebook_faultfs::shadow::Locked;

use crate::place::{FileType, Identity, Place, identity, with_readable};
use crate::process::{Course, Inside, or_die};
use crate::real;

pub(crate) unsafe fn fsync(fd: c_int) -> c_int {
    // SAFETY: the caller keeps the C function's contract.
    sync_descriptor(fd, OperationKind::Fsync, || unsafe { real::fsync(fd) as isize })
}

pub(crate) unsafe fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: as above.
    sync_descriptor(fd, OperationKind::Fdatasync, || unsafe { real::fdatasync(fd) as isize })
}

fn sync_descriptor(fd: c_int, kind: OperationKind, act: impl FnOnce() -> isize) -> c_int {
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let place = inside.place_of(fd);
    let outcome = match (&place, identity(fd)) {
        (Some(place), Some(file)) if file.file_type == FileType::Regular => inside.turn().perform(
            kind,
            (place, None),
            file.bytes,
            || 0,
            |shadow, course| {
                let object = shadow.object(file.device, file.inode)?;
                or_die(with_readable(fd, |live| match course {
                    Course::Done(_) => shadow.flush_file(object, live),
                    Course::Prevented => shadow.fail_flush(object, live),
                }))
            },
        ),
        (Some(place), Some(file)) if file.file_type == FileType::Directory => inside.turn().perform(
            OperationKind::FsyncDirectory,
            (place, None),
            0,
            || 0,
            |shadow, course| {
                if course == Course::Prevented {
                    return Ok(());
                }
                let object = shadow.object(file.device, file.inode)?;
                shadow.flush_directory(object, Path::new(&format!("/proc/self/fd/{fd}")))
            },
        ),
        _ => return inside.pass(act) as c_int,
    };
    inside.leave(outcome) as c_int
}

/// A shared mapping of a file under a root, cut to the range that is flushed.
struct Mapping {
    place: Place,
    file: Identity,
    address: usize,
    bytes: usize,
    /// Where in the file the range begins.
    offset: u64,
}

pub(crate) unsafe fn msync(address: *mut c_void, length: size_t, flags: c_int) -> c_int {
    // SAFETY: the caller keeps the C function's contract.
    let act = || unsafe { real::msync(address, length, flags) as isize };
    if flags & libc::MS_SYNC == 0 {
        return act() as c_int;
    }
    let Some(inside) = Inside::enter() else { return act() as c_int };
    let mappings = mappings(&inside, address as usize, length);
    let Some(first) = mappings.first() else { return inside.pass(act) as c_int };
    let outcome = inside.turn().perform(
        OperationKind::Msync,
        (&first.place, None),
        length as u64,
        || 0,
        |shadow, course| match course {
            Course::Done(_) => mappings.iter().try_for_each(|mapping| flush_mapping(shadow, mapping)),
            Course::Prevented => Ok(()),
        },
    );
    inside.leave(outcome) as c_int
}

/// Writes what is mapped to the durable copy, straight from the program's memory: the kernel reads it, so that a
/// concurrent store is no data race of ours.
fn flush_mapping(shadow: &mut Locked<'_>, mapping: &Mapping) -> Result<(), minutebook_faultfs::Error> {
    let object = shadow.object(mapping.file.device, mapping.file.inode)?;
    let durable = shadow.durable_file(object)?;
    or_die(durable.set_len(mapping.file.bytes));
    let in_file = mapping.file.bytes.saturating_sub(mapping.offset);
    let mut written = 0;
    let bytes = mapping.bytes.min(in_file as usize);
    while written < bytes {
        let (from, at) = ((mapping.address + written) as *const c_void, mapping.offset + written as u64);
        // SAFETY: the range was found in the list of mappings, and reaches no further than the file does. If the
        // program has unmapped it in the meantime, the kernel returns an error.
        let result = unsafe {
            real::pwrite(std::os::fd::AsRawFd::as_raw_fd(&durable), from, bytes - written, at as libc::off_t)
        };
        match usize::try_from(result) {
            Ok(count) if count > 0 => written += count,
            _ => crate::process::die(&format!("cannot read a mapping: {}", std::io::Error::last_os_error())),
        }
    }
    Ok(())
}

/// The parts of the range that map files under a root, shared.
fn mappings(inside: &Inside, address: usize, length: usize) -> Vec<Mapping> {
    let end = address.saturating_add(length.next_multiple_of(4096));
    let list = or_die(fs::read("/proc/self/maps"));
    let lines = list.split(|byte| *byte == b'\n');
    lines.filter_map(|line| mapping(inside, line, address, end)).collect()
}

/// Reads a line of the list: `start-end permissions offset device inode path`, numbers but the inode in hexadecimal.
fn mapping(inside: &Inside, line: &[u8], start: usize, end: usize) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || fields.next().and_then(|field| str::from_utf8(field).ok());
    let (range, permissions, offset) = (text()?, text()?, text()?);
    let (_device, _inode) = (text()?, text()?);
    let path = fields.next()?.trim_ascii_start();
    let (low, high) = range.split_once('-')?;
    let (low, high) = (usize::from_str_radix(low, 16).ok()?, usize::from_str_radix(high, 16).ok()?);
    if !permissions.ends_with('s') || low >= end || high <= start {
        return None;
    }
    let place = inside.settings.place(path)?;
    // The device in the list is not always the one that `stat` reports. A file without a name is lost anyway.
    let metadata = fs::metadata(std::ffi::OsStr::from_bytes(path)).ok()?;
    let file = Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        file_type: FileType::Regular,
        bytes: metadata.len(),
    };
    let (from, to) = (low.max(start), high.min(end));
    let offset = u64::from_str_radix(offset, 16).ok()? + (from - low) as u64;
    Some(Mapping { place, file, address: from, bytes: to - from, offset })
}
