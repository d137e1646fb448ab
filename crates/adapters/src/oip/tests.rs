//! Requests and answers of the protocol as records.

use minutebook_present::json::{DraftReader, ReadAt};
use proptest::prelude::*;

use super::*;
use crate::exchange::{Call, Version};

/// The records as JSON, each of which the reader of records takes.
fn records(exchange: &Exchange) -> Vec<serde_json::Value> {
    let call = Call::new("m", Version::unknown(), [7; 16]);
    let mut reader = DraftReader::new(false);
    let at = ReadAt { time_ns: 0, clock_error_ns: None };
    call.records(exchange)
        .map(|record| {
            reader.draft(&record, at).unwrap_or_else(|problem| panic!("{problem}: {record:?}"));
            serde_json::to_value(&record).unwrap()
        })
        .collect()
}

fn read(request: &str, answer: Option<&str>) -> Result<Exchange, Problem> {
    exchange(Body::json(request.as_bytes()), answer.map(|answer| Body::json(answer.as_bytes())))
}

fn sides(request: &str, answer: &str) -> Vec<(String, String)> {
    let found = records(&read(request, Some(answer)).unwrap());
    found.iter().map(|record| (record["inputs"].to_string(), record["outputs"].to_string())).collect()
}

fn refused(request: &str, answer: Option<&str>) -> String {
    read(request, answer).unwrap_err().to_string()
}

#[test]
fn a_decision_for_each_row_of_columns() {
    let request = r#"{"id": "r-1", "parameters": {"content_type": "pd", "headers": {"authorization": "Bearer x"}, "threshold": 0.5}, "inputs": [
        {"name": "age", "shape": [2, 1], "datatype": "INT64", "data": [41, 27]},
        {"name": "income", "shape": [2], "datatype": "FP32", "data": [1.5, 2]},
        {"name": "purpose", "shape": [2, 1], "datatype": "BYTES", "data": ["car", "boat"]}]}"#;
    let answer = r#"{"model_name": "credit", "model_version": "v3", "id": "r-1", "outputs": [
        {"name": "predict", "shape": [2, 1], "datatype": "BOOL", "data": [true, 0]}]}"#;
    let found = read(request, Some(answer)).unwrap();
    assert_eq!((found.model.as_deref(), found.version.as_deref()), (Some("credit"), Some("v3")));
    assert_eq!(found.request_id.as_deref(), Some("r-1"));
    let found = records(&found);
    assert_eq!(found.len(), 2);
    let first = r#"{"age":41,"income":{"$typed":{"type":"f32","value":1.5}},"purpose":"car"}"#;
    assert_eq!(found[0]["inputs"].to_string(), first);
    assert_eq!(found[0]["outputs"].to_string(), r#"{"predict":true}"#);
    assert_eq!(found[1]["inputs"]["income"]["$typed"]["value"], 2.0);
    assert_eq!(found[1]["outputs"]["predict"], false);
    assert_eq!(found[1]["batch"]["row"], 1);
    assert_eq!(found[1]["batch"]["rows"], 2);
    assert_eq!(found[0]["params"].to_string(), r#"{"threshold":0.5}"#, "no headers");
    assert_eq!(found[0]["status"], "ok");
}

#[test]
fn a_matrix_is_a_field_for_each_column() {
    for data in ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]"] {
        let request = format!(
            r#"{{"inputs": [{{"name": "in", "shape": [2, 2], "datatype": "FP64", "data": {data}}}]}}"#
        );
        let answer =
            r#"{"outputs": [{"name": "p", "shape": [2, 2], "datatype": "UINT8", "data": [1, 0, 0, 1]}]}"#;
        let found = sides(&request, answer);
        assert_eq!(found[1].0, r#"{"x0":3.0,"x1":4.0}"#);
        let one = |value| format!(r#"{{"$typed":{{"type":"u8","value":{value}}}}}"#);
        assert_eq!(found[1].1, format!(r#"{{"p_0":{},"p_1":{}}}"#, one(0), one(1)));
    }
    let two = r#"{"inputs": [{"name": "a", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]},
                             {"name": "a_1", "shape": [1], "datatype": "INT64", "data": [3]}]}"#;
    let found = records(&read(two, None).unwrap());
    assert!(found[0]["inputs"]["a"]["$tensor"].is_object(), "names that would be there twice");
    assert_eq!(found[0]["status"], "no answer");
    assert!(found[0]["outputs"].is_null() && found[0]["batch"].is_null());
}

#[test]
fn what_is_no_batch_is_one_decision() {
    let request = r#"{"inputs": [{"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2]},
                                 {"name": "b", "shape": [3], "datatype": "BYTES", "data": ["x", "y", "z"]}]}"#;
    let answer = r#"{"outputs": [{"name": "y", "shape": [], "datatype": "FP64", "data": [0.5]}]}"#;
    let found = sides(request, answer);
    let tensor = r#"{"a":{"$tensor":{"dtype":"i64","shape":[2],"base64":"AQAAAAAAAAACAAAAAAAAAA=="}},"b":["x","y","z"]}"#;
    assert_eq!(found, [(tensor.to_owned(), r#"{"y":0.5}"#.to_owned())]);
}

#[test]
fn an_error_is_what_came_out() {
    let request = r#"{"inputs": [{"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}]}"#;
    let found = records(&read(request, Some(r#"{"error": "no such model"}"#)).unwrap());
    assert_eq!(found[0]["outputs"]["error"], "no such model");
    assert_eq!(found[0]["status"], "error");
}

#[test]
fn what_a_number_cannot_hold_stays_as_it_was_written() {
    let of = |datatype: &str, data: &str| {
        let request = format!(
            r#"{{"inputs": [{{"name": "a", "shape": [1], "datatype": "{datatype}", "data": [{data}]}}]}}"#
        );
        records(&read(&request, None).unwrap())[0]["inputs"]["a"].to_string()
    };
    assert_eq!(of("FP32", "null"), "null");
    assert_eq!(of("INT8", "1000"), "1000");
    assert_eq!(of("FP16", "0.1"), r#"{"$typed":{"type":"f16","value":0.0999755859375}}"#);
    assert_eq!(
        of("UINT64", "18446744073709551615"),
        r#"{"$typed":{"type":"u64","value":18446744073709551615}}"#
    );
    assert_eq!(of("NEW", "1"), "1");
    assert_eq!(of("BYTES", r#"{"$a": 1}"#), r#"{"$map":{"$a":1}}"#);
}

#[test]
fn binary_data_stands_behind_the_json() {
    let json = br#"{"inputs": [
        {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 11}},
        {"name": "f", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "b", "shape": [2], "datatype": "BF16", "parameters": {"binary_data_size": 4}}]}"#;
    let mut body = json.to_vec();
    body.extend(b"\x01\0\0\0x\x02\0\0\0\xff\xfe");
    body.extend([1.5_f32, f32::NAN].iter().flat_map(|value| value.to_le_bytes()));
    body.extend([0x80, 0x3f, 0x00, 0xc0]);
    let found = exchange(Body { bytes: &body, json_bytes: Some(json.len()) }, None).unwrap();
    let found = records(&found);
    assert_eq!(found[0]["inputs"]["t"], "x");
    assert_eq!(found[1]["inputs"]["t"]["$bytes"], "//4=");
    assert_eq!(found[1]["inputs"]["f"]["$typed"]["value"]["$float"], "NaN");
    assert_eq!(found[1]["inputs"]["b"]["$typed"]["value"], -2.0);
    for end in 0..body.len() {
        assert!(exchange(Body { bytes: &body[..end], json_bytes: Some(json.len()) }, None).is_err(), "{end}");
    }
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    assert!(refused("{}", None).starts_with("`request`: member `inputs` is missing"));
    let one = |tensor: &str| refused(&format!(r#"{{"inputs": [{tensor}]}}"#), None);
    let found = one(r#"{"name": "a", "shape": [3], "datatype": "INT8", "data": [1, 2]}"#);
    assert_eq!(found, "`request.inputs[0].data`: 2 elements, and the shape asks for 3");
    let found = one(r#"{"name": "a", "shape": [9999999999, 9999999999], "datatype": "INT8", "data": []}"#);
    assert_eq!(found, "`request.inputs[0].shape`: more elements than can be");
    let good = r#"{"name": "a", "shape": [1], "datatype": "INT8", "data": [1]}"#;
    let found = one(&format!("{good}, {good}"));
    assert_eq!(found, "`request.inputs[1]`: a tensor of this name is there already");
    let request = format!(r#"{{"inputs": [{good}]}}"#);
    assert!(refused(&request, Some("[]")).starts_with("`answer`: member `outputs` is missing"));
    let long = format!(
        r#"{{"inputs": [{{"name": "a", "shape": [10001], "datatype": "INT8", "data": [{}1]}}]}}"#,
        "1,".repeat(10_000)
    );
    assert_eq!(refused(&long, None), "10001 rows in one call, and at most 10000 are read");
}

#[test]
fn a_path_names_the_model() {
    assert_eq!(model_of_path("/v2/models/credit/infer"), Some(("credit", None)));
    assert_eq!(model_of_path("/serving/v2/models/credit/versions/3/infer/"), Some(("credit", Some("3"))));
    assert_eq!(model_of_path("/v1/models/credit:predict"), Some(("credit", None)));
    for other in ["/v2/models/credit", "/v2/models//infer", "/v1/models/:predict", "/v2/health/live", ""] {
        assert_eq!(model_of_path(other), None, "{other}");
    }
}

fn datatype() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["BOOL", "UINT64", "INT8", "FP16", "FP32", "FP64", "BYTES", "OTHER"])
}

proptest! {
    /// Whatever a tensor holds: it is refused in words, or each of its rows is a record.
    #[test]
    fn any_tensor_is_recorded_or_refused(
        tensors in prop::collection::vec((".{0,3}", prop::collection::vec(0_usize..4, 0..3), datatype(), any::<bool>()), 0..4),
        value in prop::sample::select(vec!["1", "-1.5", "null", "true", "\"x\"", "{}", "1e300", "300"]),
    ) {
        let inputs: Vec<_> = tensors.iter().map(|(name, shape, datatype, whole)| {
            let count = shape.iter().product::<usize>() + usize::from(!whole);
            let data: Vec<serde_json::Value> = vec![serde_json::from_str(value).unwrap(); count];
            serde_json::json!({"name": name, "shape": shape, "datatype": datatype, "data": data})
        }).collect();
        let body = serde_json::json!({"inputs": inputs}).to_string();
        if let Ok(found) = read(&body, None) {
            prop_assert_eq!(records(&found).len(), found.inputs.rows().unwrap());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), json_bytes in prop::option::of(0_usize..300)) {
        let body = Body { bytes: &bytes, json_bytes };
        let _ = exchange(body, Some(body));
    }
}
