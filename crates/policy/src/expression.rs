//! A condition as a tree. Edge: holds it; reading, checking and evaluating are beside.

use std::cmp::Ordering;
use std::ops::Range;

/// A part of a condition and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub(crate) node: Node,
    /// Bytes of the condition.
    pub(crate) at: Range<usize>,
}

/// What the part is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Literal(Literal),
    /// A field: index into the condition's paths.
    Field(usize),
    /// Whether a field has a value.
    Has(usize),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Absolute(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Compute(Operation, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    Text(TextTest, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// ns
    Duration(i128),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

impl Comparison {
    /// Whether it holds; `None` is what a NaN compares as.
    pub(crate) fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::NotEqual => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// The same comparison with its sides exchanged.
    pub(crate) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// Whether it asks only for the same or not.
    pub(crate) fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// A condition: its tree, and the fields that it asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) root: Expression,
    pub(crate) paths: Vec<FieldPath>,
}

/// A field as a condition names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    pub(crate) parts: Vec<String>,
    /// Where it is named first.
    pub(crate) at: Range<usize>,
}

impl FieldPath {
    /// As one writes it.
    pub(crate) fn shown(&self) -> String {
        let simple = |part: &str| {
            part.bytes().enumerate().all(|(at, byte)| {
                byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit())
            }) && !part.is_empty()
        };
        let mut out = String::new();
        for (at, part) in self.parts.iter().enumerate() {
            match (at, simple(part)) {
                (0, _) => out.push_str(part),
                (_, true) => out.push_str(&format!(".{part}")),
                (_, false) => out.push_str(&format!("[{part:?}]")),
            }
        }
        out
    }
}
