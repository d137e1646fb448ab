"""What counting decisions without a record of each takes, beside whylogs: `cargo xtask bench count`.

Both profile the same tables of ten features in one thread, in turns: ours from Arrow, whylogs from pandas, which is what it takes. Each gives counts,
means, quantiles, frequent values and distinct counts of each column. Ours draws a number for each decision too, and hands the window over: its time
is until the window is in the spool (durability `process`).
"""

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import minutebook
import numpy as np
import pandas as pd
import pyarrow as pa
import whylogs

PURPOSES = ["car", "house", "education", "furniture"]


def table(rows: int, seed: int) -> pa.Table:
    """Six floats, two integers, two categories."""
    drawn = np.random.default_rng(seed)
    columns = {f"float_{n}": drawn.normal(n, n + 1, rows) for n in range(6)}
    columns |= {f"integer_{n}": drawn.integers(0, 10_000, rows) for n in range(2)}
    for n in range(2):
        codes = pa.array(drawn.integers(0, len(PURPOSES), rows), pa.int32())
        columns[f"category_{n}"] = pa.DictionaryArray.from_arrays(codes, PURPOSES)
    return pa.table(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="of a table (200,000)")
    parser.add_argument("--rounds", type=int, default=10, help="tables that each counts (10)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="minutebook-bench-"))
    tables = [table(options.rows, seed) for seed in range(options.rounds)]
    frames: list[pd.DataFrame] = [one.to_pandas() for one in tables]
    ours: list[float] = []
    theirs: list[float] = []
    try:
        with minutebook.open(folder / "trail", on_error="raise") as trail:
            model = trail.model("ranker", "1", git=None)
            model.count_batch(tables[0])
            trail.flush("process")
            whylogs.log(frames[0].head(1_000))
            for one, frame in zip(tables, frames):
                gc.collect()
                start = time.perf_counter(), time.thread_time()
                model.count_batch(one)
                trail.flush("process")
                ours.append(time.thread_time() - start[1])
                gc.collect()
                start = time.perf_counter(), time.thread_time()
                whylogs.log(frame)
                theirs.append(time.thread_time() - start[1])
            trail.flush()
            (found,) = trail.stats("ranker")
            assert found.whole.decisions == options.rows * (options.rounds + 1), found.whole.decisions
            middle = found.whole.features["inputs/float_0"].quantiles[0.5]
            assert abs(middle) < 0.05, middle
    finally:
        shutil.rmtree(folder)
    print(f"{options.rounds} tables of {options.rows:,} rows with 10 columns; decisions a second of one core's CPU time, median (least, most)")
    for name, times in (("minutebook, count_batch from Arrow", ours), ("whylogs, log from pandas", theirs)):
        rates = sorted(options.rows / taken for taken in times)
        print(f"{name:36} {statistics.median(rates):12,.0f}  ({rates[0]:,.0f}, {rates[-1]:,.0f})")
    print(f"ratio of the medians {statistics.median(theirs) / statistics.median(ours):.1f}")


if __name__ == "__main__":
    main()
