//! Spans and events of each convention as records.

use minutebook_present::json::{DraftReader, ReadAt};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn attribute(name: &str, value: &Value) -> Value {
    fn any(value: &Value) -> Value {
        match value {
            Value::Bool(value) => json!({"boolValue": value}),
            Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
            Value::Number(number) => json!({"doubleValue": number}),
            Value::String(text) => json!({"stringValue": text}),
            Value::Array(items) => {
                json!({"arrayValue": {"values": items.iter().map(any).collect::<Vec<_>>()}})
            }
            Value::Object(members) => {
                json!({"kvlistValue": {"values": members.iter().map(|(name, value)| attribute(name, value)).collect::<Vec<_>>()}})
            }
            Value::Null => json!({}),
        }
    }
    json!({"key": name, "value": any(value)})
}

fn attributes(of: &Value) -> Vec<Value> {
    of.as_object().unwrap().iter().map(|(name, value)| attribute(name, value)).collect()
}

/// A request with one span, as an exporter writes it, in either form.
fn request(wire: Wire, attributes_: &Value, more: &Value) -> Vec<u8> {
    let mut span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat small",
        "startTimeUnixNano": "1795330800000000000", "endTimeUnixNano": "1795330800250000000",
        "attributes": attributes(attributes_),
    });
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let resource = attributes(&json!({"service.name": "shop"}));
    let json = json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"scope": {"name": "lib"}, "spans": [span]}]}]});
    match wire {
        Wire::Json => json.to_string().into_bytes(),
        Wire::Protobuf => traces(Wire::Json, json.to_string().as_bytes()).unwrap().encode_to_vec(),
    }
}

/// The record of a decision that is told, which the reader of records takes.
fn record(told: Told) -> Option<Value> {
    let record = match told {
        Told::Other => return None,
        Told::Record { record, .. } => record,
        Told::Decision(decision) => decision.call.records(&decision.exchange).next().unwrap(),
    };
    let at = ReadAt { time_ns: 0, clock_error_ns: None };
    DraftReader::new(false).draft(&record, at).unwrap_or_else(|problem| panic!("{problem}: {record:?}"));
    Some(serde_json::to_value(&record).unwrap())
}

fn read(attributes: &Value, more: &Value) -> Option<Value> {
    let [of_json, of_protobuf] = [Wire::Json, Wire::Protobuf].map(|wire| {
        let bytes = request(wire, attributes, more);
        record(of_traces(&traces(wire, &bytes).unwrap()).next().unwrap())
    });
    assert_eq!(of_json, of_protobuf);
    of_json
}

fn span(attributes: &Value) -> Value {
    read(attributes, &json!({})).expect("a decision")
}

#[test]
fn a_call_by_the_conventions_of_opentelemetry() {
    let found = span(&json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026-08",
        "gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 100, "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"?\"}]}]",
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
        "gen_ai.output.messages": [{"role": "assistant", "finish_reason": "stop"}],
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.response.id": "r-1",
        "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3,
        "session.id": "s", "http.request.header.authorization": "Bearer x",
    }));
    assert_eq!(found["model"], json!({"name": "small", "version": "small-2026-08"}));
    assert_eq!(
        found["params"],
        json!({"max_tokens": 100, "stop_sequences": ["x"], "temperature": 0.2, "operation": "chat"})
    );
    assert_eq!(found["inputs"]["messages"][0]["parts"][0]["content"], "?");
    assert_eq!(found["inputs"]["instructions"][0]["content"], "Be brief.");
    let outputs = json!({
        "messages": [{"finish_reason": "stop", "role": "assistant"}], "finish_reasons": ["stop"],
        "model": "small-2026-08", "response": "r-1", "input_tokens": 12, "output_tokens": 3,
    });
    assert_eq!(found["outputs"], outputs);
    assert_eq!(
        (&found["time"], &found["duration_ns"]),
        (&json!(1_795_330_800_000_000_000_i64), &json!(250_000_000))
    );
    assert_eq!(
        (&found["trace"], &found["span"]),
        (&json!("5b8efff798038103d269b633813fc60c"), &json!("eee19b7ec3c1b174"))
    );
    assert_eq!(found["status"], "ok");
    let environment = json!({
        "intake": "OTLP span", "service": "shop", "instrumentation": "lib", "span_name": "chat small",
        "provider": "openai", "attributes": {"session.id": "s"}, "version_from": "answer",
    });
    assert_eq!(found["environment"], environment, "the secret is left out");
}

#[test]
fn content_may_be_in_an_event_or_in_older_attributes() {
    let messages = attributes(&json!({"gen_ai.input.messages": "[1]"}));
    let name = "gen_ai.client.inference.operation.details";
    let event = json!({"events": [{"name": name, "attributes": messages}]});
    let found = read(&json!({"gen_ai.request.model": "small"}), &event).unwrap();
    assert_eq!(found["inputs"]["messages"], json!([1]));
    let found = span(&json!({
        "gen_ai.system": "openai", "gen_ai.request.model": "small",
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "?", "gen_ai.prompt.10.role": "b", "gen_ai.prompt.9.role": "a",
        "gen_ai.completion.0.content": "!",
    }));
    assert_eq!(
        found["inputs"]["messages"],
        json!([{"content": "?", "role": "user"}, {"role": "a"}, {"role": "b"}])
    );
    assert_eq!(found["outputs"]["messages"], json!([{"content": "!"}]));
}

#[test]
fn a_call_by_the_conventions_of_openinference() {
    let found = span(&json!({
        "openinference.span.kind": "LLM", "llm.model_name": "small", "llm.provider": "openai",
        "llm.invocation_parameters": "{\"temperature\": 0.1}",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "?",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "!",
        "llm.token_count.prompt": 5, "input.value": "{\"messages\": []}", "input.mime_type": "application/json",
    }));
    assert_eq!(found["model"]["name"], "small");
    assert_eq!(found["params"], json!({"temperature": 0.1, "operation": "llm"}));
    assert_eq!(found["inputs"], json!({"messages": [{"content": "?", "role": "user"}]}));
    assert_eq!(
        found["outputs"],
        json!({"messages": [{"content": "!", "role": "assistant"}], "input_tokens": 5})
    );
    assert!(found["environment"]["attributes"].is_null(), "{}", found["environment"]);
    let found =
        span(&json!({"openinference.span.kind": "LLM", "input.value": "{\"a\": 1}", "output.value": "text"}));
    assert_eq!((&found["inputs"], &found["outputs"]), (&json!({"a": 1}), &json!({"value": "text"})));
    assert_eq!(found["model"]["name"], "chat small", "a span's name is better than none");
}

#[test]
fn a_call_by_mlflow() {
    let found = span(&json!({
        "mlflow.spanType": "\"CHAT_MODEL\"", "mlflow.spanInputs": "{\"model\": \"small\", \"messages\": [{\"role\": \"user\"}]}",
        "mlflow.spanOutputs": "{\"model\": \"small-2026\", \"choices\": []}", "mlflow.chat.tokenUsage": "{\"input_tokens\": 4}",
        "mlflow.llm.provider": "\"openai\"", "mlflow.traceRequestId": "\"tr-1\"",
    }));
    assert_eq!(found["model"], json!({"name": "small", "version": "small-2026"}));
    assert_eq!(found["inputs"]["messages"], json!([{"role": "user"}]));
    assert_eq!(found["outputs"]["input_tokens"], 4);
    assert_eq!(found["environment"]["provider"], "openai");
    assert!(read(&json!({"mlflow.spanType": "\"CHAIN\""}), &json!({})).is_none());
}

#[test]
fn a_model_over_a_table_by_our_own_convention() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let found = span(&json!({
        "minutebook.model.name": "credit", "minutebook.model.version": "3", "minutebook.model.artifact": digest,
        "minutebook.input.age": 41, "minutebook.input.income": 1.5, "minutebook.inputs": "{\"age\": 1, \"$odd\": null}",
        "minutebook.output.approve": false, "minutebook.param.threshold": 0.5, "minutebook.tag.channel": "web",
        "minutebook.subject": "applicant-7", "minutebook.actor": "branch-12", "minutebook.class": "credit",
    }));
    assert_eq!(found["model"], json!({"name": "credit", "version": "3", "artifact": digest}));
    assert_eq!(found["inputs"], json!({"age": 41, "$odd": null, "income": 1.5}));
    assert_eq!(found["outputs"], json!({"approve": false}));
    assert_eq!(
        (&found["subject"], &found["actor"], &found["class"]),
        (&json!("applicant-7"), &json!("branch-12"), &json!("credit"))
    );
    assert_eq!((&found["params"], &found["tags"]), (&json!({"threshold": 0.5}), &json!({"channel": "web"})));
    assert_eq!(found["environment"]["version_from"], "sender");
}

#[test]
fn what_failed_says_how() {
    let chat = json!({"gen_ai.request.model": "small"});
    let exception = attributes(&json!({"exception.type": "TimeoutError"}));
    let failed = json!({"status": {"code": 2}, "events": [{"name": "exception", "attributes": exception}]});
    assert_eq!(read(&chat, &failed).unwrap()["status"], "TimeoutError");
    assert_eq!(read(&chat, &json!({"status": {"code": 2}})).unwrap()["status"], "error");
    let caught = json!({"events": [{"name": "exception", "attributes": attributes(&json!({"exception.type": "Caught"}))}]});
    assert_eq!(read(&chat, &caught).unwrap()["status"], "ok");
}

#[test]
fn what_asks_no_model_is_passed_over() {
    for other in [
        json!({}),
        json!({"http.method": "GET"}),
        json!({"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "small"}),
        json!({"openinference.span.kind": "AGENT", "input.value": "x"}),
    ] {
        assert_eq!(read(&other, &json!({})), None, "{other}");
    }
}

fn log(name: &str, of: &Value, more: &Value) -> Option<Value> {
    let mut log = json!({"eventName": name, "timeUnixNano": "7", "traceId": "5b8efff798038103d269b633813fc60c", "attributes": attributes(of)});
    log.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let json = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}).to_string();
    record(of_logs(&logs(Wire::Json, json.as_bytes()).unwrap()).next().unwrap())
}

#[test]
fn events_tell_of_calls_and_of_what_somebody_thinks_of_them() {
    let details = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "small"});
    let body = json!({"body": {"kvlistValue": {"values": attributes(&json!({"gen_ai.input.messages": [{"role": "user"}]}))}}});
    let found = log("gen_ai.client.inference.operation.details", &details, &body).unwrap();
    assert_eq!(found["inputs"]["messages"], json!([{"role": "user"}]));
    assert_eq!((&found["time"], &found["environment"]["intake"]), (&json!(7), &json!("OTLP event")));
    let result = json!({"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5, "gen_ai.response.id": "r-1"});
    let found = log("gen_ai.evaluation.result", &result, &json!({})).unwrap();
    assert_eq!(
        (&found["kind"], &found["note"]),
        (&json!("note"), &json!({"evaluation": "relevance", "score": 0.5, "response": "r-1"}))
    );
    assert_eq!(found["trace"], "5b8efff798038103d269b633813fc60c");
    assert_eq!(log("anything", &details, &json!({})), None);
}

#[test]
fn a_span_that_comes_again_is_known_and_another_is_not() {
    let key = |more: &Value| {
        let bytes = request(Wire::Json, &json!({"gen_ai.request.model": "small"}), more);
        match of_traces(&traces(Wire::Json, &bytes).unwrap()).next().unwrap() {
            Told::Decision(decision) => decision.key,
            other => panic!("{other:?}"),
        }
    };
    let first = key(&json!({}));
    assert_eq!(key(&json!({})), first);
    assert_ne!(key(&json!({"spanId": "eee19b7ec3c1b175"})), first);
    assert_ne!(key(&json!({"endTimeUnixNano": "1795330800250000001"})), first);
}

#[test]
fn depth_is_bounded() {
    let mut deep = json!("x");
    for _ in 0..25 {
        deep = json!([deep]);
    }
    let text = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let path = format!("gen_ai.prompt.{}", "0.".repeat(500));
    span(
        &json!({"gen_ai.request.model": "small", "deep": deep, "gen_ai.input.messages": text, "gen_ai.output.messages": deep}),
    );
    let mut long = json!({"gen_ai.request.model": "small"});
    long[&path] = json!("x");
    span(&long);
    assert!(traces(Wire::Json, "[".repeat(100_000).as_bytes()).is_err());
    // A message within itself a thousand times.
    let mut bytes = Vec::new();
    for _ in 0..1_000 {
        let mut outer = vec![0x2a];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend(&bytes);
        bytes = vec![0x0a];
        prost::encoding::encode_varint(outer.len() as u64, &mut bytes);
        bytes.extend(outer);
    }
    let _ = traces(Wire::Protobuf, &bytes);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for wire in [Wire::Protobuf, Wire::Json] {
            if let Ok(found) = traces(wire, &bytes) {
                of_traces(&found).for_each(drop);
            }
            if let Ok(found) = logs(wire, &bytes) {
                of_logs(&found).for_each(drop);
            }
        }
    }

    /// A request that is cut off, or has a byte changed, is read or refused.
    #[test]
    fn damaged_requests_are_read_or_refused(cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>()) {
        let of = json!({"gen_ai.request.model": "small", "gen_ai.input.messages": "[{}]", "n": [1, {"a": 2}]});
        let mut bytes = request(Wire::Protobuf, &of, &json!({}));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 400));
        if let Ok(found) = traces(Wire::Protobuf, &bytes) {
            for told in of_traces(&found) {
                if let Told::Decision(decision) = told {
                    prop_assert_eq!(decision.call.records(&decision.exchange).count(), 1);
                }
            }
        }
    }
}

/// A message of two bytes becomes a structure of a hundred, and a list of one item has room for four.
#[test]
fn what_would_take_too_much_memory_is_refused_before_it_is_read() {
    let refused = |wire, bytes: &[u8]| traces(wire, bytes).unwrap_err().to_string();
    let within = |number: u8, content: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(content);
        bytes
    };
    let spans = |spans: &[u8]| within(1, &within(2, spans));
    let count =
        crate::limits::MESSAGE_MEMORY_MAX / size_of::<opentelemetry_proto::tonic::common::v1::KeyValue>();
    let attributes = within(9, b"").repeat(count);
    let found = refused(Wire::Protobuf, &spans(&within(2, &attributes)));
    assert!(found.contains("takes more than 256 MiB"), "{found}");
    assert!(traces(Wire::Protobuf, &spans(&within(2, &attributes[..count / 4 * 2]))).is_ok());
    let json =
        |span: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#).into_bytes();
    let many = vec!["{}"; crate::limits::MESSAGE_MEMORY_MAX / size_of::<Span>() / 2].join(",");
    let found = refused(Wire::Json, &json(&many));
    assert!(found.contains("takes more than 256 MiB"), "{found}");
    let found = refused(Wire::Json, &json("{},[]"));
    assert!(found.starts_with("an object belongs where there is something else, at line 1"), "{found}");
    assert!(traces(Wire::Json, &json("{}")).is_ok());
    let found = refused(Wire::Json, b"{\"resourceSpans\": [}");
    assert!(found.contains("not the message that belongs here"), "{found}");
}

/// The vectors of `docs/formats/repeats.md`, "Keys of what others send".
#[test]
fn keys_are_as_their_page_says() {
    let begun = 1_795_330_800_000_000_000;
    let mut span = Span {
        trace_id: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes().to_vec(),
        span_id: 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes().to_vec(),
        start_time_unix_nano: begun,
        end_time_unix_nano: begun + 250_000_000,
        ..Span::default()
    };
    let log = LogRecord { trace_id: span.trace_id.clone(), ..LogRecord::default() };
    assert_eq!(key_of_span(&span), "span efc56ada3db08a514acb41f4c0a2a9a8");
    (span.trace_id, span.span_id) = (vec![0; 16], vec![]);
    assert_eq!(key_of_span(&span), "span ba57a552c407df7ddcbffa659b6b18dc");
    let text = opentelemetry_proto::tonic::common::v1::AnyValue {
        value: Some(opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue("b".into())),
    };
    let pair = opentelemetry_proto::tonic::common::v1::KeyValue {
        key: "a".into(),
        value: Some(text),
        ..Default::default()
    };
    let attributes = [pair];
    let key = key_of_event("x", &log, Some(begun as i64), &Attributes::new(&attributes));
    assert_eq!(key, "event 61b41ccdb001d025750ce747a863be9b");
}
