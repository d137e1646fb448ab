"""Workers and the engine are killed again and again, and every number is accounted for: `cargo xtask soak [SECONDS]`.

Four worker processes of one service, two threads each, decide as fast as the engine seals (`full="block"`). Every few seconds a worker
or the engine gets a SIGKILL; a worker is started again, the engine is started again by those who need it. At the end `verify` has to
account for every number of every epoch: kept, left out by a policy of three rules, or lost while a worker died with it in flight. What a
worker saw handed over has to be there; each rule has to keep its rate, by the draws that `verify` makes again; and the windows have to
add up to the numbers that were drawn. The seed is printed, and decides who is killed. When something is wrong, and when this process is
killed, the workers end with it.
"""

import argparse
import math
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import minutebook

POLICY = """
format = "minutebook/policy/1"

[[model]]
name = "soak"

[[model.rule]]
name = "high"
when = "outputs.y > 0.99"
keep = "all"

[[model.rule]]
name = "low"
when = "inputs.a < 0.25"
rate = 0.2

[[model.rule]]
name = "others"
rate = 0.05
"""
RATES = {"high": 1.0, "low": 0.2, "others": 0.05}

WORKERS = 4
THREADS = 2
SLOT = 8
"""Bytes of a thread's count in a worker's file."""


def work(folder: Path, counts: Path) -> None:
    """Decides until it is killed, or told to end by SIGTERM. What was handed over is counted in a file that outlives us."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with open(counts, "w+b") as file:
        file.truncate(SLOT * (THREADS + 2))
        shared = mmap.mmap(file.fileno(), 0)
    trail = minutebook.open(
        folder / "trail", keys=folder / "keys", service="soak", full="block", block=120.0, spill_bytes=256 << 20, on_error="raise"
    )
    model = trail.model("soak", version="1", git=None)
    producer = trail.status()["producer"]
    shared[SLOT * THREADS :] = struct.pack("<QQ", producer["epoch"], int(producer["producer"][:16], 16))

    def decide(thread: int) -> None:
        drawn, done = random.Random(thread), 0
        while not ended.is_set():
            with model.decision(subject=f"person-{drawn.randrange(1000)}", inputs={"a": drawn.random(), "b": done, "c": "x"}) as decision:
                decision.outputs = {"y": drawn.random()}
            done += 1
            shared[SLOT * thread : SLOT * (thread + 1)] = struct.pack("<Q", done)

    threads = [threading.Thread(target=decide, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trail.close()


def end_with_parent() -> None:
    """Whoever started us holds the other end of the pipe, and writes nothing to it."""
    os.read(0, 1)
    os._exit(1)


def start(folder: Path, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    counts = folder / f"worker-{number}.counts"
    command = [sys.executable, __file__, "--worker", str(folder), str(counts)]
    return subprocess.Popen(command, stdin=subprocess.PIPE), counts


def read_counts(path: Path) -> tuple[int, str, int]:
    """Epoch, the beginning of the producer's id, decisions handed over. Epoch 0: it was killed before it had opened the trail."""
    told = path.read_bytes() if path.exists() else b""
    values = struct.unpack(f"<{THREADS + 2}Q", told.ljust(SLOT * (THREADS + 2), b"\0"))
    return values[THREADS], f"{values[THREADS + 1]:016x}", sum(values[:THREADS])


def soak(folder: Path, seconds: float, every: float, seed: int) -> dict[str, Any]:
    """Runs, and gives what was found. Raises AssertionError when a number is not accounted for."""
    with minutebook.open(folder / "trail", keys=folder / "keys", service="soak", on_error="raise") as trail:
        trail.set_policy(POLICY)
        workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        try:
            found, all_counts = kill_now_and_then(folder, trail, workers, seconds, every, seed)
        finally:
            for worker, _ in workers:
                worker.kill()
            for worker, _ in workers:
                worker.wait()
        sealed = time.monotonic()
        trail.flush("sealed")
        found["sealed_in_s"] = round(time.monotonic() - sealed, 1)
        stop_engine(trail)
    # An engine that ends in order seals every window.
    with minutebook.open(folder / "trail", keys=folder / "keys", service="soak", on_error="raise") as trail:
        report = trail.verify()
        (stats,) = trail.stats("soak", by="day")
    account_for(report, all_counts, found)
    check_windows(report, stats, found)
    return found


def stop_engine(trail: minutebook.Trail) -> None:
    """Has the engine end in order, and waits for that."""
    pid = trail.status()["engine"]["pid"]
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 120
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "the engine does not end"
        time.sleep(0.05)


def check_windows(report: minutebook.Verification, stats: minutebook.ModelStats, found: dict[str, Any]) -> None:
    """The windows count each number that was kept or left out, once, and each rule kept its rate. Adds what each rule kept to what was `found`."""
    windows, policies = report["windows"], report["sampling"]
    assert windows["counted"] == windows["decisions"] == stats.whole.decisions, (windows, stats.whole.decisions)
    # Beside decisions each worker has recorded its model, unless it was killed first.
    others = found["kept"] + found["left_out"] - windows["decisions"]
    assert 0 <= others <= found["workers"], (others, found)
    found["decisions"] = windows["decisions"]
    assert [policy["checked"] for policy in policies] == [True], policies
    judged = sum(count for count, _ in stats.whole.rules.values())
    kept = sum(count for _, count in stats.whole.rules.values())
    assert (judged, judged - kept) == (found["decisions"], found["left_out"]), (stats.whole.rules, found)
    found["rules"] = {name: stats.whole.rules.get(name, (0, 0)) for name in RATES}
    for name, rate in RATES.items():
        judged, kept = found["rules"][name]
        # Six standard deviations: once in 500 million soaks.
        bound = 6 * math.sqrt(rate * (1 - rate) * judged)
        assert abs(kept - rate * judged) <= bound, (name, judged, kept, rate)


def kill_now_and_then(
    folder: Path, trail: minutebook.Trail, workers: list[tuple[subprocess.Popen[bytes], Path]], seconds: float, every: float, seed: int
) -> tuple[dict[str, Any], list[Path]]:
    """Has `workers` at work for so many seconds, then ends them. Gives who was killed, and where each worker that ever was has counted."""
    drawn = random.Random(seed)
    for number in range(WORKERS):
        workers.append(start(folder, number))
    all_counts = [counts for _, counts in workers]
    killed = {"worker": 0, "engine": 0}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(every, left))
        for worker, counts in workers:
            if worker.poll() is not None:
                raise AssertionError(f"a worker ended by itself, with {worker.returncode} ({counts.name})")
        if time.monotonic() >= end:
            break
        if drawn.random() < 0.5:
            place = drawn.randrange(WORKERS)
            worker, _ = workers[place]
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            workers[place] = start(folder, len(all_counts))
            all_counts.append(workers[place][1])
            killed["worker"] += 1
        elif engine := trail.status()["engine"]:
            os.kill(engine["pid"], signal.SIGKILL)
            killed["engine"] += 1
    for worker, _ in workers:
        worker.terminate()
    for worker, counts in workers:
        # By the signal: it was started just now, and could not take it yet.
        if worker.wait(180) not in (0, -signal.SIGTERM):
            raise AssertionError(f"a worker ended with {worker.returncode} ({counts.name})")
    return {"killed": killed, "workers": len(all_counts), "kept": 0, "left_out": 0, "lost": 0}, all_counts


def account_for(report: minutebook.Verification, all_counts: list[Path], found: dict[str, Any]) -> None:
    """Every number is kept or told as lost, and what a worker counted is kept. Adds both to what was `found`."""
    assert report["problems"] == 0, report["findings"]
    accounts = [account for account in report["accounts"] if account["class"] == "standard"]
    for account in accounts:
        lost = sum(account["lost"].values())
        assert account["drawn"] == account["kept"] + account["sampled_out"] + lost, account
        assert not account["gaps"], account
        found["kept"] += account["kept"]
        found["left_out"] += account["sampled_out"]
        found["lost"] += lost
    for path in all_counts:
        epoch, producer, handed_over = read_counts(path)
        if epoch == 0:
            continue
        account = next(a for a in accounts if a["epoch"] == epoch and a["producer"].startswith(producer))
        lost = sum(account["lost"].values())
        # A thread may be killed between handing over and counting. The record of the model is one of the numbers.
        told = account["kept"] + account["sampled_out"] - 1
        assert handed_over <= told <= handed_over + THREADS, (path.name, handed_over, account)
        assert lost <= THREADS, (path.name, account)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, help="where the trail is made; some gigabytes for five minutes")
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    options.add_argument("--seed", type=int, default=int(time.time()))
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}", flush=True)
    found = soak(given.folder, given.seconds, given.every, given.seed)
    rate = found["decisions"] / given.seconds
    rules = ", ".join(f"{name} {kept:,} of {judged:,} ({kept / max(judged, 1):.4f})" for name, (judged, kept) in found["rules"].items())
    print(
        f"{found['decisions']:,} decisions ({rate:,.0f}/s while it ran): {found['kept']:,} records kept, {found['left_out']:,} left out, "
        f"{found['lost']} lost in flight and told; killed: {found['killed']['worker']} workers, {found['killed']['engine']} engines; "
        f"the rest sealed in {found['sealed_in_s']} s. Kept by rule: {rules}. Every number is accounted for, and the windows add up to them."
    )


if __name__ == "__main__":
    main()
