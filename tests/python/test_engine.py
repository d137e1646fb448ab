"""The engine as a Python process finds, starts, watches and asks it."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time

import minutebook
import pytest
from conftest import decisions, stop, wait
from minutebook import _client, _engine, _process, _program


def pid_of(trail):
    return trail.status()["engine"]["pid"]


def run(script, **environment):
    """Runs a script in a process of its own, gives what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_is_started_again_when_it_was_killed(trail, model):
    first = pid_of(trail)
    os.kill(first, signal.SIGKILL)
    id = model.record({"n": 1})
    wait(lambda: (trail.status()["engine"] or {}).get("pid", first) != first)
    assert trail[id].inputs == {"n": 1}
    assert trail.verify()


def test_a_question_starts_it_at_once(trail, model):
    id = model.record({"n": 1})
    stop(trail.folder)
    assert trail[id].inputs == {"n": 1}


def test_an_external_one_is_left_alone(folder):
    minutebook.open(folder, service="tests").close()
    stop(folder)
    with minutebook.open(folder, service="tests", engine="external") as trail:
        id = trail.model("m", "1", git=None).record({"n": 1})
        assert trail.status()["engine"] is None
        with pytest.raises(minutebook.EngineError, match="minutebook serve") as raised:
            trail.flush()
        assert raised.value.code == "no-engine"
    with minutebook.open(folder, service="tests") as trail:
        assert trail[id].inputs == {"n": 1}


def test_many_processes_find_one_engine(folder):
    script = f"""
        import minutebook
        with minutebook.open({str(folder)!r}, service="shop") as trail:
            model = trail.model("m", "1", git=None)
            for n in range(50):
                model.record({{"n": n}})
            print(trail.status()["engine"]["pid"])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = {process.communicate(timeout=120)[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(found) == 1
    with minutebook.open(folder, service="tests") as trail:
        assert len(decisions(trail)) == 200
        assert trail.verify()


def test_it_survives_its_parent_and_is_no_child_of_it(folder):
    pid = int(run(f"import minutebook; t = minutebook.open({str(folder)!r}); print(t.status()['engine']['pid'])"))
    assert _client.lives(str(folder))
    with open(f"/proc/{pid}/stat") as file:
        assert int(file.read().rpartition(")")[2].split()[1]) != os.getpid()
    assert os.getsid(pid) != os.getsid(0)


def test_it_inherits_no_descriptor(folder, tmp_path):
    with open(tmp_path / "held", "w") as held:
        os.set_inheritable(held.fileno(), True)
        with minutebook.open(folder, service="tests") as trail:
            pid = pid_of(trail)
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert str(tmp_path / "held") not in links


def test_a_long_path(tmp_path):
    folder = tmp_path / ("a" * 100) / ("b" * 100) / "trail"
    folder.parent.mkdir(parents=True)
    try:
        with minutebook.open(folder, service="tests") as trail:
            id = trail.model("m", "1", git=None).record({"n": 1})
            assert trail[id].inputs == {"n": 1}
    finally:
        stop(folder)


@pytest.mark.parametrize("signals", ["ignored", "reaped"])
def test_a_host_that_takes_all_children(folder, signals):
    """What `wait` says of a child cannot be relied on: then only that the engine answers counts."""
    out = run(
        f"""
        import os, signal, threading, time
        if {signals!r} == "ignored":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        else:
            def reap():
                while True:
                    try:
                        os.waitpid(-1, 0)
                    except ChildProcessError:
                        time.sleep(0.001)
            threading.Thread(target=reap, daemon=True).start()
        import minutebook
        handler = signal.getsignal(signal.SIGCHLD)
        trail = minutebook.open({str(folder)!r})
        assert signal.getsignal(signal.SIGCHLD) == handler
        print(trail.status()["engine"]["version"], trail.status()["faults"])
        """
    )
    assert out.split() == [minutebook.__version__, "{}"]


def test_a_program_that_does_not_answer(folder, tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("MINUTEBOOK_PROGRAM", str(program))
    monkeypatch.setattr(_engine, "START_TIMEOUT_S", 0.2)
    with pytest.raises(minutebook.EngineError, match="did not end within") as raised:
        minutebook.open(folder)
    assert raised.value.code == "timeout"


def test_what_the_program_says_is_passed_on(folder, tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho 'error: the key is wrong' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("MINUTEBOOK_PROGRAM", str(program))
    with pytest.raises(minutebook.EngineError, match="the key is wrong"):
        minutebook.open(folder)


def test_an_engine_of_another_version_is_told(folder, tmp_path, monkeypatch):
    program = tmp_path / "program"
    told = json.dumps({"trail": "00", "pid": 1, "version": "0.0.1", "socket": "/x"})
    program.write_text(f"#!/bin/sh\n\"$REAL\" init \"$2\" >/dev/null 2>&1\necho '{told}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("REAL", _program.find())
    monkeypatch.setenv("MINUTEBOOK_PROGRAM", str(program))
    with pytest.warns(minutebook.TrailWarning, match="version 0.0.1"):
        minutebook.open(folder, service="tests").close()


def test_the_program_is_found_beside_the_scripts(tmp_path, monkeypatch):
    monkeypatch.delenv("MINUTEBOOK_PROGRAM", raising=False)
    program = tmp_path / "bin" / "minutebook"
    program.parent.mkdir()
    program.write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(_program.sysconfig, "get_path", lambda *_, **__: str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(minutebook.EngineError, match="minutebook-engine"):
        _program.find()
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert _program.find() == str(program)


def test_a_fork_while_a_program_is_started_does_not_hold_it_up():
    """A forked child that holds the other end of a pipe would keep `Popen` waiting until that child ends."""
    stopped = threading.Event()
    children = []

    def start():
        for _ in range(30):
            assert _process.run(["/bin/true"], timeout_s=10).code == 0
        stopped.set()

    thread = threading.Thread(target=start)
    began = time.monotonic()
    thread.start()
    while not stopped.is_set():
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
        time.sleep(0.002)
    thread.join()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert time.monotonic() - began < 30


def test_a_program_that_says_much_and_ends_badly():
    ended = _process.run(["/bin/sh", "-c", "yes | head -c 1000000; echo no >&2; exit 4"], timeout_s=10)
    assert (ended.code, len(ended.output), ended.errors) == (4, 64 << 10, "no\n")
