"""Explanations as records take them: those of the `shap` package, and dicts as they are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._types import Explanation


def explanation(of: Any, *, features: Any = None) -> Explanation:
    """The explanation of one decision.

    `of` is a dict with `attributions` and `method`, or a `shap.Explanation` of one row: values of one dimension, or of two, (features,
    outputs). `features` names them where the explanation does not. Raises TypeError for anything else.
    """
    if isinstance(of, Mapping):
        return cast("Explanation", of)
    if type(of).__name__ == "Explanation" and type(of).__module__.partition(".")[0] == "shap":
        return _of_shap(of, features)
    raise TypeError(f"`explanation`: a dict or a `shap.Explanation` is asked for, not a `{type(of).__qualname__}`")


def _of_shap(of: Any, features: Any) -> Explanation:
    values = of.values
    names = of.feature_names if of.feature_names is not None else features
    if names is None:
        names = [f"x{place}" for place in range(values.shape[0])] if values.ndim else []
    if values.ndim == 2 and values.shape[0] == 1 and len(names) != 1:
        # A row of a table that was not taken out of it.
        values = values[0]
    if values.ndim == 3 or (values.ndim == 2 and values.shape == (len(names), len(names))):
        raise TypeError(_shape("interactions of features, or several rows", values))
    if values.ndim not in (1, 2) or values.shape[0] != len(names):
        raise TypeError(_shape(f"values for {len(names)} features", values))
    result: Explanation = {
        "attributions": ([str(name) for name in names], values),
        "method": "shap",
        "library": _library(),
    }
    base = of.base_values
    if base is not None:
        result["base"] = _floats(base)
    return result


def _shape(what: str, values: Any) -> str:
    return (
        f"`explanation`: {what}, of shape {tuple(values.shape)}: give one row's attributions, of shape (features,) or (features, outputs);"
        " interactions have no place in a record"
    )


def _floats(base: Any) -> Any:
    flat = base.tolist() if hasattr(base, "tolist") else base
    if isinstance(flat, list):
        return float(flat[0]) if len(flat) == 1 else [float(one) for one in flat]
    return float(flat)


def _library() -> str:
    return f"shap {getattr(sys.modules.get('shap'), '__version__', '')}".strip()
