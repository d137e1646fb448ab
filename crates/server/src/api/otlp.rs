//! OpenTelemetry's protocol: `POST /v1/otlp/v1/traces` and `/v1/otlp/v1/logs`, and the gRPC services of the same. Edge:
//! requests and answers as OTLP 1 has them; what becomes of them is in `spans`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use minutebook_adapters::otlp::Wire;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use tonic::codec::CompressionEncoding;
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
    let (wire, exported) = export(app, &headers, key, body, Sent::TraceBytes).await?;
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
    let (wire, exported) = export(app, &headers, key, body, Sent::LogBytes).await?;
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

/// The gRPC services.
pub(super) struct Grpc(App);

pub(super) fn trace_service(app: App) -> TraceServiceServer<Grpc> {
    TraceServiceServer::new(Grpc(app))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(RECORDS_BYTES_MAX)
}

pub(super) fn logs_service(app: App) -> LogsServiceServer<Grpc> {
    LogsServiceServer::new(Grpc(app))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(RECORDS_BYTES_MAX)
}

impl Grpc {
    async fn export<T>(&self, request: Request<T>, sent: fn(T) -> Sent) -> Result<Exported, Status>
    where
        T: Send + 'static,
    {
        let of = request.extensions().get::<KeyName>().cloned().unwrap_or_default();
        let (app, message) = (self.0.clone(), request.into_inner());
        let record = tokio::task::spawn_blocking(move || spans::record(&app, &of, sent(message)));
        let done = record.await.map_err(|error| Status::internal(error.to_string()))?;
        // What exporters try again (OTLP, section "Failures"), and what they do not.
        done.map_err(|problem| match problem.is_for_later() {
            true => Status::unavailable(problem.detail()),
            false => Status::invalid_argument(problem.detail()),
        })
    }
}

fn counted<T>(recorded: usize, message: T) -> tonic::Response<T> {
    let mut answer = tonic::Response::new(message);
    answer.extensions_mut().insert(Recorded(recorded as u64));
    answer
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let exported = Self::export(self, request, Sent::Traces).await?;
        Ok(counted(exported.recorded, of_traces(exported)))
    }
}

#[tonic::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        let exported = Self::export(self, request, Sent::Logs).await?;
        Ok(counted(exported.recorded, of_logs(exported)))
    }
}
