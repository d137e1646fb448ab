"""Explanations as records take them, from those of shap, LIME, Captum and alibi, and from dicts. None of these libraries is imported: which
one it is, the module of its class tells."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .counterfactuals import rows
from .residual import residual

if TYPE_CHECKING:
    from .._types import Explanation

__all__ = ["explanation", "read"]

# Library, a class of it, and the module here that knows it.
_LIBRARIES = (
    ("shap", "Explanation", "shap"),
    ("lime", "Explanation", "lime"),
    ("alibi", "Explanation", "alibi"),
    ("numpy", "ndarray", "arrays"),
    ("torch", "Tensor", "arrays"),
)


def explanation(
    given: Any,
    *,
    of: Any = None,
    space: Literal["raw", "log-odds", "probability"] | None = None,
    output: float | Sequence[float] | None = None,
    features: Sequence[str] | None = None,
    method: str | None = None,
    library: str | None = None,
    base: float | Sequence[float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    background: bytes | None = None,
    seed: int | None = None,
    counterfactuals: Any = None,
) -> Explanation:
    """The explanation of one decision, as `record` and `decision` take it, with more said than the library says.

    `given` is a `shap.Explanation` of one row, a `lime.explanation.Explanation`, alibi's of an anchor or of SHAP values, an array of
    numbers (Captum's attributions) or a dict as `minutebook.Explanation`. `of` is the class or output to be explained: of several, only
    its attributions are kept. `output` is what the model answered in the explanation's space; with it the residual (base + sum − output)
    is computed. `features` names the attributions where `given` does not. `counterfactuals` are a list of dicts, a data
    frame or dice-ml's result. Raises TypeError for what is none of these.
    """
    told = {
        "of": of, "space": space, "method": method, "library": library, "base": base, "parameters": parameters,
        "background": background, "seed": seed, "counterfactuals": None if counterfactuals is None else rows(counterfactuals),
    }  # fmt: skip
    return read(given, features=features, output=output, told=told)


class Converted(dict[str, Any]):
    """An explanation of which its record may still tell more: names of features by the inputs, the residual by the outputs."""

    is_unnamed = False
    """Neither library nor caller said what the features are called: `x0`, `x1` … stand for them."""


def read(
    given: Any,
    *,
    features: Any = None,
    output: Any = None,
    outputs: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Explanation:
    """The same. `outputs` are the record's: where space and class say which of them is explained, it is the `output`. `told` are members
    that go before those of `given`; None is none. A dict of which nothing more is told stays as it is."""
    told = {name: value for name, value in (told or {}).items() if value is not None}
    if isinstance(given, Mapping):
        if not told and output is None and not isinstance(given, Converted):
            return cast("Explanation", given)
        made, known = dict(given), None
    else:
        made, known = _library(given).read(given, told.get("of"), features)
    if told.get("space", made.get("space")) != made.get("space"):
        # What the library knows of the output was in its own space.
        known = None
    if "of" in made and not isinstance(given, Mapping):
        # As the library calls it.
        told.pop("of", None)
    if "parameters" in told:
        told["parameters"] = {**made.get("parameters", {}), **told["parameters"]}
    made.update(told)
    is_unnamed = _name(made, features, isinstance(given, Converted) and given.is_unnamed)
    if "method" not in made:
        raise TypeError("`explanation`: an array does not say by which method it was made: `minutebook.explanation(array, method=…)`")
    if "residual" not in made:
        found = residual(made, known if output is None else output, outputs)
        if found is not None:
            made["residual"] = found
    if outputs is None:
        made = Converted(made)
        made.is_unnamed = is_unnamed
    return cast("Explanation", made)


def _name(made: dict[str, Any], features: Any, was_unnamed: bool) -> bool:
    """Gives attributions in an array their names where there are none. Whether they have none of their own then."""
    attributions = made.get("attributions")
    if not isinstance(attributions, tuple) or not (attributions[0] is None or was_unnamed):
        return False
    values = attributions[1]
    width = values.shape[0]
    names = None if features is None else [str(name) for name in features]
    if names is not None and len(names) != width and not was_unnamed:
        raise TypeError(
            f"`explanation`: attributions of shape {tuple(values.shape)} for {len(names)} features: give those of one row, of shape"
            " (features,) or (features, outputs); those of a text or a picture summed up to what has a name"
        )
    is_unnamed = names is None or len(names) != width
    made["attributions"] = ([f"x{place}" for place in range(width)] if is_unnamed else names, values)
    return is_unnamed


def _library(given: Any) -> Any:
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in type(given).__mro__]
    for library, name, module in _LIBRARIES:
        if (library, name) in bases:
            return importlib.import_module(f".{module}", __name__)
    raise TypeError(
        "`explanation`: a dict, an array, or an `Explanation` of shap, LIME or alibi is asked for, not a"
        f" `{type(given).__qualname__}`"
    )
