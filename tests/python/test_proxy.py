"""`minutebook proxy` in front of real model servers, and between OpenAI's client and a server of its interface."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import minutebook
import openai
import pytest
from conftest import decisions, wait

PROGRAM = Path(sys.executable).with_name("minutebook")

MAKE_MODELS = """
import json, pathlib, sys
import joblib, mlflow, pandas
from sklearn.linear_model import LogisticRegression
folder = pathlib.Path(sys.argv[1])
asked = pandas.DataFrame({"amount": [4870.0, 900.0, 7200.0, 1500.0], "months": [24.0, 6.0, 48.0, 12.0]})
mlserver = folder / "mlserver"
mlserver.mkdir()
joblib.dump(LogisticRegression().fit(asked.to_numpy(), [0, 1, 0, 1]), mlserver / "model.joblib")
settings = {"name": "credit", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib", "version": "v7"}}
(mlserver / "model-settings.json").write_text(json.dumps(settings))
mlflow.sklearn.save_model(LogisticRegression().fit(asked, [0, 1, 0, 1]), folder / "mlflow", serialization_format="cloudpickle")
"""
ROWS = [[4870.0, 24.0], [900.0, 6.0]]
INFER = {"inputs": [{"name": "predict", "shape": [2, 2], "datatype": "FP64", "data": [4870.0, 24.0, 900.0, 6.0]}]}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(url, body, headers=None, method="POST"):
    """Status, headers and body of an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, given, method=method), timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@contextmanager
def started(command, ready, **options):
    """A server, from when it answers at `ready`."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        for _ in range(1200):
            assert server.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(ready, timeout=10).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def python():
    """The interpreter that has the model servers."""
    return Path(os.environ["MINUTEBOOK_SERVERS_PYTHON"])


@pytest.fixture(scope="module")
def models(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([python, "-c", MAKE_MODELS, folder], check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def mlserver(python, models):
    ports = [free_port() for _ in range(3)]
    settings = dict(zip(("http_port", "grpc_port", "metrics_port"), ports)) | {"parallel_workers": 0, "host": "127.0.0.1"}
    (models / "mlserver" / "settings.json").write_text(json.dumps(settings))
    address = f"http://127.0.0.1:{ports[0]}"
    with started([python.with_name("mlserver"), "start", "."], f"{address}/v2/health/ready", cwd=models / "mlserver"):
        yield address


@pytest.fixture(scope="module")
def mlflow(python, models):
    port = free_port()
    command = [python.with_name("mlflow"), "models", "serve", "--model-uri", models / "mlflow", "--port", str(port)]
    variables = os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    with started([*command, "--host", "127.0.0.1", "--env-manager", "local"], f"http://127.0.0.1:{port}/ping", env=variables):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def proxied(folder, upstream, *options):
    """The address of a proxy; it ends in order."""
    command = [PROGRAM, "proxy", folder, "--create", "--json", "--upstream", upstream, "--listen", "127.0.0.1:0", *options]
    proxy = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        told = json.loads(proxy.stdout.readline())
        assert told["upstream"] == upstream
        yield told["listen"]
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait(60) == 0
    finally:
        proxy.kill()
        proxy.wait()


def recorded(folder):
    with minutebook.open(folder) as trail:
        return decisions(trail)


def model(record):
    return record.model["name"], record.model["version"]


def ids(headers):
    return headers["minutebook-decision-id"].split(",")


def test_mlserver(folder, mlserver):
    path = "/v2/models/credit/infer"
    with proxied(folder, mlserver, "--subject-header", "x-applicant") as proxy:
        straight = ask(mlserver + path, INFER)
        status, headers, body = ask(proxy + path, INFER, {"x-applicant": "applicant-7"})
        ready = ask(proxy + "/v2/models/credit/ready", b"", method="GET")
        missing = ask(proxy + "/v2/models/debit/infer", INFER)
    assert (status, without_ids(body)) == (straight[0], without_ids(straight[2]))
    assert [ready[0], missing[0]] == [200, 404]
    first, second, failed, _ = recorded(folder)
    assert ids(headers) == [first.id, second.id]
    assert headers["minutebook-decision-count"] == "2"
    assert (model(first), list(first.inputs.values()), first.status) == (("credit", "v7"), ROWS[0], "ok")
    assert [record.outputs for record in (first, second)] == [{"predict": value} for value in json.loads(body)["outputs"][0]["data"]]
    assert "applicant-7" in first.subject
    assert (model(failed), failed.status) == (("debit", "unknown"), "http 404")


def without_ids(body):
    return {name: value for name, value in json.loads(body).items() if name != "id"}


def test_mlflow(folder, mlflow):
    split = {"dataframe_split": {"columns": ["amount", "months"], "data": ROWS}}
    forms = [
        (split, "application/json"),
        ({"dataframe_records": [dict(zip(("amount", "months"), row)) for row in ROWS]}, "application/json"),
        ({"inputs": ROWS}, "application/json"),
        (b"amount,months\n4870.0,24.0\n900.0,6.0\n", "text/csv"),
    ]
    with proxied(folder, mlflow, "--model", "credit-risk@1.4.0") as proxy:
        for body, content_type in forms:
            got = ask(f"{proxy}/invocations", body, {"content-type": content_type})
            assert (got[0], got[2]) == (200, ask(f"{mlflow}/invocations", body, {"content-type": content_type})[2])
        refused = ask(f"{proxy}/invocations", {"dataframe_split": {"columns": ["amount"], "data": [[1.0]]}})
        assert refused[0] == 400
    *made, failed = recorded(folder)
    predictions = json.loads(got[2])["predictions"]
    assert len(made) == 2 * len(forms)
    for at, record in enumerate(made):
        assert (model(record), record.status) == (("credit-risk", "1.4.0"), "ok")
        # Arrays have no names.
        names = ("x0", "x1") if at in (4, 5) else ("amount", "months")
        assert record.inputs == dict(zip(names, ROWS[at % 2]))
        assert record.outputs == {"prediction": predictions[at % 2]}
    assert (failed.inputs, failed.status, list(failed.outputs)) == ({"amount": 1.0}, "http 400", ["error"])


@pytest.mark.parametrize("path", ["/v2/models/credit/infer", "/v2/models/credit", "/v2/models/none/infer", "/v2"])
def test_bytes_are_those_of_the_server(folder, mlserver, path):
    """Heads in their order and spelling, and bodies."""
    method = "POST" if path.endswith("infer") else "GET"
    body = json.dumps({"id": "always-this", **INFER}) if method == "POST" else None

    def exchanged(address):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        connection.request(method, path, body, {"content-type": "application/json", "accept-encoding": "gzip"})
        answer = connection.getresponse()
        passed = [(name, value) for name, value in answer.getheaders() if not name.startswith("minutebook-") and name != "date"]
        return answer.status, answer.reason, passed, answer.read()

    with proxied(folder, mlserver) as proxy:
        assert exchanged(proxy) == exchanged(mlserver)


CHUNKS = [{"content": "It "}, {"content": "is "}, {"content": "not."}]
TEXT = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026"}


class Interface(http.server.BaseHTTPRequestHandler):
    """A language model of few words."""

    protocol_version = "HTTP/1.1"
    go_on: threading.Semaphore
    hung_up: threading.Event

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            data = [{"object": "embedding", "index": at, "embedding": "AACAPwAAAEA="} for at in range(len(asked["input"]))]
            self.whole({"object": "list", "model": "e-2026", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}})
        elif asked.get("stream"):
            self.stream(asked)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "It is not."}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            self.whole({**TEXT, "object": "chat.completion", "choices": [choice], "usage": usage})

    def whole(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, asked):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for delta in CHUNKS:
                self.event({**TEXT, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
                # The next one only when somebody has read this one.
                self.go_on.acquire()
            while asked["model"] == "endless":
                self.event({**TEXT, "choices": []})
                time.sleep(0.02)
            self.event({**TEXT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.piece(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.hung_up.set()
            self.close_connection = True

    def event(self, chunk):
        self.piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def piece(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture
def interface():
    Interface.go_on, Interface.hung_up = threading.Semaphore(0), threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Interface)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_openai(folder, interface):
    messages = [{"role": "user", "content": "Is it approved?"}]
    with proxied(folder, interface) as proxy, openai.OpenAI(base_url=f"{proxy}/v1", api_key="canary-of-a-key") as client:
        raw = client.chat.completions.with_raw_response.create(model="m", messages=messages, temperature=0.5)
        assert raw.parse().choices[0].message.content == "It is not."
        said = []
        with client.chat.completions.create(model="m", messages=messages, stream=True) as stream:
            for chunk in stream:
                said.append(chunk.choices[0].delta.content)
                Interface.go_on.release()
        assert said[:3] == ["It ", "is ", "not."]
        vectors = client.embeddings.create(model="e", input=["a", "b"]).data
        assert vectors[1].embedding == [1.0, 2.0]
    whole, streamed, *embedded = recorded(folder)
    assert whole.id == raw.headers["minutebook-decision-id"]
    assert (model(whole), whole.inputs["messages"]) == (("m", "m-2026"), messages)
    assert (whole.params, whole.outputs["content"], whole.outputs["total_tokens"]) == ({"model": "m", "temperature": 0.5}, "It is not.", 12)
    assert (streamed.outputs["content"], streamed.outputs["finish_reason"], streamed.outputs["complete"]) == ("It is not.", "stop", True)
    assert [record.inputs["input"] for record in embedded] == ["a", "b"]
    assert list(embedded[0].outputs["embedding"]) == [1.0, 2.0]
    assert "canary" not in str([record.fields for record in (whole, streamed, *embedded)])


def test_a_client_that_hangs_up(folder, interface):
    with proxied(folder, interface) as proxy, openai.OpenAI(base_url=f"{proxy}/v1", api_key="k") as client:
        with client.chat.completions.create(model="endless", messages=[], stream=True) as stream:
            assert next(iter(stream)).choices[0].delta.content == "It "
        for _ in CHUNKS:
            Interface.go_on.release()
        assert Interface.hung_up.wait(30), "the server goes on for nobody"
    (record,) = recorded(folder)
    assert (record.status, record.outputs["complete"]) == ("client gone", False)
    assert record.outputs["content"].startswith("It ")


def test_a_proxy_that_is_killed_leaves_no_number_unaccounted(folder, interface):
    command = [PROGRAM, "proxy", folder, "--create", "--json", "--upstream", interface, "--listen", "127.0.0.1:0"]
    proxy = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    address = json.loads(proxy.stdout.readline())["listen"]
    with openai.OpenAI(base_url=f"{address}/v1", api_key="k", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=[])
        wait(lambda: listed(folder, "decision"))
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        next(iter(stream))
        proxy.kill()
        proxy.wait()
    for _ in CHUNKS:
        Interface.go_on.release()
    wait(lambda: listed(folder, "loss"))
    (loss,) = listed(folder, "loss")
    assert "died" in str(loss["loss"]["reason"])
    assert len(listed(folder, "decision")) == 1


def listed(folder, kind):
    ran = subprocess.run([PROGRAM, "list", "--trail", folder, "--kind", kind, "--json"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_an_engine_that_is_gone_is_started_again(folder, interface):
    from minutebook import _client

    with proxied(folder, interface) as proxy, openai.OpenAI(base_url=f"{proxy}/v1", api_key="k") as client:
        _client.request(_client.Socket(str(folder)), "POST", "/v1/stop")
        wait(lambda: not _client.lives(str(folder)))
        client.chat.completions.create(model="m", messages=[])
        wait(lambda: _client.lives(str(folder)))
        wait(lambda: len(listed(folder, "decision")) == 1)
