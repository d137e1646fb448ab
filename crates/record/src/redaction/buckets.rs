//! Numbers of which only the bucket is kept that they are in: its lower end.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::UnknownType;
use crate::limits::{BUCKET_EDGES_MAX, BUCKET_NUMBER_BYTES_MAX};
use crate::value::Value;

/// Units of a width's last digit up to which multiples are told apart: what a double holds, and some room for quotients.
const UNITS_MAX: u128 = 1 << 50;

/// A number in the text of a type: finite, not −0, and of few digits.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Number(f64);

/// How numbers are put into buckets. Each bucket has its lower end, and not its upper one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Buckets {
    /// Between the multiples of a width.
    Width(Width),
    /// The buckets between these, which rise, and one below and one above them. 1 to [`BUCKET_EDGES_MAX`].
    Edges(Box<[Number]>),
}

/// The width of buckets, above 0. Its multiples are those of the decimal fraction that it is written as: of 0.1 they are 0.1, 0.2, 0.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Width {
    number: Number,
    /// The number is units / scale, a power of ten that a double is exactly: there are at most 22 digits behind the point.
    units: i128,
    scale: Number,
}

impl Width {
    /// This width.
    ///
    /// # Errors
    ///
    /// When it is no [`Number`] above 0.
    pub fn new(width: f64) -> Result<Self, UnknownType> {
        let number = Number::new(width)?;
        let text = number.to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let units = format!("{whole}{decimals}").parse().map_err(|_| UnknownType)?;
        let scale = format!("1{}", "0".repeat(decimals.len())).parse()?;
        if width > 0.0 { Ok(Self { number, units, scale }) } else { Err(UnknownType) }
    }

    /// The width.
    pub fn get(self) -> f64 {
        self.number.0
    }

    /// So many times the width: the nearest double, never −0. `None` where doubles do not hold multiples apart.
    fn times(self, count: i128) -> Option<f64> {
        let units = self.units.checked_mul(count).filter(|units| units.unsigned_abs() <= UNITS_MAX)?;
        // Rounded once: both are doubles exactly.
        Some(units as f64 / self.scale.0)
    }
}

impl Number {
    /// This number.
    ///
    /// # Errors
    ///
    /// When it is not finite, or its digits take more than 24 characters, written without an exponent.
    pub fn new(value: f64) -> Result<Self, UnknownType> {
        let number = Self(if value == 0.0 { 0.0 } else { value });
        if value.is_finite() && number.to_string().len() <= BUCKET_NUMBER_BYTES_MAX {
            Ok(number)
        } else {
            Err(UnknownType)
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

// INVARIANT: neither NaN nor −0, so that equal numbers have equal bits.
impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// The shortest digits that give the double again, without an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Number {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if text.len() > BUCKET_NUMBER_BYTES_MAX {
            return Err(UnknownType);
        }
        let number = Self::new(text.parse().map_err(|_| UnknownType)?)?;
        // One text for each number.
        if number.to_string() == text { Ok(number) } else { Err(UnknownType) }
    }
}

impl Buckets {
    /// Buckets of a width.
    ///
    /// # Errors
    ///
    /// When it is no [`Number`] above 0.
    pub fn of_width(width: f64) -> Result<Self, UnknownType> {
        Width::new(width).map(Self::Width)
    }

    /// Buckets between edges.
    ///
    /// # Errors
    ///
    /// When they are none or too many, do not rise, or are no [`Number`]s.
    pub fn of_edges(edges: impl IntoIterator<Item = f64>) -> Result<Self, UnknownType> {
        let edges: Box<[Number]> =
            edges.into_iter().take(BUCKET_EDGES_MAX + 1).map(Number::new).collect::<Result<_, _>>()?;
        let rises = edges.windows(2).all(|pair| pair[0] < pair[1]);
        if rises && (1..=BUCKET_EDGES_MAX).contains(&edges.len()) {
            Ok(Self::Edges(edges))
        } else {
            Err(UnknownType)
        }
    }

    /// From the text behind `bucketed/`.
    pub(crate) fn parse(text: &str) -> Result<Self, UnknownType> {
        match text.split_once('/') {
            Some(("width", width)) => Self::of_width(width.parse::<Number>()?.0),
            Some(("edges", edges)) => {
                let edges = edges.split(',').take(BUCKET_EDGES_MAX + 1).map(str::parse::<Number>);
                Self::of_edges(edges.collect::<Result<Vec<_>, _>>()?.into_iter().map(Number::get))
            }
            _ => Err(UnknownType),
        }
    }

    /// The lower end of the bucket that a number is in: −infinity below the first edge. NaN stays NaN, and infinity what it is where there
    /// are no edges. `None` for a number so large that buckets of the width are not told apart.
    pub fn lower(&self, number: f64) -> Option<f64> {
        if number.is_nan() {
            return Some(f64::NAN);
        }
        match self {
            Self::Edges(edges) => Some(match edges.partition_point(|edge| edge.0 <= number) {
                0 => f64::NEG_INFINITY,
                above => edges[above - 1].0,
            }),
            Self::Width(_) if number.is_infinite() => Some(number),
            Self::Width(width) => {
                // Saturates, and is refused as too many units then.
                let near = (number / width.get()).floor() as i128;
                // The quotient is rounded, so that the bucket may be a neighbour.
                [near, near.saturating_add(1), near.saturating_sub(1)]
                    .into_iter()
                    .filter_map(|place| Some((width.times(place)?, width.times(place.saturating_add(1))?)))
                    .find(|(lower, upper)| *lower <= number && number < *upper)
                    .map(|(lower, _)| lower)
            }
        }
    }

    /// The upper end, which is not in it, of the bucket with this lower end; infinity above the last edge.
    pub fn upper(&self, lower: f64) -> Option<f64> {
        match self {
            Self::Edges(edges) => {
                let above = edges.partition_point(|edge| edge.0 <= lower);
                (!lower.is_nan()).then(|| edges.get(above).map_or(f64::INFINITY, |edge| edge.0))
            }
            Self::Width(width) if lower.is_finite() => {
                width.times(((lower / width.get()).round() as i128).saturating_add(1))
            }
            Self::Width(_) => None,
        }
    }

    /// Whether a number is a lower end, or what [`Buckets::lower`] gives for a number that is in no bucket.
    pub fn has_lower(&self, number: f64) -> bool {
        number.is_nan() || self.lower(number).map(f64::to_bits) == Some(number.to_bits())
    }

    /// The bucket of a value: a float. `None` for one that is no number.
    pub fn apply(&self, value: &Value) -> Option<Value> {
        let number = match value {
            Value::Null => return Some(Value::Null),
            Value::Integer(integer) => integer.get() as f64,
            Value::Float(float) => *float,
            // The text of a number is rounded once.
            Value::Decimal { exponent, mantissa } => format!("{mantissa}e{exponent}").parse().ok()?,
            _ => return None,
        };
        self.lower(number).map(Value::Float)
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width(width) => write!(f, "bucketed/width/{}", width.number),
            Self::Edges(edges) => {
                f.write_str("bucketed/edges/")?;
                for (place, edge) in edges.iter().enumerate() {
                    write!(f, "{}{edge}", if place == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}
