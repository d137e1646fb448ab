"""Counterfactuals: inputs with which the answer would have been another, as a list of dicts; from dicts, a data frame, or dice-ml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sound import plain


def rows(given: Any) -> list[dict[str, Any]]:
    """Each of them by feature. Raises TypeError for anything else, and where dice-ml's are for several decisions."""
    if type(given).__module__.partition(".")[0] == "dice_ml":
        given = _of_dice(given)
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        given = given.to_dict("records")
    if not isinstance(given, (list, tuple)) or any(not isinstance(row, Mapping) for row in given):
        raise TypeError(
            f"`counterfactuals`: a list of dicts, a data frame of pandas or dice-ml's result is asked for, not a `{type(given).__qualname__}`"
        )
    return plain(list(given))


def _of_dice(given: Any) -> Any:
    """The frame that dice-ml shows: features, and the outcome in a column of its own; the sparse ones where it made them."""
    several = getattr(given, "cf_examples_list", None)
    if several is not None:
        if len(several) != 1:
            raise TypeError(f"`counterfactuals`: those of {len(several)} decisions: give one of its `cf_examples_list` with each")
        given = several[0]
    sparse = getattr(given, "final_cfs_df_sparse", None)
    found = given.final_cfs_df if sparse is None else sparse
    return [] if found is None else found
