"""HTTP to the engine of a trail, over its Unix socket or to a server: a connection per request, so that threads and forked children share
nothing."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from ._faults import EngineError
from ._limits import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, SOCKET_PATH_BYTES_MAX

SOCKET = "engine.sock"

PURPOSE = "minutebook-purpose"
"""The header that says what is read for."""


class NoEngine(EngineError):
    """Nobody listens on the socket, or whoever did went away before the answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="no-engine")


class BrokenOff(NoEngine):
    """An answer began and did not end: the engine went away, or found only then that it cannot give the rest."""


class Problem(EngineError):
    """The engine's answer was no (RFC 9457)."""


class Answer(NamedTuple):
    """What came back."""

    headers: http.client.HTTPMessage
    """By name, whatever its case."""
    body: bytes


def connect(folder: str, timeout_s: float | None, name: str = SOCKET) -> socket.socket:
    """A connection to whoever listens in `folder`: the engine of its trail, by default. Raises OSError when nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        path = os.path.join(folder, name)
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            connection.connect(path)
        else:
            at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{at}/{name}")
            finally:
                os.close(at)
        return connection
    except BaseException:
        connection.close()
        raise


def lives(folder: str) -> bool:
    """Whether somebody accepts connections there."""
    try:
        connect(folder, CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def checked_purpose(purpose: str | None) -> str | None:
    """A purpose that a header can say. Raises ValueError for another one."""
    if purpose is not None and not (purpose.isascii() and purpose.isprintable() and purpose.strip()):
        raise ValueError("`purpose` is a line of ASCII, such as the number of a case")
    return purpose


class _Connection(http.client.HTTPConnection):
    def __init__(self, folder: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._folder = folder

    def connect(self) -> None:
        self.sock = connect(self._folder, CONNECT_TIMEOUT_S)
        self.sock.settimeout(self.timeout)


class Way(Protocol):
    """How an engine is reached."""

    @property
    def name(self) -> str:
        """For messages: `the engine of …`."""
        ...

    def connection(self, timeout_s: float | None) -> http.client.HTTPConnection:
        """A new connection, not opened yet."""
        ...

    def headers(self) -> dict[str, str]:
        """What every request brings."""
        ...

    def path(self, path: str) -> str:
        """Where a path of the API is there."""
        ...


class Socket:
    """By the socket in the folder of a trail."""

    def __init__(self, folder: str, purpose: str | None = None) -> None:
        self._folder, self._purpose = folder, purpose

    @property
    def name(self) -> str:
        return f"the engine of `{self._folder}`"

    def connection(self, timeout_s: float | None) -> http.client.HTTPConnection:
        return _Connection(self._folder, timeout_s)

    def headers(self) -> dict[str, str]:
        return {} if self._purpose is None else {PURPOSE: self._purpose}

    def path(self, path: str) -> str:
        return path


class Server:
    """By the URL of a server, with an API key. Shows the key to nobody."""

    def __init__(self, url: str, key: str, context: ssl.SSLContext | None, purpose: str | None = None) -> None:
        self._url, self._key, self._context, self._purpose = url, key, context, purpose
        self._parts = urlsplit(url)

    def __repr__(self) -> str:
        return f"<server {self._url}>"

    @property
    def name(self) -> str:
        return f"the server at `{self._url}`"

    def connection(self, timeout_s: float | None) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._context is not None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)

    def headers(self) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self._key}"}
        if self._purpose is not None:
            headers[PURPOSE] = self._purpose
        return headers

    def path(self, path: str) -> str:
        return self._parts.path + path


def request(
    way: Way, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S
) -> bytes:
    """What the engine answers. A `body` that is a text goes as it is, any other as JSON. `timeout_s` is for each wait on the socket; None
    waits as long as it takes.

    Raises NoEngine when nobody answers, Problem when the answer is no, EngineError when it does not come in time.
    """
    return exchange(way, method, path, body, timeout_s=timeout_s).body


def exchange(
    way: Way, method: str, path: str, body: Any = None, *, accept: str | None = None, timeout_s: float | None = REQUEST_TIMEOUT_S
) -> Answer:
    """As `request`, with the headers of the answer. `accept` is the media type that it may have.

    Raises as `request`, and BrokenOff when only the beginning of the answer came.
    """
    connection = way.connection(timeout_s)
    headers = {"connection": "close", **way.headers()}
    if accept is not None:
        headers["accept"] = accept
    content = None
    if isinstance(body, str):
        content = body.encode()
        headers["content-type"] = "text/plain; charset=utf-8"
    elif body is not None:
        content = json.dumps(body).encode()
        headers["content-type"] = "application/json"
    try:
        connection.request(method, way.path(path), content, headers)
        response = connection.getresponse()
        answer = response.read()
    except TimeoutError:
        raise EngineError(f"{way.name} did not answer within {timeout_s:g} s", code="timeout") from None
    except http.client.IncompleteRead as error:
        raise BrokenOff(f"{way.name} broke off its answer after {len(error.partial)} bytes") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoEngine(f"{way.name} does not answer: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        raise _problem(response.status, answer)
    return Answer(response.headers, answer)


def _problem(status: int, answer: bytes) -> Problem:
    try:
        told = json.loads(answer)
        title, detail, code = told.get("title"), told.get("detail"), told.get("code")
    except (ValueError, AttributeError):
        title, detail, code = None, None, None
    message = ": ".join(part for part in (title, detail) if part) or f"the engine answered with status {status}"
    return Problem(message, code=code or "problem", status=status)
