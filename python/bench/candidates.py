"""What is measured: each candidate records a decision, makes what it has recorded last, and counts what arrived. One file a candidate's
folder; nothing here knows how it is timed."""

import json
import logging
import logging.handlers
import os
import queue
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import Decision


class Candidate:
    """One way to record. `record` is what the caller waits for."""

    record: Callable[[Decision], object]
    durability = "none"
    """What a record survives when `record` returns."""
    burst = 200_000
    """Records of the burst: fewer for those that would take minutes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def finish(self) -> None:
        """Blocks until all that was recorded is stored, as far as the candidate can."""

    def pids(self) -> list[int]:
        """Other processes whose CPU time counts."""
        return []

    @staticmethod
    def arrived(folder: Path) -> int:
        """Records that a later process finds."""
        return 0


class Nothing(Candidate):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.record = lambda decision: None


class OrjsonDumps(Candidate):
    """Serialisation alone: nothing is kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import orjson

        self.record = orjson.dumps


class Minutebook(Candidate):
    durability = "process, encrypted"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import minutebook

        self.trail = minutebook.open(folder / "trail", keys=folder / "keys", on_error="raise")
        self.model = self.trail.model("credit-risk", version="1.4.0", artifact=b"model", git=None)
        record = self.model.record

        def call(decision: Decision) -> None:
            explanation = {"method": "tree", "base": 0.1, "attributions": decision["attributions"]}
            record(decision["inputs"], decision["outputs"], params=decision["params"], explanation=explanation)

        self.record = call

    def finish(self) -> None:
        self.trail.flush("process")

    def pids(self) -> list[int]:
        pid = self.trail.status()["engine"]["pid"]
        return [pid] if pid else []

    @staticmethod
    def arrived(folder: Path) -> int:
        import minutebook

        with minutebook.open(folder / "trail", keys=folder / "keys", on_error="raise") as trail:
            trail.flush("sealed")
            report = trail.verify()
            if report["problems"]:
                raise AssertionError(report)
            return sum(account["kept"] for account in report["accounts"] if account["class"] == "standard") - 1


class LoggingQueue(Candidate):
    """Standard library: a `QueueHandler`, a listener that writes JSON lines."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self.handler = logging.FileHandler(folder / "log.jsonl")

        class Json(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return json.dumps({"time": record.created, **record.decision})  # type: ignore[attr-defined]

        self.handler.setFormatter(Json())
        self.listener = logging.handlers.QueueListener(records, self.handler)
        self.listener.start()
        logger = logging.getLogger("decisions")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(logging.handlers.QueueHandler(records))
        self.record = lambda decision: logger.info("decision", extra={"decision": decision})

    def finish(self) -> None:
        self.listener.stop()
        self.handler.flush()

    @staticmethod
    def arrived(folder: Path) -> int:
        return lines(folder / "log.jsonl")


class StructlogOrjson(Candidate):
    durability = "process, once its buffer is written"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import orjson
        import structlog

        self.file = open(folder / "log.jsonl", "ab")
        structlog.configure(
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            logger_factory=structlog.BytesLoggerFactory(file=self.file),
            cache_logger_on_first_use=True,
        )
        logger = structlog.get_logger()
        self.record = lambda decision: logger.msg("decision", **decision)

    def finish(self) -> None:
        self.file.flush()

    @staticmethod
    def arrived(folder: Path) -> int:
        return lines(folder / "log.jsonl")


class OpenTelemetry(Candidate):
    """A span for each decision, the SDK's batch processor, its own exporter into a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        file = open(folder / "spans.jsonl", "a")
        exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + os.linesep)
        self.provider = TracerProvider()
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = self.provider.get_tracer("decisions")

        def call(decision: Decision) -> None:
            with tracer.start_as_current_span("decision") as span:
                for section, values in decision.items():
                    for name, value in values.items():
                        span.set_attribute(f"{section}.{name}", value)

        self.record = call

    def finish(self) -> None:
        self.provider.force_flush(120_000)
        self.provider.shutdown()

    @staticmethod
    def arrived(folder: Path) -> int:
        return lines(folder / "spans.jsonl")


class MlflowTracing(Candidate):
    """Asynchronous tracing into SQLite."""

    burst = 10_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("decisions")
        self.mlflow = mlflow

        def call(decision: Decision) -> None:
            with mlflow.start_span("decision") as span:
                span.set_inputs(decision["inputs"])
                span.set_attributes({"params": decision["params"], "attributions": decision["attributions"]})
                span.set_outputs(decision["outputs"])

        self.record = call

    def finish(self) -> None:
        self.mlflow.flush_trace_async_logging()

    @staticmethod
    def arrived(folder: Path) -> int:
        with sqlite3.connect(folder / "mlflow.db") as connection:
            return connection.execute("SELECT COUNT(*) FROM trace_info").fetchone()[0]


class Sqlite(Candidate):
    """A row for each decision, each committed: write-ahead log, `synchronous=NORMAL`."""

    durability = "process"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.connection = sqlite3.connect(folder / "decisions.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.execute("CREATE TABLE decision (content TEXT)")
        insert = "INSERT INTO decision VALUES (?)"
        self.record = lambda decision: self.connection.execute(insert, (json.dumps(decision),))

    @staticmethod
    def arrived(folder: Path) -> int:
        with sqlite3.connect(folder / "decisions.db") as connection:
            return connection.execute("SELECT COUNT(*) FROM decision").fetchone()[0]


def lines(path: Path) -> int:
    """Whole lines of a file."""
    count = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
    return count


CANDIDATES: dict[str, type[Candidate]] = {
    "nothing": Nothing,
    "orjson.dumps alone": OrjsonDumps,
    "minutebook": Minutebook,
    "logging, QueueHandler": LoggingQueue,
    "structlog + orjson": StructlogOrjson,
    "OpenTelemetry spans": OpenTelemetry,
    "MLflow tracing, async": MlflowTracing,
    "sqlite3, row by row": Sqlite,
}


def named(name: str) -> type[Candidate]:
    return CANDIDATES[name]


Measured = dict[str, Any]
