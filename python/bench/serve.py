"""Decisions recorded on this machine for a server on loopback, durable there (`disk`), beside the same producers on a local trail.

Each process records one decision by hand and flushes, back to back, and then at half of the rate that came out: that gives the time from the
call to the acknowledgement. Arguments: processes (8), seconds of each run (10), decisions for each flush (1).
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import minutebook
from minutebook import _program


def produce(place, seconds, each, rate, found):
    """Records for a while, at `rate` flushes a second or as fast as it goes; gives how many decisions and how long each flush took."""
    how, where, key = place
    trail = minutebook.open(where) if how == "local" else minutebook.connect(where, api_key=key, service="bench")
    with trail:
        model = trail.model("credit-risk", "1", git=None)
        inputs = {f"x{n}": n / 7 for n in range(20)}
        took, end = [], time.monotonic() + seconds
        due = time.monotonic()
        while (now := time.monotonic()) < end:
            if rate is not None:
                due += 1 / rate
                if due > now:
                    time.sleep(due - now)
            began = time.monotonic()
            for _ in range(each):
                with model.decision(inputs=inputs) as decision:
                    decision.outputs = {"approve": True}
            trail.flush("disk")
            took.append(time.monotonic() - began)
        found.put((len(took) * each, took))


def measured(place, processes, seconds, each, rate=None):
    spawn = multiprocessing.get_context("spawn")
    found = spawn.SimpleQueue()
    children = [spawn.Process(target=produce, args=(place, seconds, each, rate, found)) for _ in range(processes)]
    for child in children:
        child.start()
    told = [found.get() for _ in children]
    for child in children:
        child.join()
    took = sorted(time for _, times in told for time in times)
    return sum(count for count, _ in told) / seconds, took


def told(name, processes, seconds, each, place):
    rate, _ = measured(place, processes, seconds, each)
    _, took = measured(place, processes, seconds, each, rate / 2 / each / processes)
    cuts = statistics.quantiles(took, n=100)
    print(json.dumps({
        "case": name, "processes": processes, "decisions_per_flush": each, "decisions_per_second": round(rate),
        "ms_to_disk_at_half_load": {"p50": round(cuts[49] * 1e3, 2), "p99": round(cuts[98] * 1e3, 2)},
    }), flush=True)  # fmt: skip


def main():
    processes, seconds, each = (int(word) for word in (sys.argv[1:] + ["8", "10", "1"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(dir=os.environ.get("MINUTEBOOK_BENCH_FOLDER")) as scratch:
        for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
            os.environ[name] = str(Path(scratch, name))
        local = Path(scratch, "local")
        minutebook.open(local).close()
        told("local", processes, seconds, each, ("local", str(local), None))
        command = [_program.find(), "serve", str(Path(scratch, "remote")), "--create", "--listen", "127.0.0.1:0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                listens = json.loads(server.stdout.readline())["listen"]
                make = [_program.find(), "api-key", "create", "bench", "--scope", "write", "--trail", str(Path(scratch, "remote"))]
                key = subprocess.run(make, check=True, capture_output=True, text=True).stdout.strip()
                told("remote", processes, seconds, each, ("remote", listens, key))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
