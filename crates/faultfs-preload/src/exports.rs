//! The symbols that the loader finds before libc's. Names that differ only in the width of an offset, or in having a
//! directory descriptor, lead to one function: on 64-bit Linux the former are the same, and the latter are special
//! cases.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libc::{AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_TRUNC, O_WRONLY, iovec, mode_t, off_t, size_t, ssize_t};

use crate::{content, flush, names};

macro_rules! export {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $return:ty = $call:expr;)*) => {
        $(
            // SAFETY: the symbol is libc's on purpose, and the signature is libc's.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) -> $return {
                // SAFETY: the caller keeps the C function's contract, which is handed on.
                unsafe { $call }
            }
        )*
    };
}

// The functions with a variable argument read it whether or not it was passed; it is handed on, and used by libc only
// if the flags call for it.
export! {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = names::openat(AT_FDCWD, path, flags, mode);
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = names::openat(AT_FDCWD, path, flags, mode);
    fn openat(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        names::openat(at, path, flags, mode);
    fn openat64(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        names::openat(at, path, flags, mode);
    fn creat(path: *const c_char, mode: mode_t) -> c_int =
        names::openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
    fn creat64(path: *const c_char, mode: mode_t) -> c_int =
        names::openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);

    // What a program compiled with _FORTIFY_SOURCE calls if it passes no mode.
    fn __open_2(path: *const c_char, flags: c_int) -> c_int = names::openat(AT_FDCWD, path, flags, 0);
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int = names::openat(AT_FDCWD, path, flags, 0);
    fn __openat_2(at: c_int, path: *const c_char, flags: c_int) -> c_int = names::openat(at, path, flags, 0);
    fn __openat64_2(at: c_int, path: *const c_char, flags: c_int) -> c_int = names::openat(at, path, flags, 0);

    fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t = content::write(fd, bytes, count);
    fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t =
        content::pwrite(fd, bytes, count, offset);
    fn pwrite64(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t =
        content::pwrite(fd, bytes, count, offset);
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t = content::writev(fd, parts, count);
    fn pwritev(fd: c_int, parts: *const iovec, count: c_int, offset: off_t) -> ssize_t =
        content::pwritev(fd, parts, count, offset);
    fn pwritev64(fd: c_int, parts: *const iovec, count: c_int, offset: off_t) -> ssize_t =
        content::pwritev(fd, parts, count, offset);
    fn pwritev2(fd: c_int, parts: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t =
        content::pwritev2(fd, parts, count, offset, flags);
    fn pwritev64v2(fd: c_int, parts: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t =
        content::pwritev2(fd, parts, count, offset, flags);
    fn copy_file_range(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, count: size_t, flags: c_uint
    ) -> ssize_t = content::copy_file_range(from, from_at, to, to_at, count, flags);
    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t =
        content::sendfile(to, from, offset, count);
    fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t =
        content::sendfile(to, from, offset, count);

    fn ftruncate(fd: c_int, length: off_t) -> c_int = content::ftruncate(fd, length);
    fn ftruncate64(fd: c_int, length: off_t) -> c_int = content::ftruncate(fd, length);
    fn truncate(path: *const c_char, length: off_t) -> c_int = content::truncate(path, length);
    fn truncate64(path: *const c_char, length: off_t) -> c_int = content::truncate(path, length);
    fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int =
        content::fallocate(fd, mode, offset, length);
    fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int =
        content::fallocate(fd, mode, offset, length);
    fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int =
        content::posix_fallocate(fd, offset, length);
    fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int =
        content::posix_fallocate(fd, offset, length);

    fn fsync(fd: c_int) -> c_int = flush::fsync(fd);
    fn fdatasync(fd: c_int) -> c_int = flush::fdatasync(fd);
    fn msync(address: *mut c_void, length: size_t, flags: c_int) -> c_int = flush::msync(address, length, flags);

    fn rename(from: *const c_char, to: *const c_char) -> c_int = names::renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
    fn renameat(from_at: c_int, from: *const c_char, to_at: c_int, to: *const c_char) -> c_int =
        names::renameat2(from_at, from, to_at, to, 0);
    fn renameat2(from_at: c_int, from: *const c_char, to_at: c_int, to: *const c_char, flags: c_uint) -> c_int =
        names::renameat2(from_at, from, to_at, to, flags);
    fn link(from: *const c_char, to: *const c_char) -> c_int = names::linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
    fn linkat(from_at: c_int, from: *const c_char, to_at: c_int, to: *const c_char, flags: c_int) -> c_int =
        names::linkat(from_at, from, to_at, to, flags);
    fn symlink(target: *const c_char, path: *const c_char) -> c_int = names::symlinkat(target, AT_FDCWD, path);
    fn symlinkat(target: *const c_char, at: c_int, path: *const c_char) -> c_int = names::symlinkat(target, at, path);
    fn unlink(path: *const c_char) -> c_int = names::unlinkat(AT_FDCWD, path, 0);
    fn unlinkat(at: c_int, path: *const c_char, flags: c_int) -> c_int = names::unlinkat(at, path, flags);
    fn remove(path: *const c_char) -> c_int = names::remove(path);
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int = names::mkdirat(AT_FDCWD, path, mode);
    fn mkdirat(at: c_int, path: *const c_char, mode: mode_t) -> c_int = names::mkdirat(at, path, mode);
    fn rmdir(path: *const c_char) -> c_int = names::unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
