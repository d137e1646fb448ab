"""The soak in short: workers and the engine are killed, and every number is accounted for. `cargo xtask soak` is the long one."""

import os
import signal
import subprocess
import sys

from conftest import ROOT, processes, wait

SCRIPT = str(ROOT / "python" / "bench" / "soak.py")


def start(folder, *options):
    """The soak, in a process group of its own with its workers."""
    command = [sys.executable, SCRIPT, str(folder.parent), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def workers(folder):
    """Processes of it that run and are not the first."""
    return processes("--worker", folder.parent)


def test_every_number_is_accounted_for(folder):
    soak = start(folder, "--seconds", "12", "--every", "2")
    try:
        said, _ = soak.communicate(timeout=300)
    finally:
        if soak.poll() is None:
            os.killpg(soak.pid, signal.SIGKILL)
    assert soak.returncode == 0, said
    assert "Every number is accounted for, and the windows add up to them." in said
    assert not workers(folder)


def test_no_worker_outlives_it(folder):
    """They ran on for minutes when it failed, and filled the disk."""
    soak = start(folder, "--seconds", "60", "--every", "60")
    try:
        counts = folder.parent / "worker-3.counts"
        wait(lambda: counts.exists() and any(counts.read_bytes()))
        assert workers(folder)
        soak.kill()
        soak.wait()
        wait(lambda: not workers(folder))
    finally:
        for pid in [*workers(folder), *([soak.pid] if soak.poll() is None else [])]:
            os.kill(pid, signal.SIGKILL)
