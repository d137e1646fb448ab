//! What the program asks of the operating system beyond the standard library: to become a process of its own. Edge: when and why is decided
//! by `detached`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Leaves the session of whoever started this process: no terminal, and no signals from one.
pub(crate) fn leave_session() -> io::Result<()> {
    // SAFETY: takes no arguments and touches no memory.
    checked(unsafe { libc::setsid() })
}

/// Closes all descriptors but the first three to programs that are started from now on.
pub(crate) fn keep_descriptors_to_ourselves() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let number: libc::c_int = number;
        if number > libc::STDERR_FILENO {
            // SAFETY: changes a flag of a number; one that is closed meanwhile, as that of this listing is, gives an error and no more.
            let _ = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// From now on standard output goes to `out`, and standard error to `err`.
pub(crate) fn redirect(out: &File, err: &File) -> io::Result<()> {
    for (from, to) in [(out, libc::STDOUT_FILENO), (err, libc::STDERR_FILENO)] {
        // SAFETY: `from` is open, and nothing in this process owns the numbers of the standard streams.
        checked(unsafe { libc::dup2(from.as_raw_fd(), to) })?;
    }
    Ok(())
}

/// Who runs this process, as the system knows them: the name of the account, and its number.
pub(crate) fn user() -> String {
    // SAFETY: takes no arguments, touches no memory and does not fail.
    let uid = unsafe { libc::getuid() };
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_of(&accounts, uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// The account of a number in the lines of passwd(5). One that is known elsewhere has none here.
fn name_of(accounts: &str, uid: u32) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_numbers() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\nbroken\n";
        assert_eq!(name_of(accounts, 1000), Some("ann"));
        assert_eq!((name_of(accounts, 7), name_of("", 0)), (None, None));
        assert!(user().contains("uid "));
    }
}
