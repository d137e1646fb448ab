//! What people type to say which records they mean: times, kinds, paths of fields. Edge: text in, values out; the clock is the caller's.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use minutebook_record::{Kind, Path};

/// A time in ns since 1970: RFC 3339; a date or a time of `zone`; `7d`, `12h`, `30m`: so long before `now_ns`.
///
/// # Errors
///
/// What to write.
pub fn time(text: &str, now_ns: i64, zone: &TimeZone) -> Result<i64, String> {
    let refused = || {
        "not a time: write 2026-11-21T09:30:00Z, 2026-11-21, \"2026-11-21 09:30\", or 7d for 7 days ago"
            .to_owned()
    };
    let in_zone = |at: DateTime| at.to_zoned(zone.clone()).map(|at| at.timestamp());
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Ok(at) = text.parse::<DateTime>() {
        in_zone(at).map_err(|_| refused())?
    } else if let Ok(date) = text.parse::<Date>() {
        in_zone(date.at(0, 0, 0, 0)).map_err(|_| refused())?
    } else {
        let unit = text.chars().last().ok_or_else(refused)?;
        let number: i64 = text[..text.len() - unit.len_utf8()].trim().parse().map_err(|_| refused())?;
        let span = match unit {
            'w' => Span::new().try_weeks(number),
            'd' => Span::new().try_days(number),
            'h' => Span::new().try_hours(number),
            'm' => Span::new().try_minutes(number),
            's' => Span::new().try_seconds(number),
            _ => return Err(refused()),
        };
        let now = Timestamp::from_nanosecond(i128::from(now_ns)).map_err(|_| refused())?;
        let now = Zoned::new(now, zone.clone());
        now.checked_sub(span.map_err(|_| refused())?).map_err(|_| refused())?.timestamp()
    };
    i64::try_from(at.as_nanosecond()).map_err(|_| refused())
}

/// A kind by its name.
///
/// # Errors
///
/// Which kinds there are.
pub fn kind(name: &str) -> Result<Kind, String> {
    name.parse().map_err(|_| format!("not a kind; kinds are {}", Kind::ALL.map(Kind::name).join(", ")))
}

/// A path as records show it: texts joined by `/`, in which `~1` is a `/` and `~0` a `~` (RFC 6901 §3).
///
/// # Errors
///
/// What is wrong with it.
pub fn path(text: &str) -> Result<Path, String> {
    Path::new(text.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    #[test]
    fn times_as_people_type_them() {
        const DAY: i64 = 86_400_000_000_000;
        let now = 20_000 * DAY;
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("1970-01-02T00:00:00Z", Ok(DAY)),
            ("1970-01-02T02:00:00+02:00", Ok(DAY)),
            ("1970-01-02", Ok(DAY - DAY / 12)),
            ("1970-01-02 02:00", Ok(DAY)),
            ("7d", Ok(now - 7 * DAY)),
            ("2w", Ok(now - 14 * DAY)),
            ("36h", Ok(now - 3 * DAY / 2)),
            ("30m", Ok(now - DAY / 48)),
            ("yesterday", Err(())),
            ("7", Err(())),
            ("", Err(())),
            ("99999999999d", Err(())),
            ("2147483647d", Err(())),
        ] {
            assert_eq!(super::time(text, now, &zone).map_err(|_| ()), expected, "{text}");
        }
    }
}
