//! What is recorded of calls that went well, and what is not.

use minutebook_adapters::mapping::Mapping;
use minutebook_proxy::{Counts, GivenModel, header_to_read};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Upstream, answer, exchange, post, post_with};

const INFER: &str = r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP64","data":[1,2,3,4]}]}"#;
const INFERRED: &str = r#"{"model_name":"m","model_version":"v3","outputs":[{"name":"p","shape":[2],"datatype":"FP64","data":[0.5,0.25]}]}"#;

fn model(record: &Value) -> [&str; 2] {
    ["name", "version"].map(|name| record["model"][name].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_a_decision_and_the_answer_has_their_ids() {
    let upstream = Upstream::saying(answer("200 OK", INFERRED)).await;
    let proxy = Fixture::with(upstream.address, |options, _| {
        options.subject_header = Some(header_to_read("x-applicant").unwrap());
        options.actor_header = Some(header_to_read("x-user").unwrap());
    })
    .await;
    let headers = "X-Applicant: applicant-7\r\nX-User: branch\r\nAuthorization: Bearer canary-key\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let got = exchange(proxy.address, &post_with("/v2/models/m/infer", headers, INFER)).await;
    let ids: Vec<String> =
        got.header("minutebook-decision-id").unwrap().split(',').map(str::to_owned).collect();
    assert_eq!((ids.len(), got.header("minutebook-decision-count")), (2, Some("2")));
    let (records, counts) = proxy.records().await;
    assert_eq!(counts, Counts { recorded: 2, without_content: 0, lost: 0 });
    let call = ids[0].replace('-', "");
    for (row, record) in records.iter().enumerate() {
        assert_eq!(record["id"], ids[row]);
        assert_eq!(model(record), ["m", "v3"]);
        assert_eq!(record["batch"], json!({"call": call, "row": row, "rows": 2}));
        assert_eq!(
            (&record["subject"], &record["actor"], &record["status"]),
            (&json!("applicant-7"), &json!("branch"), &json!("ok"))
        );
        assert_eq!(record["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(record["span"], "00f067aa0ba902b7");
        assert!(record["duration_ns"].as_u64().unwrap() > 0);
        assert!(!record.to_string().contains("canary"));
    }
    let environment = &records[0]["environment"];
    assert_eq!(
        *environment,
        json!({"via": "proxy", "method": "POST", "path": "/v2/models/m/infer", "http_status": 200, "version_from": "answer"})
    );
    assert_eq!(
        (&records[0]["inputs"], &records[1]["outputs"]),
        (&json!({"x0": 1.0, "x1": 2.0}), &json!({"p": 0.25}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_is_read_and_passes_as_it_is() {
    let events = "data: {\"model\":\"v\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Yes\"}}]}\n\ndata: [DONE]\n\n";
    let packed = zstd::encode_all(events.as_bytes(), 1).unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let upstream = Upstream::saying([head.as_bytes(), &packed].concat()).await;
    let proxy = Fixture::new(upstream.address).await;
    let request = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let got = exchange(proxy.address, &post("/v1/chat/completions", request)).await;
    assert_eq!(got.body, packed);
    let record = proxy.record().await;
    assert_eq!(record["outputs"], json!({"content": "Yes", "model": "v", "complete": true}));
    assert_eq!(record["id"], got.header("minutebook-decision-id").unwrap());
    assert_eq!(model(&record), ["m", "v"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mapping_names_is_recorded_in_its_class() {
    let upstream = Upstream::saying(answer("200 OK", r#"{"results":[{"yes":true},{"yes":false}]}"#)).await;
    let mapping = "[[call]]\npath = \"/score/{model}\"\nmodel = {path = \"model\"}\nrows = \"/people\"\nanswer_rows = \"/results\"\n\
        inputs = \"/features\"\noutputs = \"\"\nsubject = {request = \"/id\"}\nclass = \"long\"";
    let proxy =
        Fixture::with(upstream.address, |options, _| options.mapping = Mapping::parse(mapping).unwrap())
            .await;
    let request = r#"{"people":[{"id":"p-1","features":{"a":1}},{"id":"p-2","features":{"a":2}}]}"#;
    let got = exchange(proxy.address, &post("/score/credit", request)).await;
    assert_eq!(got.header("minutebook-decision-count"), Some("2"));
    let (records, _) = proxy.records().await;
    let told: Vec<Value> = records
        .iter()
        .map(|r| json!([r["class"], r["model"]["name"], r["subject"], r["inputs"], r["outputs"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["long", "credit", "p-1", {"a": 1}, {"yes": true}]),
            json!(["long", "credit", "p-2", {"a": 2}, {"yes": false}])
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_the_options_name_goes_first() {
    let upstream = Upstream::saying(answer("200 OK", "[1.5]")).await;
    let proxy = Fixture::with(upstream.address, |options, _| {
        options.model = Some(GivenModel { name: "credit-risk".into(), version: Some("1.4.0".into()) });
    })
    .await;
    exchange(proxy.address, &post("/invocations", r#"{"dataframe_records":[{"a":1}]}"#)).await;
    let record = proxy.record().await;
    assert_eq!(model(&record), ["credit-risk", "1.4.0"]);
    assert_eq!(
        (&record["outputs"], &record["environment"]["version_from"]),
        (&json!({"prediction": 1.5}), &json!("settings"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_passes_unrecorded() {
    let upstream = Upstream::saying(answer("200 OK", "{}")).await;
    let proxy = Fixture::new(upstream.address).await;
    for request in [
        post("/v1/models", "{}"),
        post("/v1/responses/r/cancel", "{}"),
        b"GET /v2/models/m/infer HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
    ] {
        let got = exchange(proxy.address, &request).await;
        assert_eq!((got.first.as_str(), got.header("minutebook-decision-id")), ("HTTP/1.1 200 OK", None));
    }
    let (records, counts) = proxy.records().await;
    assert_eq!((records.len(), counts), (0, Counts::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_failed_is_recorded_with_its_status() {
    let upstream = Upstream::saying(answer("422 No", r#"{"error":{"message":"no such model"}}"#)).await;
    let proxy = Fixture::new(upstream.address).await;
    let got = exchange(proxy.address, &post("/v1/responses", r#"{"model":"m","input":"Hi"}"#)).await;
    assert_eq!(got.first, "HTTP/1.1 422 No");
    let record = proxy.record().await;
    assert_eq!((&record["status"], &record["inputs"]), (&json!("http 422"), &json!({"input": "Hi"})));
    assert_eq!(record["outputs"], json!({"error": "no such model"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_recorded_by_its_digest() {
    let upstream = Upstream::saying(answer("200 OK", "<html>")).await;
    let proxy = Fixture::new(upstream.address).await;
    for request in ["{\"model\":\"m\",\"input\":\"Hi\"}", "nonsense"] {
        assert_eq!(exchange(proxy.address, &post("/v1/responses", request)).await.body, b"<html>");
    }
    let (records, counts) = proxy.records().await;
    assert_eq!(counts, Counts { recorded: 2, without_content: 2, lost: 0 });
    let environment = &records[0]["environment"];
    assert_eq!((&records[0]["inputs"], &records[0]["status"]), (&json!({"input": "Hi"}), &json!("ok")));
    assert!(environment["answer_left_out"].as_str().unwrap().starts_with("`answer`: not JSON"));
    // Of `<html>`, from coreutils' sha256sum.
    assert_eq!(
        environment["answer_sha256"],
        "b7d082ee12e91b756ea22e8513b8594eebcf5d39fab813da3cb55794dc888ad7"
    );
    let environment = &records[1]["environment"];
    assert!(environment["request_left_out"].as_str().unwrap().starts_with("`request`: not JSON"));
    assert_eq!(environment["request_bytes"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_passes_and_is_recorded_by_its_digest() {
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(minutebook_proxy::limits::BODY_BYTES_KEPT));
    let upstream = Upstream::saying(answer("200 OK", &large)).await;
    let proxy = Fixture::new(upstream.address).await;
    let got = exchange(proxy.address, &post("/v1/responses", r#"{"model":"m","input":"Hi"}"#)).await;
    assert_eq!(got.body, large.as_bytes());
    // Larger than a record, not than a body that is kept.
    let words = format!(r#"{{"model":"m","input":"{}"}}"#, "word ".repeat(300_000));
    exchange(proxy.address, &post("/v1/responses", &words)).await;
    let (records, counts) = proxy.records().await;
    assert_eq!(counts, Counts { recorded: 2, without_content: 2, lost: 0 });
    assert_eq!(records[0]["inputs"], json!({"input": "Hi"}));
    assert_eq!(records[0]["environment"]["answer_left_out"], "it is too large");
    assert_eq!(records[0]["environment"]["answer_bytes"], large.len());
    assert_eq!(
        (&records[1]["inputs"], &records[1]["environment"]["request_bytes"]),
        (&json!({}), &json!(words.len()))
    );
}
