//! Which operation of the program under test goes wrong, and how. The text form crosses the environment.

use std::fmt;
use std::str::FromStr;

use crate::{Error, OperationKind};

/// An error number of the operating system, written by its name where it is a common one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

const NAMED: [(&str, i32); 10] = [
    ("EIO", libc::EIO),
    ("ENOSPC", libc::ENOSPC),
    ("EDQUOT", libc::EDQUOT),
    ("EROFS", libc::EROFS),
    ("EACCES", libc::EACCES),
    ("EPERM", libc::EPERM),
    ("EINTR", libc::EINTR),
    ("EMFILE", libc::EMFILE),
    ("ENOMEM", libc::ENOMEM),
    ("EFBIG", libc::EFBIG),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMED.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Errno {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match NAMED.iter().find(|(name, _)| *name == text) {
            Some((_, number)) => Ok(Errno(*number)),
            None => text.parse().ok().filter(|number| *number > 0).map(Errno).ok_or(()),
        }
    }
}

/// What happens to which operation. Operations are numbered from 1 over all processes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing goes wrong; operations are counted and logged. Text: `count` or `none`.
    Count,
    /// The process kills itself before this operation. Text: `kill:K`.
    KillBefore(u64),
    /// The process kills itself after this operation was done. Text: `kill-after:K`.
    KillAfter(u64),
    /// The operation is not done and returns the error. Text: `fail:K:ERRNO`.
    Fail(u64, Errno),
    /// The operation is done and returns the error all the same. Text: `fail-done:K:ERRNO`.
    FailDone(u64, Errno),
    /// From this operation on, none is done and each returns the error: a dead disk. With `ENOSPC` and `EDQUOT` only
    /// operations that take up space fail (see [`OperationKind::takes_space`]): a full disk. Text: `fail-from:K:ERRNO`.
    FailFrom(u64, Errno),
}

/// The fate of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes its course.
    Proceed,
    /// The process dies before it.
    KillBefore,
    /// The process dies after it.
    KillAfter,
    /// It is not done and reports this error.
    Fail(Errno),
    /// It is done and reports this error.
    FailDone(Errno),
}

impl Plan {
    /// What is to happen to the operation with this number.
    pub fn verdict(self, number: u64, kind: OperationKind) -> Verdict {
        match self {
            Plan::KillBefore(planned) if planned == number => Verdict::KillBefore,
            Plan::KillAfter(planned) if planned == number => Verdict::KillAfter,
            Plan::Fail(planned, errno) if planned == number => Verdict::Fail(errno),
            Plan::FailDone(planned, errno) if planned == number => Verdict::FailDone(errno),
            Plan::FailFrom(first, errno) if first <= number => {
                let full = errno.0 == libc::ENOSPC || errno.0 == libc::EDQUOT;
                if full && !kind.takes_space() { Verdict::Proceed } else { Verdict::Fail(errno) }
            }
            _ => Verdict::Proceed,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Count => f.write_str("count"),
            Plan::KillBefore(number) => write!(f, "kill:{number}"),
            Plan::KillAfter(number) => write!(f, "kill-after:{number}"),
            Plan::Fail(number, errno) => write!(f, "fail:{number}:{errno}"),
            Plan::FailDone(number, errno) => write!(f, "fail-done:{number}:{errno}"),
            Plan::FailFrom(number, errno) => write!(f, "fail-from:{number}:{errno}"),
        }
    }
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let number = parts.next().map(str::parse::<u64>);
        let errno = parts.next().map(str::parse::<Errno>);
        let plan = match (name, number, errno, parts.next()) {
            ("count" | "none" | "", None, None, None) => Some(Plan::Count),
            ("kill", Some(Ok(number)), None, None) => Some(Plan::KillBefore(number)),
            ("kill-after", Some(Ok(number)), None, None) => Some(Plan::KillAfter(number)),
            ("fail", Some(Ok(number)), Some(Ok(errno)), None) => Some(Plan::Fail(number, errno)),
            ("fail-done", Some(Ok(number)), Some(Ok(errno)), None) => Some(Plan::FailDone(number, errno)),
            ("fail-from", Some(Ok(number)), Some(Ok(errno)), None) => Some(Plan::FailFrom(number, errno)),
            _ => None,
        };
        plan.ok_or_else(|| Error::Plan { plan: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_environment() {
        let eio = Errno(libc::EIO);
        for plan in [
            Plan::Count,
            Plan::KillBefore(1),
            Plan::KillAfter(20),
            Plan::Fail(3, eio),
            Plan::FailDone(3, Errno(9999)),
            Plan::FailFrom(3, Errno(libc::ENOSPC)),
        ] {
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        }
        assert_eq!("fail:3:EIO".parse::<Plan>().unwrap(), Plan::Fail(3, eio));
    }

    #[test]
    fn a_mistyped_plan_is_refused() {
        for text in [
            "kill",
            "kill:x",
            "kill:1:EIO",
            "fail:1",
            "fail:1:EWHAT",
            "fail:1:-5",
            "fail:1:EIO:2",
            "explode:1",
        ] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_disk_still_deletes_and_flushes() {
        let full = Plan::FailFrom(5, Errno(libc::ENOSPC));
        assert_eq!(full.verdict(4, OperationKind::Write), Verdict::Proceed);
        assert_eq!(full.verdict(9, OperationKind::Write), Verdict::Fail(Errno(libc::ENOSPC)));
        assert_eq!(full.verdict(9, OperationKind::Unlink), Verdict::Proceed);
        assert_eq!(
            Plan::FailFrom(5, Errno(libc::EIO)).verdict(9, OperationKind::Unlink),
            Verdict::Fail(Errno(libc::EIO))
        );
    }
}
