//! A question without what its asker wrote into it, for the record that it was asked: a condition may name a person. Edge: text only.

use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::limits::QUESTION_BYTES_MAX;
use crate::state::State;

/// The question with `?` for every value and for every name that no table or column has; empty when it is none.
pub fn without_literals(state: &State, text: &str) -> String {
    if text.len() > QUESTION_BYTES_MAX {
        return String::new();
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return String::new() };
    let tables = state.tables.values();
    let columns = tables
        .clone()
        .flat_map(|table| &table.columns)
        .flat_map(|column| std::iter::once(column.name.as_str()).chain(column.name.split('.')));
    let known: HashSet<&str> = tables.map(|table| table.id.name()).chain(columns).collect();
    let mut out = String::with_capacity(text.len());
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {}
            Token::Whitespace(_) => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            Token::Word(word) => {
                let calls = tokens.get(at + 1) == Some(&Token::LParen) && word.quote_style.is_none();
                let is_known = known.contains(word.value.as_str())
                    || (word.quote_style.is_none() && word.keyword != Keyword::NoKeyword)
                    || calls;
                if is_known { out.push_str(&word.to_string()) } else { out.push('?') }
            }
            sign if is_sign(sign) => out.push_str(&sign.to_string()),
            _ => out.push('?'),
        }
    }
    out.trim().to_owned()
}

/// What holds a question together, and says nothing by itself.
fn is_sign(token: &Token) -> bool {
    use Token as T;
    matches!(
        token,
        T::Comma
            | T::Eq
            | T::DoubleEq
            | T::Neq
            | T::Lt
            | T::Gt
            | T::LtEq
            | T::GtEq
            | T::Plus
            | T::Minus
            | T::Mul
            | T::Div
            | T::Mod
            | T::StringConcat
            | T::LParen
            | T::RParen
            | T::Period
            | T::SemiColon
            | T::LBracket
            | T::RBracket
            | T::DoubleColon
            | T::Colon
            | T::Pipe
            | T::Ampersand
            | T::ExclamationMark
    )
}
