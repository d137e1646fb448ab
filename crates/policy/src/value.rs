//! A value as conditions compare it, and how it is decoded from a record. Edge: what no condition can look at, such as a tensor, counts as
//! missing here; that somebody asked for it is told by `check`, where a schema is at hand.

use minutebook_record::cbor::{Item, Reader};
use std::cmp::Ordering;

/// A value, borrowed from the record or from the condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(&'a str),
    /// ns
    Duration(i128),
}

const TAG_DECIMAL: u64 = 4;
const TAG_DURATION: u64 = 1002;

impl<'a> Value<'a> {
    /// The next value of a reader over checked bytes; `None` when it is null, or of a type that is not compared.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        match reader.item().ok()? {
            Item::Bool(value) => Some(Self::Bool(value)),
            Item::Integer(value) => Some(Self::Integer(value.get())),
            Item::Float(value) => Some(Self::Float(value)),
            Item::Text(value) => Some(Self::Text(value)),
            Item::Tag(TAG_DECIMAL) => {
                reader.array().ok()?;
                let (exponent, mantissa) = (reader.signed().ok()?, reader.integer().ok()?);
                // The text of a number is rounded once.
                format!("{mantissa}e{exponent}").parse().ok().map(Self::Float)
            }
            Item::Tag(TAG_DURATION) => {
                reader.map().ok()?;
                reader.signed().ok()?;
                let seconds = reader.signed().ok()?;
                reader.signed().ok()?;
                let ns = reader.unsigned().ok()?;
                Some(Self::Duration(i128::from(seconds) * 1_000_000_000 + i128::from(ns)))
            }
            _ => None,
        }
    }

    /// How two values compare: the outer `None` when they are not of one kind, the inner one when one is NaN.
    pub(crate) fn compare(self, other: Self) -> Option<Option<Ordering>> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(&b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Integer(a), Self::Float(b)) => compare_exactly(a, b),
            (Self::Float(a), Self::Integer(b)) => compare_exactly(b, a).map(Ordering::reverse),
            _ => return None,
        })
    }
}

/// An integer against a float, without rounding either.
fn compare_exactly(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // Beyond the integers that conditions compute with; conversions saturate.
    let whole = float.trunc();
    let ordering = integer.cmp(&(whole as i128));
    Some(ordering.then_with(|| 0.0f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)))
}

/// Passes over one value of a reader over checked bytes.
pub(crate) fn skip(reader: &mut Reader<'_>) -> Option<()> {
    let mut left = 1usize;
    while left > 0 {
        left -= 1;
        left += match reader.item().ok()? {
            Item::Array(count) => count,
            Item::Map(count) => count * 2,
            Item::Tag(_) => 1,
            _ => 0,
        };
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_are_compared_exactly() {
        for (integer, float, expected) in [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Some(Ordering::Greater)),
            (0, f64::INFINITY, Some(Ordering::Less)),
            (0, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
            (0, -0.0, Some(Ordering::Equal)),
        ] {
            assert_eq!(compare_exactly(integer, float), expected, "{integer} {float}");
        }
    }
}
