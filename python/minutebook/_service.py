"""The name of the service that decides, when the caller gives none: what OpenTelemetry calls it, or the name of the program."""

from __future__ import annotations

import os
import re
import sys

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def default() -> str:
    """A name by which the next run of the same service is known again."""
    return sanitised(os.environ.get("OTEL_SERVICE_NAME") or _program_name())


def sanitised(name: str) -> str:
    """The name in the letters that a producer may have: `[a-z0-9][a-z0-9._-]{0,63}`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:64]
    return name if _NAME.fullmatch(name) else "python"


def _program_name() -> str:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file:
        return "notebook" if "ipykernel" in sys.modules else "python"
    folder, name = os.path.split(os.path.abspath(file))
    stem = os.path.splitext(name)[0]
    if stem == "ipykernel_launcher":
        return "notebook"
    # `python -m package` runs package/__main__.py.
    return os.path.basename(folder) if stem == "__main__" else stem
