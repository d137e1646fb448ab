//! JSON as it was written: the order of members, members that occur twice, and integers apart from floats are
//! all still there. Edge: knows JSON, not records.

use std::borrow::Cow;
use std::fmt;

use minutebook_record::Integer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::limits::{TREE_MEMORY_MAX, TREE_MEMORY_PER_BYTE};
use super::problem::{Problem, Within};

/// A JSON value. Text without escapes is borrowed from the line.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree<'a> {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Integer(Integer),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Tree<'a>>),
    /// An object, its members as they were written.
    Object(Members<'a>),
}

/// The members of an object, in order; a name may be there twice.
pub type Members<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

impl<'a> Tree<'a> {
    /// Reads one JSON value that fills `line`.
    ///
    /// # Errors
    ///
    /// What is not JSON, or an integer outside of −2^63 … 2^64−1; or so many values that they would take more than [`TREE_MEMORY_MAX`].
    pub fn parse(line: &'a [u8]) -> Result<Self, Problem> {
        if line.len() > TREE_MEMORY_MAX / TREE_MEMORY_PER_BYTE && memory(line) > TREE_MEMORY_MAX {
            let what =
                format!("the values in it take more than {} MiB when they are read", TREE_MEMORY_MAX >> 20);
            return Err(Problem::new(what).remedy("send fewer at once"));
        }
        let mut tree: Self = serde_json::from_slice(line).map_err(|error| {
            // The library's message names what it expected and never what stands there.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Problem::new(format!("not JSON: {message} at column {}", error.column()))
                .remedy("write one JSON object a line")
        })?;
        if tree.has_doubtful_number() {
            tree.settle(&mut number_tokens(line))?;
        }
        Ok(tree)
    }

    /// What it is, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Tree<'static> {
        match self {
            Self::Null => Tree::Null,
            Self::Bool(value) => Tree::Bool(value),
            Self::Integer(value) => Tree::Integer(value),
            Self::Float(value) => Tree::Float(value),
            Self::Text(text) => Tree::Text(Cow::Owned(text.into_owned())),
            Self::Array(items) => Tree::Array(items.into_iter().map(Tree::into_owned).collect()),
            Self::Object(members) => {
                let owned = |(name, value): (Cow<'_, str>, Tree<'_>)| {
                    (Cow::Owned(name.into_owned()), value.into_owned())
                };
                Tree::Object(members.into_iter().map(owned).collect())
            }
        }
    }

    /// Whether there is a float that may have been written as an integer: one too large for 64 bits, or `-0`.
    fn has_doubtful_number(&self) -> bool {
        match self {
            Self::Float(value) => is_doubtful(*value),
            Self::Array(items) => items.iter().any(Self::has_doubtful_number),
            Self::Object(members) => members.iter().any(|(_, value)| value.has_doubtful_number()),
            _ => false,
        }
    }

    /// Decides doubtful numbers by how they are written; `tokens` are the numbers of the line, in order.
    fn settle(&mut self, tokens: &mut dyn Iterator<Item = &'a [u8]>) -> Result<(), Problem> {
        match self {
            Self::Integer(_) => {
                tokens.next();
            }
            Self::Float(value) => {
                let token = tokens.next().unwrap_or_default();
                if is_doubtful(*value) && !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    let digits = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
                    *self = Self::Integer(
                        digits.and_then(|digits| Integer::new(digits).ok()).ok_or_else(too_large)?,
                    );
                }
            }
            Self::Array(items) => {
                for (place, item) in items.iter_mut().enumerate() {
                    item.settle(tokens).within_item(place)?;
                }
            }
            Self::Object(members) => {
                for (name, value) in members {
                    value.settle(tokens).within(name)?;
                }
            }
            Self::Null | Self::Bool(_) | Self::Text(_) => {}
        }
        Ok(())
    }
}

/// What the lists of a tree take at most, told from the bytes alone: an item of two bytes takes a place of [`ITEM_BYTES`], and a list has room for
/// four of them at once, for twice as many as it holds later. Texts take no more than their bytes.
fn memory(line: &[u8]) -> usize {
    let (mut sum, mut in_text, mut at) = (0_usize, false, 0);
    while let Some(&byte) = line.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b',' => sum += MEMBER_BYTES,
            b'{' => sum += 4 * MEMBER_BYTES,
            b'[' => sum += 4 * ITEM_BYTES,
            _ => {}
        }
        at += 1;
    }
    sum
}

/// A place in an array.
const ITEM_BYTES: usize = size_of::<Tree<'_>>();
/// A place in an object; two in an array.
const MEMBER_BYTES: usize = size_of::<(Cow<'_, str>, Tree<'_>)>();

fn too_large() -> Problem {
    Problem::new("integer outside of -2^63 to 2^64-1")
        .remedy("write it as {\"$decimal\": \"…\"}, as text, or with a fraction as a float")
}

fn is_doubtful(value: f64) -> bool {
    value.abs() >= 9_223_372_036_854_775_808.0 || (value == 0.0 && value.is_sign_negative())
}

/// The numbers in a line of valid JSON, in order.
fn number_tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut in_text = false;
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            match byte {
                b'\\' if in_text => at += 1,
                b'"' => in_text = !in_text,
                b'-' | b'0'..=b'9' if !in_text => {
                    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                    let end =
                        rest[at..].iter().position(|byte| !is_part(byte)).map_or(rest.len(), |end| at + end);
                    let token = &rest[at..end];
                    rest = &rest[end..];
                    return Some(token);
                }
                _ => {}
            }
            at += 1;
        }
        None
    })
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree<'de>, E> {
        Ok(Tree::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = entries.next_key()? {
            members.push((name, entries.next_value()?));
        }
        Ok(Tree::Object(members))
    }
}

/// A member's name: `Cow` itself is always deserialised as owned.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// Back to JSON. A float that JSON lacks is written as `{"$float": …}`.
impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => match u64::try_from(value.get()) {
                Ok(value) => serializer.serialize_u64(value),
                // INVARIANT: an `Integer` below 0 lies above −2^63.
                Err(_) => serializer.serialize_i64(value.get() as i64),
            },
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("$float", float_name(*value))?;
                map.end()
            }
            Self::Text(value) => serializer.serialize_str(value),
            Self::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| sequence.serialize_element(item))?;
                sequence.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

/// How a float that is not finite is written.
pub(crate) fn float_name(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &Tree<'_>) {
        assert_eq!(Tree::parse(line.as_bytes()).as_ref(), Ok(expected), "{line}");
    }

    fn refused(line: &str) -> String {
        Tree::parse(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn integers_are_what_is_written_without_fraction_and_exponent() {
        let integer = |value: i128| Tree::Integer(Integer::new(value).unwrap());
        check("1", &integer(1));
        check("1.0", &Tree::Float(1.0));
        check("1e2", &Tree::Float(100.0));
        check("-0", &integer(0));
        check("18446744073709551615", &integer(u64::MAX.into()));
        check("-9223372036854775808", &integer(i64::MIN.into()));
        check("18446744073709551616.0", &Tree::Float(18_446_744_073_709_551_616.0));
        assert!(matches!(Tree::parse(b"-0.0"), Ok(Tree::Float(value)) if value.is_sign_negative()));
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused_where_it_stands() {
        let found = refused(r#"{"a\"1": 5, "b": [1e300, -0.0, {"c": 18446744073709551616}]}"#);
        assert_eq!(found, "`b[2].c`: integer outside of -2^63 to 2^64-1");
        assert_eq!(refused("[-9223372036854775809]"), "`[0]`: integer outside of -2^63 to 2^64-1");
    }

    #[test]
    fn floats_are_read_to_the_last_bit() {
        for text in ["0.1", "2.2250738585072011e-308", "123456789.00000001", "9007199254740993.0"] {
            check(text, &Tree::Float(text.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_not_json_is_told_by_its_column_and_not_shown() {
        let found = refused(r#"{"name": "secret" "other"}"#);
        assert_eq!(found, "not JSON: expected `,` or `}` at column 19");
        assert_eq!(refused(""), "not JSON: EOF while parsing a value at column 0");
        assert_eq!(refused("{} {}"), "not JSON: trailing characters at column 4");
        assert_eq!(refused("1e400"), "not JSON: number out of range at column 5");
        assert!(refused(&"[".repeat(200)).starts_with("not JSON: recursion limit exceeded"));
    }
}
