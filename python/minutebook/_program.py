"""Finds the `minutebook` program, which holds the engine: its wheel installs it beside Python's own scripts."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator

from ._faults import EngineError

VARIABLE = "MINUTEBOOK_PROGRAM"
NAME = "minutebook"


def find() -> str:
    """The path of the program. Raises EngineError when there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        if not _runs(named):
            raise EngineError(f"`{VARIABLE}` is `{named}`, which is no program that can be run", code="no-program")
        return named
    for path in _places():
        if _runs(path):
            return path
    found = shutil.which(NAME)
    if found is None:
        message = f"no program `{NAME}` is installed: `pip install minutebook-engine`, or name it in `{VARIABLE}`"
        raise EngineError(message, code="no-program")
    return found


def _places() -> Iterator[str]:
    yield os.path.join(sysconfig.get_path("scripts"), NAME)
    yield os.path.join(sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user")), NAME)
    yield os.path.join(sys.prefix, "bin", NAME)
    # `pip install --target FOLDER` puts scripts into FOLDER/bin.
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin", NAME)


def _runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
