"""`shap.Explanation` of one row: values of one dimension, or of two, (features, outputs). Interactions have no place in a record; the row
itself (`data`) is there already, as its inputs."""

from __future__ import annotations

import sys
from typing import Any

from .residual import floats


def read(given: Any, of: Any, features: Any) -> tuple[dict[str, Any], None]:
    values, base = given.values, given.base_values
    names = given.feature_names
    if names is None and features is not None:
        names = list(features)
    width = None if names is None else len(names)
    values = _row(values, base, width)
    if values.ndim not in (1, 2) or (width is not None and values.shape[0] != width):
        raise _refused("values for " + ("features" if width is None else f"{width} features"), values)
    base = None if base is None else floats(base.reshape(-1) if hasattr(base, "reshape") else base)
    outputs = given.output_names
    outputs = [str(name) for name in outputs] if isinstance(outputs, (list, tuple)) else None
    if outputs == [f"Output {place}" for place in range(len(outputs or ()))]:
        # What shap calls those that have no name.
        outputs = None
    made: dict[str, Any] = {}
    if values.ndim == 2 and of is not None:
        place = _place(of, outputs, values.shape[1])
        values, made["of"] = values[:, place], of if outputs is None else outputs[place]
        if isinstance(base, list) and len(base) > 1:
            base = base[place]
    elif values.ndim == 2 and outputs is not None and len(outputs) == values.shape[1]:
        made["parameters"] = {"outputs": outputs}
    made |= {"attributions": (None if names is None else [str(name) for name in names], values), "method": "shap", "library": _version()}
    if base is not None:
        made["base"] = base[0] if isinstance(base, list) and len(base) == 1 else base
    return made, None


def _row(values: Any, base: Any, width: int | None) -> Any:
    """The values of the one row that is there."""
    base_shape = getattr(base, "shape", ())
    # Bases, one for each of the last dimension, tell outputs from the second feature of an interaction.
    has_outputs = values.ndim > 1 and base_shape[-1:] == values.shape[-1:] and len(base_shape) < values.ndim
    if values.ndim == 3:
        if values.shape[1] == values.shape[2] and not (has_outputs and len(base_shape) == 2):
            raise _refused("interactions of features", values)
    elif values.ndim != 2 or (has_outputs and values.shape[0] == width):
        return values
    elif values.shape[0] == values.shape[1] and width != 1 and not has_outputs:
        raise _refused("interactions of features, or several rows", values)
    elif values.shape[0] == width or (width is None and values.shape[0] != 1):
        return values
    if values.shape[0] != 1:
        raise _refused(f"{values.shape[0]} rows", values)
    return values[0]


def _place(of: Any, outputs: list[str] | None, width: int) -> int:
    if outputs is not None and len(outputs) == width and str(of) in outputs:
        return outputs.index(str(of))
    if isinstance(of, int) and not isinstance(of, bool) and 0 <= of < width:
        return of
    known = f"named `{'`, `'.join(outputs)}`" if outputs else "without names"
    raise TypeError(f"`explanation`: `of` is `{of}`, and what is explained are {width} outputs, {known}: give a name, or a place from 0")


def _refused(what: str, values: Any) -> TypeError:
    return TypeError(
        f"`explanation`: {what}, of shape {tuple(values.shape)}: give one row's attributions, of shape (features,) or (features, outputs),"
        " such as `explanation[0]`, with the decision of that row; interactions have no place in a record"
    )


def _version() -> str:
    return f"shap {getattr(sys.modules.get('shap'), '__version__', '')}".strip()
