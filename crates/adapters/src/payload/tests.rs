//! Bodies of every form, and of none.

use minutebook_present::json::{DraftReader, ReadAt};
use proptest::prelude::*;

use super::*;
use crate::exchange::{Call, Version};

fn records(request: Option<&[u8]>, answer: Option<&[u8]>) -> Vec<serde_json::Value> {
    let found = exchange(request, answer);
    let call = Call::new("m", Version::unknown(), [7; 16]);
    let mut reader = DraftReader::new(false);
    let at = ReadAt { time_ns: 0, clock_error_ns: None };
    call.records(&found)
        .map(|record| {
            reader.draft(&record, at).unwrap_or_else(|problem| panic!("{problem}: {record:?}"));
            serde_json::to_value(&record).unwrap()
        })
        .collect()
}

fn check(request: &str, answer: &str, expected: &[(&str, &str)]) {
    let found = records(Some(request.as_bytes()), Some(answer.as_bytes()));
    let found: Vec<_> =
        found.iter().map(|record| (record["inputs"].to_string(), record["outputs"].to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|(i, o)| ((*i).to_owned(), (*o).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_first_version_has_a_row_for_each_instance() {
    check(
        r#"{"instances": [[6.8, 2.8], [6.0, 3.4]], "signature_name": "serving"}"#,
        r#"{"predictions": [1, 0]}"#,
        &[(r#"{"x0":6.8,"x1":2.8}"#, r#"{"y":1}"#), (r#"{"x0":6.0,"x1":3.4}"#, r#"{"y":0}"#)],
    );
    check(
        r#"{"instances": [{"age": 41, "$odd": null}]}"#,
        r#"{"predictions": [[0.25, 0.75]]}"#,
        &[(r#"{"age":41,"$odd":null}"#, r#"{"y0":0.25,"y1":0.75}"#)],
    );
    check(
        r#"{"instances": [[[1, 2], [3, 4]]]}"#,
        r#"{"error": "no"}"#,
        &[(r#"{"x":[[1,2],[3,4]]}"#, r#"{"error":"no"}"#)],
    );
}

#[test]
fn what_does_not_go_together_is_kept_whole() {
    check(
        r#"{"instances": [1, 2]}"#,
        r#"{"predictions": [1]}"#,
        &[(r#"{"instances":[1,2]}"#, r#"{"predictions":[1]}"#)],
    );
    check(r#"{"question": "?"}"#, "[1, 2]", &[(r#"{"question":"?"}"#, r#"{"body":[1,2]}"#)]);
    check("no JSON", "NaN", &[(r#"{"body":"no JSON"}"#, r#"{"body":"NaN"}"#)]);
    let found = records(Some(b"\xff"), None);
    assert_eq!(found[0]["inputs"]["body"]["$bytes"], "/w==");
    let found = records(None, Some(br#"{"model_name": "credit", "outputs": []}"#));
    assert_eq!(found[0]["inputs"].to_string(), "{}");
    assert_eq!(exchange(None, Some(br#"{"model_name": "credit"}"#)).model.as_deref(), Some("credit"));
}

#[test]
fn tensors_may_stand_behind_the_json() {
    let mut request = br#"{"inputs": [{"name": "a", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}}]}"#.to_vec();
    request.extend([7, 8]);
    let answer = br#"{"outputs": [{"name": "y", "shape": [2], "datatype": "INT64", "data": [1, 2]}]}"#;
    let found = records(Some(&request), Some(answer));
    assert_eq!(found[1]["inputs"]["a"]["$typed"]["value"], 8);
    assert_eq!(found[1]["outputs"]["y"], 2);
}

const REQUESTS: [&str; 8] = [
    "1",
    "[]",
    "{}",
    r#"{"instances":[1]}"#,
    r#"{"instances":[]}"#,
    r#"{"$bytes":1}"#,
    r#"{"$bytes":"x"}"#,
    r#"{"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}]}"#,
];

const ANSWERS: [&str; 8] = [
    "1",
    "[]",
    "{}",
    r#"{"predictions":[{}]}"#,
    r#"{"predictions":3}"#,
    r#"{"error":[]}"#,
    r#"{"outputs":[]}"#,
    r#"{"a":{"$a":1}}"#,
];

proptest! {
    #[test]
    fn any_bytes_are_records(
        request in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
        answer in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
    ) {
        prop_assert_eq!(records(request.as_deref(), answer.as_deref()).len(), 1);
    }

    #[test]
    fn any_json_is_records(
        request in prop::sample::select(REQUESTS.to_vec()),
        answer in prop::sample::select(ANSWERS.to_vec()),
    ) {
        prop_assert_eq!(records(Some(request.as_bytes()), Some(answer.as_bytes())).len(), 1);
    }
}
