//! OpenTelemetry's protocol: `POST /v1/otlp/v1/traces` and `/v1/otlp/v1/logs`, and the gRPC services of the same. Edge:
//! requests and answers as OTLP 1 has them; what becomes of them is in `spans`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::{Buf, BufMut};
use futures::future::BoxFuture;
use minutebook_adapters::otlp::Wire;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Status};

use super::App;
use super::intake::{body_of, broken, encoding, unsupported};
use crate::guard::{KeyName, Recorded};
use crate::limits::RECORDS_BYTES_MAX;
use crate::problem::Problem;
use crate::spans::{self, Exported, Sent};

const PROTOBUF: &str = "application/x-protobuf";

/// Spans of OpenTelemetry: those that tell of decisions are recorded.
#[utoipa::path(
    post,
    path = "/v1/otlp/v1/traces",
    operation_id = "otlp_traces",
    tag = "intake",
    request_body(
        content((String = "application/x-protobuf"), (Object = "application/json")),
        description = "ExportTraceServiceRequest of OTLP; `content-encoding` gzip or zstd",
    ),
    responses((
        status = 200,
        description = "ExportTraceServiceResponse, in the form of the request",
        content((String = "application/x-protobuf"), (Object = "application/json")),
    )),
)]
pub(super) async fn traces(
    State(app): State<App>,
    headers: HeaderMap,
    key: Option<Extension<KeyName>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (wire, exported) = export(app, &headers, key, body, Sent::Traces).await?;
    let recorded = Extension(Recorded(exported.recorded as u64));
    Ok((recorded, answer(wire, &of_traces(exported))?).into_response())
}

/// Log records of OpenTelemetry: events that tell of decisions are recorded.
#[utoipa::path(
    post,
    path = "/v1/otlp/v1/logs",
    operation_id = "otlp_logs",
    tag = "intake",
    request_body(
        content((String = "application/x-protobuf"), (Object = "application/json")),
        description = "ExportLogsServiceRequest of OTLP; `content-encoding` gzip or zstd",
    ),
    responses((
        status = 200,
        description = "ExportLogsServiceResponse, in the form of the request",
        content((String = "application/x-protobuf"), (Object = "application/json")),
    )),
)]
pub(super) async fn logs(
    State(app): State<App>,
    headers: HeaderMap,
    key: Option<Extension<KeyName>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (wire, exported) = export(app, &headers, key, body, Sent::Logs).await?;
    let recorded = Extension(Recorded(exported.recorded as u64));
    Ok((recorded, answer(wire, &of_logs(exported))?).into_response())
}

async fn export(
    app: App,
    headers: &HeaderMap,
    key: Option<Extension<KeyName>>,
    body: Result<Bytes, BytesRejection>,
    sent: fn(Wire, Vec<u8>) -> Sent,
) -> Result<(Wire, Exported), Problem> {
    let (wire, encoding) = (wire(headers)?, encoding(headers)?);
    let body = body_of(body)?;
    let of = key.map(|Extension(name)| name).unwrap_or_default();
    let record = move || {
        let bytes = encoding.unpack(&body)?.into_owned();
        spans::record(&app, &of, sent(wire, bytes))
    };
    Ok((wire, tokio::task::spawn_blocking(record).await.map_err(broken)??))
}

fn wire(headers: &HeaderMap) -> Result<Wire, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        PROTOBUF => Ok(Wire::Protobuf),
        "application/json" => Ok(Wire::Json),
        _ => Err(unsupported("`content-type` is `application/x-protobuf` or `application/json`")),
    }
}

/// In the form of the request, as OTLP asks for.
fn answer(wire: Wire, message: &(impl Message + Serialize)) -> Result<Response, Problem> {
    Ok(match wire {
        Wire::Protobuf => {
            let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF))];
            (StatusCode::OK, content_type, message.encode_to_vec()).into_response()
        }
        Wire::Json => Json(message).into_response(),
    })
}

fn of_traces(exported: Exported) -> ExportTraceServiceResponse {
    let partial =
        ExportTracePartialSuccess { rejected_spans: exported.refused as i64, error_message: exported.why };
    ExportTraceServiceResponse { partial_success: (partial.rejected_spans > 0).then_some(partial) }
}

fn of_logs(exported: Exported) -> ExportLogsServiceResponse {
    let partial = ExportLogsPartialSuccess {
        rejected_log_records: exported.refused as i64,
        error_message: exported.why,
    };
    ExportLogsServiceResponse { partial_success: (partial.rejected_log_records > 0).then_some(partial) }
}

/// `TraceService/Export` of gRPC.
pub(super) async fn grpc_traces(State(app): State<App>, request: http::Request<Body>) -> Response {
    let export = Export { app, sent: Sent::Traces, answer: |exported| of_traces(exported).encode_to_vec() };
    export.answer(request).await
}

/// `LogsService/Export` of gRPC.
pub(super) async fn grpc_logs(State(app): State<App>, request: http::Request<Body>) -> Response {
    let export = Export { app, sent: Sent::Logs, answer: |exported| of_logs(exported).encode_to_vec() };
    export.answer(request).await
}

/// A method of gRPC. Its messages come as bytes, so that they are weighed before they are read.
#[derive(Clone)]
struct Export {
    app: App,
    sent: fn(Wire, Vec<u8>) -> Sent,
    answer: fn(Exported) -> Vec<u8>,
}

impl Export {
    async fn answer(self, request: http::Request<Body>) -> Response {
        let mut grpc = Grpc::new(Raw)
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(RECORDS_BYTES_MAX);
        grpc.unary(self, request).await.map(Body::new)
    }

    async fn export(self, request: Request<Vec<u8>>) -> Result<tonic::Response<Vec<u8>>, Status> {
        let of = request.extensions().get::<KeyName>().cloned().unwrap_or_default();
        let Self { app, sent, answer } = self;
        let bytes = request.into_inner();
        let record =
            tokio::task::spawn_blocking(move || spans::record(&app, &of, sent(Wire::Protobuf, bytes)));
        let done = record.await.map_err(|error| Status::internal(error.to_string()))?;
        // What exporters try again (OTLP, section "Failures"), and what they do not.
        let done = done.map_err(|problem| match problem.is_for_later() {
            true => Status::unavailable(problem.detail()),
            false => Status::invalid_argument(problem.detail()),
        });
        let exported = done?;
        let recorded = Recorded(exported.recorded as u64);
        let mut answer = tonic::Response::new(answer(exported));
        answer.extensions_mut().insert(recorded);
        Ok(answer)
    }
}

impl UnaryService<Vec<u8>> for Export {
    type Response = Vec<u8>;
    type Future = BoxFuture<'static, Result<tonic::Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.clone().export(request))
    }
}

/// Messages as they are on the wire.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
