"""A server as this process sees it: records go into a spool on this machine, which a process beside it ships; everything else is asked over
HTTP (docs/formats/shipping.md)."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from . import _client, _fork, _process, _program
from ._client import Answer
from ._core import Producer, __version__
from ._engine import Engine, first_line, reason, run
from ._faults import EngineError
from ._limits import (
    CONNECT_TIMEOUT_S,
    FIRST_ANSWER_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    ROOM_PAUSE_S,
    SEAL_TIMEOUT_S,
    SHIP_TIMEOUT_S,
    START_BACKOFF_MAX_S,
    WATCH_PERIOD_S,
)

API_KEY_VARIABLE = "MINUTEBOOK_API_KEY"

_SOCKET = "ship.sock"


class Remote:
    """Asks a server, and has what is handed over shipped to it. For all threads; holds no connection."""

    keeps_running = True

    def __init__(
        self, url: str, *, api_key: str | None, purpose: str | None, folder: str | None, ca: str | None, insecure_http: bool
    ) -> None:
        self.url = _checked(url, insecure_http)
        key = api_key if api_key is not None else os.environ.get(API_KEY_VARIABLE, "")
        key = key.strip()
        if not key.isascii() or not key.isprintable() or not key or " " in key:
            raise ValueError(f"`api_key` is what `minutebook api-key create` printed; it, or `{API_KEY_VARIABLE}`, is missing or malformed")
        _client.checked_purpose(purpose)
        self.folder = os.path.abspath(folder) if folder is not None else _state_folder(self.url)
        self._ca = None if ca is None else os.path.abspath(ca)
        self._insecure_http = insecure_http
        self._way = _client.Server(self.url, key, _context(self._ca) if self.url.startswith("https:") else None, purpose)
        self._keep_key(key)
        self.trail: str | None = None
        self._intake_key: str | None = None
        self._producer: Producer | None = None
        self._note: Callable[[Exception, str], None] | None = None
        self._failed = 0
        self._next_try = 0.0
        self._lock = threading.Lock()
        _fork.renew_in_child(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<minutebook server {self.url}>"

    def _keep_key(self, key: str) -> None:
        """Hands the key to the shipper by a file that nobody else reads: not as an argument, which everybody sees."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        path = os.path.join(self.folder, "api-key")
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == key:
                    return
        except (OSError, ValueError):
            pass
        temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(key + "\n")
        os.replace(temporary, path)

    def spool_of(self) -> Mapping[str, Any]:
        """What a producer has to be told to hand over here."""
        return {"remote": (self.trail, self._intake_key)}

    def serve(self, producer: Producer, note: Callable[[Exception, str], None]) -> None:
        """From now on what this producer handed over is on the server before anything is asked."""
        self._producer, self._note = producer, note

    def ensure(self) -> str:
        """Makes sure that a shipper runs, and that it is known which trail the server has. Gives the version of the program.

        Blocks until the server answers, the first time; later a server that is away is none. Raises EngineError.
        """
        with self._lock:
            known = self._known()
            if known is not None:
                self.trail, self._intake_key = known["trail"], known["intake_key"]
            if known is None or not self._lives():
                known = self._start()
                self.trail, self._intake_key = known["trail"], known["intake_key"]
            return str(known.get("version", __version__))

    def _known(self) -> dict[str, Any] | None:
        """What the server said once."""
        try:
            with open(os.path.join(self.folder, "remote.json"), encoding="utf-8") as file:
                told = json.load(file)
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) and told.get("url") == self.url and {"trail", "intake_key"} <= told.keys() else None

    def _start(self) -> dict[str, Any]:
        command = [_program.find(), "ship", self.folder, "--to", self.url, "--detach", "--json"]
        if self._ca is not None:
            command += ["--ca", self._ca]
        if self._insecure_http:
            command.append("--insecure-http")
        began = time.monotonic()
        while True:
            ended = run(command)
            started = first_line(ended.output)
            if started is not None:
                return started
            # Of several workers that begin at once one is the first, and the others wait until it has reached the server.
            # One whose exit the host took, 0 without a word, may be such a one.
            if ended.code not in (_process.IN_USE, 0) or time.monotonic() >= began + FIRST_ANSWER_TIMEOUT_S:
                raise EngineError(f"nothing can be recorded for `{self.url}`: {reason(ended, 'ship')}", code="no-start")
            time.sleep(0.1)

    def _lives(self) -> bool:
        try:
            _client.connect(self.folder, CONNECT_TIMEOUT_S, _SOCKET).close()
        except OSError:
            return False
        return True

    def look(self) -> None:
        """Starts the shipper again when it is gone. Called now and then; waits longer from failure to failure."""
        if self._lives():
            self._failed = 0
            return
        now = time.monotonic()
        if now < self._next_try:
            return
        try:
            self.ensure()
            self._failed = 0
        except EngineError:
            self._failed += 1
            self._next_try = now + min(WATCH_PERIOD_S * 2**self._failed, START_BACKOFF_MAX_S)

    def ship(self, *, timeout_s: float = SHIP_TIMEOUT_S) -> None:
        """Returns when what this process handed over is on the server's disk. Raises EngineError when it is not: then it is on this one's."""
        if self._producer is None:
            return
        status = self._producer.status()
        line = f"flush {status['producer']} {status['epoch']}"
        try:
            try:
                said = self._tell(line, timeout_s)
            except OSError:
                self.ensure()
                said = self._tell(line, timeout_s)
        except TimeoutError:
            said = f"failed not within {timeout_s:g} s"
        except OSError as error:
            said = f"failed {error}"
        if said != "done":
            self._producer.flush()
            why = said.removeprefix("failed ") or "the shipper broke off"
            raise EngineError(f"what was handed over is on this machine's disk, and not yet on the server's: {why}", code="not-shipped")

    def _tell(self, line: str, timeout_s: float) -> str:
        with _client.connect(self.folder, CONNECT_TIMEOUT_S, _SOCKET) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(f"{line}\n".encode())
            with connection.makefile("r", encoding="utf-8") as answers:
                said = answers.readline()
        if not said.endswith("\n"):
            raise ConnectionResetError("the shipper went away")
        return said.rstrip("\n")

    def shipper(self) -> dict[str, Any] | None:
        """What the shipper says of itself; None when none runs."""
        try:
            return json.loads(self._tell("status", CONNECT_TIMEOUT_S))
        except (OSError, ValueError):
            return None

    def reach(self, level: str) -> None:
        """As `Trail.flush`. Raises EngineError."""
        if level != "process":
            self.ship()
        if level not in ("process", "disk"):
            self.exchange("POST", "/v1/spool/seal", {"level": level}, timeout_s=SEAL_TIMEOUT_S)

    def make_room(self, *, timeout_s: float) -> int:
        """Waits a moment for what earlier processes left to be shipped; gives 1, since there may be more to wait for."""
        self.ensure()
        time.sleep(min(timeout_s, ROOM_PAUSE_S))
        return 1

    def find(self) -> dict[str, Any] | None:
        """What the server says of itself; None when it does not answer, or the key is not for that."""
        return self._try("/v1/engine")

    def status(self) -> dict[str, Any] | None:
        """What the server says of trail and spool; None when it does not answer, or the key is not for that."""
        return self._try("/v1/status")

    def _try(self, path: str) -> dict[str, Any] | None:
        try:
            return json.loads(_client.request(self._way, "GET", path, timeout_s=CONNECT_TIMEOUT_S))
        except (EngineError, ValueError):
            return None

    def exchange(
        self, method: str, path: str, body: Any = None, *, accept: str | None = None, timeout_s: float | None = REQUEST_TIMEOUT_S
    ) -> Answer:
        """One request. Raises NoEngine, Problem, EngineError (see `_client.request`)."""
        return _client.exchange(self._way, method, path, body, accept=accept, timeout_s=timeout_s)

    def ready(self) -> None:
        """Has what this process handed over shipped: what is asked next is to find it. That it cannot be is noted."""
        try:
            self.ship()
        except EngineError as error:
            if self._note is not None:
                self._note(error, "asked without it")

    def ask(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S) -> bytes:
        """What the server answers. What this process handed over before is there by then, unless the server is away.

        Raises NoEngine, Problem, EngineError (see `_client.request`).
        """
        self.ready()
        return self.exchange(method, path, body, timeout_s=timeout_s).body

    def ask_json(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S) -> Any:
        """The same, where the answer is JSON."""
        return json.loads(self.ask(method, path, body, timeout_s=timeout_s))


def _checked(url: str, insecure_http: bool) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        # Not shown: what stands there may be a secret.
        raise ValueError("the URL of a server has no key or password in it: give the key as `api_key`")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"`{url}` is not the URL of a server, such as `https://trail.example`")
    if parts.scheme == "http" and not insecure_http and not _is_loopback(parts.hostname):
        raise ValueError(f"`{url}` is without TLS: others on the way read the API key. Use https, or `insecure_http=True`")
    return url.rstrip("/")


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        # What OpenSSL says has no name in it.
        raise ValueError(f"`ca`: `{ca}` is no PEM file with certificates: {error}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _state_folder(url: str) -> str:
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "minutebook", "remote", hashlib.sha256(url.encode()).hexdigest()[:32])


Asked = Engine | Remote
"""Who answers what is asked of a trail."""
