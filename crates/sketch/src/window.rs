//! A window: what is known of all decisions of one model version in one span of time. Edge: no clock; which window a decision belongs to follows
//! from its event.

use crate::covers::Covers;
use crate::limits::{NAMES_MAX, OTHERS};
use crate::numbers::Numbers;
use crate::texts::Texts;
use minutebook_record::cbor::{Item, Reader};
use minutebook_record::{FieldType, Path};
use std::collections::BTreeMap;

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Length {
    /// A minute.
    Minute,
    /// An hour of UTC.
    Hour,
    /// A day of UTC.
    Day,
}

impl Length {
    /// In seconds.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The one of so many seconds.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        [Self::Minute, Self::Hour, Self::Day].into_iter().find(|length| length.seconds() == seconds)
    }

    /// The next longer one.
    pub const fn longer(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }

    /// Where the window begins that has this moment, in s since 1970.
    pub fn start_of(self, seconds: i64) -> i64 {
        seconds - seconds.rem_euclid(self.seconds() as i64)
    }
}

/// What a window is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// How long it is.
    pub length: Length,
    /// Where it begins, in s since 1970.
    pub start: i64,
    /// The encoded `model` of its decisions.
    pub model: Box<[u8]>,
}

impl Key {
    /// The longer window that this one lies in.
    pub fn longer(&self) -> Option<Self> {
        let length = self.length.longer()?;
        Some(Self { length, start: length.start_of(self.start), model: self.model.clone() })
    }
}

/// How many decisions a rule judged, and how many of them it kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judged {
    /// Decisions that the rule decided about.
    pub judged: u64,
    /// Those of them that have a record.
    pub kept: u64,
}

/// One feature, output or measure.
#[derive(Debug, Clone, Default)]
pub struct Feature {
    /// Decisions that have a value, of whatever type.
    pub present: u64,
    /// The distribution of its numbers, if it has numbers.
    pub numbers: Option<Numbers>,
    /// Its texts, if it has texts.
    pub texts: Option<Texts>,
}

/// What is looked at in the values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Numbers.
    Number,
    /// Integers of an output, which may be classes.
    Label,
    /// Texts and truth values.
    Text,
    /// Nothing but whether it is there.
    Presence,
}

impl Sort {
    /// What is looked at in a field below `section` (`inputs`, `outputs`).
    pub fn of(section: &str, field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Integer(_) if section == "outputs" => Self::Label,
            FieldType::Integer(_)
            | FieldType::F16
            | FieldType::F32
            | FieldType::F64
            | FieldType::Decimal
            | FieldType::Duration
            | FieldType::Bucketed(_) => Self::Number,
            FieldType::Bool | FieldType::Text | FieldType::Category | FieldType::Truncated(_) => Self::Text,
            _ => Self::Presence,
        }
    }
}

impl Feature {
    /// Counts an encoded value.
    #[inline]
    pub fn add_encoded(&mut self, sort: Sort, bytes: &[u8]) {
        const NULL: u8 = 0xf6;
        if bytes.first().is_none_or(|first| *first == NULL) {
            return;
        }
        self.present += 1;
        match sort {
            Sort::Presence => {}
            Sort::Number => {
                if let Some(number) = number(bytes) {
                    self.numbers.get_or_insert_default().add(number);
                }
            }
            Sort::Text => match Reader::new(bytes).item() {
                Ok(Item::Text(text)) => self.texts.get_or_insert_default().add(text),
                Ok(Item::Bool(value)) => {
                    self.texts.get_or_insert_default().add(if value { "true" } else { "false" })
                }
                _ => {}
            },
            Sort::Label => {
                if let Ok(Item::Integer(value)) = Reader::new(bytes).item() {
                    self.numbers.get_or_insert_default().add(value.get() as f64);
                    self.texts.get_or_insert_default().add(&value.get().to_string());
                }
            }
        }
    }

    /// Counts numbers, none of which is missing.
    pub fn add_numbers(&mut self, values: &[f64]) {
        self.present += values.len() as u64;
        self.numbers.get_or_insert_default().extend_from_slice(values);
    }

    /// Counts a text so many times.
    pub fn add_text(&mut self, text: &str, times: u64) {
        if times > 0 {
            self.present += times;
            self.texts.get_or_insert_default().add_many(text, times);
        }
    }

    /// Counts an integer of an output so many times.
    pub fn add_label(&mut self, label: i128, times: u64) {
        let numbers = self.numbers.get_or_insert_default();
        (0..times).for_each(|_| numbers.add(label as f64));
        self.add_text(&label.to_string(), times);
    }

    fn merge(&mut self, other: Self) {
        self.present += other.present;
        if let Some(numbers) = other.numbers {
            self.numbers.get_or_insert_default().merge(numbers);
        }
        if let Some(texts) = other.texts {
            self.texts.get_or_insert_default().merge(texts);
        }
    }
}

/// Counts and sketches over decisions.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// How many decisions.
    pub decisions: u64,
    /// How many of each status (`ok`, or the type of an error).
    pub status: BTreeMap<Box<str>, u64>,
    /// By rule of the sampling policy.
    pub rules: BTreeMap<Box<str>, Judged>,
    /// Which numbers it counted; none when the windows do that which it was made of.
    pub covers: Covers,
    /// By path: inputs, outputs, and the duration of the event.
    pub features: BTreeMap<Path, Feature>,
}

impl Window {
    /// Adds other decisions of the same model.
    pub fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        for (status, count) in other.status {
            *named(&mut self.status, &status) += count;
        }
        for (rule, judged) in other.rules {
            let mine = named(&mut self.rules, &rule);
            mine.judged += judged.judged;
            mine.kept += judged.kept;
        }
        for (run, ranges) in other.covers {
            self.covers.entry(run).or_default().merge(&ranges);
        }
        for (path, feature) in other.features {
            self.features.entry(path).or_default().merge(feature);
        }
    }

    /// How many decisions have no value for a feature.
    pub fn missing(&self, feature: &Feature) -> u64 {
        self.decisions.saturating_sub(feature.present)
    }
}

/// The entry of a name, or of all others once there are many names.
pub(crate) fn named<'m, T: Default>(map: &'m mut BTreeMap<Box<str>, T>, name: &str) -> &'m mut T {
    let name = if map.contains_key(name) || map.len() < NAMES_MAX { name } else { OTHERS };
    map.entry(name.into()).or_default()
}

/// An encoded number as a float: an integer, a float, a decimal, or the seconds of a duration.
fn number(bytes: &[u8]) -> Option<f64> {
    const DECIMAL: u64 = 4;
    const DURATION: u64 = 1002;
    let mut reader = Reader::new(bytes);
    match reader.item().ok()? {
        Item::Float(value) => Some(value),
        Item::Integer(value) => Some(value.get() as f64),
        Item::Tag(DECIMAL) => {
            reader.array().ok()?;
            let (exponent, mantissa) = (reader.signed().ok()?, reader.integer().ok()?);
            format!("{mantissa}e{exponent}").parse().ok()
        }
        Item::Tag(DURATION) => {
            reader.map().ok()?;
            reader.signed().ok()?;
            let seconds = reader.signed().ok()?;
            reader.signed().ok()?;
            Some(seconds as f64 + reader.unsigned().ok()? as f64 / 1e9)
        }
        _ => None,
    }
}
