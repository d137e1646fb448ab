//! What a condition says of a record. Edge: gets the values of fields when it asks for them; a part for which there is no value is unknown, and
//! unknown spreads as an error does in CEL: `false && unknown` is false, `true || unknown` is true, all else is unknown.

use crate::expression::{Expression, Literal, Node, Operation, TextTest};
use crate::value::Value;

/// Gives the values of a record's fields.
pub(crate) trait Fields<'a> {
    /// The value of a field of the condition; `None` when it is missing.
    fn value(&self, field: usize) -> Option<Value<'a>>;
    /// Whether the field is there and not null, whatever its type.
    fn has(&self, field: usize) -> bool;
}

/// The value of a part; `None` when it is unknown.
pub(crate) fn evaluate<'a>(expression: &'a Expression, fields: &dyn Fields<'a>) -> Option<Value<'a>> {
    Some(match &expression.node {
        Node::Literal(literal) => literal.value(),
        Node::Field(field) => return fields.value(*field),
        Node::Has(field) => Value::Bool(fields.has(*field)),
        Node::Not(inner) => Value::Bool(!holds(inner, fields)?),
        Node::And(left, right) => match (holds(left, fields), || holds(right, fields)) {
            (Some(false), _) => Value::Bool(false),
            (Some(true), right) => Value::Bool(right()?),
            (None, right) => return right().filter(|right| !right).map(Value::Bool),
        },
        Node::Or(left, right) => match (holds(left, fields), || holds(right, fields)) {
            (Some(true), _) => Value::Bool(true),
            (Some(false), right) => Value::Bool(right()?),
            (None, right) => return right().filter(|right| *right).map(Value::Bool),
        },
        Node::Compare(comparison, left, right) => {
            let (left, right) = (evaluate(left, fields)?, evaluate(right, fields)?);
            Value::Bool(comparison.holds(left.compare(right)?))
        }
        Node::In(left, items) => {
            let left = evaluate(left, fields)?;
            let same = |item: &'a Expression| {
                let item = evaluate(item, fields)?;
                Some(left.compare(item)? == Some(std::cmp::Ordering::Equal))
            };
            let mut unknown = false;
            for item in items {
                match same(item) {
                    Some(true) => return Some(Value::Bool(true)),
                    Some(false) => {}
                    None => unknown = true,
                }
            }
            if unknown {
                return None;
            }
            Value::Bool(false)
        }
        Node::Negate(inner) => match evaluate(inner, fields)? {
            Value::Integer(value) => Value::Integer(value.checked_neg()?),
            Value::Float(value) => Value::Float(-value),
            Value::Duration(value) => Value::Duration(value.checked_neg()?),
            _ => return None,
        },
        Node::Absolute(inner) => match evaluate(inner, fields)? {
            Value::Integer(value) => Value::Integer(value.checked_abs()?),
            Value::Float(value) => Value::Float(value.abs()),
            Value::Duration(value) => Value::Duration(value.checked_abs()?),
            _ => return None,
        },
        Node::Compute(operation, left, right) => {
            operation.compute(evaluate(left, fields)?, evaluate(right, fields)?)?
        }
        Node::Text(test, left, right) => match (evaluate(left, fields)?, evaluate(right, fields)?) {
            (Value::Text(text), Value::Text(part)) => Value::Bool(match test {
                TextTest::StartsWith => text.starts_with(part),
                TextTest::EndsWith => text.ends_with(part),
                TextTest::Contains => text.contains(part),
            }),
            _ => return None,
        },
    })
}

/// A part as a condition; `None` when it is unknown.
pub(crate) fn holds<'a>(expression: &'a Expression, fields: &dyn Fields<'a>) -> Option<bool> {
    match evaluate(expression, fields)? {
        Value::Bool(value) => Some(value),
        _ => None,
    }
}

impl Literal {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(value) => Value::Text(value),
            Self::Duration(value) => Value::Duration(*value),
        }
    }
}

impl Operation {
    /// Unknown for what is too large, for a division of integers by zero, and for values that are not of one kind.
    fn compute<'a>(self, left: Value<'a>, right: Value<'a>) -> Option<Value<'a>> {
        match (left, right) {
            (Value::Integer(a), Value::Integer(b)) => self.integers(a, b).map(Value::Integer),
            (Value::Float(a), Value::Float(b)) => Some(Value::Float(self.floats(a, b))),
            (Value::Integer(a), Value::Float(b)) => Some(Value::Float(self.floats(a as f64, b))),
            (Value::Float(a), Value::Integer(b)) => Some(Value::Float(self.floats(a, b as f64))),
            (Value::Duration(a), Value::Duration(b)) if matches!(self, Self::Add | Self::Subtract) => {
                self.integers(a, b).map(Value::Duration)
            }
            _ => None,
        }
    }

    fn integers(self, a: i128, b: i128) -> Option<i128> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Remainder => a.checked_rem(b),
        }
    }

    fn floats(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a % b,
        }
    }
}
