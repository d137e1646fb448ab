"""Where code comes from: commit, whether it was changed since, and the remote without the credentials that its address may hold."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import _process
from ._limits import GIT_TIMEOUT_S

# A repository's own settings may name programs to run; the one that `status` would is switched off.
_GIT = ("git", "-c", "core.fsmonitor=false")

# git answers a program the same whatever the person has set, waits for no password, and takes no lock.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def git(folder: str) -> dict[str, Any] | None:
    """`commit`, `dirty` and, where there are such, `branch` and `remote` of the repository that `folder` is in.

    None when it is in none, there is no git, or it does not answer in time. Files that git does not know do not make it dirty.
    """
    told = _ask(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if told is None:
        return None
    found: dict[str, Any] = {"dirty": False}
    for line in told.splitlines():
        if not line.startswith("# "):
            found["dirty"] = True
        elif line.startswith("# branch.oid ") and not line.endswith("(initial)"):
            found["commit"] = line.removeprefix("# branch.oid ")
        elif line.startswith("# branch.head ") and not line.endswith("(detached)"):
            found["branch"] = line.removeprefix("# branch.head ")
    if "commit" not in found:
        return None
    remote = _ask(folder, "config", "--get", "remote.origin.url")
    if remote and remote.strip():
        found["remote"] = without_credentials(remote.strip())
    return found


def _ask(folder: str, *arguments: str) -> str | None:
    try:
        ended = _process.run(
            [*_GIT, *arguments], timeout_s=GIT_TIMEOUT_S, folder=folder, environment={**os.environ, **_ENVIRONMENT}
        )
    except (OSError, TimeoutError):
        return None
    return ended.output if ended.code == 0 else None


def without_credentials(address: str) -> str:
    """The address of a remote without user, password, query and fragment."""
    if "://" not in address:
        # `user@host:path`, and paths.
        return re.sub(r"^[^/@]*@", "", address)
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
