"""One call of something that is recorded: number drawn, model run, record handed over. What is in it, each framework's file says."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import _context
from .._core import RecordedCall

if TYPE_CHECKING:
    from .._columns import Columns
    from .._model import Model


class Reader(Protocol):
    """Reads inputs and outputs of a kind of call."""

    def row(self, given: Any) -> Mapping[str, Any] | None:
        """Inputs of a call that is one decision; None when they are to be read as columns. Not views: the model may work in place."""
        ...

    def rows(self, given: Any) -> int:
        """Decisions in a call that is read as columns; 0 when it is none that is recorded."""
        ...

    def columns(self, given: Any) -> Columns:
        """Its inputs."""
        ...

    def answer(self, result: Any) -> Mapping[str, Any]:
        """Outputs of one decision."""
        ...

    def answers(self, result: Any) -> Columns:
        """Outputs of several."""
        ...

    def arrays(self) -> Arrays | None:
        """How a call that takes one row of an array is read without Python; None when it cannot be."""
        ...


class Arrays(NamedTuple):
    """See `_core.RecordedCall`."""

    is_fed: bool
    widths: tuple[int, int]
    answer_width: int
    names: Callable[[int], list[str]]
    answer_names: Callable[[int | None, int], list[str]]


# The models whose calls are under way here: a pipeline that asks a part of itself, wrapped alike, decides once.
_active: contextvars.ContextVar[tuple[Model, ...]] = contextvars.ContextVar("minutebook_active", default=())


def is_active(model: Model) -> bool:
    """Whether a call of this model is under way around."""
    return model in _active.get()


class active:
    """Marks a call of a model as under way."""

    __slots__ = ("_model", "_token")

    def __init__(self, model: Model) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._token = _active.set((*_active.get(), self._model))

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)


def recorded(model: Model, method: Callable[..., Any], reader: Reader, keyword: str) -> Callable[..., Any]:
    """`method`, recorded. What it is given is its first argument, or the one named `keyword`."""
    begin, begin_batch, faults = model._core.begin, model._core.begin_batch, model._faults
    rows_of, row_of, columns_of, answer_of, answers_of = reader.rows, reader.row, reader.columns, reader.answer, reader.answers
    get, set_, reset, about_of = _active.get, _active.set, _active.reset, _context.about
    own = (model,)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        outer = get()
        if outer and model in outer:
            return method(*args, **kwargs)
        pending: Any = None
        row: Any = None
        inputs: Any = None
        try:
            given = args[0] if args else kwargs.get(keyword)
            inputs = row = row_of(given)
            if row is not None:
                pending = begin()
            elif rows := rows_of(given):
                pending = begin_batch(rows)
                inputs = columns_of(given)
        except Exception as error:
            # Without a record the numbers are told as lost.
            if pending is None:
                _lost(model)
            pending = None
            faults.take(error)
        token = set_(outer + own if outer else own)
        try:
            result = method(*args, **kwargs)
        except BaseException as error:
            reset(token)
            if pending is not None:
                _failed(model, pending, inputs, error)
            raise
        reset(token)
        if pending is not None:
            try:
                outputs = answers_of(result) if row is None else answer_of(result)
                about = about_of()
                if model._is_inline or model._is_kept:
                    _finish_explained(model, pending, inputs, outputs, about, row is not None)
                elif about is None:
                    pending.finish(inputs, outputs)
                else:
                    finish(model, pending, inputs, outputs, about)
                if not model._is_process:
                    model.trail._reach(model._level)
            except Exception as error:
                faults.take(error)
        return result

    is_short = model._is_process and not (model._is_inline or model._is_kept or model._is_redacted)
    arrays = reader.arrays() if is_short else None
    if arrays is None:
        return call
    model._is_short = True
    short = RecordedCall(model._core, method, call, keyword=keyword, answer=answer_of, active=_active, own=own, **arrays._asdict())
    return functools.update_wrapper(short, method)


class OpenCall:
    """A decision whose answer comes later: awaited, or piece by piece. Raises nothing but what `on_error="raise"` asks for."""

    def __init__(self, model: Model, inputs: Callable[[], Mapping[str, Any]], params: Mapping[str, Any] | None = None) -> None:
        self._model = model
        self._about = _context.about()
        self._inputs: Mapping[str, Any] = {}
        self._params = params
        self._pending: Any = None
        try:
            self._pending = model._core.begin()
            self._inputs = inputs()
        except Exception as error:
            # Dropped, its number is told as lost.
            self._pending = None
            model._faults.take(error)

    def answered(self, outputs: Callable[[], Mapping[str, Any]]) -> None:
        """The model answered."""
        try:
            self._finish(outputs(), "ok")
            if not self._model._is_process:
                self._model.trail._reach(self._model._level)
        except Exception as error:
            self._model._faults.take(error)

    async def awaited(self, outputs: Callable[[], Mapping[str, Any]]) -> None:
        """The same for a call that is awaited; it is explained in the call, too, where the model's explainer is asked there."""
        try:
            told, made = outputs(), None
            try:
                if self._model._is_inline and self._pending is not None:
                    made = await self._model._explained_off_loop(self._inputs, told)
            finally:
                # Also when the task is cancelled meanwhile: it was decided.
                self._finish(told, "ok", made)
            if not self._model._is_process:
                self._model.trail._reach(self._model._level)
        except Exception as error:
            self._model._faults.take(error)

    def failed(self, error: BaseException, outputs: Mapping[str, Any] | None = None) -> None:
        """The model failed, after it had said `outputs`. Raises nothing: the model's own exception is under way."""
        try:
            self._finish(outputs or {}, type(error).__name__)
        except Exception as fault:
            self._model._faults.note(fault, "not recorded")

    def _finish(self, outputs: Mapping[str, Any], status: str, explanation: Any = None) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        more = {} if explanation is None else {"explanation": explanation}
        finish(self._model, pending, self._inputs, outputs, self._about, status, self._params, **more)
        if self._model._is_kept and status == "ok":
            self._model._keep(pending.id, self._inputs, outputs, self._about and self._about.subject)


def finish(
    model: Model, pending: Any, inputs: Any, outputs: Any, about: _context.About | None, status: str = "ok", params: Any = None, **more: Any
) -> None:
    """Hands a record over, or those of a batch, with what holds around it."""
    about = about or _context.NOTHING
    pending.finish(
        inputs,
        outputs,
        subject=about.subject,
        actor=about.actor,
        params=model._with_params(params),
        tags=model._with_tags(about.tags, None),
        status=status,
        trace=about.trace,
        span=about.span,
        **more,
    )
    if about.ids is not None:
        if hasattr(pending, "ids"):
            about.ids.extend(pending.ids)
        else:
            about.ids.append(pending.id)


def _finish_explained(model: Model, pending: Any, inputs: Any, outputs: Any, about: _context.About | None, is_row: bool) -> None:
    """Hands over what is explained in the call, or behind it."""
    if not is_row:
        finish(model, pending, inputs, outputs, about)
        model._explain_rows(pending.ids, inputs, outputs, about and about.subject)
        return
    finish(model, pending, inputs, outputs, about, explanation=model._explained(None, inputs, outputs, "ok"))
    if model._is_kept:
        model._keep(pending.id, inputs, outputs, about and about.subject)


def _failed(model: Model, pending: Any, inputs: Any, error: BaseException) -> None:
    try:
        finish(model, pending, inputs, {} if isinstance(inputs, Mapping) else (), _context.about(), type(error).__name__)
    except Exception as fault:
        # The model's own exception is under way, and must arrive.
        model._faults.note(fault, "not recorded")


def _lost(model: Model) -> None:
    """Draws a number and gives it back: a decision that could not be read is told as lost, and not passed over."""
    try:
        model._core.begin().lose()
    except Exception as error:
        model._faults.note(error, "not recorded")
