//! Reading a condition: the part of CEL (the Common Expression Language) that a condition over one record needs. Edge: what it reads means what
//! it means in CEL; what it does not read is named, with what to write instead.

use crate::error::Fault;
use crate::expression::{Comparison, Condition, Expression, FieldPath, Literal, Node, Operation, TextTest};
use crate::lex::{Token, tokens};
use crate::limits::NESTING_MAX;
use crate::nearest::proposal;
use std::ops::Range;

/// What a condition may look at, and how it is written.
const ROOTS: [(&str, &str); 8] = [
    ("inputs", "inputs.amount"),
    ("outputs", "outputs.approve"),
    ("event", "event.status or event.duration"),
    ("model", "model.name or model.version"),
    ("tags", "tags.region"),
    ("params", "params.threshold"),
    ("environment", "environment.host"),
    ("actor", "actor"),
];

const FUNCTIONS: [&str; 6] = ["abs", "duration", "has", "startsWith", "endsWith", "contains"];

/// Reads a condition.
pub(crate) fn parse(text: &str) -> Result<Condition, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, paths: Vec::new(), depth: 0 };
    if *parser.peek() == Token::End {
        return Err(Fault::new(
            0..text.len(),
            "the condition is empty: leave `when` out for a rule that always decides",
        ));
    }
    let root = parser.or()?;
    match parser.peek() {
        Token::End => Ok(Condition { root, paths: parser.paths }),
        _ => Err(parser.unexpected("an operator, such as `&&`")),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    paths: Vec<FieldPath>,
    depth: usize,
}

type Parsed = Result<Expression, Fault>;

/// Makes a node of two operands.
type Joins = fn(Box<Expression>, Box<Expression>) -> Node;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> Range<usize> {
        self.tokens[self.next].1.clone()
    }

    fn advance(&mut self) -> (Token, Range<usize>) {
        let token = self.tokens[self.next].clone();
        // INVARIANT: the last token is `End`, and stays the next one.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(next) if *next == sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<Range<usize>, Fault> {
        let at = self.at();
        if self.take(sign) { Ok(at) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let what = match self.peek() {
            Token::End => format!("the condition ends where {wanted} is missing"),
            Token::Sign("?") => "`? :` is not known to conditions: write two rules".to_owned(),
            _ => format!("here {wanted} is missing"),
        };
        let at = self.at();
        Fault::new(at.start..at.end.max(at.start + 1), what)
    }

    /// Descends one level, within the limit.
    fn deeper(&mut self, read: fn(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(Fault::new(self.at(), "the condition is too deep: split it into several rules"));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn or(&mut self) -> Parsed {
        self.chain(Self::and, |token| match token {
            Token::Sign("||") => Some(Node::Or),
            _ => None,
        })
    }

    fn and(&mut self) -> Parsed {
        self.chain(Self::comparison, |token| match token {
            Token::Sign("&&") => Some(Node::And),
            _ => None,
        })
    }

    /// Operands with operators of one rank between them, from left to right. `operator` says what an operator of the rank makes of two operands.
    fn chain(&mut self, operand: fn(&mut Self) -> Parsed, operator: fn(&Token) -> Option<Joins>) -> Parsed {
        let mut left = operand(self)?;
        let mut count = 0;
        while let Some(node) = operator(self.peek()) {
            self.advance();
            self.chained(&mut count)?;
            let right = operand(self)?;
            left = joined(left, right, node);
        }
        Ok(left)
    }

    /// A chain of operators is as deep a tree as it is long.
    fn chained(&self, count: &mut usize) -> Result<(), Fault> {
        *count += 1;
        if *count > NESTING_MAX {
            return Err(Fault::new(
                self.at(),
                "the condition is too long: use `in`, or split it into several rules",
            ));
        }
        Ok(())
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            Token::Name(name) if name == "in" => {
                self.advance();
                return self.list(left);
            }
            _ => return Ok(left),
        };
        self.advance();
        let right = self.sum()?;
        if let Token::Sign("==" | "!=" | "<" | "<=" | ">" | ">=") = self.peek() {
            return Err(Fault::new(
                self.at(),
                "comparisons are not chained: write `0 < inputs.x && inputs.x < 1`",
            ));
        }
        Ok(joined(left, right, |a, b| Node::Compare(comparison, a, b)))
    }

    fn list(&mut self, left: Expression) -> Parsed {
        self.expect("[").map_err(|fault| {
            Fault::new(fault.at, "after `in` comes a list: `inputs.purpose in [\"car\", \"boat\"]`")
        })?;
        let mut items = Vec::new();
        let end = loop {
            if matches!(self.peek(), Token::Sign("]")) {
                break self.advance().1;
            }
            items.push(self.deeper(Self::or)?);
            if !self.take(",") {
                break self.expect("]")?;
            }
        };
        let at = left.at.start..end.end;
        Ok(Expression { node: Node::In(Box::new(left), items), at })
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::product, |token| match token {
            Token::Sign("+") => Some(|a, b| Node::Compute(Operation::Add, a, b)),
            Token::Sign("-") => Some(|a, b| Node::Compute(Operation::Subtract, a, b)),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::unary, |token| match token {
            Token::Sign("*") => Some(|a, b| Node::Compute(Operation::Multiply, a, b)),
            Token::Sign("/") => Some(|a, b| Node::Compute(Operation::Divide, a, b)),
            Token::Sign("%") => Some(|a, b| Node::Compute(Operation::Remainder, a, b)),
            _ => None,
        })
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        let wrap: fn(Box<Expression>) -> Node = match self.peek() {
            Token::Sign("!") => Node::Not,
            Token::Sign("-") => Node::Negate,
            _ => return self.primary(),
        };
        self.advance();
        let inner = self.deeper(Self::unary)?;
        let at = at.start..inner.at.end;
        Ok(Expression { node: wrap(Box::new(inner)), at })
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let literal = |literal, at| Ok(Expression { node: Node::Literal(literal), at });
        match self.peek().clone() {
            Token::Integer(value) => {
                self.advance();
                literal(Literal::Integer(value), at)
            }
            Token::Float(value) => {
                self.advance();
                literal(Literal::Float(value), at)
            }
            Token::Text(value) => {
                self.advance();
                literal(Literal::Text(value), at)
            }
            Token::Sign("(") => {
                self.advance();
                let mut inner = self.deeper(Self::or)?;
                let end = self.expect(")")?;
                inner.at = at.start..end.end;
                Ok(inner)
            }
            Token::Name(name) => self.named(&name, at),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn named(&mut self, name: &str, at: Range<usize>) -> Parsed {
        self.advance();
        let literal = |literal| Ok(Expression { node: Node::Literal(literal), at: at.clone() });
        match name {
            "true" => return literal(Literal::Bool(true)),
            "false" => return literal(Literal::Bool(false)),
            "null" => {
                let what = "`null` is not compared: `has(inputs.amount)` asks whether there is a value";
                return Err(Fault::new(at, what));
            }
            _ => {}
        }
        if matches!(self.peek(), Token::Sign("(")) {
            return self.function(name, at);
        }
        self.field(name, at)
    }

    fn function(&mut self, name: &str, at: Range<usize>) -> Parsed {
        self.expect("(")?;
        match name {
            "abs" => {
                let inner = self.deeper(Self::or)?;
                let end = self.expect(")")?;
                Ok(Expression { node: Node::Absolute(Box::new(inner)), at: at.start..end.end })
            }
            "has" => {
                let inner_at = self.at();
                let inner = self.deeper(Self::or)?;
                let end = self.expect(")")?;
                let Node::Field(field) = inner.node else {
                    return Err(Fault::new(
                        inner_at.start..inner.at.end,
                        "`has` takes a field: `has(inputs.amount)`",
                    ));
                };
                Ok(Expression { node: Node::Has(field), at: at.start..end.end })
            }
            "duration" => {
                let (token, text_at) = self.advance();
                let Token::Text(text) = token else {
                    return Err(Fault::new(text_at, "`duration` takes a text: `duration(\"50ms\")`"));
                };
                let end = self.expect(")")?;
                let ns = duration_ns(&text).ok_or_else(|| {
                    let what = "this is no time: write numbers with `h`, `m`, `s`, `ms`, `us` or `ns`, such as `1m30s`";
                    Fault::new(text_at, what)
                })?;
                Ok(Expression { node: Node::Literal(Literal::Duration(ns)), at: at.start..end.end })
            }
            _ => {
                let near = proposal("", name, FUNCTIONS.into_iter());
                Err(Fault::new(at, format!("there is no function `{name}`{near}")))
            }
        }
    }

    /// A field, and what may be asked of a text behind it.
    fn field(&mut self, root: &str, at: Range<usize>) -> Parsed {
        let mut parts = vec![root.to_owned()];
        let mut end = at.end;
        let mut ask = None;
        loop {
            if self.take(".") {
                let (token, part_at) = self.advance();
                let Token::Name(part) = token else {
                    return Err(Fault::new(
                        part_at,
                        "here a name is missing; one that is no word is written `inputs[\"odd name\"]`",
                    ));
                };
                if matches!(self.peek(), Token::Sign("(")) {
                    ask = Some((part, part_at));
                    break;
                }
                end = part_at.end;
                parts.push(part);
            } else if matches!(self.peek(), Token::Sign("[")) {
                self.advance();
                let (token, part_at) = self.advance();
                let Token::Text(part) = token else {
                    return Err(Fault::new(
                        part_at,
                        "in brackets stands a name as a text: `inputs[\"odd name\"]`",
                    ));
                };
                end = self.expect("]")?.end;
                parts.push(part);
            } else {
                break;
            }
        }
        let path = FieldPath { parts, at: at.start..end };
        check_path(&path)?;
        let known = self.paths.iter().position(|known| known.parts == path.parts);
        let place = known.unwrap_or_else(|| {
            self.paths.push(path.clone());
            self.paths.len() - 1
        });
        let field = Expression { node: Node::Field(place), at: path.at };
        match ask {
            Some((name, name_at)) => self.ask(field, &name, name_at),
            None => Ok(field),
        }
    }

    fn ask(&mut self, field: Expression, name: &str, at: Range<usize>) -> Parsed {
        let test = match name {
            "startsWith" => TextTest::StartsWith,
            "endsWith" => TextTest::EndsWith,
            "contains" => TextTest::Contains,
            _ => {
                let near = proposal("", name, FUNCTIONS.into_iter());
                return Err(Fault::new(at, format!("a field cannot be asked `{name}`{near}")));
            }
        };
        self.expect("(")?;
        let argument = self.deeper(Self::or)?;
        let end = self.expect(")")?;
        let at = field.at.start..end.end;
        Ok(Expression { node: Node::Text(test, Box::new(field), Box::new(argument)), at })
    }
}

fn joined(
    left: Expression,
    right: Expression,
    node: impl FnOnce(Box<Expression>, Box<Expression>) -> Node,
) -> Expression {
    let at = left.at.start..right.at.end;
    Expression { node: node(Box::new(left), Box::new(right)), at }
}

fn check_path(path: &FieldPath) -> Result<(), Fault> {
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    let Some((_, example)) = ROOTS.iter().find(|(root, _)| *root == parts[0]) else {
        let near = proposal("", parts[0], ROOTS.iter().map(|(root, _)| *root));
        let what = if near.is_empty() {
            format!(
                "a condition cannot look at `{}`: it begins with inputs, outputs, event, model, tags, params, environment or actor",
                parts[0]
            )
        } else {
            format!("a condition cannot look at `{}`{near}", parts[0])
        };
        return Err(Fault::new(path.at.clone(), what));
    };
    let right = match parts[..] {
        ["event", name] => matches!(name, "status" | "duration"),
        ["model", name] => matches!(name, "name" | "version"),
        ["actor"] => true,
        ["event" | "model" | "actor", ..] => false,
        [_, ..] => parts.len() >= 2,
        [] => false,
    };
    if right {
        Ok(())
    } else {
        Err(Fault::new(
            path.at.clone(),
            format!("`{}` is no field that a condition can look at: write {example}", path.shown()),
        ))
    }
}

/// A time in ns, as CEL writes it: `1h30m`, `0.5s`, `-50ms`.
fn duration_ns(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut total = 0i128;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let length = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: f64 =
            rest[..length].parse().ok().filter(|_| rest.starts_with(|c: char| c.is_ascii_digit()))?;
        rest = &rest[length..];
        let units = [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("h", 3.6e12), ("m", 6e10), ("s", 1e9)];
        let (unit, ns) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        // A saturating conversion; years of ns are exact enough.
        total = total.checked_add((number * ns).round() as i128)?;
    }
    Some(if negative { -total } else { total })
}
