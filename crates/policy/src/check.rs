//! Whether a condition makes sense: types that fit each other, and, against a schema, fields that there are. Edge: finds the first fault; says
//! nothing about values.

use crate::error::Fault;
use crate::expression::{Condition, Expression, FieldPath, Literal, Node, Operation};
use crate::nearest::proposal;
use crate::redaction;
use crate::shape::place_of;
use minutebook_record::{FieldType, Schema};

/// What a part is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Number,
    Text,
    Duration,
    /// Known for each record only.
    Any,
}

impl Type {
    fn words(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Duration => "a time",
            Self::Any => "any value",
        }
    }

    fn may_be(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }
}

/// Checks a condition, against a schema if one is given.
pub(crate) fn check(condition: &Condition, schema: Option<&Schema>) -> Result<(), Fault> {
    let mut types = Vec::new();
    for path in &condition.paths {
        types.push(type_of_field(path, schema)?);
    }
    match type_of(&condition.root, &types)? {
        Type::Bool | Type::Any => {}
        other => {
            let what = format!("a condition is true or false, and this is {}", other.words());
            return Err(Fault::new(condition.root.at.clone(), what));
        }
    }
    schema.map_or(Ok(()), |schema| redaction::check(condition, schema))
}

pub(crate) fn type_of_field(path: &FieldPath, schema: Option<&Schema>) -> Result<Type, Fault> {
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["event", "status"] | ["model", _] | ["actor"] => return Ok(Type::Text),
        ["event", "duration"] => return Ok(Type::Duration),
        _ => {}
    }
    let Some(schema) = schema else { return Ok(Type::Any) };
    let Some((place, depth)) = place_of(schema, &path.parts) else {
        if matches!(parts[0], "tags" | "params" | "environment") {
            return Ok(Type::Any);
        }
        return Err(Fault::new(path.at.clone(), unknown(path, schema)));
    };
    let field_type = &schema.fields()[place].field_type;
    if depth < parts.len() {
        return match field_type {
            FieldType::Map => Ok(Type::Any),
            _ => {
                let what =
                    format!("`{}` has no parts: it is of type `{field_type}`", shown(&path.parts[..depth]));
                Err(Fault::new(path.at.clone(), what))
            }
        };
    }
    match field_type {
        FieldType::Bool => Ok(Type::Bool),
        FieldType::Integer(_) | FieldType::F16 | FieldType::F32 | FieldType::F64 | FieldType::Decimal => {
            Ok(Type::Number)
        }
        FieldType::Text | FieldType::Category => Ok(Type::Text),
        FieldType::Bucketed(_) => Ok(Type::Number),
        FieldType::Truncated(truncation)
            if matches!(truncation.of(), FieldType::Text | FieldType::Category) =>
        {
            Ok(Type::Text)
        }
        FieldType::Duration => Ok(Type::Duration),
        // A value that was missing where the schema was made.
        FieldType::Null => Ok(Type::Any),
        // Only `has` looks at these; the parts of a map are looked at one by one.
        _ => Ok(Type::Any),
    }
}

fn shown(parts: &[String]) -> String {
    FieldPath { parts: parts.to_vec(), at: 0..0 }.shown()
}

fn unknown(path: &FieldPath, schema: &Schema) -> String {
    let kind = if path.parts[0] == "inputs" { "input" } else { "output" };
    let known: Vec<String> = schema
        .fields()
        .iter()
        .filter(|field| field.path.first() == path.parts[0])
        .map(|field| shown(&field.path.parts().map(str::to_owned).collect::<Vec<_>>()))
        .collect();
    let wanted = path.shown();
    let root = &path.parts[0];
    let near = proposal(root, &wanted[root.len()..], known.iter().map(|name| &name[root.len()..]));
    if !near.is_empty() || known.is_empty() {
        return format!("the model has no {kind} `{wanted}`{near}");
    }
    let some: Vec<String> = known.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = if known.len() > 8 { ", …" } else { "" };
    format!("the model has no {kind} `{wanted}`; it has {}{more}", some.join(", "))
}

fn type_of(expression: &Expression, fields: &[Type]) -> Result<Type, Fault> {
    let wanted = |inner: &Expression, wanted: Type| {
        let found = type_of(inner, fields)?;
        if found.may_be(wanted) {
            return Ok(found);
        }
        let what = format!("here {} is wanted, and this is {}", wanted.words(), found.words());
        Err(Fault::new(inner.at.clone(), what))
    };
    let measure = |inner: &Expression| match type_of(inner, fields)? {
        found @ (Type::Number | Type::Duration | Type::Any) => Ok(found),
        found => {
            let what = format!("here a number is wanted, and this is {}", found.words());
            Err(Fault::new(inner.at.clone(), what))
        }
    };
    let differ = |left: Type, right: Type| {
        let hint = match (left, right) {
            (Type::Duration, Type::Number) | (Type::Number, Type::Duration) => {
                ": write a time as `duration(\"50ms\")`"
            }
            _ => "",
        };
        let what = format!("{} and {} are not compared with each other{hint}", left.words(), right.words());
        Fault::new(expression.at.clone(), what)
    };
    Ok(match &expression.node {
        Node::Literal(Literal::Bool(_)) => Type::Bool,
        Node::Literal(Literal::Integer(_) | Literal::Float(_)) => Type::Number,
        Node::Literal(Literal::Text(_)) => Type::Text,
        Node::Literal(Literal::Duration(_)) => Type::Duration,
        Node::Field(field) => fields[*field],
        Node::Has(_) => Type::Bool,
        Node::Not(inner) => {
            wanted(inner, Type::Bool)?;
            Type::Bool
        }
        Node::And(left, right) | Node::Or(left, right) => {
            wanted(left, Type::Bool)?;
            wanted(right, Type::Bool)?;
            Type::Bool
        }
        Node::Negate(inner) | Node::Absolute(inner) => measure(inner)?,
        Node::Compare(comparison, left, right) => {
            let (left_type, right_type) = (type_of(left, fields)?, type_of(right, fields)?);
            if !left_type.may_be(right_type) {
                return Err(differ(left_type, right_type));
            }
            if !comparison.is_equality() && (left_type == Type::Bool || right_type == Type::Bool) {
                return Err(Fault::new(
                    expression.at.clone(),
                    "true and false are compared with `==` and `!=` only",
                ));
            }
            Type::Bool
        }
        Node::In(left, items) => {
            let left = type_of(left, fields)?;
            for item in items {
                let found = type_of(item, fields)?;
                if !left.may_be(found) {
                    let what =
                        format!("the list is searched for {}, and this is {}", left.words(), found.words());
                    return Err(Fault::new(item.at.clone(), what));
                }
            }
            Type::Bool
        }
        Node::Compute(operation, left, right) => {
            let (left, right_type) = (measure(left)?, measure(right)?);
            if !left.may_be(right_type) {
                return Err(differ(left, right_type));
            }
            let of_times = matches!(operation, Operation::Add | Operation::Subtract);
            match (left, right_type) {
                (Type::Duration, _) | (_, Type::Duration) if !of_times => {
                    return Err(Fault::new(expression.at.clone(), "times are only added and subtracted"));
                }
                (Type::Any, known) | (known, _) => known,
            }
        }
        Node::Text(_, left, right) => {
            wanted(left, Type::Text)?;
            wanted(right, Type::Text)?;
            Type::Bool
        }
    })
}
