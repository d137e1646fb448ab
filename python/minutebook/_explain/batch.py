"""Explanations for the rows of a call that decides many: each is a record of its own, linked to its decision. The rows are recorded by then,
so that nothing here can harm them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .explainer import Decided

if TYPE_CHECKING:
    from .._columns import Columns
    from .._model import Model
    from .explainer import Explainer


class Rows:
    """The decisions of one call."""

    def __init__(self, ids: Sequence[str], inputs: Columns, outputs: Columns, subject: Any) -> None:
        self._ids = ids
        self._inputs, self._outputs = inputs, outputs
        self._subject = subject

    def __len__(self) -> int:
        return len(self._ids)

    def decided(self, place: int) -> Decided:
        """One of them. Copied: the caller may change the table when the call has ended."""
        outputs = _row(self._outputs, place) if self._outputs else None
        subject = self._subject
        if subject is not None and not isinstance(subject, str):
            subject = _plain(subject[place])
        return Decided(self._ids[place], _row(self._inputs, place), outputs, subject)


def explain(model: Model, explainer: Explainer, rows: Rows) -> None:
    """Has them explained as the explainer's `when` says. Raises nothing."""
    if explainer.when == "kept":
        explainer.keep_rows(rows)
    else:
        _inline(model, explainer, rows)


def _inline(model: Model, explainer: Explainer, rows: Rows) -> None:
    """In the call, which waits for all of its rows together about as long as it would for one decision."""
    end = time.monotonic() + explainer.limit_s
    for place in range(len(rows)):
        if not explainer.is_on or (place and time.monotonic() >= end):
            explainer.skip(len(rows) - place)
            return
        try:
            decided = rows.decided(place)
            made = model._explained(None, decided.inputs, decided.outputs, "ok")
            if made is not None:
                model._explain_later(decided, made, "inline")
        except Exception as error:
            explainer.failed(error)


def _row(columns: Columns, place: int) -> dict[str, Any]:
    return {name: _plain(column[place]) for name, column in columns}


def _plain(value: Any) -> Any:
    """A cell as Python's own, as a record takes it."""
    if hasattr(value, "as_py"):
        return value.as_py()
    if type(value).__module__ == "numpy" and value.ndim == 0 and value.dtype.kind not in "mM":
        return value.item()
    return value
