"""What recording a decision costs the caller, beside how others do it: `cargo xtask bench capture`.

Each candidate runs in processes of its own, in the same minutes as the others: paced (2,000 calls a second, as in a service: caches are
cold), back to back (a burst), and killed (SIGKILL without a warning behind the last call). Times are of the calling thread; CPU time is
of all threads, and of the engine, which is shown apart, since it seals as well.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from candidates import CANDIDATES, Measured, named
from record import decisions

PACED_EVERY_S = 1 / 2_000
PACED_CALLS = 8_000
KILLED_AFTER = 20_000
DIFFERENT = 2_000


def paced(name: str, folder: Path) -> Measured:
    candidate, given = named(name)(folder), decisions(DIFFERENT)
    record, clock, times = candidate.record, time.perf_counter_ns, []
    for decision in given[:200]:
        record(decision)
    due = time.perf_counter()
    for call in range(PACED_CALLS):
        due += PACED_EVERY_S
        while (left := due - time.perf_counter()) > 0:
            time.sleep(left if left > 0.000_1 else 0)
        decision = given[call % DIFFERENT]
        start = clock()
        record(decision)
        times.append(clock() - start)
    candidate.finish()
    times.sort()
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {key: times[int(len(times) * share)] / 1_000 for key, share in at.items()}


def cpu_of(pids: list[int]) -> float:
    seconds = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def burst(name: str, folder: Path) -> Measured:
    kind, given = named(name), decisions(DIFFERENT)
    candidate = kind(folder)
    record, count = candidate.record, kind.burst
    pids = candidate.pids()
    engine = cpu_of(pids)
    cpu, start = time.process_time(), time.perf_counter()
    for call in range(count):
        record(given[call % DIFFERENT])
    handed_over = time.perf_counter() - start
    candidate.finish()
    stored = time.perf_counter() - start
    cpu = time.process_time() - cpu
    return {
        "sent": count,
        "handed_over": count / handed_over,
        "stored": count / stored,
        "cpu": cpu / count * 1e6,
        "engine_cpu": (cpu_of(pids) - engine) / count * 1e6,
    }


def killed(name: str, folder: Path) -> Measured:
    kind, given = named(name), decisions(DIFFERENT)
    candidate = kind(folder)
    for call in range(min(KILLED_AFTER, kind.burst)):
        candidate.record(given[call % DIFFERENT])
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def child(name: str, mode: str, folder: Path) -> Measured:
    here = Path(__file__).resolve()
    command = [sys.executable, str(here), "--child", name, mode, str(folder)]
    # Some leave files where they are started.
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if mode == "killed":
        if run.returncode != -signal.SIGKILL:
            raise SystemExit(f"{name}, {mode}: {run.stderr}")
        return {}
    if run.returncode != 0:
        raise SystemExit(f"{name}, {mode}: {run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def measure(name: str) -> Measured:
    found: Measured = {}
    for mode in ("paced", "burst", "killed"):
        if name in ("nothing", "orjson.dumps alone") and mode == "killed":
            continue
        folder = Path(tempfile.mkdtemp(prefix="minutebook-bench-"))
        try:
            found |= child(name, mode, folder)
            if mode != "paced" and name not in ("nothing", "orjson.dumps alone"):
                found[f"arrived_{mode}"] = child(name, "arrived", folder)["arrived"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def table(all_found: dict[str, Measured]) -> None:
    print(f"{'':24}{'paced, µs':^24}{'CPU µs':>8}{'/s until':>11}{'arrived of a burst':>22}{'lost by SIGKILL':>17}")
    print(f"{'':24}{'p50':>8}{'p99':>8}{'p99.9':>8}{'/record':>8}{'stored':>11}")
    for name, found in all_found.items():
        arrived = lost = ""
        if "arrived_burst" in found:
            arrived = f"{found['arrived_burst']:,} of {found['sent']:,}"
            sent = min(KILLED_AFTER, named(name).burst)
            lost = f"{max(0, sent - found['arrived_killed']):,} of {sent:,}"
        print(
            f"{name:24}{found['p50']:8.1f}{found['p99']:8.1f}{found['p99.9']:8.1f}{found['cpu']:8.1f}"
            f"{found['stored']:11,.0f}{arrived:>22}{lost:>17}"
        )
        if found["engine_cpu"]:
            print(f"{'':4}and {found['engine_cpu']:.1f} µs of the engine meanwhile, which drains, seals and flushes")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, mode, folder = sys.argv[2:]
        if mode == "arrived":
            found: Measured = {"arrived": named(name).arrived(Path(folder))}
        else:
            found = {"paced": paced, "burst": burst, "killed": killed}[mode](name, Path(folder))
        print(json.dumps(found), flush=True)
        return
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", action="append", choices=list(CANDIDATES), help="a candidate; may be given several times")
    options.add_argument("--json", action="store_true", help="the figures for programs")
    given = options.parse_args()
    all_found = {name: measure(name) for name in given.only or CANDIDATES}
    if given.json:
        print(json.dumps(all_found, indent=1))
    else:
        table(all_found)


if __name__ == "__main__":
    main()
