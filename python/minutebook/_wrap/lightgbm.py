"""LightGBM's `Booster.predict`. Leaves and contributions are no decisions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .call import recorded
from .proxy import proxy
from .table import TableReader

if TYPE_CHECKING:
    from .._model import Model

_NO_DECISION = ("pred_leaf", "pred_contrib")


def wrap(model: Model, booster: Any, *, features: Sequence[str] | None = None) -> Any:
    """`features` names the columns, instead of the booster's own names."""

    def predict(method: Any) -> Any:
        names: Callable[[], list[str]] = functools.partial(list, features if features is not None else booster.feature_name())
        recording = recorded(model, method, TableReader(names, "prediction"), "data")

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            if (kwargs and any(kwargs.get(name) for name in _NO_DECISION)) or any(args[4:6]):
                return method(*args, **kwargs)
            return recording(*args, **kwargs)

        return call

    return proxy(booster, model, {"predict": predict}, lambda copied: wrap(model, copied, features=features))
