"""An explainer that is asked for by a command, with the model that it explains: `minutebook explain ID --compute MODULE:FUNCTION`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from .explainer import Takes


class Explainer(NamedTuple):
    """Made by `explainer`."""

    call: Callable[[Any], Any]
    artifact: Any
    options: Mapping[str, Any]


def explainer(
    call: Callable[[Any], Any],
    *,
    artifact: Any,
    takes: Takes | None = None,
    of: Any = None,
    space: Literal["raw", "log-odds", "probability"] | None = None,
    method: str | None = None,
    library: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    background: Any = None,
    seed: int | None = None,
) -> Explainer:
    """What a function gives that `minutebook explain ID --compute MODULE:FUNCTION` calls, with the decision's record.

    `artifact` is the model: its bytes, a path or the estimator itself, as `Trail.model` takes it; unless its digest is the recorded one, nothing
    is explained. `call` and the others are as in `Model.explain_with`.
    """
    options = {
        "takes": takes, "of": of, "space": space, "method": method, "library": library, "parameters": parameters,
        "background": background, "seed": seed,
    }  # fmt: skip
    return Explainer(call, artifact, options)
