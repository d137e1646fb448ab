//! The tokens of a condition. Edge: CEL's lexical rules for what conditions use; texts as CEL writes them, without bytes and raw ones.

use crate::error::Fault;
use std::ops::Range;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Integer(i128),
    Float(f64),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "-", "+", "*", "/", "%", "(", ")", "[", "]", ".", ",",
    "?", ":", "{",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Fault> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(rest).map_err(|what| Fault::new(at..at + word(rest), what))?
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Token::Name(rest[..length].to_owned()), length)
        } else if first == '"' || first == '\'' {
            quoted(rest, first).map_err(|(from, to, what)| Fault::new(at + from..at + to, what))?
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            let what = match first {
                '=' => "one `=` compares nothing: write `==`".to_owned(),
                '&' | '|' => format!("write `{first}{first}`"),
                '`' => "a name that is no word is written in brackets: `inputs[\"odd name\"]`".to_owned(),
                _ => format!("`{first}` has no meaning here"),
            };
            return Err(Fault::new(at..at + first.len_utf8(), what));
        };
        found.push((token, at..at + length));
        at += length;
    }
    found.push((Token::End, text.len()..text.len()));
    Ok(found)
}

/// The length of what looks like one word.
fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let length = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let value = i128::from_str_radix(&hex[..length], 16).map_err(|_| "this is no number".to_owned())?;
        return integer(value, rest, 2 + length);
    }
    let mut length = digits(rest);
    let mut is_float = false;
    if rest[length..].starts_with('.') && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        length += 1 + digits(&rest[length + 1..]);
        is_float = true;
    }
    if rest[length..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
        let exponent = digits(&rest[length + 1 + sign..]);
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_float = true;
        }
    }
    if is_float {
        let value: f64 = rest[..length].parse().map_err(|_| "this is no number".to_owned())?;
        ends(rest, length)?;
        return Ok((Token::Float(value), length));
    }
    let value = rest[..length].parse().map_err(|_| "this number is too large".to_owned())?;
    integer(value, rest, length)
}

fn integer(value: i128, rest: &str, length: usize) -> Result<(Token, usize), String> {
    if value > i128::from(u64::MAX) {
        return Err("this number is too large".into());
    }
    let suffix = usize::from(rest[length..].starts_with(['u', 'U']));
    ends(rest, length + suffix)?;
    Ok((Token::Integer(value), length + suffix))
}

fn ends(rest: &str, length: usize) -> Result<(), String> {
    if rest[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err("this is no number; a time is written `duration(\"50ms\")`".into());
    }
    Ok(())
}

fn quoted(rest: &str, quote: char) -> Result<(Token, usize), (usize, usize, String)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' => break,
            '\\' => {
                let unknown = |to: usize| {
                    (at, to, "this escape has no meaning: a backslash is written twice".to_owned())
                };
                let (next_at, escaped) = characters.next().ok_or(unknown(rest.len()))?;
                let simple = match escaped {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    '\\' | '"' | '\'' | '`' | '?' => Some(escaped),
                    _ => None,
                };
                let digits = match escaped {
                    'x' | 'X' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if let Some(simple) = simple {
                    text.push(simple);
                    continue;
                }
                let from = next_at + escaped.len_utf8();
                let code = rest.get(from..from + digits).filter(|_| digits > 0);
                let code = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
                text.push(code.ok_or(unknown(from))?);
                for _ in 0..digits {
                    characters.next();
                }
            }
            _ if character == quote => return Ok((Token::Text(text), at + 1)),
            _ => text.push(character),
        }
    }
    let end = rest.find('\n').unwrap_or(rest.len());
    Err((0, end, format!("this text does not end: {quote} is missing")))
}
