//! Bodies that say little and become much: what a server takes in memory stays within a factor of the largest body, and who sent it is told.

use std::io::Write;

use crate::tcp::{Answer, Server};

/// The largest body, as sent and as unpacked.
const BODY: usize = 32 << 20;

/// What a server may take at most while it reads one: what it takes anyway, the body twice, and what it becomes (docs/api.md).
const MEMORY: usize = 16 * BODY;

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const TRACES: &str = "/v1/otlp/v1/traces";
const LOGS: &str = "/v1/otlp/v1/logs";
const EVENTS: &str = "/v1/intake/cloudevents";

struct Bombed {
    server: Server,
    bearer: String,
}

impl Bombed {
    fn new() -> Self {
        let server = Server::new();
        let bearer = format!("Bearer {}", server.key("shop", "recorder,model-owner"));
        Self { server, bearer }
    }

    /// Sends a body, and says how much memory the server had at most meanwhile.
    #[track_caller]
    fn send(&self, what: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        assert!(body.len() <= BODY, "{what}: {} bytes", body.len());
        let proc = format!("/proc/{}", self.server.pid);
        // The highest so far begins anew.
        std::fs::write(format!("{proc}/clear_refs"), "5").unwrap();
        let headers = [&[("Authorization", self.bearer.as_str())], headers].concat();
        let answer = self.server.send("POST", path, &headers, body);
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak = line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10;
        println!("{what}: {} MiB at most, {} bytes sent, {}", peak >> 20, body.len(), answer.status);
        assert!(peak < MEMORY, "{what}: {} MiB", peak >> 20);
        answer
    }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of protobuf with bytes.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 8);
    varint(number << 3 | 2, &mut out);
    varint(content.len(), &mut out);
    out.extend_from_slice(content);
    out
}

/// As much of a piece as fits a body, with room for what is around it.
fn filled(piece: &[u8]) -> Vec<u8> {
    piece.repeat((BODY - 1024) / piece.len())
}

/// A request with these fields of one `ScopeSpans`, or of one `ScopeLogs`.
fn request(of_scope: &[u8]) -> Vec<u8> {
    field(1, &field(2, of_scope))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn attribute(name: &str, value: &str) -> Vec<u8> {
    field(9, &[field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat())
}

#[test]
fn messages_of_protobuf_are_weighed_before_they_are_read() {
    let bombed = Bombed::new();
    let too_much = |answer: Answer| {
        let told = answer.problem(400, "bad-request").json()["detail"].to_string();
        assert!(told.contains("256 MiB") && told.contains("send fewer"), "{told}");
    };
    let attributes = request(&field(2, &filled(&field(9, b""))));
    too_much(bombed.send("empty attributes", TRACES, &[PROTOBUF], &attributes));
    let packed = gzip(&attributes);
    assert!(packed.len() < 1 << 20);
    too_much(bombed.send("the same packed", TRACES, &[PROTOBUF, ("Content-Encoding", "gzip")], &packed));
    too_much(bombed.send("empty spans", TRACES, &[PROTOBUF], &request(&filled(&field(2, b"")))));
    let values = field(2, &field(6, &filled(&field(1, b""))));
    too_much(bombed.send("a list of nothing", LOGS, &[PROTOBUF], &request(&field(2, &field(6, &values)))));
    let keys = field(1, &field(1, &field(3, &filled(&field(3, b"")))));
    too_much(bombed.send("keys of entities", TRACES, &[PROTOBUF], &keys));
    // A list has room for four items as soon as it has one.
    let nested = (0..40).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
    let nested = field(2, &field(6, &field(2, &nested)));
    too_much(bombed.send("lists within lists", LOGS, &[PROTOBUF], &request(&filled(&nested))));
    // As instrumentations write them: many spans, none of which tells of a decision.
    let spans =
        field(2, &(0..20).flat_map(|_| attribute("http.request.method_original", "GET")).collect::<Vec<_>>());
    bombed.send("ordinary spans", TRACES, &[PROTOBUF], &request(&filled(&spans))).is(200);
    bombed.server.end().run(["verify"]).ends(0);
}

#[test]
fn json_is_weighed_before_it_is_read() {
    let bombed = Bombed::new();
    let around = |before: &str, piece: &str, after: &str| {
        let mut body = before.as_bytes().to_vec();
        body.extend(filled(piece.as_bytes()));
        body.pop();
        body.extend_from_slice(after.as_bytes());
        body
    };
    let told = |answer: Answer, word: &str| {
        let told = answer.problem(400, "bad-request").json()["detail"].to_string();
        assert!(told.contains(word), "{told}");
    };
    let spans = |piece: &str| around(r#"{"resourceSpans":[{"scopeSpans":[{"spans":["#, piece, "]}]}]}");
    told(bombed.send("spans in JSON", TRACES, &[JSON], &spans("{},")), "256 MiB");
    told(bombed.send("spans as lists", TRACES, &[JSON], &spans("[],")), "an object belongs");
    let unknown = around(r#"{"resourceSpans":[],"x":["#, "0,", "]}");
    told(bombed.send("what is not known", TRACES, &[JSON], &unknown), "256 MiB");
    for piece in ["0,", "[],", "{},", r#"{"":0},"#, "[[0]],"] {
        let body = around("[", piece, "]");
        told(bombed.send(&format!("records {piece}"), "/v1/records", &[JSON], &body), "256 MiB");
    }
    let structured = ("Content-Type", "application/cloudevents+json");
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"org.kubeflow.serving.inference.request","data":["#;
    told(bombed.send("data of an event", EVENTS, &[structured], &around(event, "0,", "]}")), "256 MiB");
    // As much as is taken: numbers as they are logged, which are too much for one record.
    let tensor = r#"{"specversion":"1.0","id":"1","source":"/s","type":"org.kubeflow.serving.inference.request",
"data":{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":["#;
    let taken = around(tensor, "0.1234567,", "]}]}}");
    bombed.send("many numbers", EVENTS, &[structured], &taken).is(200);
    bombed.server.end().run(["verify"]).ends(0);
}

/// What a request says once stands in each of its records.
#[test]
fn what_all_records_of_a_request_share_is_not_multiplied() {
    let bombed = Bombed::new();
    let rows = vec!["1"; 10_000].join(",");
    let long = "x".repeat(900_000);
    let request = format!(
        r#"{{"parameters":{{"p":"{long}"}},"inputs":[{{"name":"a","shape":[10000],"datatype":"INT8","data":[{rows}]}}]}}"#
    );
    let answer =
        format!(r#"{{"outputs":[{{"name":"y","shape":[10000],"datatype":"INT8","data":[{rows}]}}]}}"#);
    let event = |kind: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"1","source":"/s","type":"org.kubeflow.serving.inference.{kind}","data":{data}}}"#
        )
    };
    let both = format!("[{},{}]", event("request", &request), event("response", &answer));
    let batch = ("Content-Type", "application/cloudevents-batch+json");
    let counts = bombed.send("a parameter of all rows", EVENTS, &[batch], both.as_bytes()).is(200).json();
    assert_eq!(counts["recorded"], 1, "without its content");

    let decided = field(2, &attribute("gen_ai.request.model", "m"));
    let name = [field(1, b"service.name"), field(2, &field(1, &vec![b'x'; 8 << 20]))].concat();
    let resource = field(1, &field(1, &name));
    let some = [resource.clone(), field(2, &decided.repeat(2_000))].concat();
    bombed.send("a long name of 2,000 spans", TRACES, &[PROTOBUF], &field(1, &some)).is(200);
    let many = [resource, field(2, &decided.repeat(100_000))].concat();
    bombed.send("as many as fit", TRACES, &[PROTOBUF], &field(1, &many)).problem(413, "too-large");
    bombed.server.end().run(["verify"]).ends(0);
}

#[test]
fn what_unpacks_to_more_than_a_body_may_have_is_not_unpacked() {
    let bombed = Bombed::new();
    let zeros = vec![b' '; 40 << 20];
    let twice = gzip(&zstd::encode_all(&zeros[..], 19).unwrap());
    for (coding, packed) in [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(&zeros[..], 19).unwrap())] {
        for path in ["/v1/records", TRACES, EVENTS] {
            let headers = [JSON, ("Content-Encoding", coding)];
            bombed.send(&format!("{coding} at {path}"), path, &headers, &packed).problem(413, "too-large");
        }
    }
    bombed
        .send("packed twice", "/v1/records", &[JSON, ("Content-Encoding", "zstd, gzip")], &twice)
        .problem(415, "unsupported");
    bombed.server.end();
}
