//! `has_words(text, 'some words')`: whether all of the words stand in a text, whatever their case. Edge: whole words; parts of words are
//! for ILIKE.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// The function.
pub fn has_words() -> ScalarUDF {
    create_udf(
        "has_words",
        vec![DataType::Utf8View, DataType::Utf8],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(evaluate),
    )
}

fn evaluate(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let [texts, ColumnarValue::Scalar(ScalarValue::Utf8(Some(wanted)))] = arguments else {
        return Err(DataFusionError::Plan(
            "`has_words` takes a column of text, and the words as one text: has_words(inputs.prompt, 'some words')".into(),
        ));
    };
    let wanted = words(&wanted.to_lowercase()).map(str::to_owned).collect::<Vec<_>>();
    match texts {
        ColumnarValue::Scalar(text) => {
            let text = text.cast_to(&DataType::Utf8)?;
            let ScalarValue::Utf8(text) = text else {
                return Err(DataFusionError::Internal("a text that is none".into()));
            };
            Ok(ColumnarValue::Scalar(ScalarValue::Boolean(text.map(|text| has_all(&text, &wanted)))))
        }
        ColumnarValue::Array(texts) => {
            let texts = texts.as_string_view();
            let mut found = BooleanBuilder::with_capacity(texts.len());
            texts.iter().for_each(|text| found.append_option(text.map(|text| has_all(text, &wanted))));
            Ok(ColumnarValue::Array(Arc::new(found.finish())))
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether all wanted words, in lower case, stand in a text.
fn has_all(text: &str, wanted: &[String]) -> bool {
    if text.is_ascii() {
        // Without a copy of the text.
        return wanted.iter().all(|wanted| words(text).any(|word| word.eq_ignore_ascii_case(wanted)));
    }
    let text = text.to_lowercase();
    wanted.iter().all(|wanted| words(&text).any(|word| word == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_in_any_case() {
        for (text, wanted, expected) in [
            ("The applicant LIVES in Köln.", "lives köln", true),
            ("The applicant lives", "live", false),
            ("credit-history: none", "history credit", true),
            ("", "a", false),
            ("anything", "", true),
        ] {
            let wanted: Vec<String> = words(&wanted.to_lowercase()).map(str::to_owned).collect();
            assert_eq!(has_all(text, &wanted), expected, "{text}");
        }
    }
}
