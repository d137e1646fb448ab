//! What KServe's logger and MLServer send, with their headers as they are on the wire.

use std::time::Duration;

use super::*;
use crate::pairing::{How, Pairs, Taken};

const REQUEST: &[u8] =
    br#"{"id": "r", "inputs": [{"name": "age", "shape": [2], "datatype": "INT32", "data": [41, 27]}]}"#;
const ANSWER: &[u8] = br#"{"model_name": "credit", "outputs": [{"name": "p", "shape": [2], "datatype": "FP64", "data": [0.25, 1]}]}"#;

/// The headers of KServe's logger.
fn kserve(half: &str, time: &str) -> Vec<(String, String)> {
    [
        ("Ce-Annotations", r#"{"team":"risk"}"#),
        ("Ce-Component", "predictor"),
        ("Ce-Endpoint", ""),
        ("Ce-Id", "9f1d0c1e-1"),
        ("Ce-Inferenceservicename", "credit-risk"),
        ("Ce-Metadata", r#"{"X-Request-Id":["7"],"Authorization":["Bearer x"]}"#),
        ("Ce-Namespace", "bank"),
        ("Ce-Recordedtime", "2026-11-22T07:00:09Z"),
        ("Ce-Source", "http://localhost:9081/"),
        ("Ce-Specversion", "1.0"),
        ("Ce-Time", time),
        ("Ce-Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("Ce-Type", &format!("org.kubeflow.serving.inference.{half}")),
        ("Content-Type", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn came(headers: &[(String, String)], data: &[u8]) -> Came<Logged> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    half(Event::binary(headers, data).unwrap(), "key-1", 77).unwrap()
}

fn records(matched: &Matched<Logged>) -> Vec<serde_json::Value> {
    let found = LoggedCall::of(matched);
    found.call.records(&found.exchange).map(|record| serde_json::to_value(&record).unwrap()).collect()
}

#[test]
fn a_call_of_kserve_is_a_decision_for_each_row() {
    let mut pairs = Pairs::default();
    let request = came(&kserve("request", "2026-11-22T07:00:00.25Z"), REQUEST);
    assert_eq!(pairs.take(request, Duration::ZERO), Taken::Waits);
    let answer = came(&kserve("response", "2026-11-22T07:00:00.5Z"), ANSWER);
    let Taken::Ready(ready) = pairs.take(answer, Duration::ZERO) else { panic!() };
    let found = records(&ready[0]);
    assert_eq!(found.len(), 2);
    let second = &found[1];
    assert_eq!(second["model"].to_string(), r#"{"name":"credit","version":"unknown"}"#);
    assert_eq!(second["inputs"]["age"]["$typed"]["value"], 27);
    assert_eq!(second["outputs"]["p"], 1.0);
    assert_eq!(second["time"], 1_795_330_800_250_000_000_i64);
    assert_eq!(second["duration_ns"], 250_000_000);
    assert_eq!(second["status"], "ok");
    assert_eq!(second["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(second["batch"]["row"], 1);
    assert_eq!(found[0]["batch"]["call"], second["batch"]["call"]);
    let environment = serde_json::json!({
        "intake": "CloudEvents", "sender": "KServe", "paired": "request and answer", "event_id": "9f1d0c1e-1",
        "source": "http://localhost:9081/", "service": "credit-risk", "namespace": "bank", "component": "predictor",
        "metadata": {"X-Request-Id": ["7"]}, "annotations": {"team": "risk"}, "version_from": "unknown",
    });
    assert_eq!(second["environment"], environment);
}

#[test]
fn a_half_alone_says_so() {
    let alone = |half: &str, data: &[u8]| {
        let came = came(&kserve(half, "2026-11-22T07:00:00Z"), data);
        let (request, answer) = if half == "request" { (Some(came), None) } else { (None, Some(came)) };
        records(&Matched { request, answer, how: How::TimeUp }).remove(0)
    };
    let request = alone("request", REQUEST);
    assert_eq!((&request["status"], &request["model"]["name"]), (&"no answer".into(), &"credit-risk".into()));
    assert_eq!(request["environment"]["paired"], "no answer came in time");
    assert!(request["outputs"].is_null());
    let answer = alone("response", ANSWER);
    assert_eq!((&answer["status"], &answer["model"]["name"]), (&"no request".into(), &"credit".into()));
    assert_eq!(answer["inputs"].to_string(), "{}");
    assert_eq!(answer["environment"]["paired"], "no request came in time");
}

#[test]
fn mlserver_has_no_times_and_names_its_model() {
    let headers = |half: &str| {
        [
            ("Ce-Endpoint", "credit"),
            ("Ce-Id", "r"),
            ("Ce-Inferenceservicename", "mlserver"),
            ("Ce-Modelid", "credit"),
            ("Ce-Requestid", "r"),
            ("Ce-Source", "io.seldon.serving.deployment.mlserver"),
            ("Ce-Specversion", "0.3"),
            ("Ce-Type", &format!("io.seldon.serving.inference.{half}")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let answer = ANSWER.to_vec();
    let answer =
        String::from_utf8(answer).unwrap().replace(r#""credit","#, r#""credit", "model_version": "v2","#);
    let (request, answer) =
        (came(&headers("request"), REQUEST), came(&headers("response"), answer.as_bytes()));
    assert_eq!(request.key, answer.key);
    let found = records(&Matched { request: Some(request), answer: Some(answer), how: How::Paired });
    assert_eq!(found[0]["model"].to_string(), r#"{"name":"credit","version":"v2"}"#);
    assert_eq!(found[0]["environment"]["version_from"], "answer");
    assert_eq!(found[0]["time"], 77);
}

#[test]
fn what_others_say_under_the_same_id_is_another_call() {
    let headers = kserve("request", "2026-11-22T07:00:00Z");
    let first = came(&headers, REQUEST);
    for name in
        ["Ce-Source", "Ce-Namespace", "Ce-Inferenceservicename", "Ce-Component", "Ce-Endpoint", "Ce-Id"]
    {
        let mut other = headers.clone();
        other.iter_mut().find(|(found, _)| found == name).unwrap().1 = "other".to_owned();
        assert_ne!(came(&other, REQUEST).key, first.key, "{name}");
    }
    let event = first.content.event.clone();
    assert_ne!(half(event, "key-2", 77).unwrap().key, first.key, "another sender");
    let mut other = headers;
    other.iter_mut().find(|(found, _)| found == "Ce-Type").unwrap().1 = "com.example.else".to_owned();
    let headers = other.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let refused = half(Event::binary(headers, b"").unwrap(), "key-1", 77).unwrap_err();
    assert_eq!(refused.to_string(), "`type`: events of this type are not read");
}

/// The vectors of `docs/formats/repeats.md`, "Keys of what others send".
#[test]
fn marks_are_as_their_page_says() {
    let attributes = [
        ("specversion", "1.0"),
        ("id", "a"),
        ("source", "s"),
        ("type", "org.kubeflow.serving.inference.request"),
        ("time", "2026-11-22T07:00:00Z"),
    ];
    let event = Event::of(attributes.map(|(name, value)| (name, value.to_owned())), b"{}".to_vec()).unwrap();
    let came = half(event, "kserve", 1_795_330_800_000_000_000).unwrap();
    assert_eq!(came.print, 13_848_885_482_810_679_407);
    assert_eq!(mark(&came), "half 66bf285c3f000a3a700e9c7e1bc9b6f5");
}
