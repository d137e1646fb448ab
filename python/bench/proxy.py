"""What a proxy adds to a call of a model server, beside nginx as a plain reverse proxy: `cargo xtask bench proxy`.

One client asks over one connection that stays open, a call behind the other: straight, through nginx, through the proxy, in blocks that take turns.
The upstream is a second server of the same nginx that answers at once with fixed bytes, so that what is measured is the way. Every call of the proxy
is a decision with 20 features, recorded at the level `process` (in the spool); the engine drains and seals meanwhile.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CALLS = 500
BLOCKS = 40
PATH = "/v2/models/credit/infer"
FEATURES = 20
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream model {{ server 127.0.0.1:{model}; keepalive 16; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{model}; default_type application/json; location / {{ return 200 '{answer}'; }} }}
  server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""
ANSWER = {"model_name": "credit", "model_version": "7", "outputs": [{"name": "p", "shape": [1], "datatype": "FP64", "data": [0.31]}]}


class Client:
    """A connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tensor = {"name": "x", "shape": [1, FEATURES], "datatype": "FP64", "data": [at * 1.25 for at in range(FEATURES)]}
        body = json.dumps({"inputs": [tensor]}).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._answer = json.dumps(ANSWER).encode()

    def call(self) -> float:
        """Microseconds of one call."""
        start = time.perf_counter()
        self._socket.sendall(self._request)
        got = b""
        while not got.endswith(self._answer):
            piece = self._socket.recv(65_536)
            assert piece, got
            got += piece
        taken = time.perf_counter() - start
        assert got.startswith(b"HTTP/1.1 200 "), got
        return taken * 1e6


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody listens at port {port}")


def measured(program: str, blocks: int, calls: int) -> dict[str, list[float]]:
    folder = Path(tempfile.mkdtemp(prefix="minutebook-bench-"))
    model, front = free_port(), free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, model=model, front=front, answer=json.dumps(ANSWER)))
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if nginx is None:
        sys.exit("there is no nginx here: `apt-get install nginx-light`")
    trail = ["--trail", str(folder / "trail"), "--keys", str(folder / "keys")]
    try:
        with running([nginx, "-c", str(config), "-e", str(folder / "error.log")]):
            wait_for(model)
            proxy = [program, "proxy", *trail, "--create", "--json", "--upstream", f"http://127.0.0.1:{model}", "--listen", "127.0.0.1:0"]
            with running(proxy, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                told = json.loads(process.stdout.readline())
                ways = {"straight": model, "nginx": front, "minutebook": int(told["listen"].rsplit(":", 1)[1])}
                clients = {name: Client(port) for name, port in ways.items()}
                taken: dict[str, list[float]] = {name: [] for name in ways}
                for block in range(blocks + 2):
                    for name, client in clients.items():
                        found = [client.call() for _ in range(calls)]
                        # Two blocks to warm up.
                        if block >= 2:
                            taken[name] += found
        subprocess.run([program, "seal", *trail, "--quiet"], check=True)
        asked = [program, "search", *trail, "--model", "credit", "--facets", "--json"]
        recorded = json.loads(subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout)["count"]
        assert recorded == calls * (blocks + 2), f"{recorded} decisions were recorded"
        return taken
    finally:
        subprocess.run([program, "engine", *trail, "--stop", "--quiet"], check=False)
        shutil.rmtree(folder)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--program", default=str(Path(sys.executable).with_name("minutebook")), help="another program than the one installed")
    options.add_argument("--blocks", type=int, default=BLOCKS)
    options.add_argument("--calls", type=int, default=CALLS, help="of a block")
    given = options.parse_args()
    taken = measured(given.program, given.blocks, given.calls)
    straight = taken["straight"]
    print(f"{given.blocks} blocks of {given.calls} calls each, in turns; µs")
    print(f"{'':10} {'median':>8} {'p99':>8} {'added, median':>14} {'added, p99':>11}")
    for name, all_taken in taken.items():
        median, high = statistics.median(all_taken), statistics.quantiles(all_taken, n=100)[98]
        added = median - statistics.median(straight), high - statistics.quantiles(straight, n=100)[98]
        print(f"{name:10} {median:8.0f} {high:8.0f} {added[0]:14.0f} {added[1]:11.0f}")


if __name__ == "__main__":
    main()
