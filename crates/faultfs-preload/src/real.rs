//! The functions that we stand in front of, found by `dlsym(RTLD_NEXT)`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{iovec, mode_t, off_t, size_t, ssize_t};

use crate::process;

macro_rules! next_in_line {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $return:ty;)*) => {
        $(
            /// # Safety
            /// As for the C function of this name.
            pub(crate) unsafe fn $name($($argument: $type),*) -> $return {
                static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
                let found = find(&FOUND, concat!(stringify!($name), "\0"));
                // SAFETY: the symbol of this name in libc has this signature on 64-bit Linux. `open` and its like are
                // variadic; both supported ABIs pass a single further integer as they pass a fixed one.
                let function = unsafe {
                    std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $return>(found)
                };
                // SAFETY: the caller keeps the C function's contract.
                unsafe { function($($argument),*) }
            }
        )*
    };
}

next_in_line! {
    fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t;
    fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t;
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    fn pwritev(fd: c_int, parts: *const iovec, count: c_int, offset: off_t) -> ssize_t;
    fn pwritev2(fd: c_int, parts: *const iovec, count: c_int, offset: off_t, flags: c_int) -> ssize_t;
    fn copy_file_range(
        from: c_int, from_offset: *mut off_t, to: c_int, to_offset: *mut off_t, count: size_t, flags: c_uint
    ) -> ssize_t;
    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t;
    fn ftruncate(fd: c_int, length: off_t) -> c_int;
    fn truncate(path: *const c_char, length: off_t) -> c_int;
    fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int;
    fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int;
    fn fsync(fd: c_int) -> c_int;
    fn fdatasync(fd: c_int) -> c_int;
    fn msync(address: *mut c_void, length: size_t, flags: c_int) -> c_int;
    fn renameat2(
        from: c_int, from_path: *const c_char, to: c_int, to_path: *const c_char, flags: c_uint
    ) -> c_int;
    fn linkat(
        from: c_int, from_path: *const c_char, to: c_int, to_path: *const c_char, flags: c_int
    ) -> c_int;
    fn symlinkat(target: *const c_char, directory: c_int, path: *const c_char) -> c_int;
    fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int;
    fn mkdirat(directory: c_int, path: *const c_char, mode: mode_t) -> c_int;
}

/// Looks the symbol up once. `name` ends with a zero byte.
fn find(found: &AtomicPtr<c_void>, name: &str) -> *mut c_void {
    let known = found.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    let name = CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or(c"");
    // SAFETY: `name` is a C string; RTLD_NEXT is valid as the caller is a loaded shared object.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if address.is_null() {
        process::die(&format!("libc has no `{}`", name.to_string_lossy()));
    }
    found.store(address, Ordering::Relaxed);
    address
}

/// Finds `write` and `writev` ahead of their first call, which may come from a signal handler.
pub(crate) fn find_early() {
    let nothing = [iovec { iov_base: ptr::null_mut(), iov_len: 0 }];
    // SAFETY: descriptor -1 is never open, so that both calls fail before they read anything.
    unsafe {
        write(-1, nothing.as_ptr().cast(), 0);
        writev(-1, nothing.as_ptr(), 1);
    }
}
