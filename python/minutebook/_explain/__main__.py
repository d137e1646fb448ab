"""`python -m minutebook._explain`: computes the explanation of one decision for `minutebook explain --compute`, and prints the id of its record.

What the explainer prints goes to standard error. Ends with the exit codes of docs/cli.md; with 1 only as Python does when it cannot begin.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from typing import Any

import minutebook

from .. import _artifact
from .._model import Model
from .._record import Record
from .asked import Explainer

_INPUT, _TRAIL, _IO = 2, 3, 4


class Refused(Exception):
    """What is wrong with what was asked for."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minutebook._explain")
    parser.add_argument("--trail", required=True)
    parser.add_argument("--keys")
    parser.add_argument("id")
    parser.add_argument("function", metavar="MODULE:FUNCTION")
    told = parser.parse_args(arguments)
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        with minutebook.open(told.trail, service="explain", keys=told.keys, level="sealed") as trail:
            id = _explain(trail, told.id, told.function)
    except (Refused, KeyError) as error:
        return _complain(error if isinstance(error, Refused) else f"no record {told.id} is in this trail", _INPUT)
    except minutebook.EngineError as error:
        return _complain(error, _IO)
    except minutebook.TrailError as error:
        return _complain(error, _TRAIL)
    with os.fdopen(out, "w") as stream:
        print(id, file=stream)
    return 0


def _complain(what: Any, exit: int) -> int:
    print(f"error: {what}", file=sys.stderr)
    return exit


def _explain(trail: minutebook.Trail, id: str, function: str) -> str:
    record = trail[id]
    given = _asked(record, function)
    digest = _of_artifact(given.artifact, function)
    told = record.model or {}
    # Not `trail.model`: that would record the model anew.
    model = Model(
        trail, trail._producer, name=str(told.get("name")), version=str(told.get("version")), artifact=digest, params=None,
        environment=None, tags=None, retention="standard", level=None,
    )  # fmt: skip
    try:
        model.explain_with(given.call, when="on_demand", **given.options)
        return trail.explain(id)
    except minutebook.EngineError:
        raise
    except minutebook.TrailError as error:
        # Another model than the one that decided.
        raise Refused(error) from None
    except Exception as error:
        traceback.print_exc()
        raise Refused(f"the explainer that `{function}` gives failed with {type(error).__name__}") from None


def _asked(record: Record, function: str) -> Explainer:
    module, colon, name = function.partition(":")
    if not (module and colon and name):
        raise Refused(f"`{function}`: write it as MODULE:FUNCTION, such as `explainers:credit` for `def credit(record)` in explainers.py")
    try:
        made = getattr(importlib.import_module(module), name)(record)
    except Exception as error:
        traceback.print_exc()
        raise Refused(f"`{function}` failed with {type(error).__name__}") from None
    if not isinstance(made, Explainer):
        raise Refused(f"`{function}` gave a `{type(made).__qualname__}`: let it return `minutebook.explainer(…, artifact=…)`")
    return made


def _of_artifact(given: Any, function: str) -> bytes:
    try:
        return _artifact.artifact(getattr(given, "__minutebook_wrapped__", given)).sha256
    except (TypeError, OSError) as error:
        raise Refused(f"the artifact that `{function}` gives: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
