"""A decision that is made in a `with` block: its number is drawn at entry, its record handed over at exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _context

if TYPE_CHECKING:
    from typing_extensions import Self

    from . import _core
    from ._model import Level, Model


class Decision:
    """A decision under way.

        with credit.decision(subject="applicant-7", inputs=row) as d:
            d.outputs = {"approve": False}
        d.id

    An exception within is recorded as its status and goes on unchanged. Also for `async with`, which waits for nothing else but an explainer
    of the model that is asked in the call, by a thread.
    """

    __slots__ = (
        "_about", "_level", "_model", "_pending", "actor", "explanation", "id", "inputs", "outputs", "params", "status", "subject", "tags",
    )  # fmt: skip

    def __init__(
        self,
        model: Model,
        inputs: Any,
        subject: str | Sequence[str] | None,
        actor: str | None,
        params: Mapping[str, Any] | None,
        tags: Mapping[str, Any] | None,
        level: Level | None,
    ) -> None:
        self._model = model
        self._level: Level | None = level
        self._pending: _core.Pending | None = None
        self._about: _context.About | None = None
        self.id: str | None = None
        """UUIDv7 of the record to come, from entry on. None when the trail gave none; then nothing is recorded."""
        self.inputs = inputs
        """What the model sees: a mapping. Set it before the end."""
        self.outputs: Any = None
        """What it answers: a mapping."""
        self.explanation: Any = None
        """Why: what `minutebook.explanation` takes, or what it gives."""
        self.subject = subject
        self.actor = actor
        self.params = params
        self.tags = tags
        self.status = "ok"
        """`ok`, or what went wrong: the type's name of an exception that leaves the block."""

    def __enter__(self) -> Self:
        self._about = _context.about()
        try:
            self._pending = self._model._core.begin()
            self.id = self._pending.id
        except Exception as error:
            self._model._faults.take(error)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(kind)

    def _end(self, kind: type[BaseException] | None, *made: Any) -> None:
        if kind is not None:
            self.status = kind.__name__
        if self._pending is None:
            return
        try:
            self._model._finish(self._pending, self._about, self, *made)
        except Exception as error:
            if kind is None:
                self._model._faults.take(error)
            else:
                # The model's own exception is under way, and must arrive.
                self._model._faults.note(error, "not recorded")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None or self._pending is None or self.explanation is not None or not self._model._is_inline or self.status != "ok":
            self._end(kind)
            return
        made = None
        try:
            made = await self._model._explained_off_loop(self.inputs, self.outputs)
        finally:
            # Also when the task is cancelled meanwhile: it was decided.
            self._end(None, made)
