//! Times as text: RFC 3339 instants, naive times, days, durations, and back. Edge: years beyond what text can
//! say are written as numbers.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use minutebook_record::Seconds;
use serde_json::{Value as Json, json};

use super::member::{members, required, signed, text, unsigned};
use super::problem::{Problem, Within};
use super::tree::Tree;

/// RFC 3339 with an offset.
pub(crate) fn timestamp(written: &str) -> Result<Seconds, Problem> {
    let instant: Timestamp = written.parse().map_err(|_| {
        Problem::new("not a time with an offset").remedy("write it as in RFC 3339: 2026-11-21T09:30:00Z")
    })?;
    Ok(of_timestamp(instant))
}

/// A time in ns since 1970, or as text.
pub(crate) fn nanoseconds(tree: &Tree<'_>) -> Result<i64, Problem> {
    match tree {
        Tree::Integer(_) => signed(tree),
        _ => {
            let at = timestamp(text(tree)?)?;
            let whole = i128::from(at.seconds()) * 1_000_000_000 + i128::from(at.nanoseconds());
            i64::try_from(whole).map_err(|_| Problem::new("the time lies outside of the years 1678 to 2262"))
        }
    }
}

fn of_timestamp(instant: Timestamp) -> Seconds {
    // jiff counts the fraction towards zero, the format upwards.
    let whole = instant.as_nanosecond();
    let seconds = whole.div_euclid(1_000_000_000) as i64;
    let nanoseconds = whole.rem_euclid(1_000_000_000) as u32;
    in_range(Seconds::new(seconds, nanoseconds))
}

/// INVARIANT: the remainder of a division by 10^9 is a number of nanoseconds.
fn in_range<E: std::fmt::Debug>(seconds: Result<Seconds, E>) -> Seconds {
    seconds.expect("nanoseconds below one second")
}

pub(crate) fn to_timestamp(at: Seconds) -> Option<Timestamp> {
    let whole = i128::from(at.seconds()) * 1_000_000_000 + i128::from(at.nanoseconds());
    Timestamp::from_nanosecond(whole).ok()
}

/// What `{"$timestamp": …}` and its like hold: text, or numbers where text cannot say it.
pub(crate) fn read_timestamp(tree: &Tree<'_>) -> Result<Seconds, Problem> {
    if matches!(tree, Tree::Object(_)) { numbers(tree) } else { timestamp(text(tree)?) }
}

pub(crate) fn read_datetime(tree: &Tree<'_>) -> Result<Seconds, Problem> {
    if matches!(tree, Tree::Object(_)) {
        return numbers(tree);
    }
    let naive: DateTime = text(tree)?.parse().map_err(|_| {
        Problem::new("not a time without an offset").remedy("write it as 2026-11-21T09:30:00")
    })?;
    let instant = TimeZone::UTC.to_timestamp(naive).map_err(|_| Problem::new("the time is out of range"))?;
    Ok(of_timestamp(instant))
}

pub(crate) fn read_date(tree: &Tree<'_>) -> Result<i32, Problem> {
    if matches!(tree, Tree::Object(_)) {
        let [days] = members(tree, &["days"])?;
        let days = signed(required(days, "days")?).within("days")?;
        return i32::try_from(days).map_err(|_| Problem::new("days outside of 32 bits").within("days"));
    }
    let date: Date =
        text(tree)?.parse().map_err(|_| Problem::new("not a date").remedy("write it as 2026-11-21"))?;
    let since = date.since((jiff::Unit::Day, EPOCH)).map_err(|_| Problem::new("the date is out of range"))?;
    Ok(since.get_days())
}

pub(crate) fn read_duration(tree: &Tree<'_>) -> Result<Seconds, Problem> {
    if matches!(tree, Tree::Object(_)) {
        return numbers(tree);
    }
    let written = text(tree)?;
    let refused = || {
        Problem::new("not a duration").remedy("write hours, minutes and seconds as in ISO 8601: PT1H30M1.5S")
    };
    let iso = written.trim_start_matches(['-', '+']).starts_with(['P', 'p']);
    let duration: SignedDuration =
        if iso { written.parse().map_err(|_| refused())? } else { return Err(refused()) };
    let whole = duration.as_nanos();
    let seconds = i64::try_from(whole.div_euclid(1_000_000_000)).map_err(|_| refused())?;
    Ok(in_range(Seconds::new(seconds, whole.rem_euclid(1_000_000_000) as u32)))
}

fn numbers(tree: &Tree<'_>) -> Result<Seconds, Problem> {
    let [seconds, nanoseconds] = members(tree, &["seconds", "nanoseconds"])?;
    let seconds = signed(required(seconds, "seconds")?).within("seconds")?;
    let nanoseconds = nanoseconds.map_or(Ok(0), unsigned).within("nanoseconds")?;
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(u32::MAX);
    Seconds::new(seconds, nanoseconds).map_err(|error| Problem::new(error.to_string()).within("nanoseconds"))
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

pub(crate) fn write_timestamp(at: Seconds) -> Json {
    to_timestamp(at).map_or_else(|| write_numbers(at), |instant| Json::String(instant.to_string()))
}

pub(crate) fn write_datetime(at: Seconds) -> Json {
    match to_timestamp(at) {
        Some(instant) => Json::String(TimeZone::UTC.to_datetime(instant).to_string()),
        None => write_numbers(at),
    }
}

pub(crate) fn write_date(days: i32) -> Json {
    match to_date(days) {
        Some(date) => Json::String(date.to_string()),
        None => json!({ "days": days }),
    }
}

pub(crate) fn to_date(days: i32) -> Option<Date> {
    // A span of days has bounds of its own.
    0.days().try_days(days).ok().and_then(|span| EPOCH.checked_add(span).ok())
}

pub(crate) fn write_duration(span: Seconds) -> Json {
    match to_duration(span) {
        Some(duration) => Json::String(duration.to_string()),
        None => write_numbers(span),
    }
}

/// `None` for the one second at the very end that the other type lacks.
pub(crate) fn to_duration(span: Seconds) -> Option<SignedDuration> {
    let whole = i128::from(span.seconds()) * 1_000_000_000 + i128::from(span.nanoseconds());
    let seconds = i64::try_from(whole / 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, (whole % 1_000_000_000) as i32))
}

fn write_numbers(at: Seconds) -> Json {
    json!({ "seconds": super::print::integer(at.seconds().into()), "nanoseconds": at.nanoseconds() })
}

/// What `{"$timestamp": …}` or `{"$datetime": …}` holds for a time.
pub fn instant_tree(name: &str, at: Seconds) -> Tree<'static> {
    tree(if name == "$datetime" { write_datetime(at) } else { write_timestamp(at) })
}

/// What `{"$date": …}` holds for a day.
pub fn date_tree(days: i32) -> Tree<'static> {
    tree(write_date(days))
}

fn tree(json: Json) -> Tree<'static> {
    match json {
        Json::String(text) => Tree::Text(text.into()),
        // Times that text cannot say are small objects of numbers.
        other => Tree::parse(other.to_string().as_bytes()).map_or(Tree::Null, Tree::into_owned),
    }
}
