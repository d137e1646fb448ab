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

/// A time that is still to come, as people type it, in ns since 1970: as [`parse`], and `30d` is in so long.
pub(crate) fn parse_ahead(text: &str) -> Result<i64, String> {
    let now = now_ns();
    let at = typed::time(text, now, &TimeZone::system())?;
    let is_span =
        text.strip_suffix(['w', 'd', 'h', 'm', 's']).is_some_and(|number| number.parse::<u64>().is_ok());
    let at = if is_span { now.saturating_add(now - at) } else { at };
    if at > now { Ok(at) } else { Err("it is over already".into()) }
}

/// A time in ns since 1970 as RFC 3339, to the second.
pub(crate) fn text_of(time_ns: i64) -> String {
    Timestamp::from_second(time_ns.div_euclid(1_000_000_000))
        .map_or_else(|_| String::new(), |at| at.to_string())
}
