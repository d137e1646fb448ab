//! What others send and capture: bodies of requests and answers, events, spans, lines of files. What is taken becomes records that the reader of
//! records takes. Edge: `minutebook-adapters` and the reader of records; unpacking is in `packed`.

use std::time::Duration;

use minutebook_adapters::captures::{Captures, Form, Settings};
use minutebook_adapters::cloudevents::{Event, Mode};
use minutebook_adapters::exchange::{Call, Exchange, Version};
use minutebook_adapters::logger::{self, Logged, LoggedCall};
use minutebook_adapters::mapping::{Around, Mapping};
use minutebook_adapters::oip::Body;
use minutebook_adapters::openai::{Answer, Interface};
use minutebook_adapters::otlp::{Told, Wire};
use minutebook_adapters::pairing::{Pairs, Taken};
use minutebook_adapters::{Tree, invocations, oip, openai, otlp, payload};
use minutebook_present::json::{DraftReader, ReadAt};

use crate::seeds::{joined, parts};

mod examples;

pub(crate) use examples::{capture_seeds, draft_seeds, event_seeds, mapping_seeds, otlp_seeds};

const AT: ReadAt = ReadAt { time_ns: 0, clock_error_ns: None };

/// Records that are looked at of one input: further rows are as those before.
const LOOKED_AT: usize = 16;

/// A record that an adapter made is read, or refused in words.
fn draft(record: &Tree<'_>) {
    drop(DraftReader::new(false).draft(record, AT));
}

fn recorded(exchange: &Exchange) {
    let call = Call::new("m", Version::unknown(), [7; 16]);
    call.records(exchange).take(LOOKED_AT).for_each(|record| draft(&record));
}

/// A request and its answer, in every form that servers of models speak.
pub(crate) fn calls(data: &[u8]) {
    let (request, answer) = parts(data);
    recorded(&payload::exchange(Some(request), answer));
    recorded(&payload::exchange(None, answer.or(Some(request))));
    // Where the JSON ends that binary tensors follow.
    let json_bytes = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'}').map(|at| at + 1);
    for binary in [false, true] {
        let body = |bytes| Body { bytes, json_bytes: if binary { json_bytes(bytes) } else { None } };
        if let Ok(found) = oip::exchange(body(request), answer.map(body)) {
            recorded(&found);
        }
    }
    for content_type in ["application/json", "text/csv; header=present"] {
        if let Ok(found) = invocations::exchange(request, content_type, answer) {
            recorded(&found);
        }
    }
    drop(invocations::error_text(request));
    for interface in [Interface::Chat, Interface::Responses, Interface::Embeddings] {
        for is_stream in [false, true] {
            let answer = answer.map(|body| Answer { body, is_stream });
            if let Ok(found) = openai::exchange(interface, request, answer) {
                let rows = found.inputs.rows();
                if let Some(outputs) = &found.outputs {
                    assert!(outputs.rows().is_none() || outputs.rows() == rows, "rows of both sides");
                }
                recorded(&found);
            }
        }
    }
    if let Ok(path) = std::str::from_utf8(request) {
        let _ = oip::model_of_path(path);
    }
}

pub(crate) fn call_seeds() -> Vec<Vec<u8>> {
    examples::CALLS.iter().map(|(request, answer)| joined(request, answer)).collect()
}

/// CloudEvents: as JSON, as a batch, and as headers (a line each) with a body; and the calls that two halves make.
pub(crate) fn events(data: &[u8]) {
    let mut found = Vec::new();
    for mode in [Mode::Structured, Mode::Batched] {
        found.extend(Event::structured(mode, data).unwrap_or_default());
    }
    let (head, body) = parts(data);
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
    });
    found.extend(Event::binary(headers, body.unwrap_or_default()));
    let mut pairs = Pairs::<Logged>::default();
    let mut matched = Vec::new();
    for event in found {
        let _ = (event.get("id"), event.time_ns());
        if let Ok(half) = logger::half(event, "key", 1) {
            match pairs.take(half, Duration::ZERO) {
                Taken::Ready(ready) => matched.extend(ready),
                Taken::Waits | Taken::Repeated => {}
            }
        }
    }
    matched.extend(pairs.end());
    for matched in &matched {
        for told in [LoggedCall::of(matched), LoggedCall::without_content(matched)] {
            told.call.records(&told.exchange).take(LOOKED_AT).for_each(|record| draft(&record));
        }
    }
}

/// Traces and logs of OpenTelemetry, as protobuf and as JSON.
pub(crate) fn otlp(data: &[u8]) {
    for wire in [Wire::Protobuf, Wire::Json] {
        if let Ok(request) = otlp::traces(wire, data) {
            otlp::of_traces(&request).for_each(told);
        }
        if let Ok(request) = otlp::logs(wire, data) {
            otlp::of_logs(&request).for_each(told);
        }
    }
}

fn told(told: Told) {
    match told {
        Told::Decision(decision) => {
            decision.call.records(&decision.exchange).take(LOOKED_AT).for_each(|record| draft(&record));
        }
        Told::Record { record, .. } => draft(&record),
        Told::Other => {}
    }
}

/// Lines of files that serving platforms write.
pub(crate) fn captures(data: &[u8]) {
    for form in [Form::Sagemaker, Form::Azureml, Form::Kserve] {
        let mut captures = Captures::new(form, Settings::default());
        for line in data.split(|byte| *byte == b'\n') {
            captures.read(line).unwrap_or_default().iter().take(LOOKED_AT).for_each(draft);
        }
        captures.end().iter().take(LOOKED_AT).for_each(draft);
    }
}

/// A mapping file, a request and an answer.
pub(crate) fn mapping(data: &[u8]) {
    let (file, bodies) = parts(data);
    let Ok(Ok(mapping)) = std::str::from_utf8(file).map(Mapping::parse) else { return };
    let (request, answer) = parts(bodies.unwrap_or_default());
    let header = |name: &str| (name == "x-applicant").then(|| "7".to_owned());
    for (method, path) in [("POST", "/score/credit"), ("PUT", "/batch"), ("POST", "/"), ("POST", "/a/b/c")] {
        let Some(call) = mapping.find(method, path) else { continue };
        let _ = (call.class(), call.model(), call.has_rows());
        if let Ok(read) = call.read(Around { path, header: &header }, request, answer) {
            recorded(&read.exchange);
        }
    }
}

/// Records as JSON: a value, an array of them, or one a line.
pub(crate) fn drafts(data: &[u8]) {
    for reimport in [false, true] {
        drafts_by(&mut DraftReader::new(reimport), data);
    }
}

fn drafts_by(reader: &mut DraftReader, data: &[u8]) {
    for (number, line) in (1..).zip(data.split(|byte| *byte == b'\n')) {
        drop(reader.read_numbered(number, line, AT));
    }
    match Tree::parse(data) {
        Ok(Tree::Array(items)) => items.iter().for_each(|item| drop(reader.draft(item, AT))),
        Ok(one) => drop(reader.draft(&one, AT)),
        Err(problem) => assert!(!problem.to_string().is_empty(), "words"),
    }
}
