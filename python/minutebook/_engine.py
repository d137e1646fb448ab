"""The engine of a trail as this process sees it: found by its socket, started when it is not there, asked over HTTP."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _client, _fork, _process, _program
from ._client import NoEngine
from ._core import __version__
from ._faults import EngineError
from ._limits import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, SEAL_TIMEOUT_S, START_BACKOFF_MAX_S, START_TIMEOUT_S, WATCH_PERIOD_S

Mode = Literal["auto", "external"]

TRAIL_FILE = "trail.toml"


class Engine:
    """Finds, starts and asks the engine of the trail in a folder. For all threads; holds no connection."""

    def __init__(self, folder: str, *, mode: Mode, keys: str | None, purpose: str | None = None) -> None:
        if mode not in ("auto", "external"):
            raise ValueError(f"`engine` is `auto` or `external`, not `{mode}`")
        self.folder = folder
        self.mode = mode
        self.keeps_running = mode == "auto"
        self._way = _client.Socket(folder, _client.checked_purpose(purpose))
        self._keys = keys
        self._pid: int | None = None
        self._failed = 0
        self._next_try = 0.0
        self._lock = threading.Lock()
        _fork.renew_in_child(self)

    def after_fork_in_child(self) -> None:
        self._lock, self._pid = threading.Lock(), None

    def find(self) -> dict[str, Any] | None:
        """What the running engine says of itself; None when there is none."""
        try:
            return json.loads(_client.request(self._way, "GET", "/v1/engine", timeout_s=CONNECT_TIMEOUT_S))
        except (EngineError, ValueError):
            return None

    def status(self) -> dict[str, Any] | None:
        """What the engine says of trail and spool; None when none answers."""
        try:
            return json.loads(_client.request(self._way, "GET", "/v1/status"))
        except (EngineError, ValueError):
            return None

    def ensure(self) -> str:
        """Makes sure that an engine runs, of our version if the program is, and that there is a trail. Gives its version.

        Blocks until it answers. Raises EngineError when it cannot be started.
        """
        with self._lock:
            found = self.find()
            if found is None or found.get("version") != __version__:
                found = self._start()
            return str(found.get("version"))

    def _start(self) -> dict[str, Any]:
        """Runs the program, which starts an engine apart from this process and replaces one of another version."""
        command = [_program.find(), "engine", self.folder, "--create", "--detach", "--json"]
        if self._keys is not None:
            command += ["--keys", self._keys]
        ended = run(command)
        started = first_line(ended.output)
        if started is not None:
            self._pid = started.get("pid")
            return started
        found = self.find()
        if found is None:
            raise EngineError(f"the engine did not start: {reason(ended, 'engine')}", code="no-start")
        return found

    def look(self) -> None:
        """Starts the engine again when it is gone. Called now and then; waits longer from failure to failure."""
        if _client.lives(self.folder):
            self._failed = 0
            return
        self._reap()
        now = time.monotonic()
        if now < self._next_try or not os.path.exists(os.path.join(self.folder, TRAIL_FILE)):
            return
        try:
            self.ensure()
            self._failed = 0
        except EngineError:
            self._failed += 1
            self._next_try = now + min(WATCH_PERIOD_S * 2**self._failed, START_BACKOFF_MAX_S)

    def _reap(self) -> None:
        """Takes the exit of an engine that became our child: the first process of a container inherits those of others."""
        pid, self._pid = self._pid, None
        if pid is None or not _is_dead_engine(pid):
            return
        try:
            os.waitpid(pid, os.WNOHANG)
        except OSError:
            pass

    def ask(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S) -> bytes:
        """What the engine answers. When it is gone it is started, and asked once more.

        Raises NoEngine, Problem, EngineError (see `_client.request`).
        """
        try:
            return _client.request(self._way, method, path, body, timeout_s=timeout_s)
        except NoEngine:
            if self.mode == "external":
                raise NoEngine(
                    f"no engine runs for the trail in `{self.folder}`: start one with `minutebook serve {self.folder}`"
                ) from None
        self.ensure()
        return _client.request(self._way, method, path, body, timeout_s=timeout_s)

    def exchange(
        self, method: str, path: str, body: Any = None, *, accept: str | None = None, timeout_s: float | None = REQUEST_TIMEOUT_S
    ) -> _client.Answer:
        """One request to the engine that runs. Raises as `ask`; starts none."""
        return _client.exchange(self._way, method, path, body, accept=accept, timeout_s=timeout_s)

    def ready(self) -> None:
        """What was handed over can be asked for: the engine reads the spool itself."""

    def reach(self, level: str) -> None:
        """Has what was handed over sealed. Raises as `ask`."""
        self.ask("POST", "/v1/seal", {"level": level}, timeout_s=SEAL_TIMEOUT_S)

    def make_room(self, *, timeout_s: float) -> int:
        """Has what waits sealed, so that the spool has room; gives how many segments that made. Raises as `ask`."""
        return self.ask_json("POST", "/v1/seal", {"level": "sealed"}, timeout_s=timeout_s)["segments"]

    def spool_of(self) -> Mapping[str, Any]:
        """What a producer has to be told besides the folder."""
        return {}

    def ask_json(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = REQUEST_TIMEOUT_S) -> Any:
        """The same, where the answer is JSON."""
        return json.loads(self.ask(method, path, body, timeout_s=timeout_s))


def _is_dead_engine(pid: int) -> bool:
    """Whether this is a process that ended and was not waited for, and is not another one that got the number since."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().partition(b"(")[2].rpartition(b")")
    except OSError:
        return False
    return name.startswith(b"minutebook") and rest.split()[:2] == [b"Z", str(os.getpid()).encode()]


def run(command: Sequence[str]) -> _process.Ended:
    """Runs the program, for as long as a start may take. Raises EngineError when it cannot be run or does not end."""
    try:
        return _process.run(command, timeout_s=START_TIMEOUT_S)
    except TimeoutError as error:
        raise EngineError(str(error), code="timeout") from None
    except OSError as error:
        raise EngineError(f"cannot run `{command[0]}`: {error}", code="no-program") from None


def first_line(output: str) -> dict[str, Any] | None:
    """What a program that was started in the background says of itself; None when it says nothing."""
    for line in output.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "pid" in told:
            return told
    return None


def reason(ended: _process.Ended, command: str) -> str:
    """Why a command of the program did not do what it should."""
    said = ended.errors.strip().removeprefix("error:").strip()
    return said or f"`minutebook {command}` ended with {ended.code} and said nothing"
