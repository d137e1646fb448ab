"""HTTP to the engine of a trail over its Unix socket: a connection per request, so that threads and forked children share nothing."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any, NamedTuple

from ._faults import EngineError
from ._limits import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, SOCKET_PATH_BYTES_MAX

SOCKET = "engine.sock"


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


def connect(folder: str, timeout_s: float | None) -> socket.socket:
    """A connection to the engine of the trail in `folder`. Raises OSError when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        path = os.path.join(folder, SOCKET)
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            connection.connect(path)
        else:
            at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{at}/{SOCKET}")
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


class _Connection(http.client.HTTPConnection):
    def __init__(self, folder: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._folder = folder

    def connect(self) -> None:
        self.sock = connect(self._folder, CONNECT_TIMEOUT_S)
        self.sock.settimeout(self.timeout)


def request(
    folder: str, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S
) -> bytes:
    """What the engine answers. A `body` that is a text goes as it is, any other as JSON. `timeout_s` is for each wait on the socket; None
    waits as long as it takes.

    Raises NoEngine when nobody answers, Problem when the answer is no, EngineError when it does not come in time.
    """
    return exchange(folder, method, path, body, timeout_s=timeout_s).body


def exchange(
    folder: str, method: str, path: str, body: Any = None, *, accept: str | None = None, timeout_s: float | None = REQUEST_TIMEOUT_S
) -> Answer:
    """As `request`, with the headers of the answer. `accept` is the media type that it may have.

    Raises as `request`, and BrokenOff when only the beginning of the answer came.
    """
    connection = _Connection(folder, timeout_s)
    headers = {"connection": "close"}
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
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        answer = response.read()
    except TimeoutError:
        raise EngineError(f"the engine of `{folder}` did not answer within {timeout_s:g} s", code="timeout") from None
    except http.client.IncompleteRead as error:
        raise BrokenOff(f"the engine of `{folder}` broke off its answer after {len(error.partial)} bytes") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoEngine(f"no engine answers for the trail in `{folder}`: {error}") from None
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
