"""alibi's `Explanation`: SHAP values of one row, and anchors, whose terms are given with what each adds to the anchor's precision."""

from __future__ import annotations

from typing import Any

from .shap import _place

_SHAP = ("KernelShap", "TreeShap")
_SPACES = {"logit": "log-odds"}


def read(given: Any, of: Any, features: Any) -> tuple[dict[str, Any], Any]:
    meta, data = given.meta, given.data
    name = str(meta.get("name"))
    made: dict[str, Any] = {"library": f"alibi {meta.get('version') or ''}".strip(), "parameters": _plain(meta.get("params") or {})}
    if name in _SHAP:
        return _of_shap(made, name, meta, data, of)
    if name.startswith("Anchor") and "anchor" in data and "segments" not in data:
        return _of_anchor(made, name, data), None
    raise TypeError(f"`explanation`: alibi's `{name}` is not taken: SHAP values (`{'`, `'.join(_SHAP)}`) and anchors of rows and texts are")


def _of_shap(made: dict[str, Any], name: str, meta: Any, data: Any, of: Any) -> tuple[dict[str, Any], Any]:
    from numpy import asarray, atleast_2d, stack

    each = [atleast_2d(asarray(values)) for values in data["shap_values"]]
    rows, width = each[0].shape
    if rows != 1:
        raise TypeError(f"`explanation`: {rows} rows: explain one row, and record it with the decision of that row")
    values = each[0][0] if len(each) == 1 else stack([values[0] for values in each], axis=1)
    names = [str(one) for one in data.get("feature_names") or ()]
    base = asarray(data["expected_value"], dtype="float64").reshape(-1).tolist()
    predicted = (data.get("raw") or {}).get("raw_prediction")
    predicted = None if predicted is None else asarray(predicted, dtype="float64").reshape(-1).tolist()
    if values.ndim == 2 and of is not None:
        place = _place(of, None, values.shape[1])
        values, made["of"], base = values[:, place], of, base[place : place + 1]
        predicted = predicted and predicted[place : place + 1]
    made["attributions"] = (names if len(names) == width else None, values)
    made["method"] = name
    made["base"] = base[0] if len(base) == 1 else base
    # Only KernelShap says its space, and only this one: with `identity` it is that of whatever function it was given.
    space = _SPACES.get(str((meta.get("params") or {}).get("link")))
    if space is not None:
        made["space"] = space
    return made, predicted


def _of_anchor(made: dict[str, Any], name: str, data: Any) -> dict[str, Any]:
    from numpy import array, diff

    terms = [str(term) for term in data["anchor"]]
    precisions = [float(one) for one in (data.get("raw") or {}).get("mean", ())]
    if len(precisions) != len(terms):
        raise TypeError(f"`explanation`: an anchor of {len(terms)} terms with {len(precisions)} precisions (`raw['mean']`)")
    # Each term with what it adds to the precision of those before it.
    made["attributions"] = (terms, diff(array([0.0, *precisions])))
    made["method"] = name
    for what in ("precision", "coverage"):
        value = data.get(what)
        if value is not None:
            made["parameters"][what] = float(value.item() if hasattr(value, "item") else value)
    return made


def _plain(params: Any) -> dict[str, Any]:
    """Those parameters that a record takes as they are; alibi keeps arrays and objects among them."""
    return {str(name): value for name, value in params.items() if isinstance(value, (bool, int, float, str))}
