"""The additivity residual of an explanation: base + sum of the attributions − output. Close to 0 where the method promises to add up."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

# What outputs in a space are called, by themselves or before the name of a class: those of the adapters (docs/python/).
_NAMES = {"raw": ("prediction",), "probability": ("probability",), "log-odds": ("decision", "log_odds", "margin")}


def residual(made: Mapping[str, Any], output: Any, outputs: Mapping[str, Any] | None) -> float | list[float] | None:
    """The residual, a number for each output that is explained; None where base or output is not known.

    `output` in the explanation's own space; else it is looked for in the record's `outputs`, where the explanation says space and class.
    """
    base = floats(made.get("base"))
    sums = _sums(made.get("attributions"))
    if base is None or sums is None:
        return None
    answer = floats(output)
    if answer is None and isinstance(outputs, Mapping):
        answer = _answer(made.get("space"), made.get("of"), len(sums) if isinstance(sums, list) else None, outputs)
    if answer is None:
        return None
    if not isinstance(sums, list):
        base, answer = _alone(base), _alone(answer)
        return None if isinstance(base, list) or isinstance(answer, list) else base + sums - answer
    bases = base if isinstance(base, list) else [base] * len(sums)
    answers = answer if isinstance(answer, list) else [answer]
    if not len(bases) == len(sums) == len(answers):
        return None
    return [one + sum - answer for one, sum, answer in zip(bases, sums, answers)]


def floats(given: Any) -> Any:
    """A number or a list of numbers, of Python's, from what may be an array."""
    flat = given.tolist() if hasattr(given, "tolist") else given
    if flat is None or isinstance(flat, (int, float)):
        return flat if flat is None else float(flat)
    return [float(one) for one in flat]


def _alone(given: Any) -> Any:
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def _sums(attributions: Any) -> Any:
    if isinstance(attributions, Mapping):
        values = list(attributions.values())
        if any(not isinstance(value, numbers.Real) for value in values):
            return None
        return math.fsum(values)
    if isinstance(attributions, tuple) and len(attributions) == 2 and hasattr(attributions[1], "sum"):
        return attributions[1].astype("float64").sum(axis=0).tolist()
    return None


def _answer(space: Any, of: Any, width: int | None, outputs: Mapping[str, Any]) -> Any:
    """The record's output that is explained, or all of them in their order; None where that is not said."""
    prefixes = _NAMES.get(space)
    if prefixes is None:
        return None
    if width is not None:
        for prefix in prefixes:
            several = [value for name, value in outputs.items() if name.startswith(f"{prefix}_")]
            if len(several) == width and all(map(_is_number, several)):
                return [float(value) for value in several]
        return None
    names = list(prefixes) if of is None else [f"{prefix}_{of}" for prefix in prefixes]
    if of is not None and space != "log-odds":
        # In log-odds the output of that name is most often a probability.
        names.insert(0, str(of))
    found = next((outputs[name] for name in names if _is_number(outputs.get(name))), None)
    return None if found is None else float(found)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
