"""How a process can end or multiply: nothing that was handed over is lost, nothing hangs, no zombie stays."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import minutebook
import pytest
from conftest import decisions

OPENED = """
    import minutebook, os, signal, sys, threading, time
    trail = minutebook.open({folder!r}, service="shop")
    model = trail.model("m", "1", git=None)
"""


def start(folder, script, **given):
    script = textwrap.dedent(OPENED.format(folder=str(folder))) + textwrap.dedent(script)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, **given)


def recorded(folder):
    """What each decision saw, and that nothing is wrong with the trail."""
    with minutebook.open(folder, service="tests") as trail:
        found = [record.inputs["n"] for record in decisions(trail)]
        assert trail.verify(), trail.verify()
        return found


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("1 / 0", 1),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)", -signal.SIGKILL),
    ],
)
def test_ends(folder, end, code):
    process = start(folder, f"""
        for n in range(1000):
            model.record({{"n": n}})
        {end}
    """, stderr=subprocess.DEVNULL)  # fmt: skip
    process.communicate(timeout=60)
    assert process.returncode == code
    assert recorded(folder) == list(range(1000))


def test_a_decision_under_way_at_the_end_is_told_as_lost(folder):
    process = start(folder, """
        with model.decision(inputs={"n": 0}):
            os.kill(os.getpid(), signal.SIGKILL)
    """)  # fmt: skip
    process.communicate(timeout=60)
    with minutebook.open(folder, service="tests") as trail:
        assert decisions(trail) == []
        assert [record.fields["loss"]["reason"] for record in trail.records(kind="loss")] == ["lost: the producer died while deciding"]
        assert trail.verify()


def test_fork(folder):
    process = start(folder, """
        model.record({"n": 0})
        children = []
        for child in range(1, 5):
            pid = os.fork()
            if pid == 0:
                threading.Thread(target=lambda: [model.record({"n": child * 100 + n}) for n in range(50)]).start()
                for n in range(50, 100):
                    model.record({"n": child * 100 + n})
                sys.exit(0)
            children.append(pid)
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
        model.record({"n": 1})
    """)  # fmt: skip
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(recorded(folder)) == [0, 1, *range(100, 500)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(folder, tmp_path, method):
    script = tmp_path / "work.py"
    script.write_text(textwrap.dedent(f"""
        import multiprocessing
        import minutebook

        def work(n):
            trail = minutebook.open({str(folder)!r}, service="shop")
            trail.model("m", "1", git=None).record({{"n": n}})
            trail.close()

        if __name__ == "__main__":
            trail = minutebook.open({str(folder)!r}, service="shop")
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                pool.map(work, range(20))
    """))
    subprocess.run([sys.executable, str(script)], check=True, timeout=120)
    assert sorted(recorded(folder)) == list(range(20))


def test_a_forked_child_starts_the_engine_again(folder):
    """The watching thread is not there in a child, and has to be started anew."""
    process = start(folder, """
        pid = os.fork()
        if pid == 0:
            engine = trail.status()["engine"]["pid"]
            os.kill(engine, signal.SIGKILL)
            until = time.monotonic() + 30
            while (trail.status()["engine"] or {"pid": engine})["pid"] == engine:
                assert time.monotonic() < until
                time.sleep(0.1)
            model.record({"n": 1})
            os._exit(0)
        # The parent must not be the one that does it.
        minutebook._watch._watch.stop()
        assert os.waitpid(pid, 0)[1] == 0
    """)  # fmt: skip
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert recorded(folder) == [1]


def test_no_zombie(folder):
    process = start(folder, """
        for _ in range(2):
            engine = trail.status()["engine"]["pid"]
            os.kill(engine, signal.SIGKILL)
            while (trail.status()["engine"] or {"pid": engine})["pid"] == engine:
                time.sleep(0.1)
        # The one that started the last engine is waited for a little later.
        until = time.monotonic() + 10
        while True:
            try:
                assert os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None or time.monotonic() < until
            except ChildProcessError:
                break
            time.sleep(0.05)
    """)  # fmt: skip
    process.communicate(timeout=120)
    assert process.returncode == 0


def test_the_process_ends_soon_with_its_watching_thread(folder):
    process = start(folder, "")
    process.communicate(timeout=60)
    began = time.monotonic()
    process = start(folder, "model.record({'n': 1})")
    process.communicate(timeout=60)
    assert time.monotonic() - began < 5


def test_trails_that_nobody_holds_are_closed(folder):
    process = start(folder, """
        import gc
        for _ in range(20):
            trail = minutebook.open(trail.folder, service="shop")
            trail.model("m", "1", git=None).record({"n": 1})
        model = None
        gc.collect()
        names = [thread.name for thread in threading.enumerate()]
        print(len(names), len(os.listdir("/proc/self/task")))
    """)  # fmt: skip
    python, tasks = process.communicate(timeout=60)[0].split()
    assert int(python) == 2
    assert int(tasks) <= 5
    assert recorded(folder) == [1] * 20
