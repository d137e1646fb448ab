"""scikit-learn's estimators and pipelines, and whatever has its face: `predict`, `predict_proba`, `predict_log_proba`,
`decision_function`. A decision per row."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import _faults
from .call import recorded
from .proxy import Hook, proxy
from .table import TableReader, class_names

if TYPE_CHECKING:
    from .._model import Model

_OUTPUTS = {
    "predict": "prediction",
    "predict_proba": "probability",
    "predict_log_proba": "log_probability",
    "decision_function": "decision",
}
_CHANGES = ("fit", "partial_fit")
_RETURNS_ITSELF = ("set_params", "set_output", "load_model", *_CHANGES)


def wrap(model: Model, estimator: Any, *, features: Sequence[str] | None = None) -> Any:
    """`features` are the names of the columns, for arrays, where the estimator was not fitted with names."""
    names = features

    def names_of() -> Sequence[str] | None:
        return names if names is not None else feature_names(estimator)

    hooks: dict[str, Hook] = {}
    for method, output in _OUTPUTS.items():
        classes = None if method == "predict" else functools.partial(getattr, estimator, "classes_", None)
        hooks[method] = functools.partial(_record, model, names_of, output, classes)
    made = proxy(estimator, model, hooks, lambda copied: wrap(model, copied, features=features))
    for method in _RETURNS_ITSELF:
        hooks[method] = functools.partial(_returning, made, estimator, model, method in _CHANGES)
    return made


def feature_names(estimator: Any) -> Sequence[str] | None:
    """What the estimator was fitted with, if it knows."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = getattr(estimator, "feature_name_", None)
    return None if names is None else [str(name) for name in names]


def _record(
    model: Model, names: Callable[[], Sequence[str] | None], output: str, classes: Callable[[], Any] | None, method: Any
) -> Any:
    return recorded(model, method, TableReader(names, output, classes and functools.partial(class_names, classes)), "X")


def _returning(made: Any, estimator: Any, model: Model, changes: bool, method: Any) -> Any:
    """A method that gives the estimator back gives the wrapped one."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        if changes and model.artifact is not None:
            _faults.warn(
                f"`{method.__name__}` changed the model of `{model.name} {model.version}`, whose digest was taken before: its decisions"
                " are recorded with a digest that is not its own; make a version of it with `Trail.model`"
            )
        return made if result is estimator else result

    return call
