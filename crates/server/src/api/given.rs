//! Bodies in JSON, read as what a path takes: an object, never a list that has the members in order, and so at any depth. Edge: what is wrong with
//! the form; whether the values make sense is for who asked for them.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::intake::{encoding, unsupported};
use super::objects::Objects;
use crate::problem::Problem;

/// A body. What is wrong is told by its place alone: the body may name a person.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    is_object(body)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = T::deserialize(Objects(&mut reader)).and_then(|read| reader.end().map(|()| read));
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::request(format!(
            "the body is not what docs/api.md asks for, at line {line}, column {column}"
        ))
    })
}

/// The same for a body that names no person: what is wrong is told in words too, with its place.
pub(super) fn read_told<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    is_object(body)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(Objects(&mut reader)).map_err(|error| error.to_string());
    let read = read.and_then(|read| reader.end().map(|()| read).map_err(|error| error.to_string()));
    read.map_err(Problem::request)
}

/// The same for a body that has to say that it is JSON: a page of another site cannot send one.
pub(super) fn question<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if !says_json(headers) {
        return Err(Problem::request("`content-type` is `application/json`"));
    }
    read_told(body)
}

/// The same for a body that records something, so it may come encoded as records do.
pub(super) fn recorded<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    if !says_json(headers) {
        return Err(unsupported("`content-type` is `application/json`"));
    }
    read_told(&encoding(headers)?.unpack(body)?)
}

fn says_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Readers of structures take a list for the members in order, which nobody means.
fn is_object(body: &[u8]) -> Result<(), Problem> {
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        Some(b'[') => Err(Problem::request("the body is a JSON object, and not a list")),
        _ => Err(Problem::request("the body is a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Two {
        a: u8,
        #[serde(default)]
        b: Option<String>,
    }

    #[test]
    fn a_list_is_no_object() {
        let detail = |body: &str| read::<Two>(body.as_bytes()).unwrap_err().detail().to_owned();
        assert_eq!(read::<Two>(b" {\"a\": 1}").unwrap(), Two { a: 1, b: None });
        assert_eq!(detail("[1, \"x\"]"), "the body is a JSON object, and not a list");
        assert_eq!(detail(" \n[]"), "the body is a JSON object, and not a list");
        for body in ["", "1", "null", "\"{}\""] {
            assert_eq!(detail(body), "the body is a JSON object");
        }
        assert!(detail("{\"a\": \"Ada\"}").ends_with("at line 1, column 11"), "and not the name");
        assert_eq!(
            read_told::<Two>(b"[1]").unwrap_err().detail(),
            "the body is a JSON object, and not a list"
        );
    }

    /// Lists were taken for structures within structures: `[null, "credit"]` was a search of a model.
    #[test]
    fn a_list_is_no_structure_at_any_depth() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        struct All {
            one: Option<Two>,
            many: Vec<Two>,
            named: std::collections::BTreeMap<String, Two>,
            either: Option<Either>,
            pairs: Vec<(u8, f64)>,
            any: serde_json::Value,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Either {
            Told { two: Two },
            Pair(u8, i64),
            Neither,
        }
        let of = |body: &str| read_told::<All>(body.as_bytes()).map_err(|wrong| wrong.detail().to_owned());
        for (body, path) in [
            ("{\"one\": [1, \"x\"]}", "one"),
            ("{\"many\": [{\"a\": 1}, [1, null]]}", "many[1]"),
            ("{\"named\": {\"n\": [1]}}", "named.n"),
            ("{\"either\": {\"told\": [{\"a\": 1}]}}", "either.told"),
            ("{\"either\": {\"told\": {\"two\": [1]}}}", "either.told.two"),
        ] {
            let wrong = of(body).unwrap_err();
            let expected = format!("{path}: a JSON object, and not a list, is expected");
            assert!(wrong.starts_with(&expected), "{body}: {wrong}");
            assert!(read::<All>(body.as_bytes()).is_err(), "{body}");
        }
        let two = || Two { a: 1, b: Some("x".into()) };
        let whole = r#"{"one": {"a": 1, "b": "x"}, "many": [{"a": 1, "b": "x"}], "named": {"n": {"a": 1, "b": "x"}},
            "either": {"told": {"two": {"a": 1, "b": "x"}}}, "pairs": [[1, 2], [3, 0.5]], "any": [1, {"x": [-1, 1e3, null, true]}]}"#;
        let all = All {
            one: Some(two()),
            many: vec![two()],
            named: [("n".to_owned(), two())].into(),
            either: Some(Either::Told { two: two() }),
            pairs: vec![(1, 2.0), (3, 0.5)],
            any: serde_json::json!([1, { "x": [-1, 1e3, null, true] }]),
        };
        assert_eq!(of(whole), Ok(all));
        assert_eq!(of("{\"either\": {\"pair\": [1, -2]}}").unwrap().either, Some(Either::Pair(1, -2)));
        assert_eq!(of("{\"either\": \"neither\", \"one\": null}").unwrap().either, Some(Either::Neither));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let detail = |body: &str| read_told::<Two>(body.as_bytes()).unwrap_err().detail().to_owned();
        assert!(detail("{\"a\": -1}").starts_with("a: invalid value"), "{}", detail("{\"a\": -1}"));
        assert!(detail("{\"a\": 1} x").contains("trailing"), "{}", detail("{\"a\": 1} x"));
    }

    #[test]
    fn what_is_recorded_may_be_packed_and_is_an_object_too() {
        let headers = |encoding: &'static str| {
            let content_type = (header::CONTENT_TYPE, "application/json".parse().unwrap());
            HeaderMap::from_iter([content_type, (header::CONTENT_ENCODING, encoding.parse().unwrap())])
        };
        let body = |text: &str| Bytes::from(zstd::encode_all(text.as_bytes(), 1).unwrap());
        let read = |encoding, body: Bytes| recorded::<Two>(&headers(encoding), &body);
        assert_eq!(read("zstd", body("{\"a\": 1}")).unwrap(), Two { a: 1, b: None });
        let error = read("zstd", body("[1, \"x\"]")).unwrap_err();
        assert_eq!(error.detail(), "the body is a JSON object, and not a list");
        assert!(read("br", body("{\"a\": 1}")).unwrap_err().detail().contains("content-encoding"));
        let untold = recorded::<Two>(&HeaderMap::new(), &Bytes::from_static(b"{\"a\": 1}")).unwrap_err();
        assert!(untold.detail().contains("content-type"));
    }

    #[test]
    fn a_question_says_that_it_is_json() {
        let of = |content_type: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
            question::<Two>(&headers, b"{\"a\": 1}").is_ok()
        };
        assert!(of("application/json") && of("Application/JSON; charset=utf-8"));
        assert!(!of("text/plain") && !of(""));
    }
}
