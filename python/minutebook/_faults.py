"""Faults of the trail: counted by kind, warned of once each, raised only where the caller asked for it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from typing import Literal

from . import _fork
from ._core import FieldError, SpoolFull, TrailError
from ._limits import REDACTION_WARNINGS_MAX

OnError = Literal["warn", "raise"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class TrailWarning(UserWarning):
    """Something was not recorded, or not as it was meant. Given once for each kind; `Trail.status()` counts all of them."""


class EngineError(TrailError):
    """The engine could not be started or reached, or it said no."""

    def __init__(self, message: str, *, code: str = "engine", status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        """What was wrong, for programs: the problem's code (docs/api.md), or `no-engine`."""
        self.status = status
        """HTTP status, if there was an answer."""


def kind_of(error: BaseException) -> str:
    """What `status()` counts a fault as."""
    if isinstance(error, SpoolFull):
        return "spool-full"
    if isinstance(error, EngineError):
        return "engine"
    if isinstance(error, TrailError):
        return "trail"
    if isinstance(error, (TypeError, ValueError)):
        return "value"
    return "other"


class Faults:
    """The faults of one trail in this process."""

    def __init__(self, on_error: OnError) -> None:
        if on_error not in ("warn", "raise"):
            raise ValueError(f"`on_error` is `warn` or `raise`, not `{on_error}`")
        self.raises = on_error == "raise"
        self._counts: dict[str, int] = {}
        self._last: str | None = None
        self._redactions: set[str] = set()
        self._lock = threading.Lock()
        _fork.renew_in_child(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def take(self, error: Exception) -> None:
        """Counts a fault in the path of a prediction. Raises it with `on_error="raise"`, and never otherwise."""
        self.note(error, "not recorded")
        if self.raises:
            raise error

    def note(self, error: Exception, what: str) -> None:
        """Counts a fault and warns of the first of its kind."""
        kind = kind_of(error)
        with self._lock:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._last = f"{what}: {error}"
        if count == 1 and not self.raises:
            warn(f"{what}: {error} (of kind `{kind}`; more of them are counted in `status()` only)")

    def redaction(self, what: str) -> None:
        """Counts what somebody who redacts should know, and warns of it, also with `on_error="raise"`: the record is made."""
        with self._lock:
            self._counts["redaction"] = self._counts.get("redaction", 0) + 1
            self._last = what
            is_new = what not in self._redactions
            if len(self._redactions) < REDACTION_WARNINGS_MAX:
                self._redactions.add(what)
        if is_new:
            warn(what)

    def quiet(self) -> QuietFaults:
        """The same faults for a model that redacts: texts that may show a value stay with whoever raised them."""
        return QuietFaults(self)

    def counts(self) -> dict[str, int]:
        """Faults by kind."""
        with self._lock:
            return dict(self._counts)

    @property
    def last(self) -> str | None:
        """What the last one said."""
        return self._last


class QuietFaults:
    """Faults told by their type and place, but for those whose text is our own and shows paths and types only."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.raises = faults.raises

    def take(self, error: Exception) -> None:
        """As `Faults.take`."""
        told = _without_text(error)
        self._faults.note(told, "not recorded")
        if self.raises:
            raise told from None

    def note(self, error: Exception, what: str) -> None:
        """As `Faults.note`."""
        self._faults.note(_without_text(error), what)

    def redaction(self, what: str) -> None:
        """As `Faults.redaction`."""
        self._faults.redaction(what)


def _without_text(error: Exception) -> Exception:
    if isinstance(error, (FieldError, TrailError)):
        return error
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    told = f"a `{type(error).__qualname__}`{place}, whose text may show what is redacted"
    return TypeError(told) if isinstance(error, TypeError) else ValueError(told) if isinstance(error, ValueError) else RuntimeError(told)


def warn(message: str) -> None:
    """Warns at the line of the caller that is not ours. Where warnings are errors it is logged instead: a prediction must go on."""
    depth = 1
    frame = sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, depth = frame.f_back, depth + 1
    try:
        warnings.warn(message, TrailWarning, stacklevel=depth)
    except TrailWarning:
        logging.getLogger("minutebook").warning(message)
