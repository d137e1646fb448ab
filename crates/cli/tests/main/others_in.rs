use serde_json::{Value, json};

use crate::program::User;
use crate::tcp::{Answer, Server};

const EVENTS: &str = "/v1/intake/cloudevents";
const REQUEST: &str =
    r#"{"id": "r", "inputs": [{"name": "age", "shape": [2], "datatype": "INT32", "data": [41, 27]}]}"#;
const ANSWER: &str = r#"{"model_name": "credit", "outputs": [{"name": "p", "shape": [2], "datatype": "FP64", "data": [0.25, 1]}]}"#;

fn with_key() -> (Server, String) {
    let server = Server::new();
    let key = server.key("kserve", "recorder,model-owner");
    (server, key)
}

/// As KServe's logger sends it, with the key in the address: Go makes basic authentication of that.
#[track_caller]
fn logged(server: &Server, key: &str, half: &str, id: &str, body: &str) -> Answer {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("logger:{key}"));
    let (basic, kind) = (format!("Basic {basic}"), format!("org.kubeflow.serving.inference.{half}"));
    let headers = [
        ("Authorization", basic.as_str()),
        ("Ce-Specversion", "1.0"),
        ("Ce-Id", id),
        ("Ce-Source", "http://localhost:9081/"),
        ("Ce-Type", &kind),
        ("Ce-Time", "2026-11-22T07:00:00.25Z"),
        ("Ce-Inferenceservicename", "credit-risk"),
        ("Ce-Namespace", "bank"),
        ("Ce-Component", "predictor"),
        ("Ce-Endpoint", "default"),
        ("Content-Type", "application/json"),
    ];
    server.send("POST", EVENTS, &headers, body.as_bytes())
}

fn decisions_of(user: &User) -> Vec<Value> {
    let mut found = user.run(["list", "--json", "-n", "0", "--kind", "decision"]).ends(0).json();
    found.sort_by_key(|record| record["seq"].as_u64());
    found
}

#[test]
fn a_logged_call_is_a_decision_for_each_row_with_the_version_that_the_trail_knows() {
    let (server, key) = with_key();
    let all = server.key("ops", "recorder,model-owner,investigator,auditor,administrator");
    for (kind, version, time) in [
        ("model", "8", "2026-11-22T06:00:00Z"),
        ("deployment", "7", "2026-11-22T06:30:00Z"),
        ("deployment", "9", "2026-11-22T08:00:00Z"),
    ] {
        let record = json!({"kind": kind, "model": {"name": "credit", "version": version}, "time": time});
        server.ask(&key, "POST", "/v1/records", &record.to_string()).is(200);
    }
    let fresh = json!({"query": "SELECT count(*) AS n FROM records WHERE model = 'credit'", "fresh": true});
    assert_eq!(server.ask(&all, "POST", "/v1/sql", &fresh.to_string()).is(200).json()["rows"][0]["n"], 3);
    let waits = json!({"recorded": 0, "waiting": 1, "repeated": 0});
    assert_eq!(logged(&server, &key, "response", "a", ANSWER).is(200).json(), waits);
    let whole = json!({"recorded": 2, "waiting": 0, "repeated": 0});
    assert_eq!(logged(&server, &key, "request", "a", REQUEST).is(200).json(), whole);
    let again = json!({"recorded": 0, "waiting": 0, "repeated": 1});
    assert_eq!(logged(&server, &key, "request", "a", REQUEST).is(200).json(), again);
    let user = server.end();
    let found = decisions_of(&user);
    assert_eq!(found.len(), 2);
    assert_eq!(found[1]["model"]["version"], "7", "deployed at that time, not what came after");
    assert_eq!(found[1]["environment"]["version_from"], "deployment record");
    assert_eq!(found[1]["environment"]["service"], "credit-risk");
    assert_eq!((&found[1]["outputs"]["p"], &found[1]["batch"]["row"]), (&json!(1.0), &json!(1)));
    user.run(["verify"]).ends(0);
}

#[test]
fn halves_that_wait_are_recorded_when_the_server_ends() {
    let (server, key) = with_key();
    logged(&server, &key, "request", "a", REQUEST).is(200);
    logged(&server, &key, "response", "b", ANSWER).is(200);
    let found = decisions_of(&server.end());
    let told: Vec<_> =
        found.iter().map(|one| (one["status"].as_str().unwrap(), &one["environment"]["paired"])).collect();
    let (asked, answered) =
        (&json!("no answer came before the end"), &json!("no request came before the end"));
    assert_eq!(told, [("no answer", asked), ("no answer", asked), ("no request", answered)]);
    assert_eq!(found[2]["model"], json!({"name": "credit", "version": "unknown", "artifact": null}));
}

#[test]
fn events_of_other_kinds_are_refused_in_words() {
    let (server, key) = with_key();
    let wrong = logged(&server, &key, "feedback", "a", "{}").problem(400, "bad-request");
    assert!(wrong.json()["detail"].as_str().unwrap().contains("`type`: events of this type are not read"));
    let wrong = server.ask(&key, "POST", EVENTS, "{}").problem(400, "bad-request");
    assert!(wrong.json()["detail"].as_str().unwrap().contains("no CloudEvent"));
    let bearer = format!("Bearer {key}");
    let batch = [("Authorization", bearer.as_str()), ("Content-Type", "application/cloudevents-batch+json")];
    server.send("POST", EVENTS, &batch, b"[{]").problem(400, "bad-request");
    let event = json!([{"specversion": "0.3", "id": "1", "source": "s", "type": "io.seldon.serving.inference.request", "data": {"x": 1}}]);
    server.send("POST", EVENTS, &batch, event.to_string().as_bytes()).is(200);
    let found = decisions_of(&server.end());
    assert_eq!((found.len(), &found[0]["inputs"]), (1, &json!({"x": 1})));
}

fn spans(name: &str) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span = |id: &str, attributes: Vec<Value>| {
        json!({
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": id, "name": name, "kind": 3,
            "startTimeUnixNano": "1795330800000000000", "endTimeUnixNano": "1795330800250000000",
            "attributes": attributes, "status": {},
        })
    };
    let chat = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "small"),
        text("gen_ai.response.model", "small-2026"),
        text("gen_ai.input.messages", r#"[{"role": "user", "parts": [{"type": "text", "content": "?"}]}]"#),
    ];
    let wrong = vec![text("minutebook.model.name", "credit"), text("minutebook.class", "system")];
    let spans =
        [span("eee19b7ec3c1b174", chat), span("eee19b7ec3c1b175", wrong), span("eee19b7ec3c1b176", vec![])];
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

#[test]
fn spans_are_recorded_once_and_what_is_wrong_is_told_as_refused() {
    let (server, key) = with_key();
    for _ in 0..2 {
        let answer =
            server.ask(&key, "POST", "/v1/otlp/v1/traces", &spans("chat").to_string()).is(200).json();
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], 1, "{answer}");
        let why = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
        assert!(why.starts_with("number 2 of the request: `class`"), "{why}");
    }
    let found = decisions_of(&server.end());
    assert_eq!(found.len(), 1, "once, though it came twice");
    assert_eq!(found[0]["model"], json!({"name": "small", "version": "small-2026", "artifact": null}));
    assert_eq!(found[0]["inputs"]["messages"][0]["role"], "user");
    assert_eq!(found[0]["trace"], "5b8efff798038103d269b633813fc60c");
    assert_eq!((&found[0]["duration_ns"], &found[0]["status"]), (&json!(250_000_000), &json!("ok")));
}

#[test]
fn what_is_no_otlp_is_refused_with_bounded_memory() {
    let (server, key) = with_key();
    let bearer = format!("Bearer {key}");
    let send = |content_type: &str, encoding: &str, body: &[u8]| {
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", content_type),
            ("Content-Encoding", encoding),
        ];
        server.send("POST", "/v1/otlp/v1/traces", &headers, body)
    };
    let protobuf = "application/x-protobuf";
    send(protobuf, "identity", b"\xff\xff\xff").problem(400, "bad-request");
    send("application/json", "identity", b"{\"resourceSpans\": 3}").problem(400, "bad-request");
    send("application/json", "identity", "[".repeat(100_000).as_bytes()).problem(400, "bad-request");
    send("text/plain", "identity", b"").problem(415, "unsupported");
    send(protobuf, "gzip", b"no gzip").problem(400, "bad-request");
    send(protobuf, "gzip", &bomb()).problem(413, "too-large");
    send(protobuf, "identity", b"").is(200);
    assert_eq!(decisions_of(&server.end()).len(), 0);
}

/// A gigabyte of zeros, packed.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1_024).for_each(|_| packer.write_all(&zeros).unwrap());
    packer.finish().unwrap()
}
