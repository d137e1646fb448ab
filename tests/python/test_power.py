"""The power goes: what `disk` promises is on the disk. Under the layer that drops what was not flushed (crates/faultfs)."""

import os
import subprocess
import sys
import textwrap

import minutebook
import pytest
from conftest import decisions, stop
from minutebook import _program

THREADS, EACH = 4, 50


def after_power_loss(folder, level):
    """What each decision said whose call had returned when the power went, and what each says that is there afterwards."""
    program = os.environ.get("MINUTEBOOK_FAULTFS")
    if program is None:
        pytest.skip("`cargo xtask test --only pytest` builds the layer, and names it in MINUTEBOOK_FAULTFS")
    subprocess.run([_program.find(), "init", folder], check=True, capture_output=True)
    script = f"""
        import os, signal, sys, threading
        import minutebook

        trail = minutebook.open({str(folder)!r}, service="shop", engine="external", level={level!r}, on_error="raise")
        model = trail.model("m", "1", git=None)
        done = threading.Barrier({THREADS} + 1)

        def decide(thread):
            for n in range(thread, {THREADS * EACH}, {THREADS}):
                if n % 2:
                    model.record({{"n": n}})
                else:
                    with model.decision(inputs={{"n": n}}):
                        pass
                os.write(1, b"%d\\n" % n)
            done.wait()

        for thread in range({THREADS}):
            threading.Thread(target=decide, args=(thread,), daemon=True).start()
        done.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    after = folder.parent / "after"
    command = [program, folder, folder.parent / "scratch", after, sys.executable, "-c", textwrap.dedent(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and "faultfs:" not in run.stderr, run.stderr
    returned = {int(line) for line in run.stdout.split()}
    assert len(returned) == THREADS * EACH, run.stderr
    try:
        with minutebook.open(after, service="tests") as trail:
            found = {record.inputs["n"] for record in decisions(trail)}
            assert trail.verify()
    finally:
        stop(after)
    return returned, found


def test_disk_survives_it(folder):
    returned, found = after_power_loss(folder, "disk")
    assert found == returned


def test_process_need_not(folder):
    """What shows that the other test can fail."""
    _, found = after_power_loss(folder, "process")
    assert found == set()
