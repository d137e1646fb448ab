//! OpenTelemetry's traces and logs (OTLP 1): spans and events that tell of a model's decision become records, others are counted. Edge: messages as
//! they are on the wire; how they travel, and when they are recorded, is elsewhere.

mod attributes;
mod evaluation;
mod genai;
mod mlflow;
mod openinference;
mod tabular;
mod weight;

use std::borrow::Cow;

use minutebook_present::json::{Members, Problem, Tree};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;

use crate::exchange::{Call, Exchange, Row, Side, Version, VersionFrom};
use crate::foreign::owned;
use crate::limits::SENDER_NAME_BYTES_MAX;
use crate::print::Print;
use attributes::Attributes;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Protobuf.
    Protobuf,
    /// JSON (OTLP, section "JSON Protobuf Encoding").
    Json,
}

/// Reads a message.
fn decode<M: Message + Default + serde::de::DeserializeOwned>(
    wire: Wire,
    bytes: &[u8],
    shape: &'static weight::Shape,
) -> Result<M, Problem> {
    match wire {
        Wire::Protobuf => {
            weight::check_protobuf(shape, bytes)?;
            M::decode(bytes)
                .map_err(|_| Problem::new("the body is not the protobuf message that belongs here"))
        }
        Wire::Json => {
            weight::check_json(shape, bytes)?;
            serde_json::from_slice(bytes).map_err(|error| {
                let place = format!("at line {}, column {}", error.line(), error.column());
                Problem::new(format!("the body is not the message that belongs here, as JSON: {place}"))
            })
        }
    }
}

/// Reads a request with spans.
///
/// # Errors
/// When it is none, or would take more memory than a message may.
pub fn traces(wire: Wire, bytes: &[u8]) -> Result<ExportTraceServiceRequest, Problem> {
    decode(wire, bytes, &weight::TRACES)
}

/// Reads a request with log records.
///
/// # Errors
/// When it is none, or would take more memory than a message may.
pub fn logs(wire: Wire, bytes: &[u8]) -> Result<ExportLogsServiceRequest, Problem> {
    decode(wire, bytes, &weight::LOGS)
}

/// What a span or an event tells.
#[derive(Debug, Clone)]
pub enum Told {
    /// A model was asked.
    Decision(Box<Decision>),
    /// Something about a decision: a record of another kind.
    Record {
        /// Under which it is known again.
        key: String,
        /// The record.
        record: Tree<'static>,
    },
    /// Nothing that belongs into a trail.
    Other,
}

/// A decision as a span or an event tells it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Under which it is known again when it is sent again; it has the ids of trace and span.
    pub key: String,
    /// Whose model, when, and where.
    pub call: Call,
    /// What went in and came out.
    pub exchange: Exchange,
}

/// What each span of a request tells, in order.
pub fn of_traces(request: &ExportTraceServiceRequest) -> impl Iterator<Item = Told> {
    request.resource_spans.iter().flat_map(|resource| {
        let about = resource.resource.as_ref().map_or(&[][..], |about| &about.attributes);
        let scopes = resource.scope_spans.iter();
        scopes.flat_map(move |scope| {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            scope.spans.iter().map(move |span| of_span(span, &Attributes::new(about), name))
        })
    })
}

/// What each log record of a request tells, in order.
pub fn of_logs(request: &ExportLogsServiceRequest) -> impl Iterator<Item = Told> {
    request.resource_logs.iter().flat_map(|resource| {
        let about = resource.resource.as_ref().map_or(&[][..], |about| &about.attributes);
        let scopes = resource.scope_logs.iter();
        scopes.flat_map(move |scope| {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            scope.log_records.iter().map(move |log| of_log(log, &Attributes::new(about), name))
        })
    })
}

/// What a convention finds in the attributes of a span or an event.
struct Content {
    model: Option<String>,
    version: Version,
    artifact: Option<[u8; 32]>,
    provider: Option<String>,
    params: Members<'static>,
    inputs: Row,
    outputs: Row,
    subject: Option<String>,
    actor: Option<String>,
    class: Option<String>,
    tags: Members<'static>,
}

impl Content {
    fn of_model(model: Option<&str>, version: Option<&str>) -> Self {
        let known = |version: &str| Version::known(version, VersionFrom::Answer);
        Self {
            model: model.or(version).map(str::to_owned),
            version: version.map_or_else(Version::unknown, known),
            artifact: None,
            provider: None,
            params: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            subject: None,
            actor: None,
            class: None,
            tags: Vec::new(),
        }
    }
}

/// The conventions, in the order in which they are asked: what says most about a record comes first.
const CONVENTIONS: [fn(&Attributes<'_>) -> Option<Content>; 4] =
    [tabular::content, genai::content, openinference::content, mlflow::content];

fn content(attributes: &Attributes<'_>) -> Option<Content> {
    CONVENTIONS.iter().find_map(|convention| convention(attributes))
}

fn of_span(span: &Span, about: &Attributes<'_>, scope: &str) -> Told {
    let mut attributes = Attributes::new(&span.attributes);
    // Instrumentations may put content into an event of the span instead.
    span.events
        .iter()
        .filter(|event| event.name == genai::DETAILS_EVENT)
        .for_each(|event| attributes.extend(&event.attributes));
    let Some(content) = content(&attributes) else { return Told::Other };
    let has_failed = span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    let exception = || {
        let event = span.events.iter().rev().find(|event| event.name == "exception")?;
        Attributes::new(&event.attributes).text("exception.type").map(str::to_owned)
    };
    let status =
        match attributes.text("error.type").map(str::to_owned).or_else(|| exception().filter(|_| has_failed))
        {
            Some(error) => error,
            None if has_failed => "error".to_owned(),
            None => "ok".to_owned(),
        };
    let (trace, id) = (id(&span.trace_id), id(&span.span_id));
    let key = key_of_span(span);
    let mut environment = environment("OTLP span", about, scope);
    if !span.name.is_empty() {
        environment.push((Cow::Borrowed("span_name"), owned(span.name.as_str())));
    }
    let name = content.model.clone().unwrap_or_else(|| span.name.clone());
    let mut decision = decision(content, name, &attributes, key, environment);
    decision.call.trace = trace;
    decision.call.span = id;
    decision.call.time_ns = time(span.start_time_unix_nano);
    decision.call.duration_ns = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
    decision.call.status = Some(status);
    Told::Decision(Box::new(decision))
}

fn of_log(log: &LogRecord, about: &Attributes<'_>, scope: &str) -> Told {
    let mut attributes = Attributes::new(&log.attributes);
    let name = Some(log.event_name.as_str()).filter(|name| !name.is_empty());
    let Some(name) = name.or_else(|| attributes.text("event.name")).map(str::to_owned) else {
        return Told::Other;
    };
    attributes.extend_from_body(log.body.as_ref());
    let at = time(log.time_unix_nano).or_else(|| time(log.observed_time_unix_nano));
    let (trace, span) = (id(&log.trace_id), id(&log.span_id));
    let key = key_of_event(&name, log, at, &attributes);
    if name == evaluation::EVENT {
        let record =
            evaluation::record(&attributes, environment("OTLP event", about, scope), (trace, span), at);
        return Told::Record { key, record };
    }
    if name != genai::DETAILS_EVENT {
        return Told::Other;
    }
    let Some(content) = content(&attributes) else { return Told::Other };
    let model = content.model.clone().unwrap_or_else(|| "unknown".to_owned());
    let status = attributes.text("error.type").unwrap_or("ok").to_owned();
    let mut decision = decision(content, model, &attributes, key, environment("OTLP event", about, scope));
    (decision.call.trace, decision.call.span) = (trace, span);
    decision.call.time_ns = at;
    decision.call.status = Some(status);
    Told::Decision(Box::new(decision))
}

fn decision(
    content: Content,
    model: String,
    attributes: &Attributes<'_>,
    key: String,
    mut environment: Members<'static>,
) -> Decision {
    if let Some(provider) = &content.provider {
        environment.push((Cow::Borrowed("provider"), owned(provider.as_str())));
    }
    let rest = attributes.rest();
    if !rest.is_empty() {
        environment.push((Cow::Borrowed("attributes"), crate::foreign::value(&Tree::Object(rest))));
    }
    let mut call = Call::new(model, content.version, [0; 16]);
    call.artifact = content.artifact;
    call.subject = content.subject;
    call.actor = content.actor;
    call.class = content.class;
    call.tags = content.tags;
    call.environment = environment;
    let exchange = Exchange {
        model: None,
        version: None,
        request_id: None,
        params: content.params,
        inputs: Side::of_rows(vec![content.inputs]),
        outputs: Some(content.outputs)
            .filter(|outputs| !outputs.is_empty())
            .map(|row| Side::of_rows(vec![row])),
        failed: false,
    };
    Decision { key, call, exchange }
}

/// Where it came from. A name that is too long to be one is left out: each record would have it.
fn environment(intake: &'static str, about: &Attributes<'_>, scope: &str) -> Members<'static> {
    let mut found: Members<'static> = vec![(Cow::Borrowed("intake"), Tree::Text(intake.into()))];
    let named = [
        ("service.name", "service"),
        ("service.version", "service_version"),
        ("deployment.environment.name", "deployment_environment"),
        ("host.name", "host"),
    ];
    for (name, kept) in named {
        if let Some(text) = about.text(name).filter(|text| text.len() <= SENDER_NAME_BYTES_MAX) {
            found.push((Cow::Borrowed(kept), owned(text)));
        }
    }
    if !scope.is_empty() && scope.len() <= SENDER_NAME_BYTES_MAX {
        found.push((Cow::Borrowed("instrumentation"), owned(scope)));
    }
    found
}

/// An id of a trace or a span; all zeros is none.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id: &[u8; N]| id.iter().any(|byte| *byte != 0))
}

fn time(ns: u64) -> Option<i64> {
    i64::try_from(ns).ok().filter(|ns| *ns > 0)
}

/// Under which a span is known again.
fn key_of_span(span: &Span) -> String {
    let print = print("span", id(&span.trace_id), id(&span.span_id));
    let print = print.unsigned(span.start_time_unix_nano).unsigned(span.end_time_unix_nano);
    format!("span {}", print.digits())
}

/// Under which an event is known again, by its attributes, those of its body among them.
fn key_of_event(name: &str, log: &LogRecord, at: Option<i64>, attributes: &Attributes<'_>) -> String {
    let print = print("event", id(&log.trace_id), id(&log.span_id)).text(name);
    format!("event {}", print.maybe(at, Print::signed).bytes(&attributes.print()).digits())
}

/// Begins what tells two spans or events apart.
fn print(kind: &str, trace: Option<[u8; 16]>, span: Option<[u8; 8]>) -> Print {
    let ids = Print::of(kind).maybe(trace, |print, id| print.bytes(&id));
    ids.maybe(span, |print, id| print.bytes(&id))
}

#[cfg(test)]
mod tests;
