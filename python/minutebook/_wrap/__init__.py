"""Wrapping: the same object, recorded. Which framework it is of is told by the modules of its classes; none is imported."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from .proxy import Proxy, unwrap

if TYPE_CHECKING:
    from .._model import Model

__all__ = ["unwrap", "wrap"]

# Library, a class of it, and the module here that knows it. The first that fits: a booster's scikit-learn face is an estimator, too.
_FRAMEWORKS = (
    ("xgboost", "Booster", "xgboost"),
    ("lightgbm", "Booster", "lightgbm"),
    ("onnxruntime", "InferenceSession", "onnxruntime"),
    ("mlflow", "PyFuncModel", "mlflow"),
    ("torch", "Module", "pytorch"),
    ("openai", "OpenAI", "openai"),
    ("openai", "AsyncOpenAI", "openai"),
)


def wrap(model: Model, thing: Any, **options: Any) -> Any:
    """`thing`, recorded as decisions of `model`."""
    if isinstance(thing, type):
        raise TypeError(f"`{thing.__qualname__}` is a class: wrap an object of it")
    adapter = importlib.import_module(f".{_framework(unwrap(thing))}", __name__)
    return adapter.wrap(model, unwrap(thing), **options)


def _framework(thing: Any) -> str:
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in type(thing).__mro__]
    for library, name, framework in _FRAMEWORKS:
        if (library, name) in bases:
            return framework
    if hasattr(thing, "predict"):
        return "sklearn"
    if inspect.isroutine(thing) or callable(thing):
        return "callables"
    message = f"a `{type(thing).__qualname__}` cannot be wrapped: it has no `predict` and cannot be called; use `Model.decision`"
    raise TypeError(message)
