"""What has to be made anew in a child made by `fork`: locks that a thread of the parent held, threads that are not there any more."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something with a lock."""

    def after_fork_in_child(self) -> None:
        """Runs in the child, before anything else of it, on its only thread."""


_known: weakref.WeakSet[Forked] = weakref.WeakSet()


def renew_in_child(thing: Forked) -> None:
    """Has `thing` told in each child, as long as it lives."""
    _known.add(thing)


def _in_child() -> None:
    for thing in list(_known):
        thing.after_fork_in_child()


os.register_at_fork(after_in_child=_in_child)
