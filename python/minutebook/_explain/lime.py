"""`lime.explanation.Explanation`, of a table's row or of a text: weights of terms (`income <= 0.24`, a word) in a model that is fitted near
the decision. How well that one fits is in `parameters`."""

from __future__ import annotations

import importlib.metadata
from typing import Any


def read(given: Any, of: Any, features: Any) -> tuple[dict[str, Any], float | None]:
    """One label's explanation: that of `of`, a class's name or place; else that of the most probable class which is explained."""
    is_classifier = given.mode == "classification"
    label = _label(given, of) if is_classifier else given.dummy_label
    terms = given.as_list(label=label)
    parameters = {"mode": given.mode, "local_r2": _at(given.score, label), "local_prediction": _at(given.local_pred, label)}
    intercept = _at(given.intercept, label)
    made: dict[str, Any] = {
        "attributions": _attributions(terms),
        "method": "lime",
        "library": _version(),
        "parameters": {name: value for name, value in parameters.items() if value is not None},
        "space": "probability" if is_classifier else "raw",
    }
    if intercept is not None:
        made["base"] = intercept
    if not is_classifier:
        return made, None if given.predicted_value is None else float(given.predicted_value)
    names = given.class_names
    made["of"] = int(label) if names is None else str(names[label])
    return made, None if given.predict_proba is None else float(given.predict_proba[label])


def _attributions(terms: list[tuple[str, float]]) -> Any:
    from numpy import array

    # Not a dict: a text may have a word twice.
    return [str(term) for term, _ in terms], array([weight for _, weight in terms], dtype="float64")


def _label(given: Any, of: Any) -> Any:
    labels = given.available_labels()
    if of is None:
        probabilities = given.predict_proba
        return labels[0] if probabilities is None else max(labels, key=lambda label: probabilities[label])
    names = given.class_names or []
    for label in labels:
        if of == label or (label < len(names) and str(names[label]) == str(of)):
            return label
    explained = ", ".join(f"`{names[label] if label < len(names) else label}`" for label in labels)
    raise TypeError(f"`explanation`: `of` is `{of}`, and LIME explained {explained}: ask it with `labels=` or `top_labels=`")


def _at(given: Any, label: Any) -> float | None:
    """A number that LIME keeps for each label, or only for the last one."""
    value = given.get(label) if isinstance(given, dict) else given
    if value is None:
        return None
    return float(value[0] if hasattr(value, "__len__") else value)


def _version() -> str:
    try:
        return f"lime {importlib.metadata.version('lime')}"
    except importlib.metadata.PackageNotFoundError:
        return "lime"
