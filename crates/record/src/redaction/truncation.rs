//! Text and bytes cut to their beginning, times to the beginning of a unit.

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownType;
use crate::field_type::FieldType;
use crate::limits::TRUNCATED_LENGTH_MAX;
use crate::value::{Seconds, Value};

const DAY_SECONDS: i64 = 86_400;

/// How much of a value is kept, and of what type it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Truncation {
    kept: Kept,
    of: Box<FieldType>,
}

/// What is kept of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// So many characters of a text (Unicode scalar values), or bytes of bytes; 1 to [`TRUNCATED_LENGTH_MAX`].
    First(u32),
    /// The beginning of the unit that the time is in, in UTC; of a naive time as if it were UTC.
    Unit(Unit),
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say all")]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

impl Unit {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Year];

    /// Its text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The first day of the unit that a day is in, since 1970-01-01; of units up to a day the day itself.
    fn first_day(self, days: i64) -> Option<i64> {
        match self {
            Self::Month | Self::Year => {
                let (year, month) = month_of(days);
                days_before(year, if self == Self::Year { 1 } else { month })
            }
            _ => Some(days),
        }
    }

    /// The beginning of the unit that an instant is in. `None` when that is before what seconds of 64 bits reach.
    pub fn beginning(self, at: Seconds) -> Option<Seconds> {
        let seconds = at.seconds();
        let begins = match self {
            Self::Second => seconds,
            Self::Minute => seconds.checked_sub(seconds.rem_euclid(60))?,
            Self::Hour => seconds.checked_sub(seconds.rem_euclid(3_600))?,
            _ => self.first_day(seconds.div_euclid(DAY_SECONDS))?.checked_mul(DAY_SECONDS)?,
        };
        Seconds::new(begins, 0).ok()
    }

    /// The same for a day.
    pub fn beginning_of_date(self, days: i32) -> Option<i32> {
        i32::try_from(self.first_day(days.into())?).ok()
    }
}

/// Days of a cycle of 400 years of the Gregorian calendar, and from 0000-03-01 to 1970-01-01.
const CYCLE_DAYS: i64 = 146_097;
const EPOCH_DAYS: i64 = 719_468;

/// Year and month of a day, in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the last.
fn month_of(days: i64) -> (i64, i64) {
    let days = days + EPOCH_DAYS;
    let (cycle, day) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month)
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> Option<i64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day = of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + (153 * from_march + 2) / 5;
    cycle.checked_mul(CYCLE_DAYS)?.checked_add(day - EPOCH_DAYS)
}

impl Truncation {
    /// `kept` of values of a type: texts, categories and bytes are cut to their first characters, times and dates to a unit.
    ///
    /// # Errors
    ///
    /// When nothing of that kind can be kept of this type.
    pub fn new(kept: Kept, of: FieldType) -> Result<Self, UnknownType> {
        use FieldType as T;
        let fits = match kept {
            Kept::First(length) => {
                (1..=TRUNCATED_LENGTH_MAX).contains(&length) && matches!(of, T::Text | T::Category | T::Bytes)
            }
            Kept::Unit(Unit::Day | Unit::Month | Unit::Year) => {
                matches!(of, T::Timestamp(_) | T::DateTime | T::Date)
            }
            Kept::Unit(_) => matches!(of, T::Timestamp(_) | T::DateTime),
        };
        if fits { Ok(Self { kept, of: Box::new(of) }) } else { Err(UnknownType) }
    }

    /// What is kept.
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// The type of what is kept, and of what it is kept of.
    pub fn of(&self) -> &FieldType {
        &self.of
    }

    /// What is kept of a value; `None` for one of another kind.
    pub fn apply(&self, value: &Value) -> Option<Value> {
        Some(match (self.kept, value) {
            (_, Value::Null) => Value::Null,
            (Kept::First(length), Value::Text(text)) => {
                Value::Text(text.chars().take(length as usize).collect())
            }
            (Kept::First(length), Value::Bytes(bytes)) => {
                Value::Bytes(bytes[..bytes.len().min(length as usize)].to_vec())
            }
            (Kept::Unit(unit), Value::Timestamp(at)) => Value::Timestamp(unit.beginning(*at)?),
            (Kept::Unit(unit), Value::Date(days)) => Value::Date(unit.beginning_of_date(*days)?),
            _ => return None,
        })
    }

    /// From the text behind `truncated/`; `of` reads the type.
    pub(crate) fn parse(
        text: &str,
        of: impl FnOnce(&str) -> Result<FieldType, UnknownType>,
    ) -> Result<Self, UnknownType> {
        let (kept, rest) = text.split_once('/').ok_or(UnknownType)?;
        Self::new(kept.parse()?, of(rest)?)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First(length) => write!(f, "{length}"),
            Self::Unit(unit) => f.write_str(unit.name()),
        }
    }
}

impl FromStr for Kept {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.name() == text) {
            return Ok(Self::Unit(unit));
        }
        let length: u32 = text.parse().map_err(|_| UnknownType)?;
        // One text for each length: no zeros in front, no sign.
        if length.to_string() == text { Ok(Self::First(length)) } else { Err(UnknownType) }
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "truncated/{}/{}", self.kept, self.of)
    }
}
