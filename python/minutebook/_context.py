"""Whom the decisions of a piece of code are about: subject, actor, tags and trace, carried by `contextvars` through calls, tasks
and awaits."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

TRACE_BYTES, SPAN_BYTES = 16, 8

OPENTELEMETRY = "opentelemetry.trace"
_modules = sys.modules


class About(NamedTuple):
    """What holds at a moment."""

    subject: str | Sequence[str] | None = None
    actor: str | None = None
    tags: Mapping[str, Any] | None = None
    trace: bytes | None = None
    span: bytes | None = None
    ids: list[str] | None = None
    """Takes the id of each decision, where somebody wants to know them."""


NOTHING = About()

variable: contextvars.ContextVar[About | None] = contextvars.ContextVar("minutebook", default=None)
_get = variable.get


def about() -> About | None:
    """What holds here, with the current span of OpenTelemetry if the program uses it. None: nothing does."""
    current = _get()
    if OPENTELEMETRY in _modules and (current is None or current.trace is None):
        return _with_span(current)
    return current


def _with_span(current: About | None) -> About | None:
    span = _modules[OPENTELEMETRY].get_current_span().get_span_context()
    if not span.is_valid:
        return current
    trace, number = span.trace_id.to_bytes(TRACE_BYTES, "big"), span.span_id.to_bytes(SPAN_BYTES, "big")
    return (current or NOTHING)._replace(trace=trace, span=number)


class context:
    """Says whom the decisions within are about.

        with minutebook.context(subject="applicant-7", actor="branch-12"):
            clf.predict_proba(row)

    What is not given stays as it is outside; tags are added to those outside. `trace` is a W3C `traceparent`, or a trace id of 32 hex
    digits or 16 bytes. What a call says itself goes before. Costs nothing when no decision is made; blocks never.
    """

    __slots__ = ("_about", "_token")

    def __init__(
        self,
        *,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        tags: Mapping[str, Any] | None = None,
        trace: str | bytes | None = None,
    ) -> None:
        trace_id, span = (None, None) if trace is None else parse_trace(trace)
        self._about = About(subject, actor, tags, trace_id, span)
        self._token: contextvars.Token[About | None] | None = None

    def __enter__(self) -> Self:
        self._token = variable.set(_within(_get(), self._about))
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            variable.reset(self._token)
            self._token = None


class collected_ids:
    """Gathers the ids of the decisions within, for whoever answers the request."""

    __slots__ = ("_ids", "_token")

    def __init__(self) -> None:
        self._ids: list[str] = []

    def __enter__(self) -> list[str]:
        self._token = variable.set((_get() or NOTHING)._replace(ids=self._ids))
        return self._ids

    def __exit__(self, *_: object) -> None:
        variable.reset(self._token)


def _within(outer: About | None, inner: About) -> About:
    if outer is None:
        return inner
    tags = {**outer.tags, **inner.tags} if outer.tags and inner.tags else inner.tags or outer.tags
    trace, span = (outer.trace, outer.span) if inner.trace is None else (inner.trace, inner.span)
    return About(inner.subject or outer.subject, inner.actor or outer.actor, tags, trace, span, outer.ids)


def parse_trace(trace: str | bytes) -> tuple[bytes, bytes | None]:
    """Trace and span of a W3C `traceparent` (Trace Context, §3.2), or of a bare trace id. Raises ValueError."""
    if isinstance(trace, bytes):
        if len(trace) == TRACE_BYTES:
            return trace, None
        raise ValueError(f"a trace id has {TRACE_BYTES} bytes, not {len(trace)}")
    parts = trace.strip().split("-")
    try:
        if len(parts) == 1 and len(parts[0]) == 2 * TRACE_BYTES:
            return bytes.fromhex(parts[0]), None
        # Later versions may have more parts behind.
        if len(parts) >= 4 and len(parts[0]) == 2 and len(parts[1]) == 2 * TRACE_BYTES and len(parts[2]) == 2 * SPAN_BYTES:
            return bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError:
        pass
    raise ValueError("`trace` is neither a W3C traceparent nor a trace id of 32 hex digits")
