"""What others send, sent by their own code: OpenTelemetry's exporters over HTTP and gRPC, MLflow's tracing, MLServer's events."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("minutebook")


class Server:
    """A server of a trail of its own, and a key with which to write."""

    def __init__(self, folder):
        self.folder = folder
        self.run("init")
        command = [str(PROGRAM), "serve", "--trail", str(folder), "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())["listen"]
        self.key = self.run("api-key", "create", "sender", "--role", "recorder").strip()

    def run(self, *arguments):
        command = [str(PROGRAM), *arguments, "--trail", str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    def send(self, script, **variables):
        """Runs a script of a sender to its end."""
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{self.key}",
            "MINUTEBOOK_ADDRESS": self.address,
            "MINUTEBOOK_KEY": self.key,
            **variables,
        }
        environment.pop("PYTHONPATH", None)
        command = [os.environ["MINUTEBOOK_SERVERS_PYTHON"], "-c", textwrap.dedent(script)]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        # An exporter that fails says so and goes on.
        assert "Failed to export" not in ran.stderr, ran.stderr
        assert "Transient error" not in ran.stderr, ran.stderr
        return ran.stdout

    def end(self):
        """Ends it, and gives all records that are no acts of the engine."""
        self.process.terminate()
        assert self.process.wait(60) == 0
        records = [json.loads(line) for line in self.run("list", "--json", "-n", "0").splitlines()]
        return sorted((one for one in records if one["class"] != "system"), key=lambda record: record["seq"])


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "trail")
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()
    server.process.stdout.close()


TRACES = """
    import sys
    from opentelemetry import trace
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Status, StatusCode

    if {wire!r} == "http":
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    resource = Resource.create({{"service.name": "shop"}})
    traces, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    tracer = traces.get_tracer("some.instrumentation")

    with tracer.start_as_current_span("checkout"):
        with tracer.start_as_current_span("chat small") as span:
            span.set_attributes({{
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "small",
                "gen_ai.response.model": "small-2026-08",
                "gen_ai.request.temperature": 0.25,
                "gen_ai.input.messages": '[{{"role": "user", "parts": [{{"type": "text", "content": "?"}}]}}]',
                "gen_ai.usage.input_tokens": 12,
            }})
        with tracer.start_as_current_span("credit") as span:
            span.set_attributes({{
                "minutebook.model.name": "credit",
                "minutebook.model.version": "3",
                "minutebook.input.age": 41,
                "minutebook.output.approve": False,
                "minutebook.subject": "applicant-7",
            }})
            span.set_status(Status(StatusCode.ERROR))
        logs.get_logger("some.instrumentation").emit(LogRecord(
            event_name="gen_ai.evaluation.result",
            severity_number=SeverityNumber.INFO,
            attributes={{"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5}},
        ))
    assert traces.force_flush() and logs.force_flush()
    traces.shutdown()
    logs.shutdown()
"""


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("wire", ["http", "grpc"])
def test_spans_and_events_of_opentelemetry(server, wire, compression):
    path = "/v1/otlp" if wire == "http" else ""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.address + path}
    if compression != "none":
        variables["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    server.send(TRACES.format(wire=wire), **variables)
    records = server.end()
    by_model = {record["model"]["name"]: record for record in records if "model" in record}
    assert len(records) == 3 and set(by_model) == {"small", "credit"}, "the span around them is passed over"
    chat, credit = by_model["small"], by_model["credit"]
    assert chat["model"]["version"] == "small-2026-08"
    assert chat["inputs"] == {"messages": [{"role": "user", "parts": [{"type": "text", "content": "?"}]}]}
    assert chat["params"] == {"operation": "chat", "temperature": 0.25}
    assert chat["outputs"] == {"model": "small-2026-08", "input_tokens": 12}
    assert chat["environment"]["service"] == "shop" and chat["environment"]["instrumentation"] == "some.instrumentation"
    assert (credit["inputs"], credit["outputs"], credit["subject"]) == ({"age": 41}, {"approve": False}, "applicant-7")
    assert (credit["status"], chat["status"]) == ("error", "ok") and credit["trace"] == chat["trace"]
    (note,) = (record for record in records if record["kind"] == "note")
    assert note["note"] == {"evaluation": "relevance", "score": 0.5} and note["trace"] == chat["trace"]
    server.run("verify")


def test_spans_over_grpc_go_to_the_trail_that_their_header_names(tmp_path):
    shop, bank = tmp_path / "shop", tmp_path / "bank"
    for folder in (shop, bank):
        subprocess.run([str(PROGRAM), "init", "--trail", str(folder)], check=True, stdout=subprocess.DEVNULL)
    server = Server.__new__(Server)
    server.folder = bank
    command = [str(PROGRAM), "serve", str(shop), str(bank), "--listen", "127.0.0.1:0", "--json"]
    server.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        server.address = json.loads(server.process.stdout.readline())["listen"].removesuffix("/t/shop")
        server.key = server.run("api-key", "create", "sender", "--role", "recorder").strip()
        headers = f"authorization=Bearer%20{server.key},minutebook-trail=bank"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.address, "OTEL_EXPORTER_OTLP_HEADERS": headers}
        server.send(TRACES.format(wire="grpc"), **variables)
        # The key is of the other trail.
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = headers.replace("=bank", "=shop")
        with pytest.raises(AssertionError, match="UNAUTHENTICATED"):
            server.send(TRACES.format(wire="grpc"), **variables)
        assert sorted(record["kind"] for record in server.end()) == ["decision", "decision", "note"]
        server.folder = shop
        records = [json.loads(line) for line in server.run("list", "--json", "-n", "0").splitlines()]
        assert all(record["class"] == "system" for record in records)
        for server.folder in (shop, bank):
            server.run("verify")
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


MLFLOW = """
    import mlflow

    with mlflow.start_span("agent", span_type="AGENT"):
        with mlflow.start_span("ask", span_type="CHAT_MODEL") as span:
            span.set_inputs({"model": "small", "messages": [{"role": "user", "content": "?"}]})
            span.set_outputs({"model": "small-2026-08", "choices": [{"message": {"content": "!"}}]})
            span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 4, "output_tokens": 1, "total_tokens": 5})
    mlflow.flush_trace_async_logging()
    from opentelemetry import trace
    from mlflow.tracing.provider import provider
    provider.get().force_flush()
"""


def test_spans_of_mlflow(server, tmp_path):
    variables = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.address}/v1/otlp/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }
    server.send(MLFLOW, **variables)
    (record,) = server.end()
    assert record["model"] == {"name": "small", "version": "small-2026-08", "artifact": None}
    assert record["inputs"]["messages"] == [{"role": "user", "content": "?"}]
    assert record["outputs"]["choices"] == [{"message": {"content": "!"}}] and record["outputs"]["output_tokens"] == 1


MLSERVER = """
    import os
    import urllib.request

    from mlserver.cloudevents import CloudEventsMiddleware
    from mlserver.codecs import NumpyCodec, StringCodec
    from mlserver.codecs.json import encode_to_json_bytes
    from mlserver.model import MLModel
    from mlserver.settings import ModelSettings, Settings
    from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput
    from mlserver.utils import extract_headers
    import numpy

    model = ModelSettings(name="credit", implementation=MLModel, parameters={"version": "v3"})
    events = CloudEventsMiddleware(Settings(server_name="loans"))
    age = NumpyCodec.encode_input("age", numpy.array([[41], [27]]))
    purpose = StringCodec.encode_input("purpose", ["car", "boat"])
    secret = Parameters(headers={"authorization": "Bearer canary"})
    request = InferenceRequest(id="call-1", parameters=secret, inputs=[age, purpose])
    output = ResponseOutput(name="p", shape=[2, 1], datatype="FP32", data=[0.25, 1.0])
    answer = InferenceResponse(id="call-1", model_name="credit", model_version="v3", outputs=[output])
    for message in (events.request_middleware(request, model), events.response_middleware(answer, model)):
        body = encode_to_json_bytes(message.model_dump())
        headers = {name: value for name, value in extract_headers(message).items() if name.lower().startswith("ce-")}
        headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['MINUTEBOOK_KEY']}"}
        sent = urllib.request.Request(os.environ["MINUTEBOOK_ADDRESS"] + "/v1/intake/cloudevents", body, headers)
        with urllib.request.urlopen(sent) as told:
            print(told.status, told.read().decode())
"""


def test_events_of_mlserver(server):
    told = server.send(MLSERVER).splitlines()
    assert [line.split(" ", 1)[0] for line in told] == ["200", "200"]
    assert json.loads(told[1].split(" ", 1)[1]) == {"recorded": 2, "waiting": 0, "repeated": 0}
    first, second = server.end()
    assert first["model"] == {"name": "credit", "version": "v3", "artifact": None}
    assert (first["inputs"], second["inputs"]) == ({"age": 41, "purpose": "car"}, {"age": 27, "purpose": "boat"})
    assert first["outputs"]["p"] == {"$typed": {"type": "f32", "value": 0.25}}
    environment = first["environment"]
    assert (environment["sender"], environment["service"], environment["paired"]) == ("MLServer", "loans", "request and answer")
    assert "canary" not in json.dumps(first)
