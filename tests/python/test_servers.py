"""Servers with worker processes, as services run them: requests go on while workers are reloaded, killed and ended, and every number is
accounted for."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import minutebook
import pytest
from conftest import decisions, processes, wait

CLIENTS = 4

WSGI = """
    import os
    import minutebook

    trail = minutebook.open({folder!r}, service="shop")
    model = trail.model("m", "1", git=None)

    def app(environ, start_response):
        id = model.record({{"n": int(environ["QUERY_STRING"])}})
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{{os.getpid()}} {{id}}".encode()]
"""

ASGI = """
    import os
    import minutebook
    import minutebook.asgi
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse

    trail = minutebook.open({folder!r}, service="shop")
    model = trail.model("m", "1", git=None)
    app = FastAPI()
    app.add_middleware(minutebook.asgi.Middleware)

    @app.get("/")
    def answer(request: Request) -> PlainTextResponse:
        with model.decision(inputs={{"n": int(request.url.query)}}) as decision:
            decision.outputs = {{"yes": True}}
        return PlainTextResponse(f"{{os.getpid()}} {{decision.id}}")
"""

LIFESPAN = """
    import os
    from contextlib import asynccontextmanager
    import minutebook
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse

    @asynccontextmanager
    async def lifespan(app):
        with minutebook.open({folder!r}, service="shop") as trail:
            app.state.model = trail.model("m", "1", git=None)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def answer(request: Request) -> PlainTextResponse:
        id = app.state.model.record({{"n": int(request.url.query)}})
        return PlainTextResponse(f"{{os.getpid()}} {{id}}")
"""

GUNICORN = ["gunicorn", "app:app", "--workers", "2", "--graceful-timeout", "20", "--bind"]
OF_UVICORN = ["--worker-class", "uvicorn.workers.UvicornWorker"]
# A new worker that is not ready in that many seconds, 5 by default, makes uvicorn give up reloading.
UVICORN = ["uvicorn", "app:app", "--workers", "2", "--timeout-worker-healthcheck", "50", "--port"]


class Server:
    """A server that runs, and clients that ask it without end."""

    def __init__(self, folder, command, app):
        (folder.parent / "app.py").write_text(textwrap.dedent(app.format(folder=str(folder))))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        address = f"127.0.0.1:{self.port}" if "--bind" in command else str(self.port)
        place = next(n for n, word in enumerate(command) if word in ("--bind", "--port")) + 1
        self.log = folder.parent / "server.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command[:place], address, *command[place:]],
                cwd=folder.parent, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.answered: list[str] = []
        self.pids: set[int] = set()
        self._ended = threading.Event()
        self._clients = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        for client in self._clients:
            client.start()

    def _ask(self, client):
        n = client
        while not self._ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", f"/?{n}")
                answer = connection.getresponse()
                told = answer.read().decode()
                if answer.status == 200:
                    pid, id = told.split()
                    self.pids.add(int(pid))
                    self.answered.append(id)
            except (OSError, http.client.HTTPException):
                # It does not listen yet, or the worker was killed.
                pass
            finally:
                connection.close()
            n += CLIENTS
            # A service is not always busy either, and a listing holds 10,000 records.
            self._ended.wait(0.01)

    def wait_for(self, condition):
        def looked():
            assert self.process.poll() is None, self.log.read_text()
            return condition()

        wait(looked, 60)

    def end(self):
        self._ended.set()
        for client in self._clients:
            client.join()

    def processes(self):
        """Those of its session, which its workers and theirs stay in."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return {pid for pid in pids if _session(pid) == self.process.pid}


def _session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.parametrize(
    ("command", "app", "says_goodbye"),
    [
        pytest.param(GUNICORN, WSGI, True, id="gunicorn"),
        pytest.param([*GUNICORN, "--preload"], WSGI, True, id="gunicorn-preload"),
        # uvicorn ends by the signal that asked it to, so that nothing runs at the end of Python: only what the application's own end closes.
        pytest.param([*GUNICORN, *OF_UVICORN], ASGI, False, id="gunicorn-uvicorn"),
        pytest.param([*GUNICORN, "--preload", *OF_UVICORN], ASGI, False, id="gunicorn-uvicorn-preload"),
        pytest.param([*GUNICORN, *OF_UVICORN], LIFESPAN, True, id="gunicorn-uvicorn-lifespan"),
        pytest.param(UVICORN, ASGI, False, id="uvicorn"),
        pytest.param(UVICORN, LIFESPAN, True, id="uvicorn-lifespan"),
    ],
)
def test_every_answer_is_recorded(folder, command, app, says_goodbye):
    server = Server(folder, command, app)
    try:
        server.wait_for(lambda: len(server.answered) >= 100 and len(server.pids) == 2)
        first = set(server.pids)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(lambda: not first & server.processes() and server.pids - first)
        there = server.processes()
        os.kill(min(server.pids & there), signal.SIGKILL)
        server.wait_for(lambda: server.pids - first - there)
        already = len(server.answered)
        server.wait_for(lambda: len(server.answered) >= already + 100)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) in (0, -signal.SIGTERM), server.log.read_text()
        wait(lambda: not server.processes())
    finally:
        server.end()
        for pid in server.processes():
            os.kill(pid, signal.SIGKILL)
    assert len(processes("engine", folder)) == 1
    with minutebook.open(folder, service="tests") as trail:
        kept = {record.id for record in decisions(trail)}
        assert set(server.answered) <= kept
        report = trail.verify()
        assert report, report["findings"]
        for account in report["accounts"]:
            assert account["drawn"] == account["kept"] + sum(account["lost"].values()), account
            assert not account["gaps"], account
        # Of those that say it, all but the one that was killed have said that they are done.
        abandoned = {(account["producer"], account["epoch"]) for account in report["accounts"] if account["state"] == "abandoned"}
        assert len(abandoned) == 1 or not says_goodbye, report["accounts"]
