//! Spans of the calendar, as retention is counted in: `6 months` from an instant, in UTC. Edge: no clock.

use jiff::tz::TimeZone;
use jiff::{Span as Calendar, Timestamp};
use std::fmt;

/// Of one span, so that dates stay within the calendar.
const COUNT_MAX: u32 = 10_000;

/// A span that a rule of law asks for, by a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// As it is written in settings.
    pub name: &'static str,
    /// In words: `6 months`.
    pub span: &'static str,
    /// The rule that it helps to meet.
    pub rule: &'static str,
}

/// The presets.
pub const PRESETS: [Preset; 3] = [
    Preset { name: "eu-ai-act", span: "6 months", rule: "EU AI Act, articles 19 and 26 (6)" },
    Preset { name: "ecoa", span: "25 months", rule: "ECOA, Regulation B, 12 CFR 1002.12(b)" },
    Preset { name: "colorado", span: "3 years", rule: "Colorado SB 26-189" },
];

/// A number of days, or of calendar months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    unit: Unit,
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Day, "day"), (Self::Week, "week"), (Self::Month, "month"), (Self::Year, "year")];

    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once(' ')?;
        let count = count.bytes().all(|digit| digit.is_ascii_digit()).then(|| count.parse().ok())??;
        let (unit, _) =
            Unit::ALL.into_iter().find(|(_, name)| unit.strip_suffix('s').unwrap_or(unit) == *name)?;
        (1..=COUNT_MAX).contains(&count).then_some(Self { unit, count })
    }

    /// Calendar months, or days.
    fn length(self) -> Result<u32, u32> {
        match self.unit {
            Unit::Day => Err(self.count),
            Unit::Week => Err(self.count * 7),
            Unit::Month => Ok(self.count),
            Unit::Year => Ok(self.count * 12),
        }
    }

    /// Its end, counted from an instant in seconds since 1970; the end of time when that is beyond the calendar.
    fn end(self, from: i64) -> i64 {
        let span = match self.length() {
            Ok(months) => Calendar::new().months(months),
            Err(days) => Calendar::new().days(days),
        };
        let end = Timestamp::from_second(from).ok().and_then(|from| {
            let end = from.to_zoned(TimeZone::UTC).checked_add(span).ok()?;
            Some(end.timestamp().as_second())
        });
        end.unwrap_or(i64::MAX)
    }

    /// Whether it is never shorter than `other`, from whichever day both begin.
    fn covers(self, other: Self) -> bool {
        // The fewest and the most days that so many months in a row have, those of a leap year among them.
        const FEWEST: [u32; 12] = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334];
        const MOST: [u32; 12] = [0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337];
        match (self.length(), other.length()) {
            (Ok(mine), Ok(other)) | (Err(mine), Err(other)) => mine >= other,
            (Ok(months), Err(days)) => months / 12 * 365 + FEWEST[months as usize % 12] >= days,
            (Err(days), Ok(months)) => days >= months / 12 * 366 + MOST[months as usize % 12],
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.count == 1 { "" } else { "s" };
        write!(f, "{} {}{many}", self.count, self.unit.name())
    }
}

/// Spans that hold together: the longest decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Reads spans and names of presets. The error goes on behind the key that they stand under.
    pub(super) fn read(written: &[String]) -> Result<Self, String> {
        if written.is_empty() {
            return Err("names no span: write one, such as `25 months`, or leave it out".into());
        }
        let read = |text: &String| {
            let preset = PRESETS.iter().find(|preset| preset.name == text);
            Span::parse(preset.map_or(text.as_str(), |preset| preset.span)).ok_or_else(|| {
                let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
                format!(
                    "`{text}` is no span: write a number of days, weeks, months or years, such as `25 months`, or one of {}",
                    names.join(", ")
                )
            })
        };
        written.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of the longest, counted from an instant, both in seconds since 1970; none without a span.
    pub fn end(&self, from: i64) -> Option<i64> {
        self.0.iter().map(|span| span.end(from)).max()
    }

    /// Whether these never end before `others` do, from whichever day they are counted.
    pub fn covers(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|mine| mine.covers(*other)))
    }
}

/// As `6 months (eu-ai-act), 25 months (ecoa)`.
impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (at, span) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{span}")?;
            if let Some(preset) = PRESETS.iter().find(|preset| Span::parse(preset.span) == Some(*span)) {
                write!(f, " ({})", preset.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        Span::parse(text).unwrap()
    }

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn spans_end_by_the_calendar() {
        for (text, from, end) in [
            ("1 month", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"),
            ("25 months", "2024-02-29T00:00:00Z", "2026-03-29T00:00:00Z"),
            ("1 year", "2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z"),
            ("10 days", "2026-02-25T00:00:01Z", "2026-03-07T00:00:01Z"),
            ("2 weeks", "2026-02-01T00:00:00Z", "2026-02-15T00:00:00Z"),
        ] {
            assert_eq!(span(text).end(seconds(from)), seconds(end), "{text} from {from}");
        }
        assert_eq!(span("10000 years").end(0), i64::MAX);
        assert_eq!(Spans::default().end(0), None);
        let both = Spans(vec![span("31 days"), span("1 month")]);
        assert_eq!(both.end(seconds("2026-02-01T00:00:00Z")), Some(seconds("2026-03-04T00:00:00Z")));
    }

    #[test]
    fn a_span_covers_another_from_every_day() {
        for (mine, other, covers) in [
            ("1 month", "28 days", true),
            ("1 month", "29 days", false),
            ("31 days", "1 month", true),
            ("30 days", "1 month", false),
            ("1 year", "365 days", true),
            ("1 year", "366 days", false),
            ("366 days", "1 year", true),
            ("52 weeks", "1 year", false),
            ("25 months", "2 years", true),
            ("3 years", "25 months", true),
        ] {
            assert_eq!(span(mine).covers(span(other)), covers, "{mine} covers {other}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "6",
            "months",
            "6 moons",
            "-1 days",
            "+1 days",
            "0 days",
            "10001 days",
            "1.5 years",
            "6  months",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert!(PRESETS.iter().all(|preset| Span::parse(preset.span).is_some()));
    }
}
