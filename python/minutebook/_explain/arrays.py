"""Attributions as a bare array, such as the tensors of Captum: one row of numbers, or (features, outputs). What they are of, and by which
method, the caller says."""

from __future__ import annotations

import sys
from typing import Any


def read(given: Any, of: Any, features: Any) -> tuple[dict[str, Any], None]:
    is_torch = not type(given).__module__.startswith("numpy")
    values = given.detach().cpu().numpy() if hasattr(given, "detach") else given
    if values.ndim == 2 and values.shape[0] == 1 and (features is None or len(features) != 1):
        # A batch of one row.
        values = values[0]
    if values.ndim not in (1, 2):
        raise TypeError(f"`explanation`: an array of shape {tuple(values.shape)}: give one row's attributions, of shape (features,)")
    made: dict[str, Any] = {"attributions": (None, values)}
    captum = getattr(sys.modules.get("captum"), "__version__", None)
    if is_torch and captum is not None:
        made["library"] = f"captum {captum}"
    return made, None
