//! Whether a condition asks a field that was redacted at the source for what is left of it. Edge: compares with literals only; what is
//! computed is not followed.

use crate::error::Fault;
use crate::expression::{Comparison, Condition, Expression, Literal, Node, TextTest};
use minutebook_record::redaction::{Buckets, Kept, Truncation};
use minutebook_record::{FieldType, Path, Schema};

/// Checks every part of a condition against the types that a schema says.
pub(crate) fn check(condition: &Condition, schema: &Schema) -> Result<(), Fault> {
    let types = condition.paths.iter().map(|path| {
        let place = Path::new(path.parts.iter().cloned()).ok().and_then(|path| schema.find(&path))?;
        Some(&schema.fields()[place].field_type).filter(|found| found.is_redacted())
    });
    let looked = Looked { condition, types: types.collect() };
    looked.part(&condition.root)
}

struct Looked<'a> {
    condition: &'a Condition,
    /// Of each field of the condition, if it is redacted.
    types: Vec<Option<&'a FieldType>>,
}

impl Looked<'_> {
    fn name(&self, field: usize) -> String {
        format!("`{}`", self.condition.paths[field].shown())
    }

    fn redacted(&self, expression: &Expression) -> Option<(usize, &FieldType)> {
        match expression.node {
            Node::Field(field) => Some((field, self.types[field]?)),
            _ => None,
        }
    }

    fn part(&self, expression: &Expression) -> Result<(), Fault> {
        let fault = |what: String| Err(Fault::new(expression.at.clone(), what));
        match &expression.node {
            Node::Literal(_) => Ok(()),
            Node::Has(field) | Node::Field(field) if self.types[*field] == Some(&FieldType::Dropped) => {
                fault(format!("{} is left out at the source: no record has it", self.name(*field)))
            }
            Node::Field(field) if matches!(self.types[*field], Some(FieldType::Hashed(_))) => {
                fault(format!("{} is hashed at the source: only `has` can be asked of it", self.name(*field)))
            }
            Node::Has(_) | Node::Field(_) => Ok(()),
            Node::Not(inner) | Node::Negate(inner) | Node::Absolute(inner) => self.part(inner),
            Node::And(left, right) | Node::Or(left, right) | Node::Compute(_, left, right) => {
                self.part(left)?;
                self.part(right)
            }
            Node::Compare(comparison, left, right) => {
                self.part(left)?;
                self.part(right)?;
                self.compared(*comparison, left, right)?;
                self.compared(comparison.turned(), right, left)
            }
            Node::In(left, items) => {
                self.part(left)?;
                items.iter().try_for_each(|item| {
                    self.part(item)?;
                    self.compared(Comparison::Equal, left, item)
                })
            }
            Node::Text(test, left, right) => {
                self.part(left)?;
                self.part(right)?;
                let Some((field, FieldType::Truncated(truncation))) = self.redacted(left) else {
                    return Ok(());
                };
                if *test != TextTest::StartsWith {
                    let kept = kept(truncation);
                    return fault(format!(
                        "of {} only {kept} are there: `startsWith` can be asked",
                        self.name(field)
                    ));
                }
                self.text(field, truncation, right)
            }
        }
    }

    /// What `left` is compared with.
    fn compared(&self, comparison: Comparison, left: &Expression, right: &Expression) -> Result<(), Fault> {
        match self.redacted(left) {
            Some((field, FieldType::Truncated(truncation))) => self.text(field, truncation, right),
            Some((field, FieldType::Bucketed(buckets))) => {
                let Some(number) = number(right) else { return Ok(()) };
                let name = self.name(field);
                if !buckets.has_lower(number) {
                    let what = format!(
                        "{name} is in buckets, and none of them begins at {number}{}",
                        near(buckets, number)
                    );
                    return Err(Fault::new(right.at.clone(), what));
                }
                if matches!(comparison, Comparison::Greater | Comparison::LessOrEqual) {
                    let what = format!(
                        "{name} is the lower end of a bucket: at {number} it stands for what is above, too; write `>= {number}` or `< {number}`"
                    );
                    return Err(Fault::new(right.at.clone(), what));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A text that a truncated one is compared with.
    fn text(&self, field: usize, truncation: &Truncation, other: &Expression) -> Result<(), Fault> {
        let (Kept::First(length), Node::Literal(Literal::Text(text))) = (truncation.kept(), &other.node)
        else {
            return Ok(());
        };
        if text.chars().count() <= length as usize {
            return Ok(());
        }
        let what = format!("of {} only {} are there, and this has more", self.name(field), kept(truncation));
        Err(Fault::new(other.at.clone(), what))
    }
}

fn kept(truncation: &Truncation) -> String {
    format!("the first {} characters", truncation.kept())
}

/// A number that is written out.
fn number(expression: &Expression) -> Option<f64> {
    match &expression.node {
        Node::Literal(Literal::Integer(integer)) => Some(*integer as f64),
        Node::Literal(Literal::Float(float)) => Some(*float),
        Node::Negate(inner) => number(inner).map(|number| -number),
        _ => None,
    }
}

/// The ends of the bucket that a number is in.
fn near(buckets: &Buckets, number: f64) -> String {
    let ends = buckets.lower(number).map(|lower| (lower, buckets.upper(lower)));
    match ends {
        Some((lower, Some(upper))) if lower.is_finite() && upper.is_finite() => {
            format!(": one does at {lower}, the next at {upper}")
        }
        Some((_, Some(upper))) if upper.is_finite() => format!(": the first does at {upper}"),
        Some((lower, _)) if lower.is_finite() => format!(": the last does at {lower}"),
        _ => String::new(),
    }
}
