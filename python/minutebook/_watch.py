"""One sleeping thread for all trails of a process: it looks now and then whether their engines, or what ships to a server, live, and has them
started again."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import TYPE_CHECKING

from . import _fork
from ._limits import WATCH_PERIOD_S

if TYPE_CHECKING:
    from ._remote import Asked


class _Watch:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: list[weakref.ref[Asked]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        _fork.renew_in_child(self)

    def after_fork_in_child(self) -> None:
        """The thread is not there any more, and its locks may be held by it for ever."""
        self._lock, self._stop, self._thread = threading.Lock(), threading.Event(), None
        if self._living():
            self._begin()

    def add(self, engine: Asked) -> None:
        with self._lock:
            self._engines.append(weakref.ref(engine))
            if self._thread is None:
                self._begin()

    def remove(self, engine: Asked) -> None:
        with self._lock:
            self._engines = [known for known in self._engines if known() not in (engine, None)]

    def _begin(self) -> None:
        thread = threading.Thread(target=self._work, args=(self._stop,), name="minutebook-watch", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The process ends, or may have no more threads. The next `open` tries again; until then nobody looks.
            return
        self._thread = thread

    def _living(self) -> list[Asked]:
        return [engine for known in self._engines if (engine := known()) is not None]

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(WATCH_PERIOD_S):
            with self._lock:
                engines = self._living()
                if not engines:
                    self._thread = None
                    return
            # Popped: a trail that nobody uses any more must not live through the sleep.
            while engines:
                try:
                    engines.pop().look()
                except Exception:
                    # As the interpreter ends no process can be started. What was handed over waits in the spool.
                    continue

    def stop(self) -> None:
        self._stop.set()


_watch = _Watch()
atexit.register(_watch.stop)

add = _watch.add
remove = _watch.remove
