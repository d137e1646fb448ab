//! Times and durations as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Look;

/// A time in ns since 1970, in the zone of `look` to the second: `2026-11-21 10:30:00`.
pub(super) fn short(look: &Look, ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(at) => at.to_zoned(look.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("{ns} ns since 1970"),
    }
}

/// The same in full, with its offset, and in UTC to the nanosecond where that is another time of day.
pub(super) fn full(look: &Look, ns: i64) -> String {
    let Ok(at) = Timestamp::from_nanosecond(i128::from(ns)) else { return format!("{ns} ns since 1970") };
    let utc = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.f UTC").to_string();
    let local = at.to_zoned(look.zone.clone());
    if local.offset().is_zero() {
        return utc;
    }
    format!("{} ({utc})", local.strftime("%Y-%m-%d %H:%M:%S %:z"))
}

/// Unix seconds in UTC: `2026-11-21 09:30:00 UTC`.
pub fn seconds_utc(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{seconds} s since 1970"),
    }
}

/// A duration with three digits: `81 µs`, `1.25 ms`, `3 min 20 s`.
pub fn duration(ns: u64) -> String {
    const MINUTE: u64 = 60_000_000_000;
    let of = |unit: u64, name: &str| {
        let value = ns as f64 / unit as f64;
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text} {name}")
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => of(1_000, "µs"),
        1_000_000..1_000_000_000 => of(1_000_000, "ms"),
        1_000_000_000..MINUTE => of(1_000_000_000, "s"),
        _ => format!("{} min {} s", ns / MINUTE, ns % MINUTE / 1_000_000_000),
    }
}
