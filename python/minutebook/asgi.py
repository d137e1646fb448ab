"""Middleware for FastAPI, Starlette and other ASGI applications: what a request says about its decisions, and their ids in the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._context import collected_ids, context, parse_trace

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

IDS_MAX = 64
"""Ids in one header: 64 are 2.4 KiB, and proxies cut headers at 4 KiB or 8 KiB."""

_TRACEPARENT = b"traceparent"


class Middleware:
    """Sets trace, actor and subject for the decisions of each request.

        app.add_middleware(minutebook.asgi.Middleware, actor_header="x-user", ids_header="decision-ids")

    The trace is that of the header `traceparent`, unless OpenTelemetry has a span. `actor_header` and `subject_header` name headers to
    read: use only such that nobody outside can set. `ids_header` names a header of the answer that holds the ids of the decisions that
    were made before it began, separated by commas, at most 64. Costs some microseconds a request; raises nothing of its own.
    """

    def __init__(
        self,
        app: Application,
        *,
        actor_header: str | None = None,
        subject_header: str | None = None,
        ids_header: str | None = None,
    ) -> None:
        self._app = app
        self._actor = _lower(actor_header)
        self._subject = _lower(subject_header)
        self._ids = _lower(ids_header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope.get("headers") or ())
        subject, actor = _text(headers, self._subject), _text(headers, self._actor)
        with context(subject=subject, actor=actor, trace=_trace(headers)):
            if self._ids is None:
                await self._app(scope, receive, send)
            else:
                with collected_ids() as ids:
                    await self._app(scope, receive, _telling(send, self._ids, ids))


def _lower(name: str | None) -> bytes | None:
    return None if name is None else name.lower().encode("latin-1")


def _text(headers: dict[bytes, bytes], name: bytes | None) -> str | None:
    value = headers.get(name) if name is not None else None
    return value.decode("latin-1") or None if value is not None else None


def _trace(headers: dict[bytes, bytes]) -> str | None:
    value = _text(headers, _TRACEPARENT)
    if value is None:
        return None
    try:
        parse_trace(value)
    except ValueError:
        # W3C Trace Context, §4.3: what cannot be read is as if it were not there.
        return None
    return value


def _telling(send: Send, name: bytes, ids: list[str]) -> Send:
    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and ids:
            value = ",".join(ids[:IDS_MAX]).encode("latin-1")
            message = {**message, "headers": [*message.get("headers", ()), (name, value)]}
        await send(message)

    return told
