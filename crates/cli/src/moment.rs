//! Times that people type, and the clock of this process. Edge: the one place of the program that reads a
//! clock.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minutebook_capture::{Clock, SystemClock};

use minutebook_present::json::ReadAt;
use minutebook_present::typed;

/// Now, for records that say no time.
pub(crate) fn read_at() -> ReadAt {
    ReadAt { time_ns: SystemClock.wall_ns(), clock_error_ns: SystemClock.error_ns() }
}

/// Now, in ns since 1970.
pub(crate) fn now_ns() -> i64 {
    SystemClock.wall_ns()
}

/// Now as RFC 3339, to the second.
pub(crate) fn now_text() -> String {
    let seconds = now_ns().div_euclid(1_000_000_000);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

/// A time as people type it, in ns since 1970: RFC 3339; a date or a time of the local zone; `7d`, `12h`,
/// `30m`: so long ago.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    typed::time(text, now_ns(), &TimeZone::system())
}
