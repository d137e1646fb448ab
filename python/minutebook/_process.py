"""Runs a program to its end within a process that is not ours: no signal handler is touched, no descriptor passed on, no child but our
own waited for."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from ._limits import OUTPUT_BYTES_MAX

# Held while a process is made, and taken by `fork`: a child that is forked meanwhile would keep the pipe open on which `Popen` waits.
_making = threading.Lock()
_held_by_fork = False


def _before_fork() -> None:
    global _held_by_fork
    # Bounded: a signal handler that forks could come upon a lock that its own thread holds.
    _held_by_fork = _making.acquire(timeout=1.0)


def _after_fork_in_parent() -> None:
    global _held_by_fork
    if _held_by_fork:
        _held_by_fork = False
        _making.release()


def _after_fork_in_child() -> None:
    global _making, _held_by_fork
    _making, _held_by_fork = threading.Lock(), False


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


IN_USE = 5
"""The program's exit code when another process has what it needs for itself: the trail, or a shipper's folder."""


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    """Exit code. 0 also where another part of the host process has reaped the child: then only the output tells."""
    output: str
    errors: str


def run(
    arguments: Sequence[str], *, timeout_s: float, folder: str | None = None, environment: Mapping[str, str] | None = None
) -> Ended:
    """Runs a program and waits for it.

    Raises OSError when it cannot be started, TimeoutError when it takes longer than `timeout_s`; then it is killed.
    """
    # Files and not pipes: a pipe ends when its last holder does, and a child that the host forks meanwhile would hold it too.
    with _scratch() as output, _scratch() as errors:
        with _making:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                close_fds=True,
                start_new_session=True,
                cwd=folder,
                env=environment,
            )
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"`{arguments[0]}` did not end within {timeout_s:g} s") from None
        return Ended(code, _read(output), _read(errors))


def _scratch() -> IO[bytes]:
    # Memory: the folders of the host may be full or read-only.
    try:
        return open(os.memfd_create("minutebook"), "w+b", buffering=0)
    except OSError:
        return tempfile.TemporaryFile()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(OUTPUT_BYTES_MAX).decode(errors="replace")
