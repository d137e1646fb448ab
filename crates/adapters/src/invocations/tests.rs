use proptest::prelude::*;

use super::*;

fn json(row: &Row) -> String {
    serde_json::to_string(&Tree::Object(row.clone())).unwrap()
}

/// What each row becomes: inputs, then outputs.
fn check(request: &str, content_type: &str, answer: &str, expected: &[(&str, &str)]) {
    let answer = (!answer.is_empty()).then_some(answer.as_bytes());
    let read = exchange(request.as_bytes(), content_type, answer).unwrap();
    let rows: Vec<(String, String)> = (0..read.inputs.rows().unwrap())
        .map(|at| {
            let outputs = read.outputs.as_ref().map_or(String::new(), |outputs| json(&outputs.row(at)));
            (json(&read.inputs.row(at)), outputs)
        })
        .collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(rows, expected, "{request}");
}

fn refused(request: &str) -> String {
    exchange(request.as_bytes(), "application/json", None).unwrap_err().to_string()
}

const JSON: &str = "application/json";

#[test]
fn data_frames_are_a_decision_for_each_row() {
    let expected =
        [(r#"{"a":1,"b":"x"}"#, r#"{"prediction":0.5}"#), (r#"{"a":2,"b":null}"#, r#"{"prediction":1.0}"#)];
    let answer = r#"{"predictions": [0.5, 1.0]}"#;
    check(
        r#"{"dataframe_split": {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [2, null]]}}"#,
        JSON,
        answer,
        &expected,
    );
    check(r#"{"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2, "b": null}]}"#, JSON, answer, &expected);
    check(r#"{"inputs": {"a": [1, 2], "b": ["x", null]}}"#, JSON, answer, &expected);
    check("a,b\n1,x\n2,\n", "text/csv; charset=utf-8", answer, &expected);
}

#[test]
fn cells_of_csv_have_one_type_in_each_column() {
    let expected =
        [(r#"{"a":1,"b":1.0,"c":"01","d":"nan"}"#, ""), (r#"{"a":null,"b":2.5,"c":"2","d":"1"}"#, "")];
    check("a,b,c,d\n1,1,01,nan\n,2.5,2,1\n", "text/csv", "", &expected);
}

#[test]
fn rows_without_names_have_numbers() {
    check(
        r#"{"instances": [[1, 2], [3, 4]]}"#,
        JSON,
        "[[0.1], [0.2]]",
        &[
            (r#"{"x0":1,"x1":2}"#, r#"{"prediction":[0.1]}"#),
            (r#"{"x0":3,"x1":4}"#, r#"{"prediction":[0.2]}"#),
        ],
    );
    check(
        r#"{"inputs": "a text"}"#,
        JSON,
        r#"{"predictions": "an answer"}"#,
        &[(r#"{"x0":"a text"}"#, r#"{"prediction":"an answer"}"#)],
    );
    check(r#"{"instances": [[[1, 2], [3, 4]]]}"#, JSON, "", &[(r#"{"x0":[[1,2],[3,4]]}"#, "")]);
    check(r#"{"dataframe_split": {"data": [[1, 2]]}}"#, JSON, "", &[(r#"{"x0":1,"x1":2}"#, "")]);
}

#[test]
fn outputs_in_columns_and_outputs_that_are_no_rows() {
    let two = r#"{"instances": [1, 2]}"#;
    check(
        two,
        JSON,
        r#"{"predictions": {"label": ["a", "b"], "p": [0.1, 0.2]}}"#,
        &[(r#"{"x0":1}"#, r#"{"label":"a","p":0.1}"#), (r#"{"x0":2}"#, r#"{"label":"b","p":0.2}"#)],
    );
    check(
        two,
        JSON,
        r#"{"predictions": [1, 2, 3]}"#,
        &[(r#"{"x0":1}"#, r#"{"predictions":[1,2,3]}"#), (r#"{"x0":2}"#, "{}")],
    );
    check(
        r#"{"messages": [{"role": "user"}], "params": {"t": 1}}"#,
        JSON,
        r#"{"choices": []}"#,
        &[(r#"{"messages":[{"role":"user"}]}"#, r#"{"choices":[]}"#)],
    );
}

#[test]
fn a_refusal_is_told_in_its_words() {
    let answer = r#"{"error_code": "BAD_REQUEST", "message": "no column b"}"#;
    let read = exchange(br#"{"instances": [1, 2]}"#, JSON, Some(answer.as_bytes())).unwrap();
    assert!(read.failed);
    assert_eq!(json(&read.outputs.unwrap().row(1)), r#"{"error":"no column b"}"#);
}

#[test]
fn what_is_no_request_is_refused_where_it_is() {
    assert_eq!(refused("7"), "`request`: expected an object or an array");
    assert_eq!(
        refused(r#"{"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}"#),
        "`request.dataframe_split.data[1]`: expected as many cells as there are columns"
    );
    let many = format!(r#"{{"instances": [{}0]}}"#, "0,".repeat(ROWS_MAX));
    assert!(refused(&many).contains("at most 10000 are read"));
    let csv = exchange(b"a,b\n1\n", "text/csv", None).unwrap_err().to_string();
    assert_eq!(csv, "`request`: not CSV in UTF-8 with the same number of cells in each line, at line 2");
}

#[test]
fn refusals_of_others_are_told_too() {
    for (answer, told) in [
        (r#"{"error": {"message": "no such model", "type": "x"}}"#, Some(r#"{"error":"no such model"}"#)),
        (r#"{"error": "Model m not found"}"#, Some(r#"{"error":"Model m not found"}"#)),
        (r#"{"detail": [{"loc": ["body"]}]}"#, Some(r#"{"error":[{"loc":["body"]}]}"#)),
        ("<html>", None),
        ("[]", None),
    ] {
        assert_eq!(error_text(answer.as_bytes()).map(|row| json(&row)).as_deref(), told, "{answer}");
    }
}

/// Pieces of requests and answers, so that what is put together is often nearly right.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "a,b",
    "\"",
    "1",
    "-0.5",
    "01",
    "null",
    "\"dataframe_split\"",
    "\"columns\"",
    "\"data\"",
    "\"dataframe_records\"",
    "\"instances\"",
    "\"inputs\"",
    "\"predictions\"",
    "\"x\"",
    "\"$ref\"",
    "[[1,2],[3]]",
    "{\"a\":[1,2]}",
];

proptest! {
    #[test]
    fn anything_is_read_or_refused(
        request in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
        answer in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8),
        is_csv in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (request, answer) = (request.concat(), answer.concat());
        let content_type = if is_csv { "text/csv" } else { JSON };
        for (request, answer) in [(request.as_bytes(), answer.as_bytes()), (&bytes, answer.as_bytes()), (request.as_bytes(), &bytes)] {
            if let Ok(read) = exchange(request, content_type, Some(answer)) {
                let rows = read.inputs.rows().unwrap();
                for at in 0..rows {
                    drop((read.inputs.row(at), read.outputs.as_ref().map(|outputs| outputs.row(at))));
                }
            }
            drop(error_text(answer));
        }
    }
}
