"""What the tests of the Python package share: trails of their own, and a folder for each test's keys.

Package and program are those that are installed, as their users have them: `cargo xtask test --only pytest` builds and installs them.
"""

import os
import signal
import time
from pathlib import Path

import minutebook
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def homes(tmp_path, monkeypatch):
    """Keys and remembered checkpoints go into the test's folder."""
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    # Of COLUMNS the program makes its pages; pytest-xdist sets it for its workers.
    for name in ("MINUTEBOOK_TRAIL", "MINUTEBOOK_KEYS", "OTEL_SERVICE_NAME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def orphans(request):
    """A test that fails leaves no process behind: what it started, and what that started, is killed."""
    before = descendants(os.getpid())
    yield
    if request.node.stash.get(_FAILED, False):
        for pid in descendants(os.getpid()) - before:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def descendants(pid):
    """The processes that a process started, and so on."""
    found = set()
    for children in Path("/proc", str(pid), "task").glob("*/children"):
        try:
            direct = {int(child) for child in children.read_text().split()}
        except OSError:
            continue
        found |= direct.union(*map(descendants, direct))
    return found


def processes(*words):
    """The processes whose command line has all these words."""
    wanted, found = {os.fsencode(word) for word in words}, []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted.issubset(command):
            found.append(int(entry.name))
    return found


@pytest.fixture
def folder(tmp_path):
    """Where a trail may be made. Its engine ends with the test."""
    folder = tmp_path / "trail"
    yield folder
    stop(folder)


@pytest.fixture
def trail(folder):
    """A trail with an engine."""
    with minutebook.open(folder, service="tests", on_error="raise") as trail:
        yield trail


@pytest.fixture
def model(trail):
    """A model without an artifact."""
    return trail.model("credit-risk", "1.4.0", git=None)


def stop(folder):
    """Ends the engine of a trail, if there is one, and waits until it is gone."""
    from minutebook import _client

    try:
        _client.request(_client.Socket(str(folder)), "POST", "/v1/stop")
    except minutebook.EngineError:
        return
    wait(lambda: not _client.lives(str(folder)))


def wait(condition, seconds=30):
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it did not come true within {seconds} s")
        time.sleep(0.02)


def decisions(trail, **given):
    """The decisions of a trail, the oldest first."""
    trail.flush()
    return sorted(trail.records(kind="decision", limit=10_000, **given), key=lambda record: record.fields["seq"])
