"""MLflow's pyfunc models: `predict` on frames, arrays, dicts and lists. A decision per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .call import recorded
from .proxy import proxy
from .table import TableReader

if TYPE_CHECKING:
    from .._model import Model


def wrap(model: Model, pyfunc: Any, *, features: Sequence[str] | None = None) -> Any:
    """`features` names the columns of arrays."""

    def predict(method: Any) -> Any:
        return recorded(model, method, TableReader(lambda: features, "prediction"), "data")

    return proxy(pyfunc, model, {"predict": predict}, lambda copied: wrap(model, copied, features=features))
