"""What redaction adds to recording a decision: `cargo xtask bench redact`.

Decisions of 20 features are recorded with rules and without, in blocks that take turns; what is added is the median over the pairs of
blocks. Calls are back to back. The engine runs meanwhile, and drains and seals.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import minutebook
import numpy as np
from record import decisions

DECISIONS = 2_000
PAIRS = 40
BATCH_ROWS = 20_000

HASH = minutebook.keyed_hash(bytes(range(32)))
RULES: dict[str, dict[Any, Any]] = {
    "3 dropped": dict.fromkeys(("inputs.feature_0", "inputs.feature_12", "inputs.feature_16"), minutebook.drop()),
    "3 hashed": dict.fromkeys(("inputs.feature_0", "inputs.feature_12", "inputs.feature_16"), HASH),
    "3 in buckets": dict.fromkeys(("inputs.feature_0", "inputs.feature_1", "inputs.feature_12"), minutebook.bucket(10)),
    "hashed, truncated, in a bucket": {
        "inputs.feature_16": HASH, "inputs.feature_17": minutebook.truncate(2), "inputs.feature_0": minutebook.bucket(edges=[-1, 0, 1]),
    },
}  # fmt: skip


def block(model: Any, given: list[dict[str, Any]]) -> float:
    """Microseconds of a decision."""
    record = model.record
    start = time.perf_counter()
    for one in given:
        record(one["inputs"], one["outputs"])
    return (time.perf_counter() - start) / len(given) * 1e6


def batch(model: Any, columns: dict[str, Any]) -> float:
    """Microseconds of a row."""
    start = time.perf_counter()
    model.record_batch(columns)
    return (time.perf_counter() - start) / BATCH_ROWS * 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="the figures for programs")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="minutebook-bench-"))
    try:
        trail = minutebook.open(folder / "trail", keys=folder / "keys", service="bench", full="block", block=60.0, on_error="raise")
        made = decisions(DECISIONS)
        columns = {name: np.array([one["inputs"][name] for one in made] * (BATCH_ROWS // DECISIONS)) for name in made[0]["inputs"]}
        plain = trail.model("plain", "1", git=None)
        found: dict[str, dict[str, float]] = {}
        for name, rules in RULES.items():
            redacted = trail.model(name, "1", git=None, redact=rules)
            pairs = [(block(plain, made), block(redacted, made)) for _ in range(PAIRS)]
            rows = [(batch(plain, columns), batch(redacted, columns)) for _ in range(5)]
            found[name] = {
                "plain_us": statistics.median(before for before, _ in pairs),
                "added_us": statistics.median(after - before for before, after in pairs),
                "added_us_a_row": statistics.median(after - before for before, after in rows),
            }
        trail.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':32} {'plain, µs':>10} {'added, µs':>10} {'added, µs a row of a batch':>28}")
    for name, each in found.items():
        print(f"{name:32} {each['plain_us']:10.2f} {each['added_us']:10.2f} {each['added_us_a_row']:28.2f}")


if __name__ == "__main__":
    main()
