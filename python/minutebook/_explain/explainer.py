"""What explains the decisions of a model: in the call, behind it, or when asked. It may fail and take long; the decision is recorded
anyhow."""

from __future__ import annotations

import importlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from .. import _fork
from .._faults import warn
from .._limits import EXPLAIN_CLOSE_S, EXPLAIN_IDLE_S, EXPLAIN_QUEUE_MAX, SLOW_EXPLANATIONS_MAX
from . import read
from .sound import sound

if TYPE_CHECKING:
    from .._model import Model
    from .._types import Explanation
    from .batch import Rows

When = Literal["inline", "kept", "on_demand"]
Takes = Literal["inputs", "array", "frame"]


class ExplainerStatus(TypedDict):
    """How an explainer did so far in this process."""

    when: When
    made: int
    failed: int
    slow: int
    """Took longer than its limit."""
    skipped: int
    """Not tried: the queue was full, the process ended, the explainer was switched off, or a call had no time for all of its rows."""
    on: bool
    """Not switched off for being slow."""
    last_fault: str | None


class Decided(NamedTuple):
    """A decision that is to be explained."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] | None
    subject: str | Sequence[str] | None


class Explainer:
    """An explainer of a model, with its bounds. For all threads."""

    def __init__(
        self, model: Model, call: Callable[[Any], Any], when: When, takes: Takes | None, limit_s: float, told: Mapping[str, Any]
    ) -> None:
        if when not in ("inline", "kept", "on_demand"):
            raise ValueError(f"`when` is `inline`, `kept` or `on_demand`, not `{when}`")
        if takes not in (None, "inputs", "array", "frame"):
            raise ValueError(f"`takes` is `inputs`, `array` or `frame`, not `{takes}`")
        if not callable(call):
            raise TypeError(f"a `{type(call).__qualname__}` cannot be called: give a function that explains a row")
        self.when: When = when
        self._model = model
        self._call = call
        self._takes = takes or ("array" if _is_of_shap(call) else "inputs")
        self.limit_s = limit_s
        self._limit_ns = round(limit_s * 1e9)
        self._told = told
        self._counts = {"made": 0, "failed": 0, "slow": 0, "skipped": 0}
        self._slow_in_a_row = 0
        self._is_on = True
        self._is_stopped = False
        self._last_fault: str | None = None
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Decided | None] = queue.Queue(EXPLAIN_QUEUE_MAX)
        self._thread: threading.Thread | None = None
        _fork.renew_in_child(self)

    def after_fork_in_child(self) -> None:
        # What waits is the parent's to explain.
        self._lock, self._waiting, self._thread = threading.Lock(), queue.Queue(EXPLAIN_QUEUE_MAX), None

    def status(self) -> ExplainerStatus:
        """How it did so far."""
        with self._lock:
            return {"when": self.when, "on": self._is_on, "last_fault": self._last_fault, **self._counts}  # type: ignore[typeddict-item]

    @property
    def is_on(self) -> bool:
        """Not switched off for being slow."""
        return self._is_on

    def inline(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> Explanation | None:
        """The explanation of a decision that is being made; None when there is none. Raises nothing."""
        if not self._is_on:
            self.skip()
            return None
        try:
            made = self.explain(inputs, outputs)
        except Exception as error:
            self.failed(error)
            return None
        self._took(made.get("duration_ns", 0))
        return made

    def explain(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> Explanation:
        """Asks the explainer. Raises what it raises, and TypeError or ValueError for what is no explanation."""
        from .._wrap.call import active

        row = self._row(inputs)
        start = time.perf_counter_ns()
        # What it asks of the model meanwhile is no decision.
        with active(self._model):
            given = self._call(row)
        took = time.perf_counter_ns() - start
        made = sound(read(given, features=inputs, outputs=outputs, told=self._told))
        made["duration_ns"] = took
        return made

    def _row(self, inputs: Mapping[str, Any]) -> Any:
        if self._takes == "inputs":
            return dict(inputs)
        if self._takes == "array":
            from numpy import array

            return array([list(inputs.values())])
        return importlib.import_module("pandas").DataFrame([dict(inputs)])

    def skip(self, count: int = 1) -> None:
        """Decisions that are not explained."""
        with self._lock:
            self._counts["skipped"] += count

    def failed(self, error: Exception) -> None:
        """Counts a decision that has no explanation for this, and warns of the first."""
        with self._lock:
            self._counts["failed"] += 1
            text = "its text may show what is redacted" if self._model._is_redacted else error
            self._last_fault = f"{type(error).__name__}: {text}"
            is_first = self._counts["failed"] == 1
        if is_first:
            warn(f"recorded without explanation: the explainer failed with {self._last_fault} (more of them are counted in `status()` only)")

    def _took(self, duration_ns: int) -> None:
        with self._lock:
            self._counts["made"] += 1
            if duration_ns <= self._limit_ns:
                self._slow_in_a_row = 0
                return
            self._counts["slow"] += 1
            self._slow_in_a_row += 1
            is_off = self._is_on and self._slow_in_a_row >= SLOW_EXPLANATIONS_MAX
            if is_off:
                self._is_on = False
        if is_off:
            warn(
                f"the explainer took longer than {self._limit_ns / 1e9:g} s, {SLOW_EXPLANATIONS_MAX} times in a row, and is switched off:"
                " decisions are recorded without explanation; give more time (`limit_s`), or `when=\"kept\"`"
            )

    def keep(self, decided: Decided) -> None:
        """Has a decision explained by the worker. Blocks never; counts what there is no room for."""
        try:
            self._waiting.put_nowait(decided)
        except queue.Full:
            self.skip()
            return
        self._begin()

    def keep_rows(self, rows: Rows) -> None:
        """The same for the rows of a call: as many as there is room for, the others are counted."""
        for place in range(len(rows)):
            if self._waiting.full():
                self.skip(len(rows) - place)
                return
            try:
                self.keep(rows.decided(place))
            except Exception as error:
                self.failed(error)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, args=(self._waiting,), name="minutebook-explain", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # No more threads. The next decision tries again.
                return
            self._thread = thread

    def _work(self, waiting: queue.Queue[Decided | None]) -> None:
        while True:
            try:
                decided = waiting.get(timeout=EXPLAIN_IDLE_S)
            except queue.Empty:
                with self._lock:
                    # Under the lock that who adds one looks under for a worker.
                    if waiting.empty():
                        if waiting is self._waiting:
                            self._thread = None
                        return
                continue
            if decided is None:
                return
            try:
                made = self.explain(decided.inputs, decided.outputs)
                self._model._explain_later(decided, made)
            except Exception as error:
                if self._is_stopped:
                    # It took longer than the trail was open.
                    self.skip()
                    return
                self.failed(error)
            else:
                with self._lock:
                    self._counts["made"] += 1

    def stop(self) -> None:
        """Ends the worker when it has explained what waits, or after some seconds; what waits then is counted as skipped."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        end = time.monotonic() + EXPLAIN_CLOSE_S
        try:
            self._waiting.put(None, timeout=EXPLAIN_CLOSE_S)
            thread.join(max(0.0, end - time.monotonic()))
        except queue.Full:
            pass
        self._is_stopped = True
        left = 0
        try:
            while True:
                left += self._waiting.get_nowait() is not None
        except queue.Empty:
            self._waiting.put(None)
        self.skip(left)


def _is_of_shap(call: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "shap" for base in type(call).__mro__)
