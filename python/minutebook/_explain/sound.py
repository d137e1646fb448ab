"""An explanation that a record is sure to take. What an explainer gives goes into the record of a decision, which must not fail for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._limits import EXPLANATION_BYTES_MAX
from .residual import floats

if TYPE_CHECKING:
    from .._types import Explanation

_TEXTS = ("method", "library", "space", "when")
_LISTS = ("reasons", "counterfactuals")
_MEMBERS = {"attributions", "parameters", "seed", "background", "of", "base", "residual", "duration_ns", *_TEXTS, *_LISTS}
_SPACES = ("raw", "log-odds", "probability")


def sound(made: Mapping[str, Any]) -> Explanation:
    """The same with plain values. Raises TypeError or ValueError for what has no place in a record."""
    given = {name: value for name, value in made.items() if value is not None}
    unknown = sorted(set(given) - _MEMBERS)
    if unknown or "attributions" not in given or "method" not in given:
        raise TypeError(f"an explanation has `attributions` and `method`, and no `{'`, `'.join(map(str, unknown))}`")
    for name in _TEXTS:
        if name in given:
            given[name] = _text(given[name])
    if given.get("space", "raw") not in _SPACES:
        raise ValueError(f"`space` is one of `{'`, `'.join(_SPACES)}`, not `{given['space']}`")
    for name in ("base", "residual"):
        if name in given:
            given[name] = floats(given[name])
    for name in ("seed", "duration_ns"):
        if name in given and not (isinstance(given[name], int) and 0 <= given[name] < 1 << 63):
            raise ValueError(f"`{name}` is a whole number of 63 bits, not `{given[name]}`")
    if len(given.get("background", bytes(32))) != 32:
        raise ValueError("`background` is a SHA-256 of 32 bytes")
    given["attributions"] = _attributions(given["attributions"])
    given["parameters"] = plain(given.get("parameters", {}))
    given["of"] = plain(given.get("of"))
    for name in _LISTS:
        if name in given:
            given[name] = plain(list(given[name]))
    return given  # type: ignore[return-value]


def _attributions(given: Any) -> Any:
    if isinstance(given, Mapping) and all(not hasattr(value, "__len__") for value in given.values()):
        made: Any = {_text(name): float(value) for name, value in given.items()}
        size = sum(len(name) + 16 for name in made)
    else:
        from numpy import asarray

        names, values = (list(given), list(given.values())) if isinstance(given, Mapping) else given
        values = asarray(values)
        if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
            values = values.astype("float64")
        names = [_text(name) for name in names]
        if values.ndim not in (1, 2) or values.shape[0] != len(names):
            raise TypeError(f"attributions of shape {values.shape} for {len(names)} features")
        made = (names, values)
        size = values.nbytes + sum(map(len, names))
    if size > EXPLANATION_BYTES_MAX:
        raise ValueError(f"attributions of {size} bytes; a record has room for {EXPLANATION_BYTES_MAX}")
    return made


def _text(given: Any) -> str:
    text = str(given)
    text.encode()  # Raises a ValueError for a lone surrogate.
    return text


def plain(value: Any) -> Any:
    """The same of Python's own types. Raises TypeError for what a record has no place for."""
    if isinstance(value, Mapping):
        return {_text(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return value
    if isinstance(value, str):
        return _text(value)
    raise TypeError(f"a `{type(value).__qualname__}` among what an explanation says of itself")
