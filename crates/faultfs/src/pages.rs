//! File content page by page: bringing the durable copy up to date, and choosing between two versions after a loss.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// The unit in which a power loss keeps or loses content, bytes.
pub const PAGE_BYTES: usize = 4096;

/// How much is read at a time, bytes; a multiple of [`PAGE_BYTES`].
const CHUNK_BYTES: usize = 64 * PAGE_BYTES;

/// Makes `durable` equal to `live` but for the pages in `abandoned`, writing only pages that differ. Uses no file
/// offset, and closes nothing: a program's own descriptor can be lent as `live`. `live` must be readable, `durable`
/// readable and writable.
pub(crate) fn flush(live: &File, durable: &File, abandoned: &BTreeSet<u64>) -> io::Result<()> {
    let live_bytes = live.metadata()?.len();
    if durable.metadata()?.len() != live_bytes {
        durable.set_len(live_bytes)?;
    }
    for_each_difference(live, durable, |page, bytes| match abandoned.contains(&page) {
        true => Ok(()),
        false => durable.write_all_at(bytes, page * PAGE_BYTES as u64),
    })
}

/// Calls `visit` with the number and the live bytes of each page that a flush would write.
pub(crate) fn for_each_difference(
    live: &File,
    durable: &File,
    mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut new, mut old) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut offset = 0;
    loop {
        let filled = read_full_at(live, &mut new, offset)?;
        if filled == 0 {
            return Ok(());
        }
        let known = read_full_at(durable, &mut old[..filled], offset)?;
        old[known..filled].fill(0);
        visit_differing(&new[..filled], &old[..filled], offset, &mut visit)?;
        offset += filled as u64;
    }
}

/// Copies `from` to the empty file `to`, without reading holes. Moves the offset of `from`.
pub(crate) fn copy(from: &File, to: &File) -> io::Result<()> {
    to.set_len(from.metadata()?.len())?;
    let (mut chunk, zeros) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut offset = 0;
    while let Some(start) = next_data(from, offset)? {
        let filled = read_full_at(from, &mut chunk, start)?;
        if filled == 0 {
            break;
        }
        // The chunk may reach into the next hole. Data begins at the start of a page.
        visit_differing(&chunk[..filled], &zeros[..filled], start, &mut |page, bytes| {
            to.write_all_at(bytes, page * PAGE_BYTES as u64)
        })?;
        offset = start + filled as u64;
    }
    Ok(())
}

/// The whole content of `file`; for files that fit in memory several times over.
pub(crate) fn read_to_vec(file: &File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; file.metadata()?.len() as usize];
    let filled = read_full_at(file, &mut content, 0)?;
    content.truncate(filled);
    Ok(content)
}

/// Writes `content` to the empty file `to`, leaving holes for pages of zeros.
pub(crate) fn write_sparse(to: &File, content: &[u8]) -> io::Result<()> {
    to.set_len(content.len() as u64)?;
    let zeros = [0; PAGE_BYTES];
    for (page, bytes) in content.chunks(PAGE_BYTES).enumerate() {
        if bytes != &zeros[..bytes.len()] {
            to.write_all_at(bytes, (page * PAGE_BYTES) as u64)?;
        }
    }
    Ok(())
}

fn visit_differing(
    new: &[u8],
    old: &[u8],
    offset: u64,
    visit: &mut impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if new == old {
        return Ok(());
    }
    let first = offset / PAGE_BYTES as u64;
    let mut pages = (first..).zip(new.chunks(PAGE_BYTES).zip(old.chunks(PAGE_BYTES)));
    pages.try_for_each(|(page, (new, old))| if new == old { Ok(()) } else { visit(page, new) })
}

/// Reads until `buffer` is full or the file ends; returns how much was read.
fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where the next data begins, at or after `offset`; `None` if only a hole is left.
fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    // SAFETY: `lseek` touches no memory of ours, and the descriptor is open as long as `file` is borrowed.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset as libc::off_t, libc::SEEK_DATA) };
    match u64::try_from(found) {
        Ok(start) => Ok(Some(start)),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}
