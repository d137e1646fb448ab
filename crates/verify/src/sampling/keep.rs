//! How much a rule keeps of what it decides about. Edge: which field a rate depends on is a text here, as a condition is; what it means for a
//! record is for the crate that judges to say.

use super::text::TextError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// How much a rule keeps.
#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    /// This part, in [0, 1].
    Rate(f64),
    /// A part that depends on the value of a field.
    ByValue(RatesByValue),
    /// The first so many in each second, at least one.
    PerSecond(u32),
}

/// Rates that depend on the value of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct RatesByValue {
    /// The field, as conditions name it.
    pub by: String,
    /// Where it stands in the text, quotes included.
    pub by_at: Range<usize>,
    /// The values that have a rate of their own, in the order of their texts.
    pub values: Vec<ValueRate>,
    /// The rate of all other values, and of none, in [0, 1].
    pub others: f64,
}

/// The rate of one value.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRate {
    /// A text as it is; `true`, `false` and integers as one writes them.
    pub value: String,
    /// Where it stands in the text, quotes included.
    pub at: Range<usize>,
    /// What part is kept, in [0, 1].
    pub rate: f64,
}

impl Keep {
    /// All rates that a decision may have been judged by, at least one. A rule that keeps so many per second may have left out any or kept any.
    pub fn rates(&self) -> Vec<f64> {
        match self {
            Self::Rate(rate) => vec![*rate],
            Self::ByValue(rates) => {
                rates.values.iter().map(|known| known.rate).chain([rates.others]).collect()
            }
            Self::PerSecond(_) => vec![0.0, 1.0],
        }
    }

    /// Whether a record may say that it was kept at this rate.
    pub fn may_say(&self, rate: Option<f64>) -> bool {
        match (self, rate) {
            (Self::PerSecond(_), rate) => rate.is_none(),
            (_, rate) => rate.is_some_and(|rate| self.rates().contains(&rate)),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => write!(f, "rate {rate}"),
            Self::ByValue(rates) => {
                let all = self.rates();
                let (least, most) = all
                    .iter()
                    .fold((1.0, 0.0), |(least, most), rate| (f64::min(least, *rate), f64::max(most, *rate)));
                write!(f, "rates from {least} to {most} by {}", rates.by)
            }
            Self::PerSecond(count) => write!(f, "{count} per second"),
        }
    }
}

/// What stands behind `rate`.
pub(super) enum RawRate {
    One(f64),
    ByValue(RawByValue),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawByValue {
    by: Spanned<String>,
    values: BTreeMap<Spanned<String>, Spanned<f64>>,
    others: Spanned<f64>,
}

impl<'de> Deserialize<'de> for RawRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An untagged enum would lose the places of what is wrong in the table.
        struct OneOrTable;
        impl<'de> Visitor<'de> for OneOrTable {
            type Value = RawRate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1, or `{ by = \"inputs.region\", values = { DE = 0.1 }, others = 0.01 }`")
            }

            fn visit_f64<E>(self, rate: f64) -> Result<RawRate, E> {
                Ok(RawRate::One(rate))
            }

            fn visit_i64<E>(self, rate: i64) -> Result<RawRate, E> {
                // Whatever is not 0 or 1 is refused later.
                Ok(RawRate::One(rate as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawRate, A::Error> {
                RawByValue::deserialize(MapAccessDeserializer::new(map)).map(RawRate::ByValue)
            }
        }
        deserializer.deserialize_any(OneOrTable)
    }
}

impl RawRate {
    /// What it says, when the rates are rates.
    pub(super) fn read(self, at: Range<usize>) -> Result<Keep, TextError> {
        match self {
            Self::One(rate) => checked(rate, at).map(Keep::Rate),
            Self::ByValue(raw) => {
                let by_at = raw.by.span();
                if raw.values.is_empty() {
                    let what = "`values` names none: write `rate = 0.05` for a rate that is the same for all";
                    return Err(TextError::Content { what: what.into(), at });
                }
                let others = checked(*raw.others.get_ref(), raw.others.span())?;
                let value = |(value, rate): (Spanned<String>, Spanned<f64>)| {
                    let rate = checked(*rate.get_ref(), rate.span())?;
                    Ok(ValueRate { at: value.span(), value: value.into_inner(), rate })
                };
                let values = raw.values.into_iter().map(value).collect::<Result<_, _>>()?;
                Ok(Keep::ByValue(RatesByValue { by: raw.by.into_inner(), by_at, values, others }))
            }
        }
    }
}

fn checked(rate: f64, at: Range<usize>) -> Result<f64, TextError> {
    let what = "a rate is from 0 to 1: 0.05 keeps one in twenty".to_owned();
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(TextError::Content { what, at }) }
}
