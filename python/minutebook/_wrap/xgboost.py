"""XGBoost's `Booster`: `predict` on a `DMatrix`, `inplace_predict` on arrays and frames. Leaves and contributions are no decisions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._columns import Columns
from .call import recorded
from .proxy import Hook, proxy
from .table import TableReader

if TYPE_CHECKING:
    from .._model import Model

_NO_DECISION = ("pred_leaf", "pred_contribs", "pred_interactions")


def wrap(model: Model, booster: Any, *, features: Sequence[str] | None = None) -> Any:
    """`features` names the columns, where the booster does not."""

    def names() -> Sequence[str] | None:
        return features if features is not None else booster.feature_names

    def predict(method: Any) -> Any:
        recording = recorded(model, method, _MatrixReader(names, "prediction"), "data")

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            if (kwargs and any(kwargs.get(name) for name in _NO_DECISION)) or any(args[2:5]):
                return method(*args, **kwargs)
            return recording(*args, **kwargs)

        return call

    def inplace(method: Any) -> Any:
        return recorded(model, method, TableReader(names, "prediction"), "data")

    hooks: dict[str, Hook] = {"predict": predict, "inplace_predict": inplace}
    return proxy(booster, model, hooks, lambda copied: wrap(model, copied, features=features))


class _MatrixReader(TableReader):
    """A `DMatrix` gives its values back as XGBoost sees them: float32, with what is missing left out."""

    def rows(self, given: Any) -> int:
        return given.num_row() if hasattr(given, "num_row") else super().rows(given)

    def row(self, given: Any) -> dict[str, Any] | None:
        return {name: column[0] for name, column in self.columns(given)} if self.rows(given) == 1 else None

    def columns(self, given: Any) -> Columns:
        if not hasattr(given, "get_data"):
            return super().columns(given)
        names = given.feature_names or self._names_for(given.num_col())
        stored = given.get_data().tocsc()
        return [(name, _column(stored, place)) for place, name in enumerate(names)]


def _column(stored: Any, place: int) -> Any:
    """A column with NaN where nothing is stored; what is 0 is stored."""
    from numpy import full, nan

    start, end = stored.indptr[place], stored.indptr[place + 1]
    column = full(stored.shape[0], nan, dtype=stored.data.dtype)
    column[stored.indices[start:end]] = stored.data[start:end]
    return column
