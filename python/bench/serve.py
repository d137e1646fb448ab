"""Decisions recorded on this machine for a server on loopback, durable there (`disk`), beside the same producers on a local trail.

Each process records one decision by hand and flushes, back to back, and then at half of the rate that came out: that gives the time from the
call to the acknowledgement. The same is sent over HTTP by clients that have one connection each: a decision in each `POST /v1/records`, and
calls as KServe's logger tells of them, in two CloudEvents. Arguments: processes (8), seconds of each run (10), decisions for each flush (1;
over HTTP always 1).
"""

import contextlib
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from pathlib import Path

import minutebook
from minutebook import _program


INPUTS = {f"x{n}": n / 7 for n in range(20)}


@contextlib.contextmanager
def producer(place, each):
    """Gives a function that records decisions and returns when they are on disk."""
    how, where, key = place
    trail = minutebook.open(where) if how == "local" else minutebook.connect(where, api_key=key, service="bench")
    with trail:
        model = trail.model("credit-risk", "1", git=None)

        def record():
            for _ in range(each):
                with model.decision(inputs=INPUTS) as decision:
                    decision.outputs = {"approve": True}
            trail.flush("disk")

        yield record


@contextlib.contextmanager
def client(place, _each):
    """The same over HTTP, one decision a time."""
    how, where, key = place
    at = urllib.parse.urlsplit(where)
    connection = http.client.HTTPConnection(at.hostname, at.port)
    common = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    model = {"name": "credit-risk", "version": "1"}
    decision = json.dumps({"model": model, "inputs": INPUTS, "outputs": {"approve": True}})
    halves = {"request": json.dumps({"instances": [INPUTS]}), "response": json.dumps({"predictions": [{"approve": True}]})}

    def post(path, headers, body):
        connection.request("POST", at.path.rstrip("/") + path, body, common | headers)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {told.decode()}")

    def record():
        if how == "http":
            return post("/v1/records", {}, decision)
        call = str(uuid.uuid4())
        for half, body in halves.items():
            kind = f"org.kubeflow.serving.inference.{half}"
            post("/v1/intake/cloudevents", {"ce-specversion": "1.0", "ce-source": "bench", "ce-id": call, "ce-type": kind}, body)

    yield record
    connection.close()


def produce(place, seconds, each, rate, found):
    """Records for a while, at `rate` flushes a second or as fast as it goes; gives how many decisions and how long each flush took."""
    with (producer if place[0] in ("local", "remote") else client)(place, each) as record:
        took, end = [], time.monotonic() + seconds
        due = time.monotonic()
        while (now := time.monotonic()) < end:
            if rate is not None:
                due += 1 / rate
                if due > now:
                    time.sleep(due - now)
            began = time.monotonic()
            record()
            took.append(time.monotonic() - began)
    found.put((len(took) * each, took))


def measured(place, processes, seconds, each, rate=None):
    spawn = multiprocessing.get_context("spawn")
    found = spawn.SimpleQueue()
    children = [spawn.Process(target=produce, args=(place, seconds, each, rate, found)) for _ in range(processes)]
    for child in children:
        child.start()
    told = [found.get() for _ in children]
    for child in children:
        child.join()
    took = sorted(time for _, times in told for time in times)
    return sum(count for count, _ in told) / seconds, took


def told(name, processes, seconds, each, place):
    rate, _ = measured(place, processes, seconds, each)
    _, took = measured(place, processes, seconds, each, rate / 2 / each / processes)
    cuts = statistics.quantiles(took, n=100)
    print(json.dumps({
        "case": name, "processes": processes, "decisions_per_flush": each, "decisions_per_second": round(rate),
        "ms_to_disk_at_half_load": {"p50": round(cuts[49] * 1e3, 2), "p99": round(cuts[98] * 1e3, 2)},
    }), flush=True)  # fmt: skip


def main():
    processes, seconds, each = (int(word) for word in (sys.argv[1:] + ["8", "10", "1"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(dir=os.environ.get("MINUTEBOOK_BENCH_FOLDER")) as scratch:
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
            os.environ[name] = str(Path(scratch, name))
        local = Path(scratch, "local")
        minutebook.open(local).close()
        told("local", processes, seconds, each, ("local", str(local), None))
        command = [_program.find(), "serve", str(Path(scratch, "remote")), "--create", "--listen", "127.0.0.1:0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                listens = json.loads(server.stdout.readline())["listen"]
                make = [_program.find(), "api-key", "create", "bench", "--role", "recorder", "--trail", str(Path(scratch, "remote"))]
                key = subprocess.run(make, check=True, capture_output=True, text=True).stdout.strip()
                told("remote", processes, seconds, each, ("remote", listens, key))
                for how in ("http", "cloudevents"):
                    for clients in (1, processes):
                        told(how, clients, seconds, 1, (how, listens, key))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
